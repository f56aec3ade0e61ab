//! Several at once on one store: one changes it at a time, whoever only reads is not in the way.

use crate::world::{Ended, World};
use lifeboat_testkit::noise;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// A world whose backup takes a while.
fn large() -> World {
    let world = World::new().with("BACKUP_COMPRESSION_LEVEL", "19");
    world.write("photos/large", noise(24 << 20, 5));
    world
}

fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Starts a backup and comes back when it is at work on its archives.
pub(crate) fn backup_under_way(world: &World) -> Child {
    let mut child = start(world, &["backup"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(child.try_wait().unwrap().is_none(), "it was over too soon");
        let work = world.store().join(".lifeboat/work");
        let entries = fs::read_dir(work).into_iter().flatten().flatten();
        let large = |entry: fs::DirEntry| entry.metadata().is_ok_and(|meta| meta.len() > 500_000);
        if entries.into_iter().any(large) {
            return child;
        }
        assert!(Instant::now() < deadline, "nothing was written");
        std::thread::yield_now();
    }
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_second_run_is_refused_and_told_who_is_at_work() {
    let world = large();
    let child = backup_under_way(&world);
    let ended = world.run(&["backup"]);
    ended.expect(11);
    let (what, hint) = ended.two_lines();
    let pid = child.id().to_string();
    assert!(what.contains("backup") && what.contains("shop"), "{what}");
    assert!(
        what.contains(&pid) || hint.contains(&pid) || what.contains(" on "),
        "{what} {hint}"
    );
    for arguments in [&["prune"][..], &["sweep"]] {
        world.run(arguments).expect(11);
    }
    world.run(&["list"]).expect(0);
    Ended::within(PATIENCE, child).expect(0);
    assert_eq!(
        world
            .all_whole()
            .iter()
            .filter(|id| id.contains("_daily_"))
            .count(),
        1
    );
}

#[test]
fn the_lock_of_a_killed_run_is_taken_over_at_once() {
    let world = large();
    let mut child = backup_under_way(&world);
    kill(&mut child);
    fs::remove_file(world.path("data/photos/large")).unwrap();
    world.back_up();
    world.is_clean();
}

#[test]
fn a_lock_of_a_stopped_run_is_never_taken_over() {
    let world = large();
    let child = backup_under_way(&world);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    world.run(&["backup"]).expect(11);
    kill_process(pid, Signal::CONT).unwrap();
    Ended::within(PATIENCE, child).expect(0);
    world.all_whole();
}

#[test]
fn readers_and_pruning_at_the_same_time_disturb_nobody() {
    let world = World::new()
        .with("BACKUP_MAX_COUNT", "2")
        .with("BACKUP_KEEP_MIN", "1")
        .with("BACKUP_ENABLE_WEEKLY", "false")
        .with("BACKUP_ENABLE_MONTHLY", "false");
    world.write("photos/noise", noise(2 << 20, 5));
    world.back_up();
    for round in 0..6 {
        let out = format!("out-{round}");
        let others = [
            start(&world, &["verify", "latest", "--deep"]),
            start(&world, &["restore", "latest", "--to", &out, "--yes"]),
            start(&world, &["prune"]),
            start(&world, &["list", "--json"]),
        ];
        let backup = start(&world, &["backup"]);
        for (n, child) in others.into_iter().enumerate() {
            let ended = Ended::within(PATIENCE, child);
            match ended.code() {
                Some(0) => {}
                // One changes it at a time; and there may be nothing good to prune by.
                Some(11) if n == 2 => {}
                Some(14) if n == 2 => {}
                _ => panic!("{n}: {ended}"),
            }
        }
        let restored = fs::read(world.path(&out).join("notes/a.txt"));
        assert_eq!(restored.unwrap(), b"first\n");
        let ended = Ended::within(PATIENCE, backup);
        assert!(matches!(ended.code(), Some(0 | 11)), "{ended}");
    }
    world.back_up();
    world.all_whole();
    world.is_clean();
}
