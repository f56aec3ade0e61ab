//! The engine dies while a program of ours is at work, or while somebody holds still.

use crate::{
    project::until,
    second::{Second, second},
};
use lifeboat::docker::{
    Address, Command, Engine, Exec, MARK, Part, State as Standing, Trouble, Verdict,
    cover::{CommandSource, Coverage},
    dumps::{How, open_command},
    hold::{Seat, Stillness, Undoing},
};
use lifeboat_plan::{Compression, HoldKind};
use lifeboat_run::{
    Cancel, keys,
    quiesce::{Hold, HoldError, Quiesce, put_right},
    seal::{Recipe, SealError, Sealed, seal},
    source::{Sizes, Source},
    state::State,
};
use lifeboat_store::{Key, Local, Object, Upload};
use std::{
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

/// Ends at once when it is asked to.
const IDLE: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait; done";
/// Half a dump, and then nothing for ever.
const HALF: &str = "echo half a dump; exec sleep 100000";
const SECONDS: Duration = Duration::from_secs(20);

fn half(engine: &Engine, container: &str) -> Exec {
    let mut exec = engine.exec(container, &Command::shell(HALF)).unwrap();
    let mut out = Vec::new();
    until("half a dump", || {
        exec.read(&mut out, 1 << 20, &Cancel::default()).unwrap();
        out == b"half a dump\n"
    });
    exec
}

/// Reads until it ends, one way or the other.
fn to_the_end(exec: &mut Exec) {
    let (mut out, begun) = (Vec::new(), Instant::now());
    while let Ok(part) = exec.read(&mut out, 1 << 20, &Cancel::default()) {
        if part == Part::End {
            return;
        }
        assert!(
            begun.elapsed() < SECONDS,
            "the stream of a dead engine goes on"
        );
    }
}

fn works(engine: &Engine, container: &str) {
    let command = Command::shell("echo as ever");
    let output = engine.run(container, &command, SECONDS, &Cancel::default());
    let output = output.unwrap();
    assert_eq!(output.verdict, Verdict::Done, "{}", output.stderr);
    assert_eq!(output.stdout, b"as ever\n");
}

/// Programs in it that bear our mark.
fn ours(second: &Second, container: &str) -> String {
    let line = format!("grep -l {MARK}= /proc/[0-9]*/environ 2>/dev/null || true");
    second.docker(&["exec", container, "sh", "-c", &line])
}

fn counted(faults: u32) {
    println!("RELIABILITY engine_faults={faults} false_greens=0");
}

#[test]
fn a_program_whose_engine_died_is_never_done_and_the_same_engine_is_asked_again_later() {
    let Some(second) = second(false) else {
        return;
    };
    let engine = second.engine();
    let id = second.start("shop", "db", &[], IDLE);
    let mut faults = 0;
    for signal in ["TERM", "KILL"] {
        for back_before_the_verdict in [false, true] {
            let case = format!("{signal}, back before the verdict: {back_before_the_verdict}");
            let mut exec = half(&engine, &id);
            second.kill(signal);
            to_the_end(&mut exec);
            if !back_before_the_verdict {
                let error = exec.verdict().expect_err(&case);
                assert_eq!(error.trouble, Trouble::Unreachable, "{case}: {error}");
                assert!(error.to_string().starts_with("GET /exec/"), "{error}");
                let error = engine.container(&id).unwrap_err();
                assert_eq!(error.trouble, Trouble::Unreachable, "{case}: {error}");
                let begun = Instant::now();
                drop(exec);
                assert!(
                    begun.elapsed() < SECONDS / 2,
                    "{case}: it waited for nobody"
                );
                second.start_again();
            } else {
                second.start_again();
                assert_eq!(exec.verdict().unwrap(), Verdict::Lost, "{case}");
                drop(exec);
            }
            assert_eq!(engine.container(&id).unwrap().state, Standing::Exited);
            engine.start(&id).unwrap();
            works(&engine, &id);
            assert_eq!(ours(&second, &id), "", "{case}");
            faults += 1;
        }
    }
    counted(faults);
}

#[test]
fn where_containers_outlive_their_engine_what_it_lost_is_found_by_its_mark_and_ended() {
    let Some(second) = second(true) else {
        return;
    };
    let engine = second.engine();
    let id = second.start("shop", "db", &[], IDLE);

    let mut exec = half(&engine, &id);
    let mark = exec.mark().to_owned();
    second.kill("KILL");
    to_the_end(&mut exec);
    assert_eq!(exec.verdict().unwrap_err().trouble, Trouble::Unreachable);
    drop(exec);
    second.start_again();
    assert_eq!(engine.container(&id).unwrap().state, Standing::Running);
    assert_ne!(ours(&second, &id), "", "there is nothing to be ended");
    assert_eq!(engine.end_marked(&id, None, "another"), Ok(true));
    assert_ne!(ours(&second, &id), "", "what is not ours to end was ended");
    assert_eq!(engine.end_marked(&id, None, &mark), Ok(true));
    assert_eq!(ours(&second, &id), "");
    works(&engine, &id);

    let mut exec = half(&engine, &id);
    second.kill("KILL");
    to_the_end(&mut exec);
    second.start_again();
    assert_eq!(exec.verdict().unwrap(), Verdict::Lost);
    assert_ne!(ours(&second, &id), "");
    drop(exec);
    assert_eq!(ours(&second, &id), "");
    works(&engine, &id);
    counted(2);
}

/// Takes everything and keeps nothing.
struct Nowhere(u64);

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Nowhere {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        Ok(Object {
            key: Key::new("sealed").unwrap(),
            size: self.0,
            modified: None,
        })
    }
}

