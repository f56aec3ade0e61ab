//! The story of a backup.
//!
//! ```text
//! lock → clean up after a killed run → read what is there → name the backup → write it into the journal
//!      → hold, seal every source, let go → read back → manifest (the commit) → longer tiers → prune
//! ```
//!
//! Up to the manifest nothing of the backup exists for anybody; from there on all of it does. A run that
//! ends early, for whatever reason, takes back what it wrote; one that is killed leaves a journal
//! entry by which the next one does so. Sources fail one by one: what could be captured is published
//! as `partial`, which no keep rule counts and after which nothing is pruned.

mod capture;
mod held;

mod after;

pub(crate) use after::commit;
pub use capture::Batch;

use crate::{
    Cancel, Cancelled, Keyring, Listener,
    authenticity::Authenticator,
    catalog::Catalog,
    layout, leftovers, prune,
    quiesce::{self, Undo},
    seal::{Recipe, SealError},
    state::{OpenRun, State},
    unseal::{self, Depth, UnsealError},
};
use after::afterwards;
use capture::Catch;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    Archive, BackupId, BackupType, KeepRules, Manifest, Missed, Name, Status, Tier,
    event::{Outcome, RunEvent},
    manifest,
};
use lifeboat_store::{Error, ErrorKind, Store, lock::RunLock};
use std::time::{Duration, Instant};

/// What to back up, and what becomes of it.
#[derive(Debug)]
pub struct Order<'a> {
    pub name: &'a Name,
    /// Which job it is for, in journal and metrics: `default` when there is only one.
    pub job: &'a str,
    pub kind: BackupType,
    pub batches: &'a [Batch<'a>],
    /// How many batches are captured side by side; the memory of a run is shared between them.
    pub at_once: usize,
    /// The longest that anybody is held still; `None`: as long as it takes.
    pub hold_max: Option<Duration>,
    /// Who can let go what a killed run held.
    pub undo: Option<&'a dyn Undo>,
    /// The sources by name, when only these were asked for; empty: all there are.
    pub selection: &'a [String],
    pub recipe: &'a Recipe,
    /// Read back what was written before calling it a backup.
    pub verify: bool,
    /// Which longer tiers there are, and what stays.
    pub keep: &'a KeepRules,
    pub zone: Tz,
    pub host: &'a str,
    /// Retention leaves it alone until then.
    pub keep_until: Option<DateTime<Utc>>,
    /// How long to wait before a source that failed in a way that may pass is tried once more; `None`:
    /// it is not.
    pub retry: Option<Duration>,
    /// What runs the sources and of which images: for whoever restores on another host. Holds no secret.
    pub compose: Option<&'a serde_json::Value>,
    /// What to prune by afterwards; `None` when pruning has a schedule of its own.
    pub prune: Option<&'a prune::Rules>,
}

/// Where it goes and who is asked: the near store, its state folder, the keys.
#[derive(Debug, Clone, Copy)]
pub struct Harbour<'a> {
    pub store: &'a dyn Store,
    pub state: &'a State,
    pub keys: &'a Keyring,
    pub authenticator: &'a Authenticator,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub manifest: Manifest,
    pub promoted: Vec<BackupId>,
    pub pruned: Option<prune::Done>,
    /// The backup is safe, but something after the commit was not done (a longer tier, the catalogue).
    pub afterthoughts: Vec<String>,
    pub took: Duration,
}

impl Report {
    pub fn outcome(&self) -> Outcome {
        let remarks = self.manifest.archives.iter().any(|a| a.warnings_total > 0);
        match self.manifest.status {
            Status::Completed if remarks || !self.afterthoughts.is_empty() => Outcome::Warn,
            Status::Completed => Outcome::Ok,
            Status::Partial => Outcome::Partial,
            Status::Failed => Outcome::Failed,
        }
    }
}

/// Why there is no backup. In every case nothing of it can be seen in the store.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("there is nothing to back up")]
    NoSources,
    #[error("no source could be captured: {}", first(.0))]
    AllMissed(Vec<Missed>),
    #[error("cannot seal {source_name:?}: {error}")]
    Seal {
        source_name: String,
        error: SealError,
    },
    /// What was read back is not what was written.
    #[error("read back after writing: {0}")]
    ReadBack(UnsealError),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// One backup, from the lock to the last link.
