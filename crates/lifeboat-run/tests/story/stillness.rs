//! Somebody holds still while a backup is made: for as short as can be, and never for good.

use crate::world::World;
use lifeboat_plan::{HoldKind, Status, event::Outcome, event::RunEvent};
use lifeboat_run::{
    Cancel, Listener,
    backup::{BackupError, Batch, Report},
    quiesce::{Held, Hold, HoldError, OpenHold, Quiesce, Released, Undo},
    source::{Captured, Flow, Source, SourceError},
};
use lifeboat_store::{Error, Key, Local, Object, Result, Space, Store, Upload};
use std::{
    io,
    sync::{
        Arc, Barrier, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// What happened to the application, in order; whoever waits for the next thing is woken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diary(Arc<(Mutex<Vec<&'static str>>, Condvar)>);

impl Diary {
    pub(crate) fn note(&self, what: &'static str) {
        self.0.0.lock().unwrap().push(what);
        self.0.1.notify_all();
    }

    pub(crate) fn read(&self) -> Vec<&'static str> {
        self.0.0.lock().unwrap().clone()
    }

    /// False when it does not happen within a time that is long for anything here.
    pub(crate) fn wait_for(&self, what: &'static str) -> bool {
        let patience = Duration::from_secs(20);
        let entries = self.0.0.lock().unwrap();
        let found = self
            .0
            .1
            .wait_timeout_while(entries, patience, |entries| !entries.contains(&what));
        found.unwrap().0.contains(&what)
    }
}

#[derive(Debug, Default)]
pub(crate) struct App {
    pub(crate) diary: Diary,
    pub(crate) will_not_hold: bool,
    pub(crate) will_not_start: bool,
    /// Somebody else starts it meanwhile.
    pub(crate) is_broken: bool,
}

impl Quiesce for App {
    fn what(&self) -> String {
        "stop app".to_owned()
    }

    fn hold(&self, _: &Cancel) -> std::result::Result<Box<dyn Hold>, HoldError> {
        if self.will_not_hold {
            return Err(HoldError::Failed("it has no brakes".to_owned()));
        }
        self.diary.note("held");
        Ok(Box::new(Stopped {
            diary: self.diary.clone(),
            will_not_start: self.will_not_start,
            is_broken: self.is_broken,
        }))
    }
}

struct Stopped {
    diary: Diary,
    will_not_start: bool,
    is_broken: bool,
}

impl Hold for Stopped {
    fn what(&self) -> String {
        "app".to_owned()
    }

    fn release(self: Box<Self>, _: &Cancel) -> Released {
        self.diary.note("let go");
        let held = Held {
            service: "app".to_owned(),
            took: Duration::from_secs(1),
            broken: self.is_broken,
        };
        Released {
            held: Vec::from_iter((!self.will_not_start).then_some(held)),
            trouble: self.will_not_start.then(|| "it will not start".to_owned()),
        }
    }

    fn leave(self: Box<Self>) {
        self.diary.note("left held");
    }
}

/// A store in which nothing is whole before the application was let go.
#[derive(Debug)]
struct Patient<'a> {
    local: &'a Local,
    diary: Diary,
    waited_in_vain: Arc<AtomicBool>,
}

struct PatientUpload {
    upload: Box<dyn Upload>,
    diary: Diary,
    waited_in_vain: Arc<AtomicBool>,
}

impl io::Write for PatientUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.upload.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.upload.flush()
    }
}

impl Upload for PatientUpload {
    fn commit(self: Box<Self>) -> Result<Object> {
        if !self.diary.wait_for("let go") {
            self.waited_in_vain.store(true, Ordering::SeqCst);
        }
        self.upload.commit()
    }
}

impl Store for Patient<'_> {
    fn place(&self) -> &str {
        self.local.place()
    }
    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(PatientUpload {
            upload: self.local.begin(key)?,
            diary: self.diary.clone(),
            waited_in_vain: Arc::clone(&self.waited_in_vain),
        }))
    }
    fn open(&self, key: &Key) -> Result<Box<dyn io::Read + Send>> {
        self.local.open(key)
    }
    fn head(&self, key: &Key) -> Result<Option<Object>> {
        self.local.head(key)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.local.list(prefix)
    }
    fn delete(&self, key: &Key) -> Result<()> {
        self.local.delete(key)
    }
    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        self.local.link(from, to)
    }
    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.local.replace(key, bytes)
    }
    fn space(&self) -> Result<Option<Space>> {
        self.local.space()
    }
    fn clock(&self) -> Result<Option<SystemTime>> {
        self.local.clock()
    }
    fn sweep(&self, dry_run: bool) -> std::result::Result<Vec<String>, Error> {
        self.local.sweep(dry_run)
    }
}

