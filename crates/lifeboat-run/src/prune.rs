//! Pruning: ask what may go, then let exactly that go.
//!
//! The decision is `lifeboat_plan::prune`'s; `lifeboat plan`, `prune --dry-run` and the daemon all make
//! the same one with the functions here. What is carried out is a plan that can be printed first.

use crate::{
    Listener,
    backup::Harbour,
    catalog::{Catalog, Item},
    drop::{self, Dropped},
};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    BackupId, ClockEvidence, DeleteRefusal, KeepRules, Name, PruneInput, PrunePlan, Refusal,
    event::RunEvent,
};
use lifeboat_store::{Error, Store};

/// By what to decide, and how long what is dropped can still be brought back.
#[derive(Debug, Clone)]
pub struct Rules {
    pub keep: KeepRules,
    pub zone: Tz,
    /// `BACKUP_DELETE_GRACE_HOURS`.
    pub grace: TimeDelta,
}

/// Why this is the moment to prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A good backup of this name was committed just now.
    AfterGoodBackup,
    /// A person or a schedule asks: the newest backup must be a good one.
    Asked,
}

#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Exit code 14: nothing was touched.
    #[error("nothing was dropped: {0}")]
    Refused(#[from] Refusal),
    #[error("{0}")]
    DeleteRefused(#[from] DeleteRefusal),
    #[error(transparent)]
    Store(#[from] Error),
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Done {
    pub dropped: Vec<BackupId>,
    /// In use just now; the next run tries again.
    pub in_use: Vec<BackupId>,
}

/// Decides; touches nothing.
pub fn plan(
    catalog: &Catalog,
    name: &Name,
    rules: &Rules,
    occasion: Occasion,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
) -> Result<PrunePlan, PruneError> {
    if catalog.is_short() {
        let (listed, expected) = catalog.still_here();
        return Err(Refusal::ShortListing { listed, expected }.into());
    }
    let mut backups = catalog.standings();
    for backup in &mut backups {
        backup.leased = harbour.state.is_leased(&backup.id)?;
    }
    let last_run_good = match occasion {
        Occasion::AfterGoodBackup => true,
        // Longer tiers' copies share their origin's sequence number, so the newest of all tells.
        Occasion::Asked => catalog
            .of(name)
            .filter(|item| item.manifest.origin.is_none())
            .max_by_key(|item| item.manifest.sequence)
            .is_some_and(Item::is_good),
    };
    let input = PruneInput {
        name,
        backups: &backups,
        rules: &rules.keep,
        zone: rules.zone,
        now,
        clock: clock(harbour.store)?,
        expected: expected(catalog, name),
        drop_max: None,
        last_run_good,
    };
    Ok(PrunePlan::make(&input)?)
}

/// Drops what `plan` says, oldest first. The caller holds the run lock.
pub fn carry_out(
    plan: &PrunePlan,
    catalog: &Catalog,
    grace: TimeDelta,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<Done, PruneError> {
    let mut done = Done::default();
    if plan.dropped().is_empty() {
        return Ok(done);
    }
    // Forgotten first: were this killed half-way, what is gone on purpose must not look like a loss.
    let doomed = plan.dropped().iter().map(|doomed| &doomed.id).collect();
    catalog.remember_without(&doomed, harbour.store)?;
    for doomed in plan.dropped() {
        let Some(item) = catalog.get(&doomed.id) else {
            continue;
        };
        let reason = doomed.reason.to_string();
        match drop::drop_backup(item, &reason, grace, harbour, now)? {
            Dropped::Gone => {
                listener.hear(&RunEvent::Pruned {
                    id: doomed.id.clone(),
                    reason,
                });
                done.dropped.push(doomed.id.clone());
            }
            Dropped::InUse => done.in_use.push(doomed.id.clone()),
        }
    }
    if !done.in_use.is_empty() {
        Catalog::read(harbour)?.remember(harbour.store)?;
    }
    Ok(done)
}

/// Lock, look, decide, drop: for the `prune` verb and its schedule.
pub fn prune(
    name: &Name,
    rules: &Rules,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<(PrunePlan, Done), PruneError> {
    let _lock = harbour.state.lock("prune", now)?;
    crate::leftovers::recover(harbour.store, harbour.state, now, listener)?;
    let catalog = Catalog::read(harbour)?;
    let plan = plan(&catalog, name, rules, Occasion::Asked, harbour, now)?;
    let done = carry_out(&plan, &catalog, rules.grace, harbour, now, listener)?;
    Ok((plan, done))
}

/// Deletes one backup because a person says so. Retention is not asked, safety is.
pub fn delete(
    id: &BackupId,
    grace: TimeDelta,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<(), PruneError> {
    let _lock = harbour.state.lock("delete", now)?;
    let catalog = Catalog::read(harbour)?;
    may_delete(id, &catalog, harbour, now)?;
    let item = catalog
        .get(id)
        .ok_or_else(|| DeleteRefusal::Unknown(id.clone()))?;
    if drop::drop_backup(item, "deleted by hand", grace, harbour, now)? == Dropped::InUse {
        return Err(DeleteRefusal::Leased(id.clone()).into());
    }
    listener.hear(&RunEvent::Pruned {
        id: id.clone(),
        reason: "deleted by hand".to_owned(),
    });
    let after = Catalog::read(harbour)?;
    // A gap that a person made on purpose is none: the chain's head goes back to what is there.
    let head = harbour.state.head(id.name())?;
    if let Some(head) = head.filter(|head| head.id == *id) {
        let newest = after
            .of(id.name())
            .filter(|item| item.manifest.origin.is_none())
            .max_by_key(|item| item.manifest.sequence);
        if let Some(item) = newest {
            harbour.state.set_head(&crate::state::Head {
                id: item.id().clone(),
                highest: head.highest,
                ..crate::catalog::head_of(&item.manifest)
            })?;
        }
    }
    after.remember(harbour.store)?;
    Ok(())
}

/// Whether [`delete`] would do it.
pub fn may_delete(
    id: &BackupId,
    catalog: &Catalog,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
) -> Result<(), PruneError> {
    let mut backups = catalog.standings();
    for backup in backups.iter_mut().filter(|backup| backup.id == *id) {
        backup.leased = harbour.state.is_leased(id)?;
    }
    Ok(lifeboat_plan::may_delete(&backups, id, now)?)
}

/// How many backups there should be at least. A catalogue file that is lost is no cause for doubt while all
/// that is there is the very first backup and its copies, from which nothing can be dropped.
fn expected(catalog: &Catalog, name: &Name) -> Option<usize> {
    let first = catalog.of(name).all(|item| item.manifest.sequence == 1);
    catalog
        .remembered_of(name)
        .or(first.then(|| catalog.of(name).count()))
}

fn clock(store: &dyn Store) -> Result<ClockEvidence, Error> {
    Ok(ClockEvidence {
        store: store.clock()?.map(DateTime::<Utc>::from),
        ..ClockEvidence::default()
    })
}
