//! What takes time before the first byte is done before anybody holds still; and who goes on, goes on early.

use crate::{
    stillness::{App, Diary},
    world::World,
};
use lifeboat_plan::{Status, event::Outcome};
use lifeboat_run::{
    Cancel,
    backup::{BackupError, Batch, Report},
    source::{Captured, Flow, Source, SourceError},
};

type Result<T> = std::result::Result<T, SourceError>;

/// A source that has to be started, as one is that a container reads.
#[derive(Debug)]
struct Slow {
    name: &'static str,
    diary: Diary,
    starts: fn() -> Result<()>,
}

#[derive(Debug)]
struct Started<'a>(&'a Slow);

impl Source for Slow {
    fn name(&self) -> &str {
        self.name
    }
    fn kind(&self) -> &str {
        "files"
    }
    fn ending(&self) -> &str {
        "tar"
    }
    fn pour(&self, _: &mut Flow<'_>) -> Result<Captured> {
        panic!("it was started before")
    }
    fn ready(&self, _: &Cancel) -> Result<Option<Box<dyn Source + '_>>> {
        (self.starts)()?;
        self.diary.note("started");
        Ok(Some(Box::new(Started(self))))
    }
}

impl Source for Started<'_> {
    fn name(&self) -> &str {
        self.0.name
    }
    fn kind(&self) -> &str {
        self.0.kind()
    }
    fn ending(&self) -> &str {
        self.0.ending()
    }
    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured> {
        self.0.diary.note("read");
        flow.send(Box::new(b"words".to_vec()))?;
        flow.all_read();
        // Its container ends, and is removed.
        assert!(self.0.diary.wait_for("let go"), "held until it has ended");
        self.0.diary.note("ended");
        Ok(Captured::default())
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        self.0.diary.note("taken back");
    }
}

fn back_up(
    world: &World,
    app: &App,
    starts: fn() -> Result<()>,
) -> std::result::Result<Report, BackupError> {
    let slow = Slow {
        name: "slow",
        diary: app.diary.clone(),
        starts,
    };
    let (held, free): ([Box<dyn Source>; 1], _) = ([Box::new(slow)], [world.source("conf")]);
    let batches = [
        Batch {
            quiesce: Some(app),
            sources: &held,
        },
        Batch {
            quiesce: None,
            sources: &free,
        },
    ];
    world.back_up_batches(&world.local, &batches)
}

#[test]
fn a_source_is_started_before_the_hold_and_may_end_after_it() {
    let (world, app) = (World::new(), App::default());
    let report = back_up(&world, &app, || Ok(())).unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    let diary = ["started", "held", "read", "let go", "ended", "taken back"];
    assert_eq!(app.diary.read(), diary);
}

#[test]
fn what_was_started_is_taken_back_when_nobody_holds_still() {
    let world = World::new();
    let app = App {
        will_not_hold: true,
        ..App::default()
    };
    let report = back_up(&world, &app, || Ok(())).unwrap();
    assert_eq!(report.manifest.missed[0].code.as_deref(), Some("not_held"));
    assert_eq!(app.diary.read(), ["started", "taken back"]);
}

#[test]
fn for_a_source_that_cannot_be_started_nobody_has_to_hold_still() {
    let (world, app) = (World::new(), App::default());
    let missing = || {
        Err(SourceError::Missing {
            what: "the volume".to_owned(),
        })
    };
    let report = back_up(&world, &app, missing).unwrap();
    assert_eq!(report.manifest.status, Status::Partial);
    assert_eq!(report.manifest.missed[0].source, "slow");
    assert_eq!(app.diary.read(), [] as [&str; 0]);

    let cancelled = back_up(&world, &app, || Err(SourceError::Cancelled));
    assert!(matches!(cancelled, Err(BackupError::Cancelled(_))));
    assert_eq!(app.diary.read(), [] as [&str; 0]);
}

#[test]
fn of_whoever_did_not_hold_still_to_the_end_the_manifest_says_so() {
    let world = World::new();
    let app = App {
        is_broken: true,
        ..App::default()
    };
    let report = back_up(&world, &app, || Ok(())).unwrap();
    assert_eq!(report.manifest.status, Status::Completed);
    assert_eq!(report.outcome(), Outcome::Warn);
    let of = |source: &str| {
        let mut archives = report.manifest.archives.iter();
        archives.find(|archive| archive.source == source).unwrap()
    };
    assert_eq!(of("slow").warnings_total, 1);
    let told = "app was started by somebody else while it should hold still";
    assert!(of("slow").warnings[0].starts_with(told));
    assert_eq!(of("conf").warnings_total, 0);
}
