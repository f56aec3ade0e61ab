//! `lifeboat status`: how things stand, and what to do about it. The daemon need not run for it.

use super::{
    checkup,
    finding::{Findings, Level},
    list::proven_at,
    port::Port,
    screen::Screen,
    table::Table,
    words,
};
use crate::{
    config::Loaded,
    exit::{Code, Failure, Result},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Tier, manifest};
use lifeboat_run::catalog::Catalog;
use serde::Serialize;
use serde_json::json;

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let mut findings = Findings::default();
    for warning in &loaded.warnings {
        findings.warning(&warning.what, &warning.hint);
    }
    let seen = checkup::sources(&loaded, &mut findings);
    let port = match Port::open(loaded) {
        Ok(port) => port,
        Err(failure) => return no_store(failure, findings, screen),
    };
    let catalog = port.catalog()?;
    let runs = port.state().runs()?;
    for job in port.jobs() {
        checkup::job(job, &port, &catalog, &runs, &mut findings);
        checkup::each_source(job, &seen, &port, &catalog, &runs, &mut findings);
    }
    checkup::integrity(&catalog, &port, &mut findings);
    checkup::chain(&catalog, &port, &mut findings)?;
    checkup::leftovers(&catalog, &port, &mut findings)?;
    let room = checkup::room(&catalog, &port, &mut findings)?;

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
            bytes: manifest::sum(items.map(|item| item.manifest.size())),
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
