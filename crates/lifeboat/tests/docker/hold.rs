//! Services that hold still, and go on exactly as they were.

use crate::{
    filter::Filter,
    project::{BUSYBOX, IDLE, Project, docker, project, until},
};
use lifeboat::docker::{
    Address, Engine, Health, State as Standing,
    cover::Coverage,
    hold::{Seat, Stillness, Undoing},
};
use lifeboat_plan::HoldKind;
use lifeboat_run::{
    Cancel,
    quiesce::{Hold, HoldError, Quiesce, put_right},
    state::State,
};
use lifeboat_store::Local;

struct Scene {
    project: Project,
    state: State,
    local: Local,
    _dir: tempfile::TempDir,
}

fn scene() -> Option<Scene> {
    let project = project(&[BUSYBOX])?;
    let dir = tempfile::tempdir().unwrap();
    let local = Local::open_or_create(dir.path().join("backups")).unwrap();
    Some(Scene {
        project,
        state: State::new(local.clone(), "shop".parse().unwrap()),
        local,
        _dir: dir,
    })
}

impl Scene {
    fn seat(&self, service: &str, kind: HoldKind) -> Seat {
        Seat {
            address: Address::own(&self.project.name, service),
            kind,
            pre: None,
            post: None,
        }
    }

    fn idle(&self, service: &str, options: &[&str]) -> String {
        let image = [&[BUSYBOX][..], &IDLE].concat();
        self.project.start(service, options, &image)
    }

    fn hold(&self, seats: Vec<Seat>) -> Result<Box<dyn Hold>, HoldError> {
        self.hold_through(self.project.engine.clone(), seats)
    }

    fn hold_through(&self, engine: Engine, seats: Vec<Seat>) -> Result<Box<dyn Hold>, HoldError> {
        Stillness::new(engine, self.state.clone(), seats).hold(&Cancel::default())
    }

    fn state_of(&self, id: &str) -> Standing {
        self.project.state(id)
    }
}

fn released(hold: Box<dyn Hold>) -> Vec<String> {
    let released = hold.release(&Cancel::default());
    assert_eq!(released.trouble, None);
    released.held.into_iter().map(|held| held.service).collect()
}

fn moment(id: &str, field: &str) -> String {
    docker(&["inspect", "-f", &format!("{{{{.State.{field}}}}}"), id])
}

#[test]
fn what_ran_is_stopped_in_reverse_order_and_started_in_order_and_what_did_not_run_stays_so() {
    let Some(scene) = scene() else { return };
    let needs = "com.docker.compose.depends_on=db:service_started:false";
    let (db, app) = (
        scene.idle("db", &[]),
        scene.idle("app", &["--label", needs]),
    );
    let (paused, ended) = (scene.idle("paused", &[]), scene.idle("ended", &[]));
    let image = [&[BUSYBOX][..], &IDLE].concat();
    let never = scene.project.create("never", &[], &image);
    docker(&["pause", &paused]);
    docker(&["stop", &ended]);

    let services = ["db", "app", "paused", "ended", "never"];
    let seats = services.map(|service| scene.seat(service, HoldKind::Stop));
    let hold = scene.hold(seats.into()).unwrap();
    for id in [&db, &app] {
        assert_eq!(scene.state_of(id), Standing::Exited);
    }
    assert!(moment(&app, "FinishedAt") < moment(&db, "FinishedAt"));
    assert_eq!(scene.state.open_holds().unwrap().len(), 2);

    assert_eq!(released(hold), ["db", "app"]);
    for id in [&db, &app] {
        assert_eq!(scene.state_of(id), Standing::Running);
    }
    assert!(moment(&db, "StartedAt") < moment(&app, "StartedAt"));
    assert_eq!(scene.state_of(&paused), Standing::Paused);
    assert_eq!(scene.state_of(&ended), Standing::Exited);
    assert_eq!(scene.state_of(&never), Standing::Created);
    assert_eq!(scene.state.open_holds().unwrap(), []);
    docker(&["unpause", &paused]);
}

#[test]
fn a_paused_service_is_frozen_and_goes_on_in_the_same_breath() {
    let Some(scene) = scene() else { return };
    let app = scene.idle("app", &[]);
    let started = moment(&app, "StartedAt");
    let hold = scene
        .hold(vec![scene.seat("app", HoldKind::Pause)])
        .unwrap();
    assert_eq!(scene.state_of(&app), Standing::Paused);
    assert_eq!(released(hold), ["app"]);
    assert_eq!(scene.state_of(&app), Standing::Running);
    assert_eq!(moment(&app, "StartedAt"), started);
}

#[test]
fn a_service_that_was_healthy_is_waited_for_until_it_is_healthy_again() {
    let Some(scene) = scene() else { return };
    let check = [
        "--health-cmd",
        "true",
        "--health-interval",
        "1s",
        "--health-start-period",
        "30s",
    ];
    let app = scene.idle("app", &check);
    until("the service is healthy", || {
        scene.project.inspect(&app).health == Health::Healthy
    });
    let hold = scene.hold(vec![scene.seat("app", HoldKind::Stop)]).unwrap();
    released(hold);
    assert_eq!(scene.project.inspect(&app).health, Health::Healthy);
}

#[test]
fn who_lives_in_the_network_of_a_stopped_service_is_stopped_and_started_with_it() {
    let Some(scene) = scene() else { return };
    let app = scene.idle("app", &[]);
    let guest = scene.idle("guest", &["--network", &format!("container:{app}")]);
    let hold = scene.hold(vec![scene.seat("app", HoldKind::Stop)]).unwrap();
    assert_eq!(scene.state_of(&guest), Standing::Exited);
    assert_eq!(released(hold), ["app", "guest"]);
    assert_eq!(scene.state_of(&guest), Standing::Running);
}