/// A source that does what the test says.
struct Scripted<F>(&'static str, F);

impl<F> std::fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl<F> Source for Scripted<F>
where
    F: Fn(&mut Flow<'_>) -> std::result::Result<(), SourceError> + Send + Sync,
{
    fn name(&self) -> &str {
        self.0
    }
    fn kind(&self) -> &str {
        "command"
    }
    fn ending(&self) -> &str {
        "txt"
    }
    fn pour(&self, flow: &mut Flow<'_>) -> std::result::Result<Captured, SourceError> {
        (self.1)(flow)?;
        flow.send(Box::new(b"words".to_vec()))?;
        Ok(Captured::default())
    }
}

fn scripted(
    name: &'static str,
    script: impl Fn(&mut Flow<'_>) -> std::result::Result<(), SourceError> + Send + Sync + 'static,
) -> Box<dyn Source> {
    Box::new(Scripted(name, script))
}

/// Backs up `storage` and `conf` in the stillness of `app`.
fn back_up_still(world: &World, app: &App) -> std::result::Result<Report, BackupError> {
    let sources = world.sources();
    let batch = Batch {
        quiesce: Some(app),
        sources: &sources,
    };
    world.back_up_batches(&world.local, &[batch])
}

#[test]
fn the_application_goes_on_before_the_archive_is_whole() {
    let world = World::new();
    let app = App::default();
    let store = Patient {
        local: &world.local,
        diary: app.diary.clone(),
        waited_in_vain: Arc::default(),
    };
    let sources = [world.source("storage")];
    let batch = Batch {
        quiesce: Some(&app),
        sources: &sources,
    };
    let report = world.back_up_batches(&store, &[batch]).unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    assert!(!store.waited_in_vain.load(Ordering::SeqCst));
    assert_eq!(app.diary.read(), ["held", "let go"]);
}

#[test]
fn several_sources_are_captured_in_one_stillness() {
    let world = World::new();
    let app = App::default();
    let diary = app.diary.clone();
    let sources = [
        world.source("storage"),
        scripted("second", move |_| {
            diary.note("second is read");
            Ok(())
        }),
    ];
    let batch = Batch {
        quiesce: Some(&app),
        sources: &sources,
    };
    let report = world.back_up_batches(&world.local, &[batch]).unwrap();
    assert_eq!(report.manifest.archives.len(), 2);
    assert_eq!(app.diary.read(), ["held", "second is read", "let go"]);
}

#[test]
fn who_does_not_hold_still_is_not_captured_and_the_others_are() {
    let world = World::new();
    let app = App {
        will_not_hold: true,
        ..App::default()
    };
    let (held, free) = ([world.source("storage")], [world.source("conf")]);
    let batches = [
        Batch {
            quiesce: Some(&app),
            sources: &held,
        },
        Batch {
            quiesce: None,
            sources: &free,
        },
    ];
    let report = world.back_up_batches(&world.local, &batches).unwrap();
    assert_eq!(report.manifest.status, Status::Partial);
    let missed = &report.manifest.missed[0];
    assert_eq!(missed.source, "storage");
    assert_eq!(missed.code.as_deref(), Some("not_held"));
    assert_eq!(missed.reason, "cannot stop app: it has no brakes");
    assert_eq!(report.manifest.archives[0].source, "conf");
}

#[test]
fn the_application_goes_on_whatever_becomes_of_the_source() {
    type Script = fn(&mut Flow<'_>) -> std::result::Result<(), SourceError>;
    let fails: Script = |_| Err(SourceError::Refused("no".to_owned()));
    let cancels: Script = |_| Err(SourceError::Cancelled);
    let panics: Script = |_| panic!("a fault of ours");
    for (what, script) in [("fails", fails), ("cancels", cancels), ("panics", panics)] {
        let world = World::new();
        let app = App::default();
        let sources = [world.source("storage"), scripted("bad", script)];
        let batch = Batch {
            quiesce: Some(&app),
            sources: &sources,
        };
        let ended = world.back_up_batches(&world.local, &[batch]);
        assert_eq!(app.diary.read(), ["held", "let go"], "{what}");
        match ended {
            Ok(report) => assert_eq!((what, report.outcome()), ("fails", Outcome::Partial)),
            Err(BackupError::Cancelled(_)) => assert_eq!(what, "cancels"),
            Err(BackupError::Seal { .. }) => assert_eq!(what, "panics"),
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn nobody_is_held_longer_than_allowed_and_what_was_read_too_late_is_not_believed() {
    let world = World {
        hold_max: Some(Duration::from_millis(1)),
        ..World::new()
    };
    let app = App::default();
    let diary = app.diary.clone();
    let sources = [
        scripted("slow", move |_| {
            assert!(diary.wait_for("let go"), "held for ever");
            Ok(())
        }),
        world.source("storage"),
    ];
    let free = [world.source("conf")];
    let batches = [
        Batch {
            quiesce: Some(&app),
            sources: &sources,
        },
        Batch {
            quiesce: None,
            sources: &free,
        },
    ];
    let report = world.back_up_batches(&world.local, &batches).unwrap();
    assert_eq!(app.diary.read(), ["held", "let go"]);
    let missed: Vec<_> = report.manifest.missed.iter().map(|m| &m.source).collect();
    assert_eq!(missed, ["slow", "storage"]);
    for archive in ["slow", "storage"] {
        let of_it = format!(".{archive}.");
        let left = world.keys_in_store();
        assert!(!left.iter().any(|key| key.contains(&of_it)), "{left:?}");
    }
}

#[test]
fn an_application_that_does_not_start_again_is_a_remark_that_nobody_misses() {
    let world = World::new();
    let app = App {
        will_not_start: true,
        ..App::default()
    };
    let report = back_up_still(&world, &app).unwrap();
    assert_eq!(report.manifest.status, Status::Completed);
    assert_eq!(report.outcome(), Outcome::Warn);
    assert_eq!(
        report.afterthoughts,
        ["app is not as it was before: it will not start"]
    );
}

#[derive(Debug, Default)]
struct Undoer {
    undone: Mutex<Vec<String>>,
    refuses: bool,
}

impl Undo for Undoer {
    fn undo(&self, held: &OpenHold) -> std::result::Result<(), String> {
        if self.refuses {
            return Err("the engine is away".to_owned());
        }
        self.undone.lock().unwrap().push(held.service.clone());
        Ok(())
    }
}

#[test]
fn what_a_killed_run_held_goes_on_before_anything_else_happens() {
    let world = World::new();
    let held = OpenHold {
        service: "app".to_owned(),
        container: "4f2a".to_owned(),
        kind: HoldKind::Stop,
    };
    world.state.begin_hold(&held).unwrap();

    // Who cannot be let go now stays written down.
    let away = Undoer {
        refuses: true,
        ..Undoer::default()
    };
    let report = world.back_up_with(&away).unwrap();
    assert_eq!(report.outcome(), Outcome::Warn);
    assert!(report.afterthoughts[0].contains("the engine is away"));
    assert_eq!(world.state.open_holds().unwrap(), [held]);

    let there = Undoer::default();
    let report = world.back_up_with(&there).unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    assert_eq!(*there.undone.lock().unwrap(), ["app"]);
    assert_eq!(world.state.open_holds().unwrap(), []);
}

#[test]
fn batches_are_captured_side_by_side_as_far_as_allowed_and_come_out_in_their_order() {
    let world = World {
        at_once: 2,
        ..World::new()
    };
    // Both must be under way before either ends.
    let meeting = Arc::new(Barrier::new(2));
    let meets = |name| {
        let meeting = Arc::clone(&meeting);
        scripted(name, move |_| {
            meeting.wait();
            Ok(())
        })
    };
    let sources = [meets("b"), meets("a"), world.source("conf")];
    let report = world
        .back_up_batches(&world.local, &Batch::each(&sources))
        .unwrap();
    let order: Vec<_> = report.manifest.archives.iter().map(|a| &a.source).collect();
    assert_eq!(order, ["b", "a", "conf"]);
}

#[test]
fn what_ends_the_run_ends_the_sources_beside_it() {
    let world = World {
        at_once: 2,
        ..World::new()
    };
    let endless = scripted("endless", |flow| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            flow.cancel.check()?;
            flow.send(Box::new(vec![0; 1000]))?;
        }
        panic!("nobody stopped it");
    });
    let sources = [endless, scripted("bad", |_| panic!("a fault of ours"))];
    let ended = world.back_up_batches(&world.local, &Batch::each(&sources));
    assert!(
        matches!(&ended, Err(BackupError::Seal { source_name, .. }) if source_name == "bad"),
        "{ended:?}"
    );
    let left = world.keys_in_store();
    assert!(left.iter().all(|key| !key.contains("_daily_")), "{left:?}");
}

#[test]
fn the_listener_hears_who_held_still_and_for_how_long() {
    #[derive(Default)]
    struct Ears(Mutex<Vec<String>>);
    impl Listener for Ears {
        fn hear(&self, event: &RunEvent) {
            let heard = match event {
                RunEvent::Holding { what } => format!("holding: {what}"),
                RunEvent::Released { service, took } => format!("{service}: {took:?}"),
                _ => return,
            };
            self.0.lock().unwrap().push(heard);
        }
    }
    let world = World::new();
    let (app, ears) = (App::default(), Ears::default());
    let sources = world.sources();
    let batch = Batch {
        quiesce: Some(&app),
        sources: &sources,
    };
    world
        .back_up_heard(&world.local, &[batch], None, &ears)
        .unwrap();
    assert_eq!(*ears.0.lock().unwrap(), ["holding: stop app", "app: 1s"]);
}
