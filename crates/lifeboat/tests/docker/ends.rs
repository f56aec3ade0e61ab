//! Every way in which a program's output ends, and what is made of it: only one of them is a good one.

use crate::project::{BUSYBOX, IDLE, Project, docker, project, until};
use lifeboat::docker::{
    Command, Engine, Exec, ExecError, MARK, Output, Part, State, Trouble, Verdict,
};
use lifeboat_run::Cancel;
use std::{
    thread,
    time::{Duration, Instant},
};

const SECONDS: Duration = Duration::from_secs(30);

struct Scene {
    project: Project,
    id: String,
}

fn scene() -> Option<Scene> {
    let project = project(&[BUSYBOX])?;
    let image = [&[BUSYBOX][..], &IDLE].concat();
    let id = project.start("db", &["--network", "none"], &image);
    Some(Scene { project, id })
}

impl Scene {
    fn engine(&self) -> &Engine {
        &self.project.engine
    }

    fn run(&self, command: &Command) -> Result<Output, ExecError> {
        let cancel = Cancel::default();
        self.engine().run(&self.id, command, SECONDS, &cancel)
    }

    fn begin(&self, line: &str) -> Exec {
        self.engine().exec(&self.id, &Command::shell(line)).unwrap()
    }

    /// Programs in it that bear our mark, but for the one that looks.
    fn ours(&self) -> String {
        let line = format!("grep -l {MARK}= /proc/[0-9]*/environ 2>/dev/null || true");
        docker(&["exec", &self.id, "sh", "-c", &line])
    }
}

/// Until `is_enough` of what it said on its standard output.
fn read_until(exec: &mut Exec, what: &str, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::new();
    until(what, || {
        let part = exec.read(&mut out, 1 << 20, &Cancel::default()).unwrap();
        assert_ne!(part, Part::End, "it ended before: {what}");
        is_enough(&out)
    });
    out
}

fn to_the_end(exec: &mut Exec, limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    until("the end of the output", || {
        exec.read(&mut out, limit, &Cancel::default()).unwrap() == Part::End
    });
    out
}

fn counted(faults: u32) {
    println!("RELIABILITY engine_faults={faults} false_greens=0");
}

#[test]
fn the_exit_code_decides_whatever_was_written_before() {
    let Some(scene) = scene() else { return };
    let half = "head -c 500000 /dev/zero";
    for (line, verdict, bytes) in [
        (half.to_owned(), Verdict::Done, 500_000),
        (format!("{half}; exit 3"), Verdict::Exit(3), 500_000),
        (format!("{half}; kill -9 $$"), Verdict::Exit(137), 500_000),
        (format!("{half}; kill -15 $$"), Verdict::Exit(143), 500_000),
        // Only the last of a pipe counts, which is why no line of ours has one.
        (format!("({half}; exit 9) | cat"), Verdict::Done, 500_000),
    ] {
        let output = scene.run(&Command::shell(&line)).unwrap();
        assert_eq!(output.verdict, verdict, "{line}");
        assert_eq!(output.stdout.len(), bytes, "{line}");
    }
    counted(3);
}

#[test]
fn a_program_that_is_not_there_is_told_by_its_exit_code_and_not_taken_for_output() {
    let Some(scene) = scene() else { return };
    scene
        .run(&Command::shell(
            "echo no program >/tmp/text; chmod 644 /tmp/text",
        ))
        .unwrap();
    for program in ["pg_dump_nope", "/nowhere/pg_dump", "/tmp/text"] {
        let output = scene.run(&Command::new([program])).unwrap();
        // Engines before 23 say 126 of all of them.
        assert!(
            matches!(output.verdict, Verdict::Exit(126 | 127)),
            "{program}: {:?}",
            output.verdict
        );
    }
    let output = scene.run(&Command::shell("pg_dump_nope")).unwrap();
    assert_eq!(output.verdict, Verdict::Exit(127));
    counted(4);
}

