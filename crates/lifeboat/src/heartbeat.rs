//! A sign of life of the scheduler, for a health check that runs as a process of its own.
//!
//! The daemon writes it about once a minute into the state folder of the near store; `lifeboat health`
//! reads it. A daemon that hangs writes nothing, so its container turns unhealthy.

use crate::health::Known;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
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
    /// The newest good backup of each job that is scheduled.
    #[serde(default)]
    pub newest_good: BTreeMap<String, Option<DateTime<Utc>>>,
    /// Why the daemon cannot do its work at all.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Why what the engine runs cannot be saved.
    #[serde(default)]
    pub engine: Option<String>,
}

impl Heartbeat {
    pub fn of(known: &Known, now: DateTime<Utc>) -> Self {
        let newest_good = known.jobs.iter();
        Heartbeat {
            at: now,
            since: known.watching_since,
            newest_good: newest_good
                .map(|(job, promise)| (job.clone(), promise.newest_good))
                .collect(),
            trouble: known.trouble.clone(),
            engine: known.engine.clone(),
        }
    }

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
}

fn path(store_dir: &Path) -> PathBuf {
    store_dir.join(".lifeboat/heartbeat.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".lifeboat")).unwrap();
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let beat = Heartbeat {
            at: now,
            since: now,
            newest_good: BTreeMap::from([("default".to_owned(), Some(now))]),
            trouble: None,
            engine: None,
        };
        beat.write(folder.path()).unwrap();
        assert_eq!(Heartbeat::read(folder.path()).unwrap(), beat);
    }
}
