//! The `.lifeboat` folder: what Lifeboat remembers beside the backups themselves.
//!
//! None of it is needed to restore. A lost state folder costs the memory of runs, never a backup.
//! Every file here is written whole, made durable and then renamed into place.

use crate::{layout, quiesce::OpenHold, restore::live::OpenRestore};
use chrono::{DateTime, SecondsFormat, Utc};
use lifeboat_plan::{BackupId, Name, event::Outcome};
use lifeboat_store::{
    Error, ErrorKind, Key, Local, Store,
    lease::{self, Eviction, Lease},
    lock::{Holder, Owner, RunLock},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, path::PathBuf};

const JOURNAL: &str = ".lifeboat/journal/";
/// Who is held still, one document each.
const HOLDS: &str = ".lifeboat/holds/";
/// Restores in place that are not settled.
const RESTORES: &str = ".lifeboat/restores/";
const RUNS: &str = ".lifeboat/runs.json";
/// What backups are called here where nobody says it.
const NAME: &str = ".lifeboat/name.json";
/// The jobs that services asked for when they were seen last.
const JOBS: &str = ".lifeboat/jobs.json";
const HEADS: &str = ".lifeboat/heads/";

/// No document of ours here comes near this.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// The state folder of one near store.
#[derive(Debug, Clone)]
pub struct State {
    local: Local,
    /// Whose runs these are, for a person who meets the lock.
    instance: Name,
}

/// The run in hand. It is on disk before the first byte of the backup is, and gone after the last; one
/// that is found while nobody holds the lock belongs to a run that was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRun {
    pub id: BackupId,
    pub job: String,
    pub started_at: DateTime<Utc>,
}

/// How the runs of each job went: what the calendar's catch-up and the metrics start from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// When somebody first began to expect backups here: the first start of the daemon.
    pub watching_since: Option<DateTime<Utc>>,
    #[serde(default)]
    pub jobs: BTreeMap<String, JobRuns>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobRuns {
    /// Start of the newest run, however it ended.
    pub last_started: Option<DateTime<Utc>>,
    pub last_ended: Option<DateTime<Utc>>,
    pub last_outcome: Option<String>,
    pub last_good: Option<DateTime<Utc>>,
    #[serde(default)]
    pub outcomes: BTreeMap<String, u64>,
}

/// The newest link of the chain of manifests, as this host saw it. A store whose newest backup is older
/// than this has lost something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub id: BackupId,
    pub sequence: u64,
    /// No number up to this one is given again, also when its backup was deleted by hand.
    pub highest: u64,
    pub sha256: String,
}

/// A job that a service of the project has asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenJob {
    pub name: Name,
    pub schedule: String,
    pub sources: Vec<String>,
}

impl State {
    pub fn new(local: Local, instance: Name) -> Self {
        State { local, instance }
    }

    /// The lock that keeps two runs apart; fails with [`ErrorKind::Busy`] and the holder's name.
    pub fn lock(&self, what: &str, now: DateTime<Utc>) -> Result<RunLock, Error> {
        let since = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        RunLock::take(
            &self.local,
            &Owner::here(self.instance.as_str(), since, what),
        )
    }

    pub fn lock_holder(&self) -> Result<Option<Holder>, Error> {
        lifeboat_store::lock::holder(&self.local)
    }

    /// Keeps retention's hands off one backup for as long as the lease lives.
    pub fn lease(&self, id: &BackupId) -> Result<Lease, Error> {
        Lease::take(&self.local, &id.to_string())
    }

    /// The right to delete one backup: `None` while somebody reads it.
    pub fn evict(&self, id: &BackupId) -> Result<Option<Eviction>, Error> {
        Eviction::try_begin(&self.local, &id.to_string())
    }

    pub fn is_leased(&self, id: &BackupId) -> Result<bool, Error> {
        lease::is_leased(&self.local, &id.to_string())
    }

    /// Where plain copies of databases live for as long as they are read.
    pub fn scratch(&self) -> PathBuf {
        self.local.path().join(".lifeboat/scratch")
    }

    pub fn begin_run(&self, run: &OpenRun) -> Result<(), Error> {
        self.write(&journal(&run.id), run)
    }

    pub fn end_run(&self, id: &BackupId) -> Result<(), Error> {
        self.local.delete(&key(&journal(id))?)
    }

    /// Runs that began and never ended. Ask only while holding the lock.
    pub fn open_runs(&self) -> Result<Vec<OpenRun>, Error> {
        let mut runs = Vec::new();
        for entry in self.local.list(JOURNAL)? {
            let Some(id) = layout::recorded(&entry.key) else {
                continue;
            };
            // An entry that cannot be read still says by its name which backup it was.
            let unread = OpenRun {
                id,
                job: String::new(),
                started_at: DateTime::UNIX_EPOCH,
            };
            runs.push(self.read(entry.key.as_str())?.unwrap_or(unread));
        }
        runs.sort_by(|a: &OpenRun, b| a.id.cmp(&b.id));
        Ok(runs)
    }

