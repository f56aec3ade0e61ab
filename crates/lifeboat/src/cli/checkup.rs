//! The looks of `status`, one after the other: each adds what it found, and what to do about it.

use super::{finding::Findings, port::Port, room::Room, words};
use crate::{
    config::{JobConfig, Loaded},
    exit::Result,
    job,
    sources::{self, Discovery, Seen},
};
use chrono::TimeDelta;
use lifeboat_plan::{Freshness, Manifest, Status};
use lifeboat_run::{authenticity::Authenticity, catalog::Catalog, state::Runs};

/// A backup that was not read back for so long deserves it.
const VERIFIED_AGO_MAX: TimeDelta = TimeDelta::days(30);
const DAYS_UNTIL_FULL_URGENT: u64 = 7;
const DAYS_UNTIL_FULL_SOON: u64 = 30;

pub fn sources(loaded: &Loaded, findings: &mut Findings) -> Seen {
    let config = &loaded.config;
    let seen = match sources::survey(config) {
        Ok(seen) => seen,
        // Where only the backups are mounted, to restore from them, there is nothing to save.
        Err(failure) => {
            findings.warning(failure.what, failure.hint);
            return Seen::default();
        }
    };
    for name in seen.unmatched(&config.jobs) {
        findings.warning(
            format!("the configuration names {name:?}, and there is no such source"),
            "correct the name, or mount the volume",
        );
    }
    if let Discovery::Lost(error) = &seen.discovery {
        findings.urgent(
            format!("what the engine runs is not saved: {error}"),
            error.hint(),
        );
    }
    for left_out in seen.uncovered.iter().filter(|left| !left.harmless) {
        findings.warning(
            format!("{} is not saved: {}", left_out.what, left_out.why),
            "`lifeboat plan` shows all that is and is not saved",
        );
    }
    seen
}

pub fn job(job: &JobConfig, port: &Port, catalog: &Catalog, runs: &Runs, findings: &mut Findings) {
    let originals = catalog
        .of(&job.backups)
        .filter(|item| item.manifest.origin.is_none());
    let newest = originals.max_by_key(|item| item.manifest.sequence);
    let newest_good = job::newest_good(catalog, job).map(|manifest| manifest.created_at);

    let age = newest_good.map_or_else(
        || "there is no good backup".to_owned(),
        |at| format!("the newest good backup is {} old", words::age(at, port.now)),
    );
    let last = runs.jobs.get(job.name.as_str());
    let since = runs.watching_since.unwrap_or(port.now);
    let fresh = job::freshness(port.config(), job, newest_good, since, port.now);
    match fresh {
        Freshness::Fresh { until } => findings.ok(format!(
            "job {}: {age}; the next one is due before {}",
            job.name,
            words::time(until, port.zone())
        )),
        Freshness::Waiting { until } => findings.ok(format!(
            "job {}: {age} yet; the first one is due before {}",
            job.name,
            words::time(until, port.zone())
        )),
        Freshness::Stale { since } => findings.urgent(
            format!(
                "job {}: {age}; one was due by {}",
                job.name,
                words::time(since, port.zone())
            ),
            "look at the daemon's log, then run `lifeboat backup`",
        ),
        Freshness::Future { created_at } => findings.urgent(
            format!(
                "job {}: the newest good backup claims to be made at {}, which is still to come",
                job.name,
                words::time(created_at, port.zone())
            ),
            "set the clock right; `lifeboat doctor` compares it",
        ),
        Freshness::Unscheduled => {
            findings.ok(format!("job {}: {age}; no schedule is set", job.name))
        }
    }
    if let Some(item) = newest.filter(|item| item.manifest.status != Status::Completed) {
        let missed: Vec<&str> = item
            .manifest
            .missed
            .iter()
            .map(|m| m.source.as_str())
            .collect();
        findings.urgent(
            format!("{} is partial: {} not in it", item.id(), missed.join(", ")),
            "correct the reason (`lifeboat list --json` has it) and run `lifeboat backup`",
        );
    }
    // A good backup that was made since, by hand perhaps, makes up for it.
    if let Some(last) = last
        && last.last_outcome.as_deref() == Some("failed")
        && newest_good < last.last_started
    {
        findings.urgent(
            format!("job {}: the last run failed", job.name),
            "its log says why; `lifeboat doctor` tries everything out",
        );
    }
}

/// A backup of one source keeps the job fresh, but not its other sources.
pub fn each_source(
    job: &JobConfig,
    seen: &Seen,
    port: &Port,
    catalog: &Catalog,
    runs: &Runs,
    findings: &mut Findings,
) {
    let since = runs.watching_since.unwrap_or(port.now);
    let newest_of_job = job::newest_good(catalog, job).map(|manifest| manifest.created_at);
    let fresh = |newest| job::freshness(port.config(), job, newest, since, port.now);
    if port.config().sources.bundle || !fresh(newest_of_job).is_healthy() {
        return;
    }
    for folder in seen.of_job(job) {
        let holds = |manifest: &&Manifest| {
            let mut archives = manifest.archives.iter();
            archives.any(|archive| archive.source == folder.name)
        };
        let good = catalog.of(&job.backups).filter(|item| item.is_good());
        let newest = good.map(|item| &item.manifest).filter(holds);
        let newest = newest.map(|manifest| manifest.created_at).max();
        let last = newest.map_or_else(
            || "is in no good backup".to_owned(),
            |at| format!("was saved {}", words::ago(at, port.now)),
        );
        if !fresh(newest).is_healthy() {
            findings.urgent(
                format!("source {} {last}", folder.name),
                "look at the daemon's log, then run `lifeboat backup`",
            );
        } else if newest.is_none() && newest_of_job.is_some() {
            findings.warning(
                format!("source {} {last} yet", folder.name),
                "the next backup takes it in; `lifeboat backup` makes one now",
            );
        }
    }
}

