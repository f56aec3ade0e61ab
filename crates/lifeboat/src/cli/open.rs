//! `lifeboat open`: unseals one file, with nothing but the file and a key.

use super::{
    args,
    cat::{cannot_pass_on, pour},
    loose::Loose,
    screen::Screen,
    signals::Signals,
    words,
};
use crate::{
    config::Loaded,
    exit::{Code, Failure, Result},
};
use lifeboat_run::{Cancel, Keyring, unseal};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

pub fn run(args: &args::Open, loaded: &Loaded, signals: &Signals, screen: &mut Screen) -> Result {
    let loose = Loose::look(&args.file)?;
    let keys = &loaded.config.sealing.keys;
    let cancel = signals.cancel();
    let Some(target) = &args.to else {
        unseal_to(&loose, keys, cancel, &mut io::stdout().lock())?;
        return Ok(Code::Done);
    };
    let file = Draft::beside(target)?;
    let size = file.fill(|to| unseal_to(&loose, keys, cancel, to))?;
    let checked = loose.promised().is_some();
    screen.document(&json!({ "file": target, "size": size, "compared_with_manifest": checked }));
    screen.line(format_args!(
        "{}  {}{}",
        target.display(),
        words::size(size),
        match checked {
            true => ", as its manifest promised",
            false => " (no manifest beside it to compare with)",
        }
    ));
    Ok(Code::Done)
}

fn unseal_to(loose: &Loose, keys: &Keyring, cancel: &Cancel, to: &mut dyn Write) -> Result<()> {
    if let Some((_, archive)) = loose.promised() {
        return pour(|| Ok(Box::new(loose.open()?)), &archive, keys, cancel, to);
    }
    let stored = Box::new(loose.open()?);
    let (compression, encryption) = (loose.compression, loose.encryption);
    let mut plain = unseal::open(&loose.file, stored, compression, encryption, keys)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        cancel.check()?;
        match plain.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => to
                .write_all(&buffer[..n])
                .map_err(|error| cannot_pass_on(&error))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Failure::new(
                    Code::Integrity,
                    format!("{} is damaged: {error}", loose.file),
                    "what came out before is not to be relied on; take another copy of the file",
                ));
            }
        }
    }
    to.flush().map_err(|error| cannot_pass_on(&error))
}

/// A file on its way: it gets its name when all of it is there and right.
struct Draft {
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    fn beside(target: &Path) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Failure::usage(
                format!("{} is not the name of a file", target.display()),
                "give --to a new file",
            ));
        };
        if target.symlink_metadata().is_ok() {
            return Err(Failure::new(
                Code::Refused,
                format!("{} is there already", target.display()),
                "nothing is ever overwritten; give --to a new file",
            ));
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".lifeboat-{}", std::process::id()));
        Ok(Draft {
            path: target.with_file_name(hidden),
            target: target.to_owned(),
        })
    }

    fn fill(self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<u64> {
        let failed = |action: &str, error: &io::Error| {
            let hint = "is there space in that folder, and the right to write?";
            Failure::io(action, self.target.display(), error, hint)
        };
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .open(&self.path)
            .map_err(|error| failed("create", &error))?;
        write(&mut file)?;
        file.sync_all().map_err(|error| failed("sync", &error))?;
        let size = file
            .metadata()
            .map_err(|error| failed("look at", &error))?
            .len();
        renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE)
            .map_err(|error| failed("name", &error.into()))?;
        Ok(size)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the renaming there is nothing of that name.
        let _ = fs::remove_file(&self.path);
    }
}
