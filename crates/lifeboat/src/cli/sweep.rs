//! `lifeboat sweep`: removes what killed runs left behind, and only that.
//!
//! What bears the name of a backup but belongs to none is a stray. It is removed when it is old enough and
//! when nobody remembers that backup: of one that the catalogue lists the manifest was lost, not the rest.

use super::{args, listeners, port::Port, screen::Screen, signals::Signals, words};
use crate::exit::{Code, Result};
use lifeboat_plan::BackupId;
use lifeboat_run::{layout, leftovers};
use lifeboat_store::Object;
use serde_json::json;
use std::time::SystemTime;

pub fn run(args: &args::Sweep, port: &Port, signals: &Signals, screen: &mut Screen) -> Result {
    // Carried through: each removal stands for itself.
    let _ = signals.cancel();
    let _lock = port.lock("sweep")?;
    let harbour = port.harbour();
    let mut removed = harbour.store.sweep(args.dry_run)?;
    if !args.dry_run {
        leftovers::recover(
            harbour.store,
            harbour.state,
            port.now,
            &listeners::of(screen),
        )?;
    }
    let catalog = port.catalog()?;
    let known = catalog.remembered.unwrap_or_default();
    let mut kept = Vec::new();
    for stray in catalog.strays {
        match why_it_stays(&stray, &known, args) {
            Some(why) => kept.push(format!("{}: {why}", stray.key)),
            None => {
                if !args.dry_run {
                    harbour.store.delete(&stray.key)?;
                }
                removed.push(stray.key.to_string());
            }
        }
    }
    screen.document(&json!({ "dry_run": args.dry_run, "removed": removed, "kept": kept }));
    let word = if args.dry_run { "would go" } else { "removed" };
    for name in &removed {
        screen.line(format_args!("{word}  {}", words::plain(name)));
    }
    for text in &kept {
        screen.line(format_args!("stays  {}", words::plain(text)));
    }
    if removed.is_empty() && kept.is_empty() {
        screen.line("There was nothing to sweep.");
    }
    Ok(Code::Done)
}

fn why_it_stays(stray: &Object, known: &[BackupId], args: &args::Sweep) -> Option<String> {
    if layout::owner(&stray.key).is_some_and(|id| known.contains(&id)) {
        return Some(
            "the catalogue knows its backup, so its manifest was lost; `lifeboat restore FILE --to DIR` still opens it"
                .to_owned(),
        );
    }
    let age = stray
        .modified
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    match age {
        Some(age) if age >= args.older_than => None,
        Some(age) => Some(format!("only {} old", words::took(age))),
        None => Some("its age is not known".to_owned()),
    }
}
