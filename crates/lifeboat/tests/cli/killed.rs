//! A run that is told to stop, and one that is not told.

use crate::kit::{Ended, Project};
use lifeboat_testkit::ends_within;
use std::{
    fs,
    process::Child,
    time::{Duration, Instant},
};

/// A source that takes a while: nothing in it compresses.
fn large() -> Project {
    let project = Project::new().with("BACKUP_COMPRESSION_LEVEL", "19");
    let mut noise = 88_172_645_463_325_252_u64;
    let bytes: Vec<u8> = (0..48 << 17)
        .flat_map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()
        })
        .collect();
    project.write("photos/large", bytes);
    project
}

/// Waits until bytes of the run are in the store, and returns while it is still at work.
fn under_way(project: &Project, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(
            child.try_wait().unwrap().is_none(),
            "it was over before it was stopped"
        );
        let work = project.store().join(".lifeboat/work");
        let written: u64 = fs::read_dir(&work)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|meta| meta.len())
            .sum();
        if written > 1 << 20 {
            return;
        }
        assert!(Instant::now() < deadline, "nothing was written in a minute");
        std::thread::yield_now();
    }
}

/// Everything in the tiers' folders.
fn visible(project: &Project) -> Vec<String> {
    ["daily", "weekly", "monthly"]
        .into_iter()
        .flat_map(|tier| project.stored(tier, ""))
        .map(|path| path.display().to_string())
        .collect()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn told_to_stop_it_ends_with_143_or_130_and_nothing_is_visible() {
    let project = large();
    for (asked, code) in [
        (rustix::process::Signal::TERM, 143),
        (rustix::process::Signal::INT, 130),
    ] {
        let mut child = project.spawn(&mut project.command(&["backup"]));
        under_way(&project, &mut child);
        let told = Instant::now();
        signal(&child, asked);
        let ended = Ended::of(child.wait_with_output().unwrap());
        ended.expect(code).says(
            "lifeboat: stopped before the end, as asked\n\
             hint: nothing of it can be seen; run the same command again when it suits",
        );
        assert!(
            told.elapsed() < Duration::from_secs(9),
            "{:?}",
            told.elapsed()
        );
        assert_eq!(ended.stdout(), "");
        assert_eq!(visible(&project), Vec::<String>::new());
        let journal = project.store().join(".lifeboat/journal");
        assert_eq!(fs::read_dir(journal).map_or(0, Iterator::count), 0);
    }
    project.run(&["list"]).expect(0);
}

#[test]
fn killed_it_leaves_nothing_visible_and_the_next_run_cleans_up_and_says_so() {
    let project = large();
    let mut child = project.spawn(&mut project.command(&["backup"]));
    under_way(&project, &mut child);
    signal(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    let manifests: Vec<String> = visible(&project)
        .into_iter()
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(manifests, Vec::<String>::new());
    let status = project.run(&["status"]);
    assert!(
        status.stdout().contains("was killed before its end"),
        "{}",
        status.stdout()
    );

    fs::remove_file(project.data().join("photos/large")).unwrap();
    let ended = project.run(&["backup"]);
    ended.expect(0);
    assert!(
        ended.stderr().contains("a run was killed before its end"),
        "{}",
        ended.stderr()
    );
    let id = ended.last_line();
    let foreign: Vec<String> = visible(&project)
        .into_iter()
        .filter(|name| !name.contains(&id) && name.contains("/daily/"))
        .collect();
    assert_eq!(foreign, Vec::<String>::new());
    let work = project.store().join(".lifeboat/work");
    assert_eq!(fs::read_dir(work).map_or(0, Iterator::count), 0);
}

#[test]
fn a_log_that_nobody_reads_stalls_no_backup() {
    let project = Project::new().with("BACKUP_LOG", "debug");
    // More warnings than the pipe and the queue hold together would take.
    for n in 0..3_000 {
        project.write(&format!("notes/many/{n}"), "x");
    }
    let mut command = project.command(&["backup"]);
    let mut child = project.spawn(&mut command);
    // Nobody reads stderr; stdout holds one line.
    assert!(
        ends_within(&child, Duration::from_secs(60)).unwrap(),
        "it waits for whoever should read its log"
    );
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_question_that_is_open_ends_at_once() {
    let project = Project::new();
    project.back_up();
    let mut command = project.command(&["restore", "latest", "--to", "out"]);
    command.stdin(std::process::Stdio::piped());
    let mut child = project.spawn(&mut command);
    let mut stderr = child.stderr.take().unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("Type RESTORE") {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stderr, &mut byte).unwrap();
        said.push(byte[0]);
    }
    // `wait` would close it, and the end of the answers is a no.
    let answers = child.stdin.take();
    signal(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    drop(answers);
    assert!(!project.path("out").exists());
}
