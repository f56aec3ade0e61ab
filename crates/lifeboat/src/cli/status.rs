//! `lifeboat status`: how things stand, and what to do about it. The daemon need not run for it.

use super::{
    finding::{Findings, Level},
    list::proven_at,
    port::Port,
    room::Room,
    screen::Screen,
    table::Table,
    words,
};
use crate::{
    config::{JobConfig, Loaded},
    exit::{Code, Failure, Result},
    job, sources,
};
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Freshness, Manifest, Status, Tier};
use lifeboat_run::{authenticity::Authenticity, catalog::Catalog, state::Runs};
use serde::Serialize;
use serde_json::json;

/// A backup that was not read back for so long deserves it.
const VERIFIED_AGO_MAX: TimeDelta = TimeDelta::days(30);
const DAYS_UNTIL_FULL_URGENT: u64 = 7;
const DAYS_UNTIL_FULL_SOON: u64 = 30;

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let mut findings = Findings::default();
    for warning in &loaded.warnings {
        findings.warning(&warning.what, &warning.hint);
    }
    look_at_sources(&loaded, &mut findings);
    let port = match Port::open(loaded) {
        Ok(port) => port,
        Err(failure) => return no_store(failure, findings, screen),
    };
    let catalog = port.catalog()?;
    let runs = port.state().runs()?;
    for job in port.jobs() {
        look_at_job(job, &port, &catalog, &runs, &mut findings);
    }
    look_at_integrity(&catalog, &port, &mut findings);
    look_at_chain(&catalog, &port, &mut findings)?;
    look_at_leftovers(&catalog, &port, &mut findings)?;
    let room = look_at_room(&catalog, &port, &mut findings)?;

    let tiers: Vec<TierCount> = Tier::ALL
        .into_iter()
        .map(|tier| TierCount::of(tier, &catalog))
        .collect();
    let newest = port.latest(&catalog, None).ok().map(|item| &item.manifest);
    let good = findings.worst() < Level::Urgent;
    screen.document(&json!({
        "ok": good,
        "findings": findings.all(),
        "tiers": tiers,
        "newest_good": newest.map(|m| json!({
            "id": m.id,
            "created_at": m.created_at,
            "age_seconds": (port.now - m.created_at).num_seconds(),
            "verified_at": m.verified_at,
        })),
        "last_proven_at": catalog.items.iter().filter_map(|i| proven_at(&i.manifest)).max(),
        "disk": room,
        "pending_copies": 0,
        "store": port.place(),
    }));
    findings.print(screen);
    screen.line("");
    print_tiers(&tiers, &port, screen);
    Ok(match good {
        true => Code::Done,
        false => Code::Warnings,
    })
}

fn no_store(failure: Failure, mut findings: Findings, screen: &mut Screen) -> Result {
    if failure.code != Code::NotFound {
        return Err(failure);
    }
    findings.urgent(
        format!("there is no store: {}", failure.what),
        "mount it, or make the first backup with `lifeboat backup`",
    );
    screen.document(&json!({ "ok": false, "findings": findings.all() }));
    findings.print(screen);
    Ok(Code::Warnings)
}

fn look_at_sources(loaded: &Loaded, findings: &mut Findings) {
    let config = &loaded.config;
    let seen = match sources::look(&config.sources.dir) {
        Ok(seen) => seen,
        // Where only the backups are mounted, to restore from them, there is nothing to save.
        Err(failure) => return findings.warning(failure.what, failure.hint),
    };
    for name in seen.unmatched(&config.jobs) {
        findings.warning(
            format!("the configuration names {name:?}, and there is no such folder"),
            "correct the name, or mount the volume",
        );
    }
    for left_out in &seen.uncovered {
        findings.warning(
            format!("{} is not saved: {}", left_out.what, left_out.why),
            "`lifeboat plan` shows all that is and is not saved",
        );
    }
}

fn look_at_job(
    job: &JobConfig,
    port: &Port,
    catalog: &Catalog,
    runs: &Runs,
    findings: &mut Findings,
) {
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
    if let Some(outcome) = last.and_then(|last| last.last_outcome.as_deref())
        && outcome == "failed"
    {
        findings.urgent(
            format!("job {}: the last run failed", job.name),
            "its log says why; `lifeboat doctor` tries everything out",
        );
    }
}

fn look_at_integrity(catalog: &Catalog, port: &Port, findings: &mut Findings) {
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

fn look_at_chain(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<()> {
    let head = port.state().head()?;
    if let Some(gap) = catalog.chain_gap(head.as_ref()) {
        findings.urgent(
            gap,
            "find out who removed it; if it was you, make a new backup and this goes away",
        );
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

fn look_at_leftovers(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<()> {
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

fn look_at_room(catalog: &Catalog, port: &Port, findings: &mut Findings) -> Result<Option<Room>> {
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
        _ if room.free < room.newest + room.newest / 5 => findings.urgent(
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

#[derive(Serialize)]
struct TierCount {
    tier: Tier,
    count: usize,
    good: usize,
    bytes: u64,
    newest: Option<DateTime<Utc>>,
    oldest: Option<DateTime<Utc>>,
}

impl TierCount {
    fn of(tier: Tier, catalog: &Catalog) -> Self {
        let items = catalog
            .items
            .iter()
            .filter(|item| item.manifest.tier == tier);
        let times = items.clone().map(|item| item.manifest.created_at);
        TierCount {
            tier,
            count: items.clone().count(),
            good: items.clone().filter(|item| item.is_good()).count(),
            bytes: items.map(|item| item.manifest.size()).sum(),
            newest: times.clone().max(),
            oldest: times.min(),
        }
    }
}

fn print_tiers(tiers: &[TierCount], port: &Port, screen: &mut Screen) {
    let mut table = Table::new(&["tier", ">backups", ">good", ">size", ">newest", ">oldest"]);
    let age = |at: Option<DateTime<Utc>>| at.map_or("-".to_owned(), |at| words::age(at, port.now));
    for tier in tiers.iter().filter(|tier| tier.count > 0) {
        table.row([
            tier.tier.to_string(),
            tier.count.to_string(),
            tier.good.to_string(),
            words::size(tier.bytes),
            age(tier.newest),
            age(tier.oldest),
        ]);
    }
    if !table.is_empty() {
        table.print(screen);
    }
}
