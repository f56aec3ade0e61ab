//! `lifeboat list`: what is there, tier by tier.

use super::{
    args,
    port::Port,
    screen::{Paint, Screen},
    table::Table,
    words,
};
use crate::exit::{Code, Result};
use chrono::{DateTime, Utc};
use lifeboat_plan::{BackupId, BackupType, Manifest, Status, Tier, manifest};
use lifeboat_run::catalog::{Catalog, Item};
use serde::Serialize;
use std::cmp::Reverse;

pub fn run(args: &args::List, port: &Port, screen: &mut Screen) -> Result {
    let catalog = port.catalog()?;
    let mut wanted: Vec<&Item> = catalog
        .items
        .iter()
        .filter(|item| args.tier.is_none_or(|tier| item.manifest.tier == tier))
        .collect();
    // The newest first, and a backup before its copies in longer tiers.
    wanted.sort_by_key(|item| (Reverse(item.manifest.created_at), item.manifest.tier));
    let shown = wanted
        .iter()
        .skip(args.offset)
        .take(args.limit.unwrap_or(usize::MAX));
    let shown: Vec<&Item> = shown.copied().collect();

    screen.document(&Envelope {
        backups: shown
            .iter()
            .map(|item| Listed::new(item, port.place()))
            .collect(),
        total: wanted.len(),
        limit: args.limit,
        offset: args.offset,
        suspects: catalog
            .suspects
            .iter()
            .map(|s| Doubt {
                id: s.id.clone(),
                reason: s.reason.clone(),
            })
            .collect(),
        strays: catalog.strays.iter().map(|s| s.key.as_str()).collect(),
    });
    for tier in Tier::ALL {
        let of_tier: Vec<&Item> = shown
            .iter()
            .filter(|item| item.manifest.tier == tier)
            .copied()
            .collect();
        if !of_tier.is_empty() {
            print_tier(tier, &of_tier, port, screen);
        }
    }
    print_totals(&wanted, shown.len(), port, screen);
    print_doubts(&catalog, screen);
    Ok(Code::Done)
}

fn print_tier(tier: Tier, items: &[&Item], port: &Port, screen: &mut Screen) {
    screen.heading(tier.as_str());
    let mut table = Table::new(&["backup", ">size", ">age", "created", ""]);
    for item in items {
        let manifest = &item.manifest;
        let (marks, paint) = marks(item);
        let plain = |text: String| (text, Paint::Plain);
        table.painted([
            plain(manifest.id.to_string()),
            plain(words::size(manifest.size())),
            plain(words::age(manifest.created_at, port.now)),
            plain(words::time(manifest.created_at, port.zone())),
            (marks, paint),
        ]);
    }
    table.print(screen);
    screen.line("");
}

/// What speaks for a backup and what against it, in a few words.
fn marks(item: &Item) -> (String, Paint) {
    let manifest = &item.manifest;
    if let Some(reason) = &item.quarantined {
        return (format!("✗ DAMAGED: {reason}"), Paint::Bad);
    }
    if !item.missing.is_empty() {
        return (
            format!(
                "✗ INCOMPLETE: {} missing or cut short",
                item.missing.join(", ")
            ),
            Paint::Bad,
        );
    }
    if !item.authenticity.is_trusted() {
        return (
            "✗ NOT TRUSTED: its manifest does not match our key".to_owned(),
            Paint::Bad,
        );
    }
    if manifest.status != Status::Completed {
        let missed: Vec<&str> = manifest.missed.iter().map(|m| m.source.as_str()).collect();
        return (
            format!("! PARTIAL: without {}", missed.join(", ")),
            Paint::Careful,
        );
    }
    let mut marks = Vec::new();
    if manifest.verified_at.is_some() {
        marks.push("✓ verified");
    }
    if proven_at(manifest).is_some() {
        marks.push("✓ proven");
    }
    if warnings(manifest) > 0 {
        marks.push("! with warnings");
    }
    (marks.join("  "), Paint::Good)
}