pub fn back_up(
    order: &Order<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Report, BackupError> {
    let lock = harbour.state.lock("backup", now)?;
    back_up_holding(&lock, order, harbour, now, cancel, listener)
}

/// The same, for whoever holds the run lock already.
pub(crate) fn back_up_holding(
    _lock: &RunLock,
    order: &Order<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Report, BackupError> {
    let begun = Instant::now();
    let Harbour { store, state, .. } = harbour;
    let sources = order.batches.iter().map(|batch| batch.sources.len()).sum();
    if sources == 0 {
        return Err(BackupError::NoSources);
    }

    let mut remarks = quiesce::put_right(state, store, order.undo, listener);
    // An old file that cannot be removed is no reason to make no backup.
    if let Err(error) = leftovers::recover(store, state, now, listener) {
        remarks.push(format!(
            "not all that earlier runs left behind could be removed: {error}"
        ));
    }
    let before = Catalog::read(harbour)?;
    let id = fresh_id(order, &before, store, now)?;
    let run = OpenRun {
        id: id.clone(),
        job: order.job.to_owned(),
        started_at: now,
    };
    state.begin_run(&run)?;
    listener.hear(&RunEvent::Started {
        id: id.clone(),
        sources,
    });

    let made = make(order, harbour, &run, &before, begun, cancel, listener);
    let manifest = match made {
        Ok((manifest, more)) => {
            remarks.extend(more);
            manifest
        }
        Err(error) => {
            // The journal entry stays when not everything could be taken back: the next run tries again.
            // What a person has to hear is what went wrong first.
            if leftovers::take_back(store, &id).is_ok() {
                let _ = state.end_run(&id);
            }
            return Err(error);
        }
    };
    let mut report = Report {
        manifest,
        promoted: Vec::new(),
        pruned: None,
        afterthoughts: remarks,
        took: begun.elapsed(),
    };
    // The backup is committed. Whatever fails from here on is a remark on it, not its end.
    afterwards(order, harbour, now, &mut report, listener);
    report.took = begun.elapsed();
    listener.hear(&RunEvent::Finished {
        outcome: report.outcome(),
        took: report.took,
    });
    Ok(report)
}

/// Seals, reads back, commits; with remarks on what is not as it should be around the backup.
fn make(
    order: &Order<'_>,
    harbour: Harbour<'_>,
    run: &OpenRun,
    before: &Catalog,
    begun: Instant,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<(Manifest, Vec<String>), BackupError> {
    let Harbour { store, state, .. } = harbour;
    let id = &run.id;
    let Catch {
        archives,
        missed,
        remarks,
    } = capture::capture(order, store, id, cancel, listener)?;
    if archives.is_empty() {
        return Err(BackupError::AllMissed(missed));
    }
    if order.verify {
        read_back(&archives, id.tier(), harbour, cancel, listener)?;
    }
    cancel.check()?;
    let completed_at = run.started_at + begun.elapsed();

    let (sequence, previous) = before.next_link(order.name, state.head(order.name)?.as_ref());
    let mut manifest = Manifest {
        format: manifest::FORMAT,
        id: id.clone(),
        name: order.name.clone(),
        tier: id.tier(),
        kind: order.kind,
        status: if missed.is_empty() {
            Status::Completed
        } else {
            Status::Partial
        },
        created_at: run.started_at,
        completed_at,
        host: order.host.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sequence,
        previous,
        selection: order.selection.to_vec(),
        origin: None,
        keep_until: order.keep_until,
        compose: order.compose.cloned(),
        archives,
        missed,
        verified_at: order.verify.then_some(completed_at),
        proofs: Vec::new(),
        mac: None,
        more: Default::default(),
    };
    commit(&mut manifest, harbour)?;
    listener.hear(&RunEvent::Committed {
        id: id.clone(),
        status: manifest.status,
    });
    Ok((manifest, remarks))
}

/// Reads every archive from the store again: its digest always, its content to the very end when a key
/// that opens it is at hand. So a bit that memory or a library lost on the way is found before anyone
/// relies on it.
fn read_back(
    archives: &[Archive],
    tier: Tier,
    harbour: Harbour<'_>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<(), BackupError> {
    for archive in archives {
        let depth = match harbour.keys.opens(archive.encryption) {
            true => Depth::Deep,
            false => Depth::Digest,
        };
        let stored = harbour
            .store
            .open_cold(&layout::in_tier(tier, &archive.file))?;
        unseal::check(stored, archive, depth, harbour.keys, cancel).map_err(
            |error| match error {
                UnsealError::Cancelled(cancelled) => BackupError::Cancelled(cancelled),
                UnsealError::Store(error) => BackupError::Store(error),
                error => BackupError::ReadBack(error),
            },
        )?;
        listener.hear(&RunEvent::Verified {
            file: archive.file.clone(),
        });
    }
    Ok(())
}

/// The id of this moment, or the next free one of this second.
fn fresh_id(
    order: &Order<'_>,
    catalog: &Catalog,
    store: &dyn Store,
    now: DateTime<Utc>,
) -> Result<BackupId, Error> {
    let at = now.with_timezone(&order.zone);
    for counter in 1..1000 {
        let id = BackupId::new(order.name, Tier::Daily, &at, counter);
        let taken = catalog.get(&id).is_some()
            || catalog.suspects.iter().any(|s| s.id == id)
            || !store.list(&layout::objects_of(&id))?.is_empty()
            || store.head(&layout::dropped(&id))?.is_some();
        if !taken {
            return Ok(id);
        }
    }
    Err(Error::new(
        ErrorKind::Exists,
        "name",
        order.name.as_str(),
        "a thousand backups of this very second are there",
    ))
}

fn first(missed: &[Missed]) -> String {
    match missed {
        [] => "there was none".to_owned(),
        [one] => format!("{}: {}", one.source, one.reason),
        [one, rest @ ..] => format!("{}: {} (and {} more)", one.source, one.reason, rest.len()),
    }
}
