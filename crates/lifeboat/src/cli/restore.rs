//! `lifeboat restore`: shows what would be done, asks, does it. Into a new folder here, in place in [`live`].

mod live;

use super::{
    args, ask, listeners,
    loose::Loose,
    loose_store::{LooseStore, PassingState},
    port::{Port, only_near},
    screen::Screen,
    signals::Signals,
    table::Table,
    words,
};
use crate::{
    config::Loaded,
    exit::{Code, Failure, Result},
    job,
};
use chrono::Utc;
use chrono_tz::Tz;
use lifeboat_plan::BackupId;
use lifeboat_run::{
    authenticity::{Authenticator, Authenticity},
    backup::Harbour,
    catalog::{Catalog, Item},
    restore::{self, RestorePlan, Restored, Wish},
};
use serde_json::json;
use std::path::{Path, PathBuf};

pub fn run(args: &args::Restore, loaded: Loaded, signals: &Signals, screen: &mut Screen) -> Result {
    only_near(&args.from)?;
    let in_place = args.to.as_deref() == Some("live");
    let wish = Wish {
        sources: args.sources.clone(),
        paths: args.paths.clone(),
        target: if in_place {
            PathBuf::new()
        } else {
            target(args)?
        },
        devices: args.devices,
        force: args.force,
    };
    if in_place {
        return live::run(wish, args, loaded, signals, screen);
    }
    match file_meant(args) {
        Some(file) => from_file(&file, wish, args, &loaded, signals, screen),
        None => from_store(wish, args, loaded, signals, screen),
    }
}

fn from_store(
    wish: Wish,
    args: &args::Restore,
    loaded: Loaded,
    signals: &Signals,
    screen: &mut Screen,
) -> Result {
    let port = Port::open(loaded)?;
    let catalog = port.catalog()?;
    let item = choose(args, &port, &catalog, screen)?;
    let plan = restore::plan(item, wish)?;
    carry_out(&plan, port.harbour(), port.zone(), args, signals, screen)
}

fn from_file(
    file: &Path,
    wish: Wish,
    args: &args::Restore,
    loaded: &Loaded,
    signals: &Signals,
    screen: &mut Screen,
) -> Result {
    let loose = Loose::look(file)?;
    let keys = &loaded.config.sealing.keys;
    let authenticator = Authenticator::new(keys);
    let (manifest, authenticity) = match loose.promised() {
        Some((mut manifest, archive)) => {
            let bytes = loose.manifest.as_deref().unwrap_or_default();
            // What can be parsed but has no canonical form was not written by us.
            let authenticity = authenticator
                .judge(bytes, &manifest)
                .unwrap_or(Authenticity::Forged);
            manifest.archives = vec![archive];
            (manifest, authenticity)
        }
        None => {
            if !screen.json_wanted() {
                screen.say("No manifest beside it: the file is read once to see what it holds.");
            }
            (loose.describe(keys)?, Authenticity::Unsigned)
        }
    };
    let item = Item {
        manifest,
        authenticity,
        missing: Vec::new(),
        quarantined: None,
    };
    let plan = restore::plan(&item, wish)?;
    let store = LooseStore::new(&loose, item.manifest.tier).map_err(|error| {
        Failure::usage(error.to_string(), "rename the file, and restore it again")
    })?;
    let state = PassingState::beside(&plan.target, &loaded.config.name)?;
    let harbour = Harbour {
        store: &store,
        state: &state.state,
        keys,
        authenticator: &authenticator,
    };
    carry_out(
        &plan,
        harbour,
        loaded.config.wake.zone,
        args,
        signals,
        screen,
    )
}

fn carry_out(
    plan: &RestorePlan,
    harbour: Harbour<'_>,
    zone: Tz,
    args: &args::Restore,
    signals: &Signals,
    screen: &mut Screen,
) -> Result {
    if args.dry_run {
        screen.document(&json!({ "dry_run": true, "plan": plan }));
        print_plan(plan, zone, args, |line| screen.line(line));
        return Ok(Code::Done);
    }
    if !screen.json_wanted() {
        print_plan(plan, zone, args, |line| screen.say(line));
    }
    if !args.yes {
        ask::to_type(screen, "RESTORE", "Nothing that is there is touched.")?;
    }
    let listener = listeners::of(screen);
    let now = Utc::now();
    let cancel = signals.cancel();
    let restored = restore::carry_out(plan, harbour, &job::host(), now, cancel, &listener)?;
    drop(listener);
    screen.document(&json!({ "restored": restored }));
    print_done(&restored, screen);
    Ok(match restored.remarks.is_empty() {
        true => Code::Done,
        false => Code::Warnings,
    })
}

