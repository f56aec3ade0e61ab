//! A restore in place, killed and broken at every step: what is live is the old state or the new one, whole.

use crate::world::World;
use lifeboat_plan::{Archive, HoldKind, event::RunEvent};
use lifeboat_run::{
    Cancel, Listener,
    quiesce::{Hold, HoldError, OpenHold, Quiesce, Released, Undo, put_right},
    restore::{
        RestoreError, Wish,
        audit::{Audit, Ending},
        live::{self, LiveOrder, Safety, restore_live},
    },
    state::State,
    target::{Beside, Filled, Outlook, Target, TargetError},
};
use lifeboat_store::{ErrorKind, Store};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
};

/// What is live, and what lies beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Jar {
    live: Option<String>,
    new: Option<String>,
    before: Option<String>,
}

#[derive(Debug, Default)]
struct Shelf {
    jars: BTreeMap<String, Jar>,
    /// Every step of every target so far.
    steps: usize,
    fate: Fate,
    /// The application, and what was live whenever it ran.
    runs: bool,
    ran_on: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fate {
    #[default]
    Kind,
    /// As by kill -9 before the step of this number.
    Killed(usize),
    /// This step, and it alone, fails.
    Fails(usize),
    /// The first of these steps fails, and before the second it is killed.
    FailsAndIsKilled(usize, usize),
    /// From this step on nothing works any more.
    Broken(usize),
}

#[derive(Debug, Clone, Default)]
struct Room(Arc<Mutex<Shelf>>);

impl Room {
    fn with<T>(&self, then: impl FnOnce(&mut Shelf) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(|e| e.into_inner()))
    }

    fn new(live: &[(&str, Option<&str>)]) -> Self {
        let room = Room::default();
        room.with(|shelf| {
            shelf.runs = true;
            for (name, content) in live {
                let jar = Jar {
                    live: content.map(str::to_owned),
                    ..Jar::default()
                };
                shelf.jars.insert((*name).to_owned(), jar);
            }
        });
        room
    }

    fn live(&self) -> Vec<Option<String>> {
        self.with(|shelf| shelf.live())
    }

    fn fate(&self, fate: Fate) {
        self.with(|shelf| (shelf.fate, shelf.steps) = (fate, 0));
    }
}

impl Shelf {
    fn live(&self) -> Vec<Option<String>> {
        self.jars.values().map(|jar| jar.live.clone()).collect()
    }
}

#[derive(Debug)]
struct OnShelf {
    room: Room,
    name: String,
}

impl OnShelf {
    fn step(&self, then: impl FnOnce(&mut Jar)) -> Result<(), TargetError> {
        let alive = self.room.with(|shelf| {
            let number = shelf.steps;
            shelf.steps += 1;
            match shelf.fate {
                Fate::Killed(at) if at == number => return None,
                Fate::FailsAndIsKilled(_, at) if at == number => return None,
                Fate::Fails(at) | Fate::FailsAndIsKilled(at, _) if at == number => {
                    return Some(false);
                }
                Fate::Broken(at) if number >= at => return Some(false),
                _ => {}
            }
            then(shelf.jars.get_mut(&self.name).unwrap());
            Some(true)
        });
        match alive {
            Some(true) => Ok(()),
            Some(false) => Err(TargetError::Failed {
                what: self.what(),
                detail: "it broke".to_owned(),
            }),
            None => panic!("killed"),
        }
    }

    fn jar(&self) -> Jar {
        self.room.with(|shelf| shelf.jars[&self.name].clone())
    }
}

impl Target for OnShelf {
    fn what(&self) -> String {
        format!("the jar {}", self.name)
    }

    fn spec(&self) -> Value {
        json!({ "jar": self.name })
    }

    fn look(&self, _: &Archive, _: &Cancel) -> Result<Outlook, TargetError> {
        Ok(Outlook {
            exists: self.jar().live.is_some(),
            ..Outlook::default()
        })
    }

