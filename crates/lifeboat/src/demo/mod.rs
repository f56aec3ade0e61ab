//! `lifeboat demo`: everything that matters, shown in ten seconds on a project that it makes itself.
//!
//! It uses the same code as every other verb, on real files, in a temporary folder. Each step says what it
//! did, and a step that is not as it must be ends the demo with exit code 1: it is a self-test too.

mod compare;
mod project;
mod stage;

use crate::{
    cli::{
        args,
        screen::{Paint, Screen},
        signals::Signals,
        words,
    },
    exit::{Code, Failure, Result},
};
use serde_json::json;
use stage::Stage;
use std::{fs, path::Path, time::Instant};

pub fn run(args: &args::Demo, signals: &Signals, screen: &mut Screen) -> Result {
    let begun = Instant::now();
    let stage = Stage::build(args.keep.as_deref(), signals.cancel().clone())?;
    let mut steps = Steps {
        screen,
        done: Vec::new(),
    };
    play(&stage, &mut steps)?;
    let done = steps.done;
    print_tree(&stage, screen);
    screen.line("");
    if args.keep.is_some() {
        screen.line(format_args!("Everything is in {}.", stage.root().display()));
    }
    screen.line(format_args!(
        "All as it must be, in {}. Next: mount your volumes below /data and run `lifeboat backup`.",
        words::took(begun.elapsed())
    ));
    screen.document(&json!({
        "ok": true,
        "steps": done,
        "seconds": begun.elapsed().as_secs_f64(),
        "folder": args.keep,
    }));
    Ok(Code::Done)
}

/// The ten seconds.
fn play(stage: &Stage, steps: &mut Steps<'_>) -> Result<()> {
    let shop = stage.open_shop()?;
    steps.done("a project: documents, and a shop whose SQLite database is written to all the time");

    let before = shop.transfers();
    let report = stage.back_up()?;
    let manifest = &report.manifest;
    steps.done(format!(
        "backed up as {}: {} → {}, compressed, encrypted and signed",
        manifest.id,
        words::size(manifest.plain_size()),
        words::size(manifest.size())
    ));
    let made = shop
        .close()
        .map_err(|error| not_so("the shop stopped working", error))?;

    let id = &manifest.id;
    stage.verify(id)?;
    steps.done("verified: every archive read back, unsealed to the end and compared");

    let caught = stage.damage_a_copy(manifest)?;
    steps.done("one bit of a copy flipped; `lifeboat verify` of that copy ends with exit code 13:");
    steps.quote(&caught);
    let refused = stage.restore_damaged(id)?;
    steps.done("restoring from that copy is refused, and leaves nothing behind:");
    steps.quote(&refused);

    let refused = stage.restore_with_wrong_key(id)?;
    steps.done("a wrong key is refused before anything is touched, with exit code 12:");
    steps.quote(&refused);

    let restored = stage.restore(id)?;
    steps.done(format!(
        "restored to a new folder: {}, {}",
        words::many(restored.entries, "entry", "entries"),
        words::size(restored.bytes)
    ));
    let same = stage.compare()?;
    steps.done(format!(
        "compared: {} the same, down to owners, times, links and holes",
        words::many(same as u64, "entry is", "entries are")
    ));
    let books = stage.audit()?;
    if !books.sound || books.money != project::MONEY {
        return Err(not_so(
            "the restored database is not consistent",
            format!("{books:?}"),
        ));
    }
    if books.transfers < before || books.transfers > made {
        return Err(not_so(
            "the restored database is from another time",
            format!("{} transfers, expected {before} to {made}", books.transfers),
        ));
    }
    steps.done(format!(
        "the database came back sound, with transfer {} of the {} made meanwhile, no cent lost",
        words::count(books.transfers),
        words::count(made)
    ));
    Ok(())
}

/// What was shown so far.
struct Steps<'a> {
    screen: &'a mut Screen,
    done: Vec<String>,
}

impl Steps<'_> {
    fn done(&mut self, what: impl Into<String>) {
        let what = what.into();
        let mark = self.screen.paint(Paint::Good, "✓");
        self.screen.line(format_args!("{mark} {what}"));
        self.done.push(what);
    }

    /// What the program said when it said no.
    fn quote(&mut self, failure: &Failure) {
        for line in failure.to_string().lines() {
            let line = self.screen.paint(Paint::Dim, line);
            self.screen.line(format_args!("    {line}"));
        }
    }
}

fn print_tree(stage: &Stage, screen: &mut Screen) {
    screen.line("");
    screen.line("What a store looks like:");
    let mut lines = Vec::new();
    tree(&stage.store_dir(), 1, &mut lines);
    for line in lines {
        screen.line(line);
    }
}

fn tree(folder: &Path, depth: usize, lines: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(|entry| (entry.file_name() == ".lifeboat", entry.file_name()));
    for entry in entries {
        let name = words::plain(&entry.file_name().to_string_lossy());
        let indent = "  ".repeat(depth);
        match entry.metadata() {
            Ok(meta) if meta.is_dir() && name == ".lifeboat" => {
                lines.push(format!(
                    "{indent}{name}/  (lock, journal; never looks like a backup)"
                ));
            }
            Ok(meta) if meta.is_dir() => {
                lines.push(format!("{indent}{name}/"));
                tree(&entry.path(), depth + 1, lines);
            }
            Ok(meta) => lines.push(format!("{indent}{name}  {}", words::size(meta.len()))),
            Err(_) => {}
        }
    }
}

/// A step of the demo that is not as it must be.
fn not_so(what: &str, detail: impl std::fmt::Display) -> Failure {
    Failure::new(
        Code::Failed,
        format!("{what}: {detail}"),
        "this must not happen: keep what it left with --keep DIR, and report it",
    )
}
