//! `lifeboat pour`: the helper's side of a volume that is not mounted into the sidecar.
//!
//! It runs in a container of its own, reads no settings and speaks to nobody: the folder goes to stdout, or
//! to a socket where one waits, as a stream that says of itself whether it is whole. What goes wrong is told
//! there too, and on stderr.

use super::{
    args::{self, Changed},
    signals::Signals,
};
use crate::exit::{Code, Failure, Result};
use lifeboat_run::{
    Cancelled, seal,
    seal::SealError,
    source::{Folder, OnChanged, Options, SourceError},
};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
};

/// First on stdout, where a socket was named: the stream goes there.
pub const KNOCKED: u8 = b'S';
/// Nobody was to be reached: the stream follows here, or nothing where it was to wait for a word.
pub const NOBODY_HOME: u8 = b'O';
/// To one that waits: any byte, but it is this one.
pub const GO: u8 = b'G';

pub fn run(args: &args::Pour, signals: &Signals) -> Result {
    let options = Options {
        exclude: args.exclude.clone(),
        on_changed: match args.on_changed {
            Changed::Warn => OnChanged::Warn,
            Changed::Fail => OnChanged::Fail,
        },
        entries_before: args.entries_before,
        scratch: args.scratch.clone(),
        ..Options::default()
    };
    let folder = Folder::new("folder", &args.folder, options)
        .map_err(|error| failure(&SealError::Source(error)))?;
    let to =
        open(args).map_err(|error| Failure::io("write to", "whoever reads this", &error, HINT))?;
    let Some(mut to) = to else {
        return Ok(Code::Done);
    };
    match seal::pour(&folder, &mut *to, signals.cancel()) {
        Ok(()) => Ok(Code::Done),
        Err(SealError::Cancelled(_) | SealError::Source(SourceError::Cancelled)) => {
            Err(Cancelled.into())
        }
        Err(error) => Err(failure(&error)),
    }
}

/// `None`: it is to wait for a word, and there is nobody to give it.
fn open(args: &args::Pour) -> io::Result<Option<Box<dyn Write + Send>>> {
    // Not through the library's own handle, which looks for the ends of lines.
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let Some(socket) = &args.socket else {
        return Ok(Some(Box::new(stdout)));
    };
    match UnixStream::connect(socket) {
        Ok(mut stream) => {
            stdout.write_all(&[KNOCKED])?;
            if args.wait {
                // Who waits in vain, because whoever started it is gone, has read nothing.
                stream.read_exact(&mut [0])?;
            }
            Ok(Some(Box::new(stream)))
        }
        Err(_) => {
            stdout.write_all(&[NOBODY_HOME])?;
            Ok((!args.wait).then(|| -> Box<dyn Write + Send> { Box::new(stdout) }))
        }
    }
}

const HINT: &str = "this verb is for Lifeboat itself; `lifeboat backup` saves what there is";

fn failure(error: &SealError) -> Failure {
    let code = match error {
        SealError::Source(SourceError::Missing { .. } | SourceError::SuddenlyEmpty { .. }) => {
            Code::NotFound
        }
        _ => Code::Failed,
    };
    Failure::new(code, error.to_string(), HINT)
}