    fn fill(
        &self,
        _: &Beside,
        _: &Archive,
        plain: &mut dyn Read,
        _: &Cancel,
    ) -> Result<Filled, TargetError> {
        self.step(|jar| jar.new = Some("half".to_owned()))?;
        let mut bytes = Vec::new();
        plain
            .read_to_end(&mut bytes)
            .map_err(|error| TargetError::Reading {
                what: self.what(),
                error,
            })?;
        self.step(|jar| jar.new = Some("restored".to_owned()))?;
        Ok(Filled::default())
    }

    fn swap(&self, _: &Beside) -> Result<(), TargetError> {
        if self.jar().new.is_some() {
            if self.jar().live.is_some() {
                self.step(|jar| jar.before = jar.live.take())?;
            }
            self.step(|jar| jar.live = jar.new.take())?;
        }
        Ok(())
    }

    fn swap_back(&self, _: &Beside) -> Result<(), TargetError> {
        let jar = self.jar();
        if jar.live.is_some() && jar.new.is_none() {
            self.step(|jar| jar.new = jar.live.take())?;
        }
        if self.jar().before.is_some() {
            self.step(|jar| jar.live = jar.before.take())?;
        }
        Ok(())
    }

    fn clear(&self, _: &Beside) -> Result<Vec<String>, TargetError> {
        if self.jar().new.is_some() {
            self.step(|jar| jar.new = None)?;
        }
        let kept = self.jar().before;
        Ok(kept.into_iter().collect())
    }
}

/// Writes down whom it stops, as the real one does.
#[derive(Debug)]
struct App {
    room: Room,
    state: State,
}

impl App {
    fn open(&self) -> OpenHold {
        OpenHold {
            service: "app".to_owned(),
            container: "c0ffee".to_owned(),
            kind: HoldKind::Stop,
        }
    }

    fn goes_on(&self) {
        self.room.with(|shelf| {
            shelf.runs = true;
            let live = shelf.live();
            shelf.ran_on.push(live);
        });
    }
}

impl Quiesce for App {
    fn what(&self) -> String {
        "stop app".to_owned()
    }

    fn hold(&self, _: &Cancel) -> Result<Box<dyn Hold>, HoldError> {
        self.state.begin_hold(&self.open()).unwrap();
        self.room.with(|shelf| shelf.runs = false);
        Ok(Box::new(Stopped(App {
            room: self.room.clone(),
            state: self.state.clone(),
        })))
    }
}

struct Stopped(App);

impl Hold for Stopped {
    fn what(&self) -> String {
        "app".to_owned()
    }

    fn release(self: Box<Self>, _: &Cancel) -> Released {
        self.0.goes_on();
        self.0.state.end_hold(&self.0.open()).unwrap();
        Released::default()
    }

    fn leave(self: Box<Self>) {}
}

/// The next start.
impl Undo for App {
    fn undo(&self, _: &OpenHold) -> Result<(), String> {
        self.goes_on();
        Ok(())
    }

    fn target(&self, spec: &Value) -> Result<Box<dyn Target>, String> {
        let name = spec["jar"].as_str().ok_or("no jar")?;
        Ok(on_shelf(&self.room, name))
    }
}

fn on_shelf(room: &Room, name: &str) -> Box<dyn Target> {
    Box::new(OnShelf {
        room: room.clone(),
        name: name.to_owned(),
    })
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<RunEvent>>);

