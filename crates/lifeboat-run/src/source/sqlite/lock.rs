//! Locks of our own on a live file, of the kind that SQLite uses.
//!
//! A shared lock on the whole of a database is what every reader has, and more: with a rollback
//! journal nobody begins to write meanwhile; in WAL mode nobody takes the WAL away. On the whole of a
//! `-shm` it keeps writers and checkpoints waiting.

use super::{Capture, SqliteError};
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
    process::{Flock, FlockType, fcntl_getlk},
};
use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// Until any descriptor of the file is closed in this process.
    Ours,
    /// Somebody else's, who may write.
    Theirs,
    /// This file system knows no locks.
    Unknown,
}

pub(super) fn share(file: &File) -> Lock {
    match fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Lock::Ours,
        Err(Errno::AGAIN | Errno::ACCESS) => Lock::Theirs,
        Err(_) => Lock::Unknown,
    }
}

/// Waits for a lock as long as the capture may.
pub(super) fn share_patiently(file: &File, capture: &Capture<'_>) -> Result<Lock, SqliteError> {
    let deadline = Instant::now() + capture.patience;
    loop {
        let lock = share(file);
        if lock != Lock::Theirs || Instant::now() > deadline {
            return Ok(lock);
        }
        capture.cancel.check()?;
        thread::sleep(Duration::from_millis(2));
    }
}

/// The complaint about whoever locks `file`.
pub(super) fn locked(file: &File, capture: &Capture<'_>) -> SqliteError {
    let theirs = fcntl_getlk(file, &Flock::from(FlockType::ReadLock));
    SqliteError::Locked {
        by: theirs
            .ok()
            .flatten()
            .and_then(|lock| lock.pid)
            .map(|pid| pid.as_raw_pid()),
        waited: capture.patience,
    }
}
