//! The copy of a database that stands still, companions and all, with SQLite's recovery made in the
//! copy.
//!
//! A database and its companions, taken at one instant, are what a power cut would have left at that
//! instant, and SQLite recovers from that: committed transactions in the WAL are in, a half-written
//! one is rolled back. *One instant* is proved: size, inode, mtime and ctime of all of them are the
//! same before and after, and whoever may not write while others read is kept from writing, if there
//! are locks to be had.

use super::{
    Capture, SqliteError,
    lock::{self, Lock},
    place::{Part, Place, speaks_wal},
    scratch::Folder,
    super_journal,
};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{Stat, fstat};
use std::{
    fs::File,
    io::{self, Read, Write},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Older kernels keep times to the tick: a change this young could be followed by one that leaves no
/// trace.
const SETTLED: Duration = Duration::from_millis(60);

const COPIED: [Part; 3] = [Part::Database, Part::Wal, Part::Journal];

/// `locked`: the online road has waited for a lock, in vain.
pub(super) fn copy(
    place: &Place,
    folder: &Folder,
    locked: bool,
    capture: &Capture<'_>,
) -> Result<(), SqliteError> {
    let live = Parts::freeze(place, locked, capture)?;
    let before = State::settled(place)?;
    before.demand_same_files(&live)?;
    folder.demand_room(before.room())?;
    for (part, file) in COPIED.iter().zip(&live.copied) {
        if let Some(file) = file {
            copy_part(file, *part, before.size(*part), folder, capture)?;
        }
    }
    if State::of(place)? != before {
        return Err(restless());
    }
    drop(live);
    super_journal::decide(place, folder)?;
    recover(folder, before.room())
}

fn restless() -> SqliteError {
    SqliteError::Restless {
        tries: super::TRIES,
    }
}

/// The live files, under lock. Nobody else in this process has them open, so that closing them does no
/// harm.
struct Parts {
    copied: [Option<File>; 3],
    _shm: Option<File>,
}

impl Parts {
    /// Keeps writers away where locks can. Where somebody holds the database locked against us, his
    /// WAL or journal must speak for its state: without one we could not tell a transaction that is
    /// half-written (its journal being kept in memory) from none.
    fn freeze(place: &Place, locked: bool, capture: &Capture<'_>) -> Result<Self, SqliteError> {
        let share = |file| match locked {
            true => Ok(lock::share(file)), // waited enough
            false => lock::share_patiently(file, capture),
        };
        let database = place.open(Part::Database)?;
        let lock = share(&database)?;
        let shm = place.open_if_there(Part::Shm)?;
        if let Some(shm) = &shm {
            share(shm)?; // as good as it gets: times have the last word
        }
        // Only now: while others write, these come and go.
        let wal = place.open_if_there(Part::Wal)?;
        let journal = place.open_if_there(Part::Journal)?;
        let speaks_for_itself = || match (&wal, &journal) {
            (Some(_), _) => speaks_wal(&database),
            (None, Some(journal)) => Ok(super_journal::is_hot(journal)),
            (None, None) => Ok(false),
        };
        if lock == Lock::Theirs && !speaks_for_itself()? {
            return Err(lock::locked(&database, capture));
        }
        Ok(Parts {
            copied: [Some(database), wal, journal],
            _shm: shm,
        })
    }
}

/// All that changes when a file does.
#[derive(Debug, PartialEq, Eq)]
struct State([Option<[i128; 7]>; 3]);

impl State {
    fn of(place: &Place) -> Result<Self, SqliteError> {
        let mut state = State([None; 3]);
        for (slot, part) in state.0.iter_mut().zip(COPIED) {
            *slot = place.stat(part)?.as_ref().map(marks);
        }
        Ok(state)
    }

    /// A state in which nothing has happened for a moment.
    fn settled(place: &Place) -> Result<Self, SqliteError> {
        let state = Self::of(place)?;
        if state.is_fresh() {
            thread::sleep(SETTLED);
            if Self::of(place)? != state {
                return Err(restless());
            }
        }
        Ok(state)
    }

    fn is_fresh(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_nanos() as i128);
        let changed = |m: &[i128; 7]| m[5] * 1_000_000_000 + m[6];
        self.0
            .iter()
            .flatten()
            .any(|m| changed(m) + 2 * SETTLED.as_nanos() as i128 > now)
    }

    fn demand_same_files(&self, live: &Parts) -> Result<(), SqliteError> {
        for (marks_of_path, file) in self.0.iter().zip(&live.copied) {
            let marks_of_file = match file {
                Some(file) => Some(marks(&fstat(file).map_err(SqliteError::live("look at"))?)),
                None => None,
            };
            if *marks_of_path != marks_of_file {
                return Err(restless());
            }
        }
        Ok(())
    }

    fn size(&self, part: Part) -> u64 {
        COPIED
            .iter()
            .position(|copied| *copied == part)
            .and_then(|n| self.0[n])
            .map_or(0, |marks| marks[2] as u64)
    }

    /// The copies of all, and the database grown by all that its WAL holds.
    fn room(&self) -> u64 {
        self.size(Part::Database) + 2 * self.size(Part::Wal) + self.size(Part::Journal)
    }
}

fn marks(stat: &Stat) -> [i128; 7] {
    [
        stat.st_dev.into(),
        stat.st_ino.into(),
        stat.st_size.into(),
        stat.st_mtime.into(),
        stat.st_mtime_nsec.into(),
        stat.st_ctime.into(),
        stat.st_ctime_nsec.into(),
    ]
}

fn copy_part(
    live: &File,
    part: Part,
    size: u64,
    folder: &Folder,
    capture: &Capture<'_>,
) -> Result<(), SqliteError> {
    let mut copy = folder.create(&folder.part(part))?;
    let mut buffer = vec![0; 256 << 10];
    let mut live = live.take(size);
    loop {
        capture.cancel.check()?;
        let n = live.read(&mut buffer).map_err(|error| SqliteError::Live {
            action: "read",
            error,
        })?;
        if n == 0 {
            return Ok(());
        }
        copy.write_all(&buffer[..n])
            .map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => folder.full(size),
                _ => folder.trouble("write the copy", error),
            })?;
    }
}

/// What SQLite does when it opens a database after a crash. Exclusive locking keeps the WAL's index
/// in memory; the WAL is emptied into the database and goes away. The header still says WAL.
fn recover(folder: &Folder, need: u64) -> Result<(), SqliteError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let recovered = Connection::open_with_flags(folder.database(), flags).and_then(|copy| {
        copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let _: i64 = copy.pragma_query_value(None, "schema_version", |row| row.get(0))?;
        let _ = copy.pragma_update(None, "synchronous", "OFF"); // wants a schema that can be parsed
        let left: bool = copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        debug_assert!(!left, "nobody else has the copy open");
        copy.close().map_err(|(_, error)| error)
    });
    let error = match recovered {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Err(SqliteError::NotSqlite(error.to_string()))
        }
        Some(ErrorCode::DiskFull) => Err(folder.full(need)),
        _ => Err(folder.trouble("recover the copy", error)),
    }
}