#[test]
fn a_container_that_ends_meanwhile_takes_the_verdict_with_it() {
    let Some(scene) = scene() else { return };
    let silent = "head -c 1000000 /dev/zero; exec sleep 100000";
    let writing = "head -c 1000000 /dev/zero; exec yes";
    let ways = [
        ("kill", silent),
        ("kill", writing),
        ("stop", silent),
        ("stop", writing),
        ("restart", silent),
        ("restart", writing),
        ("rm -f", silent),
    ];
    for (way, line) in ways {
        if scene.project.state(&scene.id) != State::Running {
            docker(&["start", &scene.id]);
        }
        let mut exec = scene.begin(line);
        read_until(&mut exec, "half a dump", |out| out.len() >= 1_000_000);
        let verdict = thread::scope(|threads| {
            let mut words: Vec<&str> = way.split(' ').collect();
            words.push(&scene.id);
            // What nobody reads keeps the engine from ending the container.
            let ended = threads.spawn(move || docker(&words));
            to_the_end(&mut exec, 1 << 20);
            let verdict = exec.verdict().unwrap();
            ended.join().unwrap();
            verdict
        });
        let lost = matches!(verdict, Verdict::Exit(137) | Verdict::Lost);
        assert!(lost, "{way}, {line}: {verdict:?}");
    }
    counted(ways.len() as u32);
}

#[test]
fn a_frozen_container_is_silence_that_can_be_cancelled_and_thawed_it_goes_on() {
    let Some(scene) = scene() else { return };
    let counting = "i=0; while :; do echo $i; i=$((i+1)); done";
    let mut exec = scene.begin(counting);
    let mut out = read_until(&mut exec, "numbers", |out| out.len() > 1000);
    docker(&["pause", &scene.id]);
    let quiet = |exec: &mut Exec, out: &mut Vec<u8>| {
        until("silence", || {
            exec.read(out, 1 << 20, &Cancel::default()).unwrap() == Part::Quiet
        });
    };
    quiet(&mut exec, &mut out);
    let (before, begun) = (out.len(), Instant::now());
    quiet(&mut exec, &mut out);
    assert!(begun.elapsed() < Duration::from_secs(1), "it hangs");
    assert_eq!(out.len(), before);
    let cancel = Cancel::default();
    cancel.cancel();
    let cancelled = exec.read(&mut out, 1 << 20, &cancel);
    assert!(matches!(cancelled, Err(ExecError::Cancelled)));

    docker(&["unpause", &scene.id]);
    until("more numbers", || {
        exec.read(&mut out, 1 << 20, &Cancel::default()).unwrap();
        out.len() > before + 1000
    });
    let numbers = String::from_utf8(out).unwrap();
    let whole = numbers.rsplit_once('\n').unwrap().0;
    for (line, number) in whole.lines().zip(0..) {
        assert_eq!(line, number.to_string(), "a line was lost");
    }
    drop(exec);
    until("nothing of ours is left", || scene.ours().is_empty());
    counted(1);
}