#[test]
fn what_a_killed_run_held_is_let_go_by_the_next() {
    let Some(scene) = scene() else { return };
    let (stopped, paused) = (scene.idle("stopped", &[]), scene.idle("paused", &[]));
    let removed = scene.idle("removed", &[]);
    let seats = vec![
        scene.seat("stopped", HoldKind::Stop),
        scene.seat("paused", HoldKind::Pause),
        scene.seat("removed", HoldKind::Stop),
    ];
    // As a kill does it: nothing is dropped, nothing is undone.
    std::mem::forget(scene.hold(seats).unwrap());
    docker(&["rm", "-f", &removed]);
    assert_eq!(scene.state.open_holds().unwrap().len(), 3);

    let undo = Undoing {
        engine: scene.project.engine.clone(),
        helpers: None,
        coverage: Coverage::default(),
        owner: "test".to_owned(),
    };
    assert_eq!(
        put_right(&scene.state, &scene.local, Some(&undo), &()),
        Vec::<String>::new()
    );
    assert_eq!(scene.state_of(&stopped), Standing::Running);
    assert_eq!(scene.state_of(&paused), Standing::Running);
    assert_eq!(scene.state.open_holds().unwrap(), []);
}

#[test]
fn whoever_is_started_by_somebody_else_meanwhile_did_not_hold_still_and_it_is_said() {
    let Some(scene) = scene() else { return };
    let (a, b) = (scene.idle("a", &[]), scene.idle("b", &[]));
    let seats = vec![
        scene.seat("a", HoldKind::Stop),
        scene.seat("b", HoldKind::Pause),
    ];
    let hold = scene.hold(seats).unwrap();
    docker(&["start", &a]);
    docker(&["unpause", &b]);
    let released = hold.release(&Cancel::default());
    assert_eq!(released.trouble, None);
    let broken = released.held.into_iter().filter(|held| held.broken);
    let broken: Vec<String> = broken.map(|held| held.service).collect();
    assert_eq!(broken, ["b", "a"]);
    assert_eq!(scene.state.open_holds().unwrap(), []);
}

#[test]
fn a_hold_that_is_dropped_lets_go() {
    let Some(scene) = scene() else { return };
    let app = scene.idle("app", &[]);
    drop(scene.hold(vec![scene.seat("app", HoldKind::Stop)]).unwrap());
    assert_eq!(scene.state_of(&app), Standing::Running);
    assert_eq!(scene.state.open_holds().unwrap(), []);
}

#[test]
fn who_may_not_be_started_again_is_not_stopped() {
    let Some(scene) = scene() else { return };
    for (kind, call) in [(HoldKind::Stop, "/start"), (HoldKind::Pause, "/unpause")] {
        let service = kind.as_str();
        let app = scene.idle(service, &[]);
        let filter = Filter::new(move |asked| asked.ends_with(call));
        let refused = scene.hold_through(filter.engine(), vec![scene.seat(service, kind)]);
        let Err(HoldError::Failed(why)) = refused else {
            panic!("{kind}: it was held")
        };
        assert!(
            why.starts_with("POST /containers/") && why.contains("refused"),
            "{why}"
        );
        assert_eq!(scene.state_of(&app), Standing::Running);
        assert!(
            !filter
                .seen()
                .iter()
                .any(|call| call.ends_with("/stop") || call.ends_with("/pause"))
        );
    }
    assert_eq!(scene.state.open_holds().unwrap(), []);
}

#[test]
fn when_one_cannot_be_held_the_others_go_on_at_once() {
    let Some(scene) = scene() else { return };
    let needs = "com.docker.compose.depends_on=b:service_started:false";
    let (a, b) = (scene.idle("a", &["--label", needs]), scene.idle("b", &[]));
    let of_b = format!("/containers/{b}/stop");
    let filter = Filter::new(move |asked| asked.ends_with(&of_b));
    let seats = vec![
        scene.seat("a", HoldKind::Stop),
        scene.seat("b", HoldKind::Stop),
    ];
    let Err(HoldError::Failed(why)) = scene.hold_through(filter.engine(), seats) else {
        panic!("it was held")
    };
    assert!(why.contains("/stop: refused"), "{why}");
    for id in [&a, &b] {
        assert_eq!(scene.state_of(id), Standing::Running);
    }
    assert_eq!(scene.state.open_holds().unwrap(), []);
}

#[test]
fn commands_run_before_and_after_and_one_that_fails_holds_nobody() {
    let Some(scene) = scene() else { return };
    let app = scene.idle("app", &[]);
    let seat = |pre: &str| Seat {
        pre: Some(pre.to_owned()),
        post: Some("echo after >>/diary".to_owned()),
        ..scene.seat("app", HoldKind::Pause)
    };
    let hold = scene.hold(vec![seat("echo before >>/diary")]).unwrap();
    assert_eq!(scene.state_of(&app), Standing::Paused);
    released(hold);
    assert_eq!(docker(&["exec", &app, "cat", "/diary"]), "before\nafter");

    let Err(HoldError::Failed(why)) = scene.hold(vec![seat("echo oh no >&2; exit 7")]) else {
        panic!("it was held")
    };
    assert!(why.contains("pre of app") && why.contains("oh no"), "{why}");
    assert_eq!(scene.state_of(&app), Standing::Running);
    assert_eq!(
        docker(&["exec", &app, "cat", "/diary"]),
        "before\nafter\nafter"
    );
}
