//! Databases captured while another process writes to them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures")]

mod sqlite_kit;

use lifeboat_run::source::sqlite::How;
use sqlite_kit::*;
use std::time::Instant;

const CAPTURES: u32 = 60;

/// Returns how many copies were inconsistent.
fn capture_busy_bank(journal_mode: &str, captures: u32, ballast: u32) -> u32 {
    let bench = Bench::new();
    let bank = Bank::open(&bench.db(), journal_mode, ballast);
    let mut inconsistent = 0;
    let mut online = 0;
    for _ in 0..captures {
        let acknowledged = bank.acknowledged();
        let captured = bench.capture(&bench.db());
        assert_passed(&captured);
        online += u32::from(captured.how == How::Online);
        if let Err(wrong) = audit(&bench.restore(&captured), acknowledged) {
            eprintln!("{journal_mode}: {wrong}");
            inconsistent += 1;
        }
        bank.wait_beyond(bank.acknowledged());
    }
    bank.close();
    // A writer that a busy machine lets rest for a moment can be copied as it lies; that is not the rule.
    assert!(
        online * 2 > captures,
        "{journal_mode}: {online} of {captures} while it was in use"
    );
    inconsistent
}

#[test]
fn every_copy_of_a_database_under_write_is_consistent_and_holds_all_that_was_acknowledged() {
    let modes = ["wal", "delete", "truncate", "persist"];
    let inconsistent: u32 = modes
        .iter()
        .map(|mode| capture_busy_bank(mode, CAPTURES, 0))
        .sum();
    println!(
        "RELIABILITY sqlite_live_captures={} inconsistent={inconsistent}",
        CAPTURES * 4
    );
    assert_eq!(inconsistent, 0);
}

#[test]
fn a_large_database_is_captured_in_slices_and_under_lock_if_writes_never_end() {
    assert_eq!(capture_busy_bank("delete", 3, 100), 0);
    assert_eq!(capture_busy_bank("wal", 3, 100), 0);
}

/// The peak of this process's memory, in KiB: each test runs in a process of its own under nextest.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let figure = line.and_then(|line| line.split_whitespace().next());
    figure.and_then(|figure| figure.parse().ok()).unwrap()
}

#[test]
#[ignore = "writes several GiB"]
fn slow_a_gigabyte_takes_little_memory_and_lets_writers_through() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let bank = Bank::open(&bench.db(), mode, 1024);
        let began = Instant::now();
        let before = bank.acknowledged();
        let captured = bench.capture(&bench.db());
        println!(
            "{mode}: {} bytes in {:?}, {} transactions meanwhile, longest wait {:?}, peak {} KiB",
            captured.size,
            began.elapsed(),
            bank.acknowledged() - before,
            bank.longest_wait(),
            peak_memory()
        );
        assert!(captured.size > 1 << 30);
        assert!(peak_memory() < 64 << 10);
        bank.close();
    }
}