fn print_plan(plan: &RestorePlan, zone: Tz, args: &args::Restore, mut line: impl FnMut(String)) {
    line(format!(
        "Restore {} ({}) to {}",
        plan.id,
        words::time(plan.created_at, zone),
        plan.target.display()
    ));
    for part in &plan.parts {
        line(format!(
            "  {}  {}  {} → {}",
            words::plain(&part.source),
            part.kind,
            words::size(part.plain_size),
            words::plain(&part.into.display().to_string())
        ));
    }
    if !args.paths.is_empty() {
        line(format!("  only what matches {}", args.paths.join(", ")));
    }
    line(format!(
        "  needs up to {}, {} free",
        words::size(plan.needs),
        words::size(plan.free)
    ));
    for remark in &plan.remarks {
        line(format!("  ! {}", words::plain(remark)));
    }
}

fn print_done(restored: &Restored, screen: &mut Screen) {
    screen.line(format_args!(
        "Restored {} to {}: {}, {}",
        restored.id,
        restored.target.display(),
        words::many(restored.entries, "entry", "entries"),
        words::size(restored.bytes)
    ));
    for remark in &restored.remarks {
        screen.line(format_args!("  ! {}", words::plain(remark)));
    }
}

fn choose<'a>(
    args: &args::Restore,
    port: &Port,
    catalog: &'a Catalog,
    screen: &Screen,
) -> Result<&'a Item> {
    if args.interactive {
        return pick(port, catalog, screen);
    }
    match (args.what.as_deref(), args.at) {
        (Some("latest") | None, at) => port.latest(catalog, at.map(|at| at.in_zone(port.zone()))),
        (Some(id), None) => port.find(catalog, id),
        (Some(id), Some(_)) => Err(Failure::usage(
            format!("--at says when, and {id} says which"),
            "give `latest` with --at, or the id alone",
        )),
    }
}

fn pick<'a>(port: &Port, catalog: &'a Catalog, screen: &Screen) -> Result<&'a Item> {
    let sound: Vec<&Item> = catalog
        .items
        .iter()
        .rev()
        .filter(|i| i.is_sound())
        .collect();
    if sound.is_empty() {
        return port.latest(catalog, None);
    }
    let mut table = Table::new(&[">", "backup", ">size", ">age", "sources"]);
    for (number, item) in sound.iter().enumerate() {
        let sources = item.manifest.archives.iter().map(|a| a.source.as_str());
        table.row([
            (number + 1).to_string(),
            item.id().to_string(),
            words::size(item.manifest.size()),
            words::age(item.manifest.created_at, port.now),
            sources.collect::<Vec<_>>().join(", "),
        ]);
    }
    for line in table.lines(screen) {
        screen.say(line);
    }
    Ok(sound[ask::to_pick(screen, sound.len())?])
}

/// What is no id and no word of ours, but is there as a file.
fn file_meant(args: &args::Restore) -> Option<PathBuf> {
    let what = args.what.as_deref().filter(|what| *what != "latest")?;
    let is_path =
        what.parse::<BackupId>().is_err() && (what.contains('/') || Path::new(what).exists());
    is_path.then(|| PathBuf::from(what))
}

fn target(args: &args::Restore) -> Result<PathBuf> {
    let later = |what: &str| {
        Failure::usage(
            format!("restoring to {what} is not in this version"),
            "restore into a new folder with --to DIR and move things over from there",
        )
    };
    match args.to.as_deref() {
        None => Err(Failure::usage(
            "where to restore to is not said",
            "give --to DIR: a folder that is absent or empty",
        )),
        Some(to) if to.starts_with("volume:") => Err(later("a volume")),
        Some(to) if to.starts_with("database:") => Err(later("a database")),
        Some("") => Err(Failure::usage("--to is empty", "give it a folder")),
        Some(to) => Ok(std::path::absolute(to).unwrap_or_else(|_| to.into())),
    }
}