fn print_totals(items: &[&Item], shown: usize, port: &Port, screen: &mut Screen) {
    let (Some(newest), Some(oldest)) = (items.first(), items.last()) else {
        screen.line("There is no backup here yet; `lifeboat backup` makes one.");
        return;
    };
    // The tiers' copies share the bytes of the backup they were made from.
    let sizes = |some: fn(&&&Item) -> bool| {
        manifest::sum(items.iter().filter(some).map(|item| item.manifest.size()))
    };
    let originals = sizes(|item| item.manifest.origin.is_none());
    let all = sizes(|_| true);
    let listed = match shown == items.len() {
        true => String::new(),
        false => format!(" ({shown} listed)"),
    };
    screen.line(format_args!(
        "{}{listed}, {} ({} without the longer tiers' copies)",
        words::many(items.len() as u64, "backup", "backups"),
        words::size(all),
        words::size(originals)
    ));
    for (word, item) in [("newest", newest), ("oldest", oldest)] {
        screen.line(format_args!(
            "{word}  {}  {}",
            item.id(),
            words::ago(item.manifest.created_at, port.now)
        ));
    }
}

fn print_doubts(catalog: &Catalog, screen: &mut Screen) {
    if !catalog.suspects.is_empty() {
        screen.line("");
        let text = screen.paint(
            Paint::Bad,
            "Not understood (not counted, never deleted by itself):",
        );
        screen.line(text);
        for suspect in &catalog.suspects {
            screen.line(format_args!(
                "  {}  {}",
                suspect.id,
                words::plain(&suspect.reason)
            ));
        }
    }
    if !catalog.strays.is_empty() {
        screen.line("");
        let text = screen.paint(
            Paint::Careful,
            "Belongs to no backup (`lifeboat sweep` removes what killed runs left behind):",
        );
        screen.line(text);
        for stray in &catalog.strays {
            screen.line(format_args!(
                "  {}  {}",
                words::plain(stray.key.as_str()),
                words::size(stray.size)
            ));
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    backups: Vec<Listed<'a>>,
    total: usize,
    limit: Option<usize>,
    offset: usize,
    suspects: Vec<Doubt>,
    strays: Vec<&'a str>,
}

#[derive(Serialize)]
struct Doubt {
    id: BackupId,
    reason: String,
}

/// A backup as programs see it, here and over HTTP.
#[derive(Debug, Serialize)]
pub struct Listed<'a> {
    pub id: &'a BackupId,
    /// The archive, where there is one only; else the manifest.
    pub filename: String,
    #[serde(rename = "type")]
    pub kind: BackupType,
    pub status: Status,
    pub size: u64,
    /// SHA-256 of the archive, where there is one only; else each archive has its own.
    pub checksum: Option<&'a str>,
    pub tier: Tier,
    pub created_at: DateTime<Utc>,
    pub completed_at: DateTime<Utc>,
    pub verified_at: Option<DateTime<Utc>>,
    pub proven_at: Option<DateTime<Utc>>,
    pub good: bool,
    pub quarantined: Option<&'a str>,
    pub missing: &'a [String],
    pub archives: &'a [lifeboat_plan::Archive],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub missed: &'a [lifeboat_plan::Missed],
    pub store: &'a str,
}

impl<'a> Listed<'a> {
    pub fn new(item: &'a Item, store: &'a str) -> Self {
        let manifest = &item.manifest;
        let only = match &manifest.archives[..] {
            [archive] => Some(archive),
            _ => None,
        };
        Listed {
            id: &manifest.id,
            filename: only.map_or_else(|| format!("{}.json", manifest.id), |a| a.file.clone()),
            kind: manifest.kind,
            status: manifest.status,
            size: manifest.size(),
            checksum: only.map(|a| a.sha256.as_str()),
            tier: manifest.tier,
            created_at: manifest.created_at,
            completed_at: manifest.completed_at,
            verified_at: manifest.verified_at,
            proven_at: proven_at(manifest),
            good: item.is_good(),
            quarantined: item.quarantined.as_deref(),
            missing: &item.missing,
            archives: &manifest.archives,
            missed: &manifest.missed,
            store,
        }
    }
}

pub fn proven_at(manifest: &Manifest) -> Option<DateTime<Utc>> {
    let newest = manifest.proofs.iter().max_by_key(|proof| proof.at)?;
    newest.proved.then_some(newest.at)
}

fn warnings(manifest: &Manifest) -> u64 {
    manifest::sum(manifest.archives.iter().map(|a| a.warnings_total))
}
