//! Through a proxy in front of the engine: one that passes everything on, and one as they are widespread,
//! which answers 200 for 101, carries no input and cuts who is silent.

use crate::{
    filter::Filter,
    project::{BUSYBOX, IDLE, Project, docker, project, until},
};
use lifeboat::docker::{
    Address, Command, DockerError, Engine, ExecError, MARK, Part, Place, Trouble, Verdict,
    hold::{Seat, Stillness},
    look::{Scope, look},
    volume::{HELPER, Helpers},
};
use lifeboat_plan::HoldKind;
use lifeboat_run::{
    Cancel,
    quiesce::{HoldError, Quiesce},
    state::State,
};
use lifeboat_store::Local;
use std::time::{Duration, Instant};

const HAPROXY: &str = "lifeboat-bed/haproxy:2.6";
const PASSING: &str = "lifeboat-bed/proxy:latest";
const SECONDS: Duration = Duration::from_secs(30);

struct Scene {
    project: Project,
    id: String,
}

fn scene(proxy: &str) -> Option<Scene> {
    let project = project(&[BUSYBOX, proxy])?;
    let network = format!("{}_front", project.name);
    let label = format!("com.docker.compose.project={}", project.name);
    docker(&["network", "create", "--label", &label, &network]);
    let image = [&[BUSYBOX][..], &IDLE].concat();
    let id = project.start("db", &["--network", "none"], &image);
    Some(Scene { project, id })
}

impl Scene {
    /// A proxy with these variables, once it answers.
    fn through(&self, name: &str, image: &str, env: &[&str]) -> Engine {
        let network = format!("{}_front", self.project.name);
        let socket = "/var/run/docker.sock:/var/run/docker.sock";
        let mut options = vec!["--network", network.as_str(), "-v", socket];
        for variable in env {
            options.extend(["-e", variable]);
        }
        let id = self.project.start(name, &options, &[image]);
        let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let host = docker(&["inspect", "-f", address, &id]);
        let place = Place::parse(&format!("tcp://{host}:2375")).unwrap();
        let mut engine = None;
        until("the proxy answers", || {
            engine = Engine::connect(place.clone()).ok();
            engine.is_some()
        });
        engine.unwrap()
    }

    fn run(
        &self,
        engine: &Engine,
        command: &Command,
    ) -> Result<lifeboat::docker::Output, ExecError> {
        engine.run(&self.id, command, SECONDS, &Cancel::default())
    }

    /// Programs that bear our mark.
    fn ours(&self) -> String {
        let line = format!("grep -l {MARK}= /proc/[0-9]*/environ 2>/dev/null || true");
        docker(&["exec", &self.id, "sh", "-c", &line])
    }

    fn hold(&self, engine: Engine, kind: HoldKind) -> String {
        let dir = tempfile::tempdir().unwrap();
        let local = Local::open_or_create(dir.path().join("backups")).unwrap();
        let state = State::new(local, "shop".parse().unwrap());
        let seat = Seat {
            address: Address::own(&self.project.name, "db"),
            kind,
            pre: None,
            post: None,
        };
        let held = Stillness::new(engine, state, vec![seat]).hold(&Cancel::default());
        match held {
            Err(HoldError::Failed(why)) => why,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("it was held"),
        }
    }

    fn helpers(&self, engine: Engine) -> Helpers {
        Helpers {
            engine,
            image: BUSYBOX.to_owned(),
            program: "/bin/true".to_owned(),
            owner: self.project.name.clone(),
            exchange: None,
        }
    }
}

/// Names the call in both of its lines.
fn names(error: &DockerError, call: &str) {
    assert_eq!(error.trouble, Trouble::Denied, "{error}");
    assert!(
        error.to_string().starts_with(&format!("{call}: refused")),
        "{call}: {error}"
    );
    assert!(
        error.hint().contains(&format!("allow {call} ")),
        "{}",
        error.hint()
    );
}

fn denied<T: std::fmt::Debug>(asked: Result<T, DockerError>, call: &str) {
    names(&asked.expect_err(call), call);
}

fn counted(faults: usize) {
    println!("RELIABILITY engine_faults={faults} false_greens=0");
}

const EXEC: [&str; 3] = ["CONTAINERS=1", "EXEC=1", "POST=1"];