pub fn integrity(catalog: &Catalog, port: &Port, findings: &mut Findings) {
    for item in &catalog.items {
        let id = item.id();
        if let Some(reason) = &item.quarantined {
            findings.urgent(
                format!("{id} is damaged: {reason}"),
                "it counts for no keep rule; delete it when newer ones are proven good, or verify it again",
            );
        }
        if !item.missing.is_empty() {
            findings.urgent(
                format!(
                    "{id} is incomplete: {} missing or cut short",
                    item.missing.join(", ")
                ),
                "bring the files back from another copy, or delete this backup",
            );
        }
        match &item.authenticity {
            Authenticity::Verified | Authenticity::Unsigned => {}
            Authenticity::UnknownKey { key_id } => findings.warning(
                format!("{id} was signed with another key ({key_id})"),
                "give BACKUP_SIGNING_KEY the key it was made with, to restore from it",
            ),
            Authenticity::Forged | Authenticity::Stripped => findings.urgent(
                format!("the manifest of {id} is not as we wrote it"),
                "find out who can write to the store; do not restore from this backup",
            ),
        }
    }
    for suspect in &catalog.suspects {
        findings.urgent(
            format!("{} cannot be understood: {}", suspect.id, suspect.reason),
            "it is never counted nor deleted; its archives open with `lifeboat restore FILE --to DIR`",
        );
    }
    let good = catalog.items.iter().filter(|item| item.is_good());
    let unsigned = good
        .clone()
        .filter(|item| matches!(item.authenticity, Authenticity::Unsigned))
        .count();
    if unsigned > 0 {
        findings.warning(
            format!(
                "{} unsigned",
                words::many(unsigned as u64, "backup is", "backups are")
            ),
            "set BACKUP_SIGNING_KEY or an encryption key, so that a changed manifest is noticed",
        );
    }
    if let Some(newest) = good.max_by_key(|item| item.manifest.created_at) {
        let verified = newest.manifest.verified_at;
        match verified {
            Some(at) if port.now - at <= VERIFIED_AGO_MAX => findings.ok(format!(
                "the newest backup was read back {}",
                words::ago(at, port.now)
            )),
            _ => findings.warning(
                format!("{} was not read back lately", newest.id()),
                "`lifeboat verify --deep` does it",
            ),
        }
    }
}

pub fn chain(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<()> {
    for job in port.jobs() {
        let head = port.state().head(&job.backups)?;
        if let Some(gap) = catalog.chain_gap(head.as_ref()) {
            findings.urgent(
                gap,
                "find out who removed it; if it was you, make a new backup and this goes away",
            );
        }
    }
    let gone = catalog.remembered.iter().flatten();
    let gone = gone
        .filter(|id| catalog.get(id).is_none() && !catalog.suspects.iter().any(|s| s.id == **id));
    let gone: Vec<String> = gone.map(ToString::to_string).collect();
    if let Some(first) = gone.first() {
        findings.urgent(
            format!(
                "{} that the catalogue lists not here, the first is {first}",
                words::many(gone.len() as u64, "backup is", "backups are")
            ),
            "is everything mounted? if they were removed on purpose: `lifeboat rebuild`",
        );
    }
    Ok(())
}

pub fn leftovers(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<()> {
    if let Some(owner) = port.running()? {
        findings.ok(format!("a run is under way: {owner}"));
        return Ok(());
    }
    for run in port.state().open_runs()? {
        findings.warning(
            format!("{} was killed before its end", run.id),
            "the next run cleans up after it; `lifeboat sweep` does it now",
        );
    }
    if !catalog.strays.is_empty() {
        findings.warning(
            format!(
                "{} to no backup",
                words::many(catalog.strays.len() as u64, "file belongs", "files belong")
            ),
            "`lifeboat sweep --dry-run` shows them",
        );
    }
    Ok(())
}

pub fn room(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<Option<Room>> {
    let Some(space) = port.harbour().store.space()? else {
        return Ok(None);
    };
    let backups: Vec<&Manifest> = catalog.items.iter().map(|item| &item.manifest).collect();
    let pruning = port.is_pruning(&backups);
    let room = Room::guess(space.free, space.total, &backups, pruning, port.now);
    let free = format!(
        "{} of {} free",
        words::size(room.free),
        words::size(room.total)
    );
    match room.days_until_full {
        _ if room.free < room.newest.saturating_add(room.newest / 5) => findings.urgent(
            format!("{free}: the next backup may not fit"),
            "free some space, or shorten the retention (`lifeboat prune --dry-run`)",
        ),
        Some(days) if days < DAYS_UNTIL_FULL_URGENT => findings.urgent(
            format!(
                "{free}, full in {} at this rate",
                words::many(days, "day", "days")
            ),
            "free some space, or shorten the retention (`lifeboat prune --dry-run`)",
        ),
        Some(days) if days < DAYS_UNTIL_FULL_SOON => findings.warning(
            format!("{free}, full in {days} days at this rate"),
            "plan for more space, or shorten the retention",
        ),
        Some(days) => findings.ok(format!("{free}, enough for {} days", words::count(days))),
        None => findings.ok(free),
    }
    Ok(Some(room))
}