fn sealed(source: &dyn Source) -> Result<Sealed, SealError> {
    let recipe = Recipe {
        compression: Compression::None,
        level: 0,
        threads: 1,
        seal: keys::Seal::Open,
    };
    seal(
        source,
        &recipe,
        Box::new(Nowhere(0)),
        &Cancel::default(),
        &(),
    )
}

#[test]
fn a_dump_whose_engine_died_is_lost_and_the_next_attempt_first_ends_what_it_left() {
    let Some(second) = second(true) else { return };
    let engine = second.engine();
    let id = second.start("shop", "app", &[], IDLE);
    let source = CommandSource {
        source: "app".to_owned(),
        address: Address::own("shop", "app"),
        command:
            "if test -e /well; then echo whole; exit 0; fi; echo half; : >/begun; exec sleep 100000"
                .to_owned(),
        extension: "txt".to_owned(),
    };
    let how = How {
        owner: "lifeboat-test",
        patience: SECONDS,
        count_rows: Duration::ZERO,
        before: &|_, _| Sizes::default(),
        accept_smaller: &|_| true,
        cancel: &Cancel::default(),
    };
    let source = open_command(&engine, &source, &how);
    let (code, told) = thread::scope(|scope| {
        let sealing = scope.spawn(|| sealed(source.as_ref()));
        let begun = Command::new(["test", "-e", "/begun"]);
        until("half a dump", || {
            let there = engine.run(&id, &begun, SECONDS, &Cancel::default());
            there.unwrap().verdict == Verdict::Done
        });
        second.docker(&["exec", &id, "rm", "/begun"]);
        second.kill("KILL");
        match sealing.join().unwrap() {
            Err(SealError::Source(error)) => (error.code().unwrap(), error.to_string()),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(code, "docker_lost", "{told}");
    // Nobody answers yet: that attempt is lost too, and forgets nothing.
    assert!(sealed(source.as_ref()).is_err());
    second.start_again();
    assert_ne!(ours(&second, &id), "", "there is nothing to be ended");
    second.docker(&["exec", &id, "touch", "/well"]);
    let again = sealed(source.as_ref());
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(ours(&second, &id), "");
    counted(2);
}

struct Scene {
    second: Second,
    engine: Engine,
    state: State,
    local: Local,
    _dir: tempfile::TempDir,
}

fn scene(live_restore: bool) -> Option<Scene> {
    let second = second(live_restore)?;
    let dir = tempfile::tempdir().unwrap();
    let local = Local::open_or_create(dir.path().join("backups")).unwrap();
    Some(Scene {
        engine: second.engine(),
        second,
        state: State::new(local.clone(), "shop".parse().unwrap()),
        local,
        _dir: dir,
    })
}

impl Scene {
    fn hold(&self, seats: &[(&str, HoldKind)]) -> Result<Box<dyn Hold>, HoldError> {
        let seat = |(service, kind): &(&str, HoldKind)| Seat {
            address: Address::own("shop", *service),
            kind: *kind,
            pre: None,
            post: None,
        };
        let seats = seats.iter().map(seat).collect();
        Stillness::new(self.engine.clone(), self.state.clone(), seats).hold(&Cancel::default())
    }

    fn written_down(&self) -> Vec<String> {
        let open = self.state.open_holds().unwrap();
        let mut services: Vec<_> = open.into_iter().map(|held| held.service).collect();
        services.sort();
        services
    }

    fn let_go(&self) -> Vec<String> {
        let undo = Undoing {
            engine: self.engine.clone(),
            helpers: None,
            coverage: Coverage::default(),
            owner: "test".to_owned(),
        };
        put_right(&self.state, &self.local, Some(&undo), &())
    }

    fn state_of(&self, id: &str) -> Standing {
        self.engine.container(id).unwrap().state
    }
}

fn trouble<T>(result: Result<T, HoldError>) -> String {
    match result {
        Err(HoldError::Failed(why)) => why,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nobody noticed"),
    }
}

#[test]
fn who_is_held_when_the_engine_dies_stays_written_down_and_goes_on_when_it_is_back() {
    let Some(scene) = scene(true) else { return };
    let app = scene.second.start("shop", "app", &[], IDLE);
    let web = scene.second.start("shop", "web", &[], IDLE);
    let hold = scene
        .hold(&[("app", HoldKind::Stop), ("web", HoldKind::Pause)])
        .unwrap();
    assert_eq!(scene.state_of(&app), Standing::Exited);
    assert_eq!(scene.state_of(&web), Standing::Paused);

    scene.second.kill("KILL");
    let why = hold.release(&Cancel::default()).trouble.unwrap();
    for service in ["app", "web"] {
        assert!(why.contains(&format!("{service} does not go on")), "{why}");
    }
    assert!(why.contains("no engine answers"), "{why}");
    assert_eq!(scene.written_down(), ["app", "web"]);
    // A run that finds it still dead loses nothing.
    assert_eq!(scene.let_go().len(), 2);
    assert_eq!(scene.written_down(), ["app", "web"]);

    scene.second.start_again();
    assert_eq!(scene.let_go(), Vec::<String>::new());
    assert_eq!(scene.state_of(&app), Standing::Running);
    assert_eq!(scene.state_of(&web), Standing::Running);
    assert_eq!(scene.written_down(), Vec::<String>::new());
    works(&scene.engine, &app);
    works(&scene.engine, &web);
    counted(1);
}

#[test]
fn an_engine_that_dies_while_it_stops_somebody_leaves_it_written_down() {
    let Some(scene) = scene(true) else { return };
    let deaf = "trap 'echo x >/asked' TERM; while :; do sleep 1 & wait; done";
    let app = scene
        .second
        .start("shop", "app", &["--stop-timeout", "600"], deaf);
    let why = thread::scope(|scope| {
        let holding = scope.spawn(|| trouble(scene.hold(&[("app", HoldKind::Stop)])));
        let asked = Command::new(["test", "-e", "/asked"]);
        until("it is asked to stop", || {
            let run = scene.engine.run(&app, &asked, SECONDS, &Cancel::default());
            run.unwrap().verdict == Verdict::Done
        });
        assert_eq!(scene.written_down(), ["app"]);
        scene.second.kill("KILL");
        holding.join().unwrap()
    });
    assert!(why.contains("/stop: no engine answers"), "{why}");
    assert!(why.contains("app does not go on"), "{why}");
    assert_eq!(scene.written_down(), ["app"]);

    scene.second.start_again();
    assert_eq!(scene.let_go(), Vec::<String>::new());
    assert_eq!(scene.state_of(&app), Standing::Running);
    assert_eq!(scene.written_down(), Vec::<String>::new());
    counted(1);
}

#[test]
fn where_containers_die_with_their_engine_whoever_was_held_runs_again_and_a_broken_stillness_is_told()
 {
    let Some(scene) = scene(false) else { return };
    let start = |service: &str, policy: &str| {
        let options = ["--restart", policy];
        scene.second.start("shop", service, &options, IDLE)
    };
    let app = start("app", "unless-stopped");
    let web = start("web", "unless-stopped");
    let eager = start("eager", "always");
    let seats = [
        ("app", HoldKind::Stop),
        ("web", HoldKind::Pause),
        ("eager", HoldKind::Stop),
    ];
    let hold = scene.hold(&seats).unwrap();
    scene.second.kill("KILL");
    scene.second.start_again();
    until("the engine starts who is always to run", || {
        scene.state_of(&eager) == Standing::Running
    });
    assert_eq!(scene.state_of(&app), Standing::Exited);
    assert_eq!(scene.state_of(&web), Standing::Exited);
    let released = hold.release(&Cancel::default());
    assert_eq!(released.trouble, None);
    let broken = released.held.into_iter().filter(|held| held.broken);
    let broken: Vec<String> = broken.map(|held| held.service).collect();
    assert_eq!(broken, ["eager"]);
    for id in [&app, &web, &eager] {
        assert_eq!(scene.state_of(id), Standing::Running);
        works(&scene.engine, id);
    }
    assert_eq!(scene.written_down(), Vec::<String>::new());
    counted(1);
}
