//! `lifeboat cat`: one source of a backup, as it was before it was sealed, on stdout.
//!
//! The bytes go out while they are read: a database may be piped into its client without room for a copy
//! of it. So whoever reads them must wait for the exit code; only 0 says that they may be believed.

use super::{args, port::Port, signals::Signals};
use crate::exit::{Code, Failure, Result};
use lifeboat_plan::Archive;
use lifeboat_run::{
    Cancel, Keyring, layout,
    unseal::{self, Depth, Passage, UnsealError},
};
use std::io::{self, BufRead, Read, Write};

pub fn run(args: &args::Cat, port: &Port, signals: &Signals) -> Result {
    let catalog = port.catalog()?;
    let item = port.find(&catalog, &args.id)?;
    let archives = &item.manifest.archives;
    let Some(archive) = archives.iter().find(|a| a.source == args.source) else {
        let names: Vec<&str> = archives.iter().map(|a| a.source.as_str()).collect();
        return Err(Failure::new(
            Code::NotFound,
            format!("{} has no source {:?}", item.id(), args.source),
            format!("it has: {}", names.join(", ")),
        ));
    };
    if !item.authenticity.is_trusted() {
        return Err(Failure::new(
            Code::Integrity,
            format!("the manifest of {} is not provably ours", item.id()),
            "`lifeboat open FILE` unseals the archive without asking the manifest",
        ));
    }
    let harbour = port.harbour();
    let _lease = harbour.state.lease(item.id()).ok();
    let key = layout::archive(item.manifest.tier, &archive.file)?;
    pour(
        || Ok(harbour.store.open(&key)?),
        archive,
        harbour.keys,
        signals.cancel(),
        &mut io::stdout().lock(),
    )?;
    Ok(Code::Done)
}

/// Unseals into `to`, and fails unless every byte, stored and plain, was found right.
pub(super) fn pour(
    stored: impl Fn() -> Result<Box<dyn Read + Send>>,
    archive: &Archive,
    keys: &Keyring,
    cancel: &Cancel,
    to: &mut dyn Write,
) -> Result<()> {
    let mut passage = Passage::begin(stored()?, archive, keys, cancel)?;
    loop {
        let bytes = match passage.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => bytes,
            // What a decoder stumbled over is not always what is wrong: look at the whole of it.
            Err(error) => {
                cancel.check()?;
                unseal::check(stored()?, archive, Depth::Deep, keys, cancel)?;
                return Err(UnsealError::Damaged {
                    file: archive.file.clone(),
                    reason: error.to_string(),
                }
                .into());
            }
        };
        to.write_all(bytes)
            .map_err(|error| cannot_pass_on(&error))?;
        let passed = bytes.len();
        passage.consume(passed);
    }
    passage.finish()?;
    to.flush().map_err(|error| cannot_pass_on(&error))
}

pub(super) fn cannot_pass_on(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(
            Code::Failed,
            "whoever reads stdout left before the end, so nothing is proved of it",
            "let it read to the end where the whole content matters",
        ),
        _ => Failure::io(
            "pass on",
            "the content",
            error,
            "look at where stdout leads to: is there space?",
        ),
    }
}
