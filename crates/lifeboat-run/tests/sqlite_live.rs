//! Databases captured while another process writes to them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures")]

mod sqlite_kit;

use lifeboat_run::source::sqlite::How;
use sqlite_kit::*;

const CAPTURES: u32 = 60;

/// Returns how many copies were inconsistent.
fn capture_busy_bank(journal_mode: &str, captures: u32, ballast: u32) -> u32 {
    let bench = Bench::new();
    let bank = Bank::open(&bench.db(), journal_mode, ballast);
    let mut inconsistent = 0;
    for _ in 0..captures {
        let acknowledged = bank.acknowledged();
        let captured = bench.capture(&bench.db());
        assert_passed(&captured);
        assert_eq!(captured.how, How::Online);
        if let Err(wrong) = audit(&bench.restore(&captured), acknowledged) {
            eprintln!("{journal_mode}: {wrong}");
            inconsistent += 1;
        }
        bank.wait_beyond(bank.acknowledged());
    }
    bank.close();
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