impl Listener for Heard {
    fn hear(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

fn app(world: &World, room: &Room) -> App {
    App {
        room: room.clone(),
        state: world.state.clone(),
    }
}

fn restore(world: &World, room: &Room, store: &dyn Store) -> Result<Audit, RestoreError> {
    let catalog = world.catalog();
    let item = catalog.items.last().unwrap();
    let find = |archive: &Archive| Ok(on_shelf(room, &archive.source));
    let plan = live::plan(item, &Wish::default(), &find, &Cancel::default())?;
    let app = app(world, room);
    let order = LiveOrder {
        plan: &plan,
        quiesce: Some(&app),
        undo: Some(&app),
        safety: Safety::Declined,
        host: "here",
    };
    let harbour = world.harbour(store);
    restore_live(&order, harbour, world.now, &Cancel::default(), &())
}

fn next_start(world: &World, room: &Room) -> Vec<String> {
    let _lock = world.state.lock("clean-up", world.now).unwrap();
    let app = app(world, room);
    put_right(&world.state, &world.local, Some(&app), &Heard::default())
}

/// `conf` is there, `storage` was lost.
fn scene() -> (World, Room) {
    let world = World::signed();
    world.back_up().unwrap();
    (
        world,
        Room::new(&[("conf", Some("old")), ("storage", None)]),
    )
}

fn old() -> Vec<Option<String>> {
    vec![Some("old".to_owned()), None]
}

fn new() -> Vec<Option<String>> {
    vec![Some("restored".to_owned()); 2]
}

fn audits(world: &World) -> Vec<Audit> {
    let logs = world.local.list("restore_logs/").unwrap();
    let read = |key| lifeboat_store::get(&world.local, key, 1 << 20).unwrap();
    logs.iter()
        .map(|object| serde_json::from_slice(&read(&object.key)).unwrap())
        .collect()
}

fn nothing_is_left(world: &World, room: &Room, what: &str) {
    assert_eq!(world.state.open_restores().unwrap(), [], "{what}");
    assert_eq!(world.state.open_holds().unwrap(), [], "{what}");
    room.with(|shelf| {
        assert!(shelf.runs, "{what}: the application stays stopped");
        let half = shelf
            .ran_on
            .iter()
            .find(|live| **live != old() && **live != new());
        assert_eq!(half, None, "{what}: it ran on half a state");
        assert!(
            shelf.jars.values().all(|jar| jar.new.is_none()),
            "{what}: {shelf:?}"
        );
    });
}

/// How many steps there are when nothing goes wrong.
fn steps() -> usize {
    let (world, room) = scene();
    restore(&world, &room, &world.local).unwrap();
    room.with(|shelf| shelf.steps)
}

#[test]
fn what_is_restored_takes_the_place_of_what_was_there() {
    let (world, room) = scene();
    let audit = restore(&world, &room, &world.local).unwrap();
    assert_eq!(room.live(), new());
    assert_eq!(audit.ending, Ending::Done);
    assert_eq!(audit.stays, ["old"]);
    nothing_is_left(&world, &room, "all went well");
    assert_eq!(audits(&world), [audit]);
}

#[test]
fn a_restore_that_is_killed_before_any_step_is_finished_or_taken_back_by_the_next_start() {
    let steps = steps();
    let (mut finished, mut back) = (0, 0);
    for step in 0..steps {
        let what = format!("killed before step {step} of {steps}");
        let (world, room) = scene();
        room.fate(Fate::Killed(step));
        let died = catch_unwind(AssertUnwindSafe(|| restore(&world, &room, &world.local)));
        assert!(died.is_err(), "{what}: it went on");
        room.fate(Fate::Kind);
        assert!(!room.with(|shelf| shelf.runs), "{what}: it was let go");
        assert_eq!(next_start(&world, &room), Vec::<String>::new(), "{what}");
        let ending = audits(&world)[0].ending;
        match (room.live() == new(), ending) {
            (true, Ending::FinishedAfterKill) => finished += 1,
            (false, Ending::TakenBack) => {
                assert_eq!(room.live(), old(), "{what}");
                back += 1;
            }
            other => panic!("{what}: {other:?}"),
        }
        nothing_is_left(&world, &room, &what);
    }
    assert!(
        finished > 0 && back > 0,
        "{finished} finished, {back} taken back"
    );
    println!("RELIABILITY live_restore_kills={steps} half_states=0");
}

#[test]
fn the_next_start_may_be_killed_as_well() {
    for step in 0..steps() {
        for again in 0.. {
            let what =
                format!("killed before step {step}, and the next start before its step {again}");
            let (world, room) = scene();
            room.fate(Fate::Killed(step));
            let died = catch_unwind(AssertUnwindSafe(|| restore(&world, &room, &world.local)));
            assert!(died.is_err(), "{what}");
            room.fate(Fate::Killed(again));
            let over = catch_unwind(AssertUnwindSafe(|| next_start(&world, &room))).is_ok();
            room.fate(Fate::Kind);
            assert_eq!(next_start(&world, &room), Vec::<String>::new(), "{what}");
            assert!(
                room.live() == old() || room.live() == new(),
                "{what}: {room:?}"
            );
            nothing_is_left(&world, &room, &what);
            if over {
                break;
            }
        }
    }
}

#[test]
fn a_step_that_fails_is_taken_back_at_once() {
    let steps = steps();
    for step in 0..steps {
        let what = format!("step {step} of {steps} failed");
        let (world, room) = scene();
        room.fate(Fate::Fails(step));
        let ended = restore(&world, &room, &world.local);
        assert!(
            matches!(ended, Err(RestoreError::Target(_))),
            "{what}: {ended:?}"
        );
        assert_eq!(room.live(), old(), "{what}");
        assert_eq!(audits(&world)[0].ending, Ending::Failed);
        nothing_is_left(&world, &room, &what);
    }
}

#[test]
fn what_is_being_taken_back_may_be_killed_as_well() {
    let mut killed = 0;
    for step in 0..steps() {
        for later in step + 1.. {
            let what = format!("step {step} failed, and it was killed before step {later}");
            let (world, room) = scene();
            room.fate(Fate::FailsAndIsKilled(step, later));
            let ended = catch_unwind(AssertUnwindSafe(|| restore(&world, &room, &world.local)));
            room.fate(Fate::Kind);
            if let Ok(ended) = ended {
                assert!(ended.is_err(), "{what}");
                break;
            }
            killed += 1;
            assert_eq!(next_start(&world, &room), Vec::<String>::new(), "{what}");
            assert!(
                room.live() == old() || room.live() == new(),
                "{what}: {room:?}"
            );
            nothing_is_left(&world, &room, &what);
        }
    }
    assert!(killed > 0);
}

#[test]
fn what_cannot_be_taken_back_either_stays_held_until_it_can() {
    let steps = steps();
    let mut half = 0;
    for step in 0..steps {
        let what = format!("nothing works from step {step} of {steps} on");
        let (world, room) = scene();
        room.fate(Fate::Broken(step));
        let ended = restore(&world, &room, &world.local);
        if let Err(RestoreError::Half { .. }) = ended {
            half += 1;
            assert!(!room.with(|shelf| shelf.runs), "{what}: it was let go");
            // The next start cannot do it yet, and lets nobody go.
            assert_ne!(next_start(&world, &room), Vec::<String>::new(), "{what}");
            assert!(!room.with(|shelf| shelf.runs), "{what}: it was let go");
        } else {
            assert!(ended.is_err(), "{what}");
        }
        room.fate(Fate::Kind);
        assert_eq!(next_start(&world, &room), Vec::<String>::new(), "{what}");
        assert!(
            room.live() == old() || room.live() == new(),
            "{what}: {room:?}"
        );
        nothing_is_left(&world, &room, &what);
    }
    assert!(half > 0);
}

#[test]
fn a_damaged_archive_is_found_before_anybody_is_held() {
    let (world, room) = scene();
    let catalog = world.catalog();
    let archive = &catalog.items[0].manifest.archives[1];
    let path = world.store_path().join("daily").join(&archive.file);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ended = restore(&world, &room, &world.local);
    assert!(matches!(ended, Err(RestoreError::Unseal(_))), "{ended:?}");
    room.with(|shelf| assert_eq!((shelf.steps, shelf.ran_on.len()), (0, 0)));
    assert_eq!(room.live(), old());
}

#[test]
fn two_restores_at_once_are_one_too_many() {
    let (world, room) = scene();
    let _other = world.state.lock("restore", world.now).unwrap();
    match restore(&world, &room, &world.local) {
        Err(RestoreError::Store(error)) => assert_eq!(error.kind(), ErrorKind::Busy),
        other => panic!("{other:?}"),
    }
    assert_eq!(room.live(), old());
}