#[test]
fn where_a_proxy_answers_200_output_comes_to_its_end_and_input_is_refused_at_once() {
    let Some(scene) = scene(HAPROXY) else { return };
    let engine = scene.through("proxy", HAPROXY, &EXEC);
    let line = "head -c 3000000 /dev/zero; echo a warning >&2; exit ";
    for (code, verdict) in [(0, Verdict::Done), (3, Verdict::Exit(3))] {
        let command = Command::shell(&format!("{line}{code}"));
        let output = scene.run(&engine, &command).unwrap();
        assert_eq!(output.verdict, verdict);
        assert_eq!(output.stdout.len(), 3_000_000);
        assert_eq!(output.stderr, "a warning\n");
    }

    // A program that reads nothing would live on.
    for command in [Command::new(["cat"]), Command::new(["sleep", "100000"])] {
        let begun = Instant::now();
        let refused = scene.run(&engine, &command.with_input("restore me"));
        assert!(begun.elapsed() < SECONDS / 2, "it hangs");
        let Err(ExecError::Docker(error)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(error.trouble, Trouble::OneWay);
        let told = error.to_string();
        assert!(
            told.starts_with("POST /exec/") && told.contains("carries no input"),
            "{told}"
        );
        assert!(told.contains("answers 200 in place of 101"), "{told}");
        assert!(error.hint().contains("proxy"), "{}", error.hint());
        until("nothing of ours is left", || scene.ours().is_empty());
    }
    counted(3);
}

#[test]
fn a_silent_program_whose_line_a_proxy_cuts_is_not_done_and_is_ended() {
    let Some(scene) = scene(HAPROXY) else { return };
    let env = [&EXEC[..], &["IDLE_TIMEOUT=2s"]].concat();
    let engine = scene.through("proxy", HAPROXY, &env);
    let half = Command::shell("echo half a dump; exec sleep 100000");
    let mut exec = engine.exec(&scene.id, &half).unwrap();
    let mut out = Vec::new();
    until("the line is cut", || {
        exec.read(&mut out, 1 << 20, &Cancel::default()).unwrap() == Part::End
    });
    assert_eq!(out, b"half a dump\n");
    assert_eq!(exec.verdict().unwrap(), Verdict::StillRunning);
    assert_ne!(scene.ours(), "");
    drop(exec);
    until("nothing of ours is left", || scene.ours().is_empty());
    counted(1);
}

#[test]
fn every_switch_of_a_proxy_that_is_off_is_told_by_the_call_that_it_refuses() {
    let Some(scene) = scene(HAPROXY) else { return };
    let id = &scene.id;
    let of = |what: &str| format!("/containers/{id}{what}");
    let off = scene.through("off", HAPROXY, &[]);
    denied(off.containers(&[]), "GET /containers/json");
    denied(off.container(id), &format!("GET {}", of("/json")));
    denied(off.processes(id), &format!("GET {}", of("/top")));
    denied(off.volumes(&[]), "GET /volumes");
    denied(off.volume("data"), "GET /volumes/data");
    denied(off.image("abc"), "GET /images/abc/json");
    denied(
        off.exec(id, &Command::new(["true"])),
        &format!("POST {}", of("/exec")),
    );
    denied(off.start(id), &format!("POST {}", of("/start")));
    denied(
        off.stop(id, Duration::ZERO),
        &format!("POST {}", of("/stop")),
    );
    denied(off.pause(id), &format!("POST {}", of("/pause")));
    denied(off.unpause(id), &format!("POST {}", of("/unpause")));

    // Reading alone: nobody is held, nothing is run, no helper made.
    let reading = ["CONTAINERS=1", "VOLUMES=1", "IMAGES=1", "EXEC=1"];
    let reading = scene.through("reading", HAPROXY, &reading);
    assert_eq!(reading.container(id).unwrap().id, *id);
    denied(
        reading.exec(id, &Command::new(["true"])),
        &format!("POST {}", of("/exec")),
    );
    let why = scene.hold(reading.clone(), HoldKind::Stop);
    assert!(
        why.starts_with(&format!("POST {}: refused", of("/start"))),
        "{why}"
    );
    let why = scene.hold(reading, HoldKind::Pause);
    assert!(
        why.starts_with(&format!("POST {}: refused", of("/unpause"))),
        "{why}"
    );
    assert!(scene.project.inspect(id).is_running());
    counted(14);
}

/// What docs/security.md tells people to allow.
fn allow_list() -> String {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../scripts/allowed_calls.sh"
    );
    let output = std::process::Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_calls_that_are_written_down_suffice_and_input_reaches_its_program() {
    let Some(scene) = scene(PASSING) else { return };
    let allow = format!("ALLOW={}", allow_list());
    let engine = scene.through("proxy", PASSING, &[&allow]);
    let text = "restore me\n".repeat(20_000);
    let output = scene.run(&engine, &Command::new(["cat"]).with_input(text.clone()));
    let output = output.unwrap();
    assert_eq!(output.verdict, Verdict::Done);
    assert!(
        output.stdout == text.as_bytes(),
        "it was changed on the way"
    );

    let seen = look(&engine, &Scope::Project, &[], Some(&scene.project.name)).unwrap();
    assert_eq!(seen.remarks, []);
    engine.pause(&scene.id).unwrap();
    engine.unpause(&scene.id).unwrap();
    engine.stop(&scene.id, Duration::from_secs(10)).unwrap();
    engine.start(&scene.id).unwrap();
    // What is not on the list is refused.
    let nothing = scene.through("nothing", PASSING, &[]);
    denied(nothing.containers(&[]), "GET /containers/json");
    let exec = format!("POST /containers/{}/exec", scene.id);
    denied(nothing.exec(&scene.id, &Command::new(["true"])), &exec);
    counted(2);
}

#[test]
fn every_call_that_a_backup_needs_is_named_when_it_is_refused() {
    let Some(scene) = scene(BUSYBOX) else { return };
    let (id, name) = (scene.id.as_str(), scene.project.name.as_str());
    let without = |method: &'static str, tail: &'static str| {
        Filter::new(move |call| call.starts_with(method) && call.ends_with(tail))
    };
    let run = |engine: &Engine| match scene.run(engine, &Command::shell("sleep 1")) {
        Err(ExecError::Docker(error)) => error,
        other => panic!("{other:?}"),
    };

    let filter = without("GET", "/version");
    denied(Engine::connect(filter.place()), "GET /version");

    let filter = without("GET", "/containers/json");
    let seen = look(&filter.engine(), &Scope::Project, &[], Some(name));
    denied(seen, "GET /containers/json");
    let address = Address::own(name, "db");
    denied(filter.engine().running(&address), "GET /containers/json");

    let filter = Filter::new(|call| call.ends_with("/json") && !call.contains("/containers/json"));
    let call = format!("GET /containers/{id}/json");
    denied(filter.engine().running(&address), &call);
    let seen = look(&filter.engine(), &Scope::Project, &[], Some(name)).unwrap();
    let (unseen, error) = &seen.unseen[0];
    assert_eq!((unseen, error.call.to_string()), (&address, call));

    names(
        &run(&without("POST", "/exec").engine()),
        &format!("POST /containers/{id}/exec"),
    );
    for (method, tail) in [("POST /exec/", "/start"), ("GET /exec/", "/json")] {
        let filter = without(method, tail);
        let error = run(&filter.engine());
        let seen = filter.seen();
        let call = seen
            .iter()
            .find(|call| call.starts_with(method) && call.ends_with(tail));
        names(&error, call.unwrap());
        until("nothing of ours is left", || scene.ours().is_empty());
    }

    // Whether somebody can be started again is asked before; that he cannot be stopped is seen when he is.
    for (kind, tail) in [
        (HoldKind::Stop, "/start"),
        (HoldKind::Stop, "/stop"),
        (HoldKind::Pause, "/unpause"),
        (HoldKind::Pause, "/pause"),
    ] {
        let why = scene.hold(without("POST /containers/", tail).engine(), kind);
        assert!(
            why.starts_with(&format!("POST /containers/{id}{tail}: refused")),
            "{why}"
        );
        assert!(scene.project.inspect(id).is_running(), "{tail}");
    }

    let left = format!("{HELPER}={name}");
    let left = scene
        .project
        .create("left", &["--label", &left], &[BUSYBOX, "true"]);
    let swept = scene.helpers(without("DELETE", "").engine()).sweep();
    denied(swept, &format!("DELETE /containers/{left}"));
    assert_eq!(scene.helpers(scene.project.engine.clone()).sweep(), Ok(1));
    counted(13);
}
