//! The story of a backup.
//!
//! ```text
//! lock → clean up after a killed run → read what is there → name the backup → write it into the journal
//!      → seal every source → read back → manifest (the commit) → longer tiers → prune
//! ```
//!
//! Up to the manifest nothing of the backup exists for anybody; from there on all of it does. A run that
//! ends early, for whatever reason, takes back what it wrote; one that is killed leaves a journal
//! entry by which the next one does so. Sources fail one by one: what could be captured is published
//! as `partial`, which no keep rule counts and after which nothing is pruned.

use crate::{
    Cancel, Cancelled, Keyring, Listener,
    authenticity::Authenticator,
    catalog::{self, Catalog},
    layout, leftovers, promote,
    prune::{self, Occasion, PruneError},
    seal::{self, Recipe, SealError},
    source::{Source, SourceError},
    state::{OpenRun, State},
    unseal::{self, Depth, UnsealError},
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    Archive, BackupId, BackupType, KeepRules, Manifest, Missed, Name, Status, Tier,
    event::{Outcome, RunEvent},
    manifest,
};
use lifeboat_store::{Error, ErrorKind, Store};
use std::time::{Duration, Instant};

/// What to back up, and what becomes of it.
#[derive(Debug)]
pub struct Order<'a> {
    pub name: &'a Name,
    /// Which job it is for, in journal and metrics: `default` when there is only one.
    pub job: &'a str,
    pub kind: BackupType,
    pub sources: &'a [Box<dyn Source>],
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
    let begun = Instant::now();
    let Harbour { store, state, .. } = harbour;
    if order.sources.is_empty() {
        return Err(BackupError::NoSources);
    }

    let _lock = state.lock("backup")?;
    // An old file that cannot be removed is no reason to make no backup.
    let left_over = leftovers::recover(store, state, now, listener).err();
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
        sources: order.sources.len(),
    });

    let made = make(order, harbour, &id, &before, now, cancel, listener);
    let manifest = match made {
        Ok(manifest) => manifest,
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
        afterthoughts: Vec::from_iter(left_over.map(|error| {
            format!("not all that earlier runs left behind could be removed: {error}")
        })),
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

/// Seals, reads back, commits.
fn make(
    order: &Order<'_>,
    harbour: Harbour<'_>,
    id: &BackupId,
    before: &Catalog,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Manifest, BackupError> {
    let Harbour { store, state, .. } = harbour;
    let (archives, missed) = seal_all(order, store, id, cancel, listener)?;
    if archives.is_empty() {
        return Err(BackupError::AllMissed(missed));
    }
    let verified_at = match order.verify {
        true => Some(read_back(&archives, id.tier(), harbour, cancel, listener)?),
        false => None,
    };
    cancel.check()?;

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
        created_at: now,
        completed_at: Utc::now().max(now),
        host: order.host.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sequence,
        previous,
        selection: order.selection.to_vec(),
        origin: None,
        keep_until: order.keep_until,
        compose: None,
        archives,
        missed,
        verified_at,
        proofs: Vec::new(),
        mac: None,
        more: Default::default(),
    };
    commit(&mut manifest, harbour)?;
    listener.hear(&RunEvent::Committed {
        id: id.clone(),
        status: manifest.status,
    });
    Ok(manifest)
}

/// Every source into an archive of its own. A source that cannot be captured is missed; a store that
/// cannot be written to ends the run.
fn seal_all(
    order: &Order<'_>,
    store: &dyn Store,
    id: &BackupId,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<(Vec<Archive>, Vec<Missed>), BackupError> {
    let mut archives = Vec::new();
    let mut missed = Vec::new();
    for source in order.sources {
        cancel.check()?;
        match seal_one(order, source.as_ref(), store, id, cancel, listener) {
            Ok(archive) => archives.push(archive),
            Err(SealError::Cancelled(_) | SealError::Source(SourceError::Cancelled)) => {
                return Err(Cancelled.into());
            }
            Err(SealError::Source(error)) => {
                let reason = error.to_string();
                listener.hear(&RunEvent::SourceMissed {
                    source: source.name().to_owned(),
                    reason: reason.clone(),
                });
                missed.push(Missed {
                    source: source.name().to_owned(),
                    reason,
                });
            }
            Err(SealError::Sink(error)) => return Err(error.into()),
            Err(error) => {
                return Err(BackupError::Seal {
                    source_name: source.name().to_owned(),
                    error,
                });
            }
        }
    }
    Ok((archives, missed))
}

fn seal_one(
    order: &Order<'_>,
    source: &dyn Source,
    store: &dyn Store,
    id: &BackupId,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Archive, SealError> {
    let begun = Instant::now();
    let recipe = order.recipe;
    let file = layout::archive_file(id, source, recipe.compression, recipe.seal.encryption());
    listener.hear(&RunEvent::SourceStarted {
        source: source.name().to_owned(),
    });
    let upload = store.begin(&layout::in_tier(id.tier(), &file))?;
    let sealed = seal::seal(source, recipe, upload, cancel, listener)?;
    let archive = sealed.into_archive(source, file);
    let digest = layout::digest_line(&archive.sha256, &archive.file);
    lifeboat_store::put(
        store,
        &layout::in_tier(id.tier(), &layout::digest_file(&archive.file)),
        digest.as_bytes(),
    )?;
    listener.hear(&RunEvent::SourceDone {
        source: archive.source.clone(),
        plain_bytes: archive.plain_size,
        stored_bytes: archive.size,
        entries: archive.entries,
        took: begun.elapsed(),
    });
    Ok(archive)
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
) -> Result<DateTime<Utc>, BackupError> {
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
    Ok(Utc::now())
}

/// From the moment this returns the backup exists.
pub(crate) fn commit(manifest: &mut Manifest, harbour: Harbour<'_>) -> Result<(), Error> {
    harbour.authenticator.sign(manifest);
    lifeboat_store::put(
        harbour.store,
        &layout::manifest(&manifest.id),
        &manifest.to_bytes(),
    )?;
    Ok(())
}

fn afterwards(
    order: &Order<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    report: &mut Report,
    listener: &dyn Listener,
) {
    let Harbour { store, state, .. } = harbour;
    let manifest = &report.manifest;
    let mut remark =
        |what: &str, error: String| report.afterthoughts.push(format!("{what}: {error}"));

    if let Err(error) = state.set_head(&catalog::head_of(manifest)) {
        remark("the chain's head was not noted", error.to_string());
    }
    let catalog = match Catalog::read(harbour) {
        Ok(catalog) => catalog,
        Err(error) => {
            return remark(
                "the store could not be read after the backup",
                error.to_string(),
            );
        }
    };
    let mut clean = true;
    if manifest.is_full() {
        for tier in promote::tiers_for(&manifest.id, &catalog, order.keep, order.zone) {
            match promote::into_tier(manifest, tier, harbour) {
                Ok(id) => {
                    listener.hear(&RunEvent::Promoted {
                        id: manifest.id.clone(),
                        tier,
                    });
                    report.promoted.push(id);
                }
                Err(error) => {
                    remark(&format!("not kept as {tier}"), error.to_string());
                    clean &= leftovers::take_back(store, &manifest.id.in_tier(tier)).is_ok();
                }
            }
        }
    }
    // Not before: if this is killed in a longer tier, the next run takes away the links that no manifest
    // speaks of.
    if clean && let Err(error) = state.end_run(&manifest.id) {
        remark("the journal was not closed", error.to_string());
    }
    match Catalog::read(harbour).and_then(|catalog| {
        // A loss is remembered until a person says that it is none (`rebuild`): written down as it is, it
        // would be the truth for the next run, which would prune by what is left.
        if !catalog.is_short() {
            catalog.remember(store)?;
        }
        Ok(catalog)
    }) {
        Err(error) => remark("the catalogue was not written", error.to_string()),
        Ok(catalog) => {
            if let (Some(rules), true) = (order.prune, manifest.is_full()) {
                match after_backup(&catalog, rules, order.name, harbour, now, listener) {
                    Ok(done) => report.pruned = Some(done),
                    Err(PruneError::Refused(reason)) => listener.hear(&RunEvent::PruneRefused {
                        reason: reason.to_string(),
                    }),
                    Err(error) => remark("old backups were not pruned", error.to_string()),
                }
            }
        }
    }
}

fn after_backup(
    catalog: &Catalog,
    rules: &prune::Rules,
    name: &Name,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<prune::Done, PruneError> {
    let plan = prune::plan(
        catalog,
        name,
        rules,
        Occasion::AfterGoodBackup,
        harbour,
        now,
    )?;
    prune::carry_out(&plan, catalog, rules.grace, harbour, now, listener)
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
