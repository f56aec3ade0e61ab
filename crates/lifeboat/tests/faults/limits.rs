//! Little memory, few files, nobody who reads what is said, somebody who wants it to stop.

use crate::{
    locks::backup_under_way,
    world::{Ended, World},
};
use lifeboat_testkit::noise;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::Read,
    process::Stdio,
    time::{Duration, Instant},
};

#[test]
fn sixty_four_open_files_are_enough() {
    let world = World::new();
    for n in 0..300 {
        world.write(&format!("notes/many/{n}/file"), n.to_string());
    }
    let few = ["bash", "-c", "ulimit -n 64; exec \"$@\"", "bash"];
    let id = world.run_under(&few, &["backup"]).expect(0).last_line();
    world
        .run_under(&few, &["verify", "--all", "--deep"])
        .expect(0);
    world
        .run_under(&few, &["restore", &id, "--to", "out", "--yes"])
        .expect(0);
    let restored = std::fs::read(world.path("out/notes/many/299/file")).unwrap();
    assert_eq!(restored, b"299");
}

#[test]
fn with_far_too_few_open_files_it_says_so_and_leaves_nothing() {
    let world = World::new();
    world.back_up();
    let before = world.all_whole();
    for files in [8, 10, 12, 14, 16, 20, 24] {
        let limit = format!("ulimit -n {files}; exec \"$@\"");
        let ended = world.run_under(&["bash", "-c", &limit, "bash"], &["backup"]);
        match ended.code() {
            Some(0 | 3) => {}
            Some(1 | 2 | 10) => {
                ended.two_lines();
            }
            _ => panic!("{files} files: {ended}"),
        }
        assert!(world.all_whole().is_superset(&before), "{files}");
    }
    world.back_up();
    world.is_clean();
}

/// The most memory that was in use at once, in MiB, while a command ran.
fn peak_of(world: &World, arguments: &[&str]) -> u64 {
    let report = world.path("peak");
    let time = ["/usr/bin/time", "-f", "%M", "-o", report.to_str().unwrap()];
    let mut command = world.under(&time, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ended::within(Duration::from_secs(300), command.spawn().unwrap()).expect(0);
    let kib = std::fs::read_to_string(report).unwrap();
    kib.trim().parse::<u64>().unwrap() / 1024
}

fn every_verb_fits_into_the_memory(world: &World, what: &str) {
    for line in ["backup", "verify --deep", "restore latest --to out --yes"] {
        let words: Vec<&str> = line.split(' ').collect();
        let peak = peak_of(world, &words);
        let verb = words[0];
        println!("RELIABILITY program_memory=1 peak_mib_max={peak} verb={verb} with={what}");
        assert!(peak <= 64, "{line} of {what}: {peak} MiB");
    }
}

#[test]
fn large_files_take_no_more_memory_than_small_ones() {
    if !std::path::Path::new("/usr/bin/time").exists() {
        println!("SKIPPED: no GNU time here");
        return;
    }
    let world = World::new().with("BACKUP_COMPRESSION_LEVEL", "1");
    for n in 0..4 {
        world.write(&format!("photos/{n}"), noise(50 << 20, n));
    }
    every_verb_fits_into_the_memory(&world, "large_files");
}

#[test]
#[ignore = "takes a minute to write so many files"]
fn slow_fifty_thousand_files_fit_into_the_memory() {
    let world = World::new().with("BACKUP_COMPRESSION_LEVEL", "1");
    for n in 0..50_000 {
        world.write(&format!("notes/{}/{n}", n / 500), n.to_string());
    }
    every_verb_fits_into_the_memory(&world, "many_files");
}

#[test]
fn nobody_hears_it_and_the_backup_is_made() {
    let world = World::new().with("BACKUP_LOG", "debug");
    for shut in ["exec \"$@\" >&- 2>&-", "exec \"$@\" >/dev/full 2>/dev/full"] {
        let before = world.ids();
        let ended = world.run_under(&["bash", "-c", shut, "bash"], &["backup"]);
        assert!(matches!(ended.code(), Some(0 | 1)), "{ended}");
        let new = world.all_whole().difference(&before).count();
        assert!(new >= 1, "{shut}: {ended}");
        world.is_clean();
    }
}

#[test]
fn a_reader_that_went_away_ends_no_backup() {
    let world = World::new().with("BACKUP_LOG", "debug");
    let mut command = world.command(&["backup"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    assert!(!world.all_whole().is_empty());
    world.is_clean();
}

fn slow_world() -> World {
    let world = World::new().with("BACKUP_COMPRESSION_LEVEL", "19");
    world.back_up();
    world.write("photos/large", noise(24 << 20, 5));
    world
}

#[test]
fn asked_to_stop_it_takes_everything_back_within_nine_seconds() {
    let world = slow_world();
    let before = world.ids();
    let child = backup_under_way(&world);
    let asked = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = Ended::within(Duration::from_secs(60), child);
    let took = asked.elapsed();
    ended.expect(143).two_lines();
    assert!(took < Duration::from_secs(9), "{took:?}");
    assert_eq!(world.ids(), before);
    world.is_clean();
    println!(
        "RELIABILITY program_sigterms=1 took_seconds={:.2}",
        took.as_secs_f64()
    );
}

#[test]
fn asked_twice_it_stops_at_once_and_the_next_run_cleans_up() {
    let world = slow_world();
    let before = world.ids();
    let mut child = backup_under_way(&world);
    let pid = Pid::from_child(&child);
    let asked = Instant::now();
    kill_process(pid, Signal::TERM).unwrap();
    while child.try_wait().unwrap().is_none() {
        let _ = kill_process(pid, Signal::TERM);
        std::thread::yield_now();
        assert!(asked.elapsed() < Duration::from_secs(9));
    }
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
    assert_eq!(world.ids(), before);
    std::fs::remove_file(world.path("data/photos/large")).unwrap();
    world.back_up();
    world.is_clean();
}