#[test]
fn a_wish_to_stop_is_heard_at_once_by_whoever_waits_for_a_frozen_container() {
    let Some(scene) = scene() else { return };
    let cancel = Cancel::default();
    let took = thread::scope(|scope| {
        let running = scope.spawn(|| {
            let command = Command::shell("echo x >/tmp/begun; exec sleep 100000");
            let run = scene.engine().run(&scene.id, &command, SECONDS, &cancel);
            (run, Instant::now())
        });
        until("it has begun", || {
            let there = scene.run(&Command::new(["test", "-e", "/tmp/begun"]));
            there.unwrap().verdict == Verdict::Done
        });
        docker(&["pause", &scene.id]);
        let asked = Instant::now();
        cancel.cancel();
        let (run, over) = running.join().unwrap();
        assert!(matches!(run, Err(ExecError::Cancelled)), "{run:?}");
        over - asked
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
    docker(&["unpause", &scene.id]);
    counted(1);
}

#[test]
fn in_a_container_that_is_stopped_frozen_or_missing_nothing_is_started() {
    let Some(scene) = scene() else { return };
    let exec = |id: &str| {
        let command = Command::new(["true"]);
        scene.engine().exec(id, &command).unwrap_err()
    };
    docker(&["pause", &scene.id]);
    let error = exec(&scene.id);
    assert_eq!(error.trouble, Trouble::Conflict, "{error}");
    assert!(error.to_string().contains("is paused"), "{error}");
    docker(&["unpause", &scene.id]);

    docker(&["stop", &scene.id]);
    let error = exec(&scene.id);
    assert_eq!(error.trouble, Trouble::Conflict, "{error}");
    assert!(error.to_string().contains("is not running"), "{error}");

    let error = exec("lifeboat-test-nobody");
    assert_eq!(error.trouble, Trouble::NotFound, "{error}");
    let call = "POST /containers/lifeboat-test-nobody/exec: ";
    assert!(error.to_string().starts_with(call), "{error}");
    counted(3);
}

#[test]
fn a_slow_reader_loses_nothing() {
    let Some(scene) = scene() else { return };
    let lines = 400_000;
    let bytes: usize = (1..=lines).map(|n: u32| n.to_string().len() + 1).sum();
    let mut exec = scene.begin(&format!("seq 1 {lines}"));
    // All that fits between here and there is there, and the program waits.
    until("the program waits", || {
        let line =
            "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = seq ] && cat $p/wchan $p/stat; done";
        let told = docker(&["exec", &scene.id, "sh", "-c", line]);
        told.contains(" S ")
    });
    let out = to_the_end(&mut exec, 1000);
    assert_eq!(exec.verdict().unwrap(), Verdict::Done);
    assert_eq!(out.len(), bytes);
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().zip(1..).all(|(line, n)| line == n.to_string()));
    counted(1);
}

#[test]
fn a_flood_on_the_other_channel_is_kept_at_its_end_and_loses_no_output() {
    let Some(scene) = scene() else { return };
    let line = "yes flood | head -c 20000000 >&2; head -c 500000 /dev/zero; echo last words >&2";
    let output = scene.run(&Command::shell(line)).unwrap();
    assert_eq!(output.verdict, Verdict::Done);
    assert_eq!(output.stdout.len(), 500_000);
    assert!(output.stderr.len() < 70_000, "{}", output.stderr.len());
    assert!(output.stderr.ends_with("last words\n"));
    counted(1);
}

#[test]
fn who_drops_a_program_leaves_nothing_of_it_behind_silent_flooding_or_deaf() {
    let Some(scene) = scene() else { return };
    let ways = [
        "echo begun; exec sleep 100000",
        "echo begun; exec yes",
        "echo begun; sleep 100000 & yes >&2",
        "trap '' TERM; echo begun; while :; do sleep 1; done",
    ];
    for line in ways {
        let mut exec = scene.begin(line);
        read_until(&mut exec, "it begins", |out| out.starts_with(b"begun"));
        assert_ne!(scene.ours(), "", "{line}");
        let begun = Instant::now();
        drop(exec);
        // One that is deaf has three seconds.
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(8), "{line}: {took:?}");
        until(line, || scene.ours().is_empty());
    }
    let cancel = Cancel::default();
    let limit = Duration::from_millis(300);
    let sleeping = Command::new(["sleep", "100000"]);
    let run = scene.engine().run(&scene.id, &sleeping, limit, &cancel);
    assert!(matches!(run, Err(ExecError::TooSlow(_))), "{run:?}");
    let run = scene.run(&Command::new(["yes"]));
    assert!(matches!(run, Err(ExecError::TooMuch(_))), "{run:?}");
    until("nothing of ours is left", || scene.ours().is_empty());
    counted(ways.len() as u32 + 2);
}
