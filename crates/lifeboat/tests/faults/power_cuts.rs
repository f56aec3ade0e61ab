//! The power goes: a backup that was reported is there and whole on the next morning; one that was not is
//! there whole or not at all. The cut is a copy of the disk below the file system.

use crate::world::{Dice, World};
use lifeboat_testkit::{Disk, ends_within, mount::fast_dir};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

#[test]
fn a_power_cut_on_ext4_loses_no_backup_that_was_reported() {
    cut("ext4", 6);
}

#[test]
fn a_power_cut_on_xfs_loses_no_backup_that_was_reported() {
    cut("xfs", 3);
}

#[test]
fn a_power_cut_on_btrfs_loses_no_backup_that_was_reported() {
    cut("btrfs", 3);
}

#[test]
#[ignore = "the same, for longer"]
fn slow_power_cuts_lose_no_backup_that_was_reported() {
    for kind in Disk::KINDS {
        cut(kind, 40);
    }
}

/// A disk as it was at some instant, and the backups that had been reported by then.
struct Cut {
    disk: Disk,
    reported: BTreeSet<String>,
}

/// Each backup is cut three times on its way, and once when it was reported.
fn cut(kind: &'static str, backups: u64) {
    let dir = fast_dir().unwrap();
    let at = dir.path().join("mounted");
    let Some(disk) = Disk::format(kind, dir.path().join("disk")) else {
        return;
    };
    let Some(mount) = disk.mount(&at) else {
        return;
    };
    let world = World::new().store_at(at.join("backups"));
    let begun = Instant::now();
    let mut reported = BTreeSet::from([world.back_up()]);
    let usual = begun.elapsed().as_micros() as u64;

    // What is not synced must be lost, or these cuts prove nothing.
    fs::write(at.join("unsynced"), vec![7; 300_000]).unwrap();
    let mut cuts = Vec::new();
    let mut take = |reported: &BTreeSet<String>| {
        let copy = dir.path().join(format!("cut-{}", cuts.len()));
        cuts.push(Cut {
            disk: disk.cut_power(copy).unwrap(),
            reported: reported.clone(),
        });
    };
    let mut dice = Dice(0xc0ffee + backups);
    for n in 0..backups {
        world.write("notes/a.txt", format!("{n}"));
        let said = world.path("said");
        let mut command = world.command(&["backup"]);
        command.stdout(File::create(&said).unwrap());
        command.stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        for _ in 0..3 {
            let moment = Duration::from_micros(dice.throw(usual / 2));
            ends_within(&child, moment).unwrap();
            let frozen = freeze(&mut child);
            let mut so_far = reported.clone();
            so_far.extend(
                fs::read_to_string(&said)
                    .unwrap()
                    .lines()
                    .map(str::to_owned),
            );
            take(&so_far);
            if frozen {
                signal(&child, rustix::process::Signal::CONT);
            }
        }
        assert!(child.wait().unwrap().success());
        reported.insert(fs::read_to_string(&said).unwrap().trim().to_owned());
        take(&reported);
    }
    drop(mount);

    let total = cuts.len();
    let lost_unsynced = cuts
        .into_iter()
        .filter(|cut| next_morning(cut, &at, &world))
        .count();
    assert!(lost_unsynced > 0, "the power was never really cut");
    println!("RELIABILITY program_powercuts={total} lost=0 filesystem={kind}");
}

/// Stops it wherever it is, all threads of it; `false` when it is over.
fn freeze(child: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    signal(child, rustix::process::Signal::STOP);
    let tasks = format!("/proc/{}/task", child.id());
    while child.try_wait().unwrap().is_none() {
        let states: Vec<String> = fs::read_dir(&tasks)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("stat")).ok())
            .collect();
        let stopped = |stat: &String| {
            let state = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next());
            matches!(state, Some('T' | 'Z' | 'X'))
        };
        if !states.is_empty() && states.iter().all(stopped) {
            return true;
        }
        assert!(
            Instant::now() < deadline,
            "it cannot be stopped: {states:?}"
        );
        std::thread::yield_now();
    }
    false
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    // It may be over.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Starts the machine again; whether it has lost what was not synced.
fn next_morning(cut: &Cut, at: &Path, world: &World) -> bool {
    let mount = cut.disk.mount(at).expect("a disk that was mounted before");
    let there = world.all_whole();
    let lost: Vec<_> = cut.reported.difference(&there).collect();
    assert!(
        lost.is_empty(),
        "{}: {lost:?} of {there:?}",
        cut.disk.kind()
    );
    let next = world.back_up();
    world.is_clean();
    let after = world.all_whole();
    assert!(
        after.contains(&next) && after.is_superset(&there),
        "{after:?}"
    );
    let unsynced = fs::read(at.join("unsynced")).unwrap_or_default();
    drop(mount);
    fs::remove_file(cut.disk.file()).unwrap();
    unsynced != vec![7; 300_000]
}
