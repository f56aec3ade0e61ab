//! A consistent copy of a SQLite database that is in use.
//!
//! A database file that is read while somebody writes to it is torn, and the last transactions lie in
//! a companion (`-wal`) besides. So the walker, when it meets a file with SQLite's header, asks for a
//! [`capture`] and archives that: one file, complete by itself, without companions.
//!
//! There are two roads:
//!
//! - **online** ([`online`]): SQLite's own backup API, under SQLite's own locks. They are `fcntl` locks,
//!   which one kernel keeps for all containers. WAL: nobody is blocked. Rollback journal: writers wait;
//!   how long is bounded there.
//! - **still** ([`still`]): a plain copy of the file *and* its companions, with proof that nothing
//!   changed meanwhile; recovery (of a left-over WAL, of a half-written transaction) then takes place
//!   in the copy. For databases that nobody has open, that were left behind by a crash, that lie too
//!   deep for SQLite, or that somebody keeps locked.
//!
//! House rules:
//!
//! - Nothing is ever written into the source: no byte, no companion, no owner, no recovery.
//! - `fcntl` locks belong to the process: whoever *closes any descriptor* of a file drops all the locks
//!   the process has on it. So nobody in this process may open a database or its companions while its
//!   capture runs. [`capture`] keeps captures of one file apart; the walker must not read the same file
//!   (under another hard link, say) on another thread, and must leave the companions alone.

mod check;
mod error;
mod lock;
mod online;
mod place;
mod scratch;
mod still;
mod super_journal;
mod turn;
mod unprivileged;

pub use check::Check;
pub use error::SqliteError;
pub use scratch::sweep;

use crate::Cancel;
use online::Refused;
use place::Place;
use scratch::Folder;
use std::{ffi::OsStr, fs::File, os::unix::ffi::OsStrExt, path::Path, thread, time::Duration};

/// Enough of a file's start to tell whether it is a database.
pub const HEADER: usize = 16;

const MAGIC: &[u8; HEADER] = b"SQLite format 3\0";

/// Judges by the header, never by the name. A file of another size than a multiple of 512 is no
/// database that SQLite could have written; one of nothing is an ordinary empty file.
pub fn is_database(first_bytes: &[u8], size: u64) -> bool {
    first_bytes.starts_with(MAGIC) && size > 0 && size.is_multiple_of(512)
}

/// The name of the database that a file of this name would belong to. A companion of a captured
/// database is not archived: what it held is in the copy.
pub fn companion_of(name: &OsStr) -> Option<&OsStr> {
    ["-wal", "-shm", "-journal"]
        .iter()
        .find_map(|ending| name.as_bytes().strip_suffix(ending.as_bytes()))
        .filter(|base| !base.is_empty())
        .map(OsStr::from_bytes)
}

/// A complete database, readable from its start. Its name is gone already: closing it frees its room.
#[derive(Debug)]
pub struct CapturedDb {
    pub file: File,
    pub size: u64,
    pub how: How,
    /// If it failed, archive the copy all the same and say so loudly: a damaged database is dearer
    /// than none.
    pub check: Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Through the backup API, while others were free to use it.
    Online,
    /// As a copy of files that provably nobody changed meanwhile, recovered in the copy.
    Still,
}

/// How a capture is made.
#[derive(Debug, Clone)]
pub struct Capture<'a> {
    /// Where copies are made; needs room for the largest database.
    pub scratch: &'a Path,
    /// How long a database that somebody keeps locked is waited for.
    pub patience: Duration,
    pub cancel: &'a Cancel,
}

/// Captures `live` with the usual patience.
pub fn capture(live: &Path, scratch: &Path, cancel: &Cancel) -> Result<CapturedDb, SqliteError> {
    let patience = Duration::from_secs(30);
    Capture {
        scratch,
        patience,
        cancel,
    }
    .take(live)
}

/// How often the companions may come and go under our eyes before we give up.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

impl Capture<'_> {
    /// `live` is an absolute path; it may lead through `/proc/self/fd/N`.
    pub fn take(&self, live: &Path) -> Result<CapturedDb, SqliteError> {
        let place = Place::of(live)?;
        let _turn = turn::wait(place.identity()?, self.cancel)?;
        let mut locked = false;
        for attempt in 0..TRIES {
            self.cancel.check()?;
            if attempt > 0 {
                thread::sleep(PAUSE * attempt);
            }
            match place.online_mode()? {
                Some(mode) if !locked => {
                    let folder = Folder::make(self.scratch)?;
                    match online::copy(&place, mode, &folder, self) {
                        Ok(()) => return self.finish(folder, How::Online),
                        Err(Refused::For(error)) => return Err(error),
                        Err(Refused::Locked) => locked = true,
                        Err(Refused::NotThisWay) => {}
                    }
                }
                _ => {}
            }
            let folder = Folder::make(self.scratch)?;
            match still::copy(&place, &folder, locked, self) {
                Ok(()) => return self.finish(folder, How::Still),
                Err(SqliteError::Restless { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(SqliteError::Restless { tries: TRIES })
    }

    fn finish(&self, folder: Folder, how: How) -> Result<CapturedDb, SqliteError> {
        let (file, size) = folder.open_copy()?;
        let check = check::check(&folder.database(), size, self.cancel)?;
        drop(folder);
        Ok(CapturedDb {
            file,
            size,
            how,
            check,
        })
    }
}
