//! One run at a time on one folder.
//!
//! `.lifeboat/lock` is locked with flock as long as the run lives, and says in JSON whose it is. The
//! kernel frees the lock of a process that dies, whatever it dies of. What then remains is the record
//! of a run that did not end well; the next one takes the lock over once it is proved that nobody
//! holds it: never because of its age.

use crate::{Error, ErrorKind, Local, Result, Store};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use std::{fmt, fs::File, io, os::unix::fs::FileExt, time::Duration};

const LOCK_FILE: &str = ".lifeboat/lock";
const RECORD_BYTES_MAX: usize = 16 << 10;

/// Whoever only looks has a lock for an instant too; that is not worth a missed backup.
const LOOKS_MAX: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Who holds a lock, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The deployment, as its user named it.
    pub instance: String,
    pub host: String,
    pub pid: u32,
    /// Changes with every start of the kernel, and is the same in all containers on it.
    pub boot_id: String,
    /// RFC 3339.
    pub since: String,
    /// `backup`, `prune` …
    pub doing: String,
}

/// The right to change this store. Ends when it is dropped, or with the process.
#[derive(Debug)]
pub struct RunLock {
    file: File,
    left_behind: Option<Owner>,
}

impl Owner {
    /// This process.
    pub fn here(
        instance: impl Into<String>,
        since: impl Into<String>,
        doing: impl Into<String>,
    ) -> Self {
        let uname = rustix::system::uname();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Owner {
            instance: instance.into(),
            host: uname.nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            boot_id: boot_id.unwrap_or_default().trim().to_owned(),
            since: since.into(),
            doing: doing.into(),
        }
    }
}

impl RunLock {
    /// Fails with [`ErrorKind::Busy`], naming the holder, when another run has the lock.
    pub fn take(store: &Local, owner: &Owner) -> Result<Self> {
        let failed = |e: io::Error| Error::io("lock", store.place(), e);
        loop {
            let file = store.open_own(LOCK_FILE).map_err(failed)?;
            if !lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(failed)? {
                return Err(busy(store, read(&file).ok().flatten()));
            }
            // The file may have been removed, and made anew, between those two steps.
            if !store.is_at(&file, LOCK_FILE).map_err(failed)? {
                continue;
            }
            let left_behind = read(&file).map_err(failed)?;
            if let Some(before) = &left_behind
                && !is_over(before, owner, store.is_served().map_err(failed)?)
            {
                return Err(elsewhere(store, before));
            }
            write(&file, owner).map_err(failed)?;
            return Ok(RunLock { file, left_behind });
        }
    }

    /// The run that held this lock before and did not end well: it may have left services stopped
    /// and work unfinished.
    pub fn left_behind(&self) -> Option<&Owner> {
        self.left_behind.as_ref()
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // An empty record: this run ended well. The lock itself goes with the file.
        let _ = self.file.set_len(0);
    }
}

/// Who holds the lock now; `None` when nobody does.
pub fn holder(store: &Local) -> Result<Option<Holder>> {
    let failed = |e: io::Error| Error::io("look at the lock of", store.place(), e);
    let Some(file) = store.find_own(LOCK_FILE).map_err(failed)? else {
        return Ok(None);
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(None),
        Err(Errno::WOULDBLOCK) => {
            let owner = read(&file).map_err(failed)?;
            Ok(Some(owner.map_or(Holder::Unnamed, Holder::Named)))
        }
        Err(error) => Err(failed(error.into())),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Named(Owner),
    /// It holds the lock, but its record is damaged or not yet written.
    Unnamed,
}

/// Whether the run of this record has certainly ended, given that its lock was free to take.
///
/// On one kernel a free lock is proof. On a disk of this machine it is proof too: the kernel that
/// wrote the record no longer runs, or it would still have the disk. Only where a server keeps the
/// files, some set-ups do not carry locks from one client to another; there the record of another
/// machine stands until somebody who knows that machine removes it.
fn is_over(before: &Owner, taker: &Owner, served: bool) -> bool {
    before.boot_id == taker.boot_id || !served || before.host == taker.host
}

/// Whether the lock could be had.
pub(crate) fn lock(file: &File, how: FlockOperation) -> io::Result<bool> {
    for look in 1.. {
        match flock(file, how) {
            Err(Errno::WOULDBLOCK) if look < LOOKS_MAX => std::thread::sleep(LOOK_AGAIN),
            Err(Errno::WOULDBLOCK) => break,
            done => return done.map(|()| true).map_err(Into::into),
        }
    }
    Ok(false)
}

/// `None` when the last run ended well, or when its record cannot be read.
fn read(file: &File) -> io::Result<Option<Owner>> {
    let mut bytes = vec![0; RECORD_BYTES_MAX];
    let mut filled = 0;
    loop {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(serde_json::from_slice(&bytes[..filled]).ok())
}

fn write(file: &File, owner: &Owner) -> io::Result<()> {
    let mut record = serde_json::to_vec_pretty(owner)?;
    record.push(b'\n');
    file.set_len(0)?;
    file.write_all_at(&record, 0)
}

fn busy(store: &Local, holder: Option<Owner>) -> Error {
    let detail = match holder {
        Some(owner) => format!("{owner} holds it"),
        None => "another run holds it".to_owned(),
    };
    Error::new(ErrorKind::Busy, "lock", store.place(), detail)
}

fn elsewhere(store: &Local, before: &Owner) -> Error {
    let file = store.path().join(LOCK_FILE);
    let detail = format!(
        "{before} did not give it back, and from here it cannot be seen whether that machine is \
         still at work; if it is not, remove {}",
        file.display()
    );
    Error::new(ErrorKind::Busy, "lock", store.place(), detail)
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} of {:?} (process {} on {}, since {})",
            self.doing, self.instance, self.pid, self.host, self.since
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(host: &str, boot_id: &str) -> Owner {
        Owner {
            instance: "shop".into(),
            host: host.into(),
            pid: 7,
            boot_id: boot_id.into(),
            since: "2025-12-13T02:00:00Z".into(),
            doing: "backup".into(),
        }
    }

    #[test]
    fn a_free_lock_proves_the_end_of_a_run_except_of_another_machine_on_a_server() {
        let me = owner("here", "b2");
        for (before, served, over) in [
            (owner("here", "b2"), false, true),
            (owner("another-container", "b2"), true, true),
            (owner("here", "b1"), true, true),
            (owner("there", "b1"), false, true),
            (owner("there", "b1"), true, false),
        ] {
            assert_eq!(is_over(&before, &me, served), over, "{before:?} {served}");
        }
    }
}
