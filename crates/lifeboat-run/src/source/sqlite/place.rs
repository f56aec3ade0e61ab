use super::SqliteError;
use rustix::{
    fd::OwnedFd,
    fs::{self, AtFlags, CWD, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs::File,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

/// SQLite takes no longer path (its `MAX_PATHNAME` is 512, less some room at the end).
const SQLITE_PATH_MAX: usize = 500;

/// Where a live database lies.
#[derive(Debug)]
pub(super) struct Place {
    folder: OwnedFd,
    name: OsString,
    /// Without symbolic links, and short enough: what SQLite insists on.
    real: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JournalMode {
    Wal,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Database,
    Wal,
    Shm,
    Journal,
}

impl Part {
    fn ending(self) -> &'static str {
        match self {
            Part::Database => "",
            Part::Wal => "-wal",
            Part::Shm => "-shm",
            Part::Journal => "-journal",
        }
    }

    pub(super) fn of(self, database: &OsStr) -> OsString {
        let mut name = database.to_owned();
        name.push(self.ending());
        name
    }
}

impl Place {
    pub(super) fn of(live: &Path) -> Result<Self, SqliteError> {
        let (Some(parent), Some(name)) = (live.parent(), live.file_name()) else {
            return Err(SqliteError::live("find")(Errno::NOENT));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            fs::openat(CWD, parent, flags, Mode::empty()).map_err(SqliteError::live("find"))?;
        let real = std::fs::canonicalize(parent)
            .ok()
            .map(|parent| parent.join(name))
            .filter(|real| real.as_os_str().len() <= SQLITE_PATH_MAX);
        Ok(Place {
            folder,
            name: name.to_owned(),
            real,
        })
    }

    pub(super) fn identity(&self) -> Result<(u64, u64), SqliteError> {
        let stat = self.stat(Part::Database)?;
        let stat = stat
            .ok_or(Errno::NOENT)
            .map_err(SqliteError::live("find"))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// How the online road would take it, if it can. A WAL without its index, or none at all, is one
    /// that nobody has open: there SQLite would have to create what is missing.
    pub(super) fn online_mode(&self) -> Result<Option<JournalMode>, SqliteError> {
        if self.real.as_ref().is_none_or(|real| !self.is_at(real)) {
            return Ok(None);
        }
        if self.stat(Part::Wal)?.is_some() {
            return Ok(self.stat(Part::Shm)?.map(|_| JournalMode::Wal));
        }
        let live = self.open(Part::Database)?;
        Ok((!speaks_wal(&live)?).then_some(JournalMode::Rollback))
    }

    fn is_at(&self, real: &Path) -> bool {
        match (fs::lstat(real), self.stat(Part::Database)) {
            (Ok(there), Ok(Some(here))) => {
                (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
            }
            _ => false,
        }
    }

    /// The live database for SQLite: read-only, and never creating a companion of its own accord.
    pub(super) fn uri(&self) -> Option<String> {
        Some(uri(self.real.as_ref()?, "mode=ro&readonly_shm=1"))
    }

    pub(super) fn open(&self, part: Part) -> Result<File, SqliteError> {
        self.open_if_there(part)?
            .ok_or(Errno::NOENT)
            .map_err(SqliteError::live("open"))
    }

    pub(super) fn open_if_there(&self, part: Part) -> Result<Option<File>, SqliteError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(&self.folder, part.of(&self.name), flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(SqliteError::live("open")(errno)),
        }
    }

    pub(super) fn stat(&self, part: Part) -> Result<Option<Stat>, SqliteError> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match fs::statat(&self.folder, part.of(&self.name), flags) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(SqliteError::live("find")(errno)),
        }
    }

    /// Whether a file of this name lies beside the database.
    pub(super) fn has_neighbour(&self, name: &OsStr) -> bool {
        fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }
}

/// The header's word on the journal mode.
pub(super) fn speaks_wal(database: &File) -> Result<bool, SqliteError> {
    let mut versions = [0; 2];
    database
        .read_exact_at(&mut versions, 18)
        .map_err(|error| SqliteError::Live {
            action: "read",
            error,
        })?;
    Ok(versions.contains(&2))
}

/// Any path, whatever its bytes, as SQLite's URI.
pub(super) fn uri(path: &Path, parameters: &str) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(byte as char);
            }
            _ => {
                let _ = write!(uri, "%{byte:02x}"); // a String takes everything
            }
        }
    }
    uri.push('?');
    uri.push_str(parameters);
    uri
}
