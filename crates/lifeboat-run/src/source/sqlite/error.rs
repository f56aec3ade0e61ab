use std::{io, path::PathBuf, time::Duration};

/// Why there is no copy of a database. In every case nothing is left in the scratch folder.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    #[error("locked by {} for {waited:?} and more", holder(*by))]
    Locked { by: Option<i32>, waited: Duration },
    #[error("it and its companions changed during each of {tries} attempts to copy them")]
    Restless { tries: u32 },
    /// It has SQLite's header, but SQLite can make nothing of it.
    #[error("SQLite cannot read it: {0}")]
    NotSqlite(String),
    /// As any file may be gone or out of reach.
    #[error("cannot {action}: {error}")]
    Live {
        action: &'static str,
        error: io::Error,
    },
    #[error("no room for its copy in {}: needs {need} bytes, free are {free}", scratch.display())]
    NoRoom {
        scratch: PathBuf,
        need: u64,
        free: u64,
    },
    #[error("cannot {action} in {}: {reason}", scratch.display())]
    Scratch {
        action: &'static str,
        scratch: PathBuf,
        reason: String,
    },
    #[error("cancelled")]
    Cancelled,
}

fn holder(pid: Option<i32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

impl SqliteError {
    /// A matter of this one file: archive it and its companions as they lie, and warn. The others say
    /// that the next database will fare no better.
    pub fn is_of_the_file(&self) -> bool {
        use SqliteError::*;
        match self {
            Locked { .. } | Restless { .. } | NotSqlite(_) | Live { .. } => true,
            NoRoom { .. } | Scratch { .. } | Cancelled => false,
        }
    }

    pub fn hint(&self) -> &'static str {
        use SqliteError::*;
        match self {
            Locked { .. } => {
                "its application keeps it locked: stop the service during its backup, or let it take locks only while it writes"
            }
            Restless { .. } => "stop the service during its backup",
            NotSqlite(_) => "restore it from an older backup, or ask `sqlite3 FILE .recover`",
            Live { .. } => "check that it is there and may be read",
            NoRoom { .. } | Scratch { .. } => {
                "give the scratch folder room for the largest database, or move it to a larger disk"
            }
            Cancelled => "run it again",
        }
    }

    pub(super) fn live(action: &'static str) -> impl FnOnce(rustix::io::Errno) -> SqliteError {
        move |errno| SqliteError::Live {
            action,
            error: errno.into(),
        }
    }
}

impl From<crate::Cancelled> for SqliteError {
    fn from(_: crate::Cancelled) -> Self {
        SqliteError::Cancelled
    }
}
