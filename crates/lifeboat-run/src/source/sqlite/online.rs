//! The copy through SQLite's backup API.
//!
//! In WAL mode the whole copy is one read transaction: it blocks nobody; the WAL only grows meanwhile.
//! With a rollback journal a reader keeps writers waiting. So a database of up to [`HELD_SIZE_MAX`] is
//! copied in one read transaction (a fraction of a second), and a larger one in slices with the lock
//! let go between them. Then a write makes SQLite begin again, and after [`RESTARTS_MAX`] new
//! beginnings one whole pass is made under lock, so that a database that is written all the time
//! comes to an end, too.

use super::{
    Capture, SqliteError,
    lock::{self, Lock},
    place::{JournalMode, Part, Place},
    scratch::Folder,
    unprivileged,
};
use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
    ffi,
};
use std::{
    cell::Cell,
    fs::File,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const HELD_SIZE_MAX: u64 = 64 << 20;
const RESTARTS_MAX: u32 = 2;
const SLICE: u64 = 8 << 20;
/// How long SQLite itself waits for a lock, before we look whether to go on.
const GLANCE: Duration = Duration::from_millis(100);

/// Why it did not come to a copy on this road.
pub(super) enum Refused {
    /// Neither will it on the other.
    For(SqliteError),
    /// For as long as we may wait.
    Locked,
    NotThisWay,
}

impl<E: Into<SqliteError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Refused::For(error.into())
    }
}

pub(super) fn copy(
    place: &Place,
    mode: JournalMode,
    folder: &Folder,
    capture: &Capture<'_>,
) -> Result<(), Refused> {
    let _hold = match mode {
        JournalMode::Wal => Some(hold_companions(place, capture)?),
        JournalMode::Rollback => None,
    };
    let uri = place.uri().ok_or(Refused::NotThisWay)?;
    folder.create(&folder.database())?;
    let mut copy =
        open_copy(&folder.database()).map_err(|error| folder.trouble("open the copy", error))?;
    let cookie = unprivileged::run(|| {
        let live = Live {
            connection: open_live(&uri).map_err(|_| Refused::NotThisWay)?,
            mode,
            folder,
            need: Cell::new(0),
            capture,
        };
        live.copy_to(&mut copy)
    })?;
    copy.close()
        .map_err(|(_, error)| folder.trouble("finish the copy", error))?;
    folder.restore_schema_cookie(cookie)?;
    Ok(())
}

/// The last user of a WAL takes it away when leaving, and SQLite would create it anew for us. A
/// shared lock on the database keeps it where it is, as any reader's does. It must outlive our
/// connection: closing this descriptor drops that one's locks.
fn hold_companions(place: &Place, capture: &Capture<'_>) -> Result<File, Refused> {
    let live = place.open(Part::Database)?;
    match lock::share_patiently(&live, capture)? {
        Lock::Ours if place.online_mode()? == Some(JournalMode::Wal) => Ok(live),
        Lock::Ours | Lock::Unknown => Err(Refused::NotThisWay),
        Lock::Theirs => Err(Refused::Locked),
    }
}

fn open_live(uri: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let live = Connection::open_with_flags(uri, flags)?;
    live.busy_timeout(GLANCE)?;
    live.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(live)
}

/// If we are killed, the copy is rubbish anyway: no journal, no syncing.
fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(path, flags)?;
    copy.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;",
    )?;
    Ok(copy)
}

struct Live<'a> {
    connection: Connection,
    mode: JournalMode,
    folder: &'a Folder,
    /// Room that the copy takes.
    need: Cell<u64>,
    capture: &'a Capture<'a>,
}

impl Live<'_> {
    /// Returns the schema cookie of the original.
    fn copy_to(&self, copy: &mut Connection) -> Result<u32, Refused> {
        let page_size = self.begin()?;
        let backup = Backup::new(&self.connection, copy)
            .map_err(|error| self.folder.trouble("begin the copy", error))?;
        self.step(&backup, 0)?;
        let size = backup.progress().pagecount as u64 * page_size;
        self.need.set(size);
        self.folder.demand_room(size)?;

        let slice = (SLICE / page_size) as i32;
        let mut held = self.mode == JournalMode::Wal || size <= HELD_SIZE_MAX;
        if !held {
            self.end()?;
        }
        let mut restarts = 0;
        let mut left = backup.progress().pagecount;
        loop {
            let began = Instant::now();
            if self.step(&backup, slice)? {
                break;
            }
            let remaining = backup.progress().remaining;
            restarts += u32::from(remaining >= left);
            left = remaining;
            if held {
                continue;
            }
            // The last slice ends in our transaction, so that the cookie is of the same state.
            if left <= slice || restarts >= RESTARTS_MAX {
                self.begin()?;
                held = true;
            } else {
                thread::sleep(began.elapsed()); // half of the time is the writers'
            }
        }
        drop(backup);
        self.pragma("schema_version").map(|cookie| cookie as u32)
    }

    /// Begins a read transaction, which is a snapshot (WAL) or a shared lock; returns the page size.
    fn begin(&self) -> Result<u64, Refused> {
        self.execute("BEGIN")?;
        // Needs the database, but not a schema that can be parsed.
        self.pragma("schema_version")?;
        self.pragma("page_size").map(|size| size as u64)
    }

    fn end(&self) -> Result<(), Refused> {
        self.execute("COMMIT")
    }

    fn execute(&self, sql: &str) -> Result<(), Refused> {
        self.patiently(|live| live.execute_batch(sql))
    }

    fn pragma(&self, name: &str) -> Result<i64, Refused> {
        self.patiently(|live| live.pragma_query_value(None, name, |row| row.get(0)))
    }

    /// Copies so many pages; says whether they were the last.
    fn step(&self, backup: &Backup<'_, '_>, pages: i32) -> Result<bool, Refused> {
        self.patiently(|_| match backup.step(pages)? {
            StepResult::Done => Ok(true),
            StepResult::Busy | StepResult::Locked => Err(busy()),
            _ => Ok(false),
        })
    }

    fn patiently<T>(
        &self,
        mut ask: impl FnMut(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Refused> {
        let deadline = Instant::now() + self.capture.patience;
        loop {
            self.capture.cancel.check()?;
            match ask(&self.connection) {
                Ok(answer) => return Ok(answer),
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(self.refused(&error)),
            }
        }
    }

    fn refused(&self, error: &Error) -> Refused {
        use ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};
        if is_busy(error) {
            return Refused::Locked;
        }
        match error.sqlite_error().map(|e| (e.code, e.extended_code)) {
            Some((ErrorCode::DiskFull, _)) => Refused::For(self.folder.full(self.need.get())),
            Some((_, SQLITE_IOERR_WRITE | SQLITE_IOERR_FSYNC | SQLITE_IOERR_TRUNCATE)) => {
                Refused::For(self.folder.trouble("write the copy", error))
            }
            _ => Refused::NotThisWay,
        }
    }
}

fn is_busy(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn busy() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)
}
