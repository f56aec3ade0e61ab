//! No space, no inodes, no right, no disk: the run fails in two lines or succeeds, nothing half done stays
//! behind, and once the cause is gone the next run works.

use crate::world::{Ended, World, files};
use lifeboat_testkit::{Mount, noise, victim::can_strace};
use std::collections::BTreeSet;

/// Failed: two lines, nothing new in sight. Done: all of it there and whole. Nothing in between.
#[track_caller]
fn failed_or_whole(world: &World, before: &BTreeSet<String>, ended: &Ended) -> bool {
    let after = world.all_whole();
    assert!(after.is_superset(before), "{after:?}\n{ended}");
    let new: Vec<_> = after.difference(before).collect();
    match ended.code() {
        Some(1) => {
            ended.two_lines();
            assert!(new.is_empty(), "{new:?}\n{ended}");
            false
        }
        Some(0 | 3) => {
            assert!(new.contains(&&ended.last_line()), "{new:?}\n{ended}");
            true
        }
        _ => panic!("{ended}"),
    }
}

fn free(at: &std::path::Path) -> u64 {
    rustix::fs::statvfs(at).unwrap().f_bavail
}

#[test]
fn on_a_full_disk_the_run_fails_and_gives_its_space_back() {
    let mut failed = 0;
    for kib in [200, 400, 600, 700, 1_000, 4_000] {
        let Some(mount) = Mount::tmpfs(&format!("size={kib}k")) else {
            return;
        };
        let world = World::new().store_at(mount.path());
        world.back_up();
        let before = world.all_whole();
        let room = free(mount.path());
        let large = world.write("photos/large", noise(700_000, kib));
        let ended = world.run(&["backup"]);
        if failed_or_whole(&world, &before, &ended) {
            continue;
        }
        failed += 1;
        let (what, _) = ended.two_lines();
        assert!(what.contains("space"), "{what}");
        assert_eq!(free(mount.path()), room, "its space is not back: {kib} KiB");
        world.is_clean();

        mount.remount("size=8m").unwrap();
        world.back_up();
        std::fs::remove_file(large).unwrap();
        world.back_up();
        world.is_clean();
        assert_eq!(world.all_whole().difference(&before).count(), 2);
    }
    assert!((3..6).contains(&failed), "{failed}");
}

#[test]
fn without_inodes_the_run_fails_and_works_again_with_some() {
    let mut failed = 0;
    for inodes in 5..40 {
        let Some(mount) = Mount::tmpfs(&format!("nr_inodes={inodes}")) else {
            return;
        };
        let world = World::new().store_at(mount.path());
        let ended = world.run(&["backup"]);
        let before = BTreeSet::new();
        if ended.code() == Some(1) {
            failed += 1;
            ended.two_lines();
            let left = files(mount.path());
            let visible: Vec<_> = left
                .iter()
                .filter(|p| !p.starts_with(".lifeboat"))
                .collect();
            assert!(visible.is_empty(), "{visible:?}\n{ended}");
        } else {
            failed_or_whole(&world, &before, &ended);
        }
        mount.remount("nr_inodes=1000").unwrap();
        world.back_up();
        world.is_clean();
        world.all_whole();
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn a_limit_on_file_sizes_ends_in_two_lines_not_in_a_signal() {
    let world = World::new();
    world.back_up();
    let before = world.all_whole();
    world.write("photos/large", noise(700_000, 1));
    let ended = world.run_under(
        &["bash", "-c", "ulimit -f 100; exec \"$@\"", "bash"],
        &["backup"],
    );
    ended.expect(1);
    failed_or_whole(&world, &before, &ended);
    world.is_clean();
    world.back_up();
}

#[test]
fn on_a_read_only_disk_the_run_fails_and_what_is_there_can_be_restored() {
    let Some(mount) = Mount::tmpfs("size=4m") else {
        return;
    };
    let world = World::new().store_at(mount.path());
    let id = world.back_up();
    let before = world.all_whole();
    mount.remount("ro").unwrap();
    let ended = world.run(&["backup"]);
    ended.expect(1);
    let (what, _) = ended.two_lines();
    assert!(what.to_lowercase().contains("read-only"), "{what}");
    assert_eq!(world.all_whole(), before);
    // Done, with a remark: the store's record of restores could not be written.
    world
        .run(&["restore", &id, "--to", "out", "--yes"])
        .expect(3);
    assert_eq!(
        std::fs::read(world.path("out/notes/a.txt")).unwrap(),
        b"first\n"
    );
    mount.remount("rw").unwrap();
    world.back_up();
}

/// The nth such call of a thread fails, for every n until none is left.
fn every_failure(call: &str, error: &str) -> (u64, u64) {
    let world = World::with_history();
    let before = world.copy_store("before");
    let ids = world.all_whole();
    let (mut failed, mut told) = (0, 0);
    for nth in 1..400 {
        std::fs::remove_dir_all(world.store()).unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([&before, &world.store().to_owned()])
            .status();
        assert!(copied.unwrap().success());
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:error={error}:when={nth}");
        let log = world.path("strace");
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            log.to_str().unwrap(),
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        let ended = world.run_under(&strace, &["backup"]);
        let struck = std::fs::read_to_string(&log)
            .unwrap()
            .contains("(INJECTED)");
        if !struck {
            ended.expect(0);
            assert!(nth > 1, "no {call} at all");
            return (failed, told);
        }
        failed += 1;
        // What its own pruning drops is not lost.
        let there = world.all_whole();
        let kept: BTreeSet<String> = ids.intersection(&there).cloned().collect();
        assert!(ids.len() - kept.len() <= 1, "{ids:?} {there:?}\n{ended}");
        told += u64::from(!failed_or_whole(&world, &kept, &ended));
        let next = world.run(&["backup"]);
        next.expect(0);
        world.is_clean();
        assert!(world.all_whole().contains(&next.last_line()));
    }
    panic!("{call} never ends");
}

#[test]
fn whatever_call_fails_the_run_fails_or_the_backup_is_whole() {
    if !can_strace() || !crate::world::can_fake_time() {
        return;
    }
    let mut sum = (0, 0);
    for (call, error) in [
        ("fsync", "EIO"),
        ("renameat2", "EIO"),
        ("renameat", "ENOSPC"),
        ("linkat", "ENOSPC"),
        ("unlinkat", "EIO"),
        ("pwrite64", "ENOSPC"),
    ] {
        let (failed, told) = every_failure(call, error);
        println!("{call} {error}: {failed}, of which {told} ended the run");
        sum = (sum.0 + failed, sum.1 + told);
    }
    println!(
        "RELIABILITY program_injected_errors={} false_green=0 told={}",
        sum.0, sum.1
    );
}

#[test]
fn a_source_that_cannot_be_read_to_its_end_makes_no_good_backup() {
    if !can_strace() {
        return;
    }
    let world = World::new();
    let large = world.write("photos/large", noise(8 << 20, 3));
    let path = large.to_str().unwrap();
    for nth in [1, 2] {
        let inject = format!("inject=read,pread64:error=EIO:when={nth}");
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-P",
            path,
            "-e",
            "trace=read,pread64",
            "-e",
            &inject,
        ];
        let ended = world.run_under(&strace, &["backup", "--json"]);
        ended.expect(1);
        let said = ended.stdout() + &ended.stderr();
        assert!(said.contains("photos"), "{ended}");
        let good = world.listed().into_values().filter(|good| *good).count();
        assert_eq!(good, 0, "{ended}");
    }
    world.back_up();
}