    /// On disk before anybody is held.
    pub fn begin_hold(&self, held: &OpenHold) -> Result<(), Error> {
        self.write(&hold(held), held)
    }

    pub fn end_hold(&self, held: &OpenHold) -> Result<(), Error> {
        self.local.delete(&key(&hold(held))?)
    }

    /// Who is held. Of a run that was killed, when nobody holds the lock.
    pub fn open_holds(&self) -> Result<Vec<OpenHold>, Error> {
        let mut held = Vec::new();
        for entry in self.local.list(HOLDS)? {
            // One that cannot be read was cut off before it was whole, so before anybody was held.
            held.extend(self.read::<OpenHold>(entry.key.as_str())?);
        }
        Ok(held)
    }

    /// On disk before anything is held or touched, and again with every phase.
    pub fn begin_restore(&self, restore: &OpenRestore) -> Result<(), Error> {
        self.write(&open_restore(restore), restore)
    }

    pub fn end_restore(&self, restore: &OpenRestore) -> Result<(), Error> {
        self.local.delete(&key(&open_restore(restore))?)
    }

    /// Of a restore that was killed, when nobody holds the lock.
    pub fn open_restores(&self) -> Result<Vec<OpenRestore>, Error> {
        let mut open = Vec::new();
        for entry in self.local.list(RESTORES)? {
            // Unlike a hold it cannot be passed over: it stands for something half done.
            let bytes = lifeboat_store::get(&self.local, &entry.key, DOCUMENT_BYTES_MAX)?;
            let restore = serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(
                    ErrorKind::Corrupt,
                    "read",
                    entry.key.as_str(),
                    error.to_string(),
                )
            })?;
            open.push(restore);
        }
        Ok(open)
    }

    pub fn runs(&self) -> Result<Runs, Error> {
        Ok(self.read(RUNS)?.unwrap_or_default())
    }

    pub fn note_watching(&self, since: DateTime<Utc>) -> Result<(), Error> {
        let mut runs = self.runs()?;
        runs.watching_since.get_or_insert(since);
        self.write(RUNS, &runs)
    }

    pub fn note_start(&self, job: &str, at: DateTime<Utc>) -> Result<(), Error> {
        let mut runs = self.runs()?;
        runs.jobs.entry(job.to_owned()).or_default().last_started = Some(at);
        self.write(RUNS, &runs)
    }

    /// `counted` more of the same outcome: several missed runs are noted at once.
    pub fn note_end(
        &self,
        job: &str,
        at: DateTime<Utc>,
        outcome: Outcome,
        counted: u64,
    ) -> Result<(), Error> {
        let mut runs = self.runs()?;
        let entry = runs.jobs.entry(job.to_owned()).or_default();
        *entry
            .outcomes
            .entry(outcome.as_str().to_owned())
            .or_default() += counted;
        if !matches!(outcome, Outcome::Missed | Outcome::Overlap) {
            entry.last_ended = Some(at);
            entry.last_outcome = Some(outcome.as_str().to_owned());
        }
        if matches!(outcome, Outcome::Ok | Outcome::Warn) {
            entry.last_good = Some(at);
        }
        self.write(RUNS, &runs)
    }

    pub fn name(&self) -> Result<Option<Name>, Error> {
        self.read(NAME)
    }

    pub fn note_name(&self, name: &Name) -> Result<(), Error> {
        self.write(NAME, name)
    }

    pub fn seen_jobs(&self) -> Result<Option<Vec<SeenJob>>, Error> {
        self.read(JOBS)
    }

    pub fn note_seen_jobs(&self, jobs: &[SeenJob]) -> Result<(), Error> {
        self.write(JOBS, &jobs)
    }

    /// Every name has a chain of its own.
    pub fn head(&self, name: &Name) -> Result<Option<Head>, Error> {
        self.read(&format!("{HEADS}{name}.json"))
    }

    pub fn set_head(&self, head: &Head) -> Result<(), Error> {
        self.write(&format!("{HEADS}{}.json", head.id.name()), head)
    }

    /// `None` when it is absent, or not what we wrote: state is a memory, never a reason to fail.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        match lifeboat_store::get(&self.local, &key(name)?, DOCUMENT_BYTES_MAX) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(value)
            .map_err(|e| Error::new(ErrorKind::Other, "write", name, e.to_string()))?;
        self.local.replace(&key(name)?, &bytes)
    }
}

fn journal(id: &BackupId) -> String {
    format!("{JOURNAL}{id}.json")
}

fn hold(held: &OpenHold) -> String {
    format!("{HOLDS}{}.json", held.container)
}

fn open_restore(restore: &OpenRestore) -> String {
    format!("{RESTORES}{}.json", restore.beside)
}

fn key(name: &str) -> Result<Key, Error> {
    Key::new(name).map_err(|e| Error::new(ErrorKind::Other, "name", name, e.to_string()))
}
