//! A sign of life of the scheduler, for a health check that runs as a process of its own.
//!
//! The daemon writes it about once a minute into the state folder of the near store; `lifeboat health`
//! reads it. A daemon that hangs writes nothing, so its container turns unhealthy.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// How old the last sign may be.
pub const SILENCE_MAX: TimeDelta = TimeDelta::minutes(3);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    pub at: DateTime<Utc>,
    /// Since when backups are expected.
    pub since: DateTime<Utc>,
    pub pid: u32,
}

impl Heartbeat {
    /// Seen whole or not at all. Not synced: a sign of life from before a power cut is worth nothing.
    pub fn write(&self, store_dir: &Path) -> io::Result<()> {
        let path = path(store_dir);
        let draft = path.with_extension("new");
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(&draft, &path)
    }

    pub fn read(store_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path(store_dir))?)?)
    }

    pub fn is_alive(&self, now: DateTime<Utc>) -> bool {
        // A clock that was set back makes it look as if it came from the future, once.
        (now - self.at).abs() <= SILENCE_MAX
    }
}

fn path(store_dir: &Path) -> PathBuf {
    store_dir.join(".lifeboat/heartbeat.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_grows_old() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".lifeboat")).unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let beat = Heartbeat {
            at: now,
            since: now,
            pid: 1,
        };
        beat.write(folder.path()).unwrap();
        let read = Heartbeat::read(folder.path()).unwrap();
        assert_eq!(read, beat);
        assert!(read.is_alive(now + SILENCE_MAX));
        assert!(!read.is_alive(now + SILENCE_MAX + TimeDelta::seconds(1)));
    }
}
