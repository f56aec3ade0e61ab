//! Databases that a crash left behind, or that somebody keeps locked: what was committed is in the
//! copy, what was not is not, and the source is left exactly as it lies.

#![allow(clippy::print_stdout, reason = "a skip is said aloud")]

mod sqlite_kit;

use lifeboat_run::source::sqlite::{Check, How, SqliteError};
use sqlite_kit::*;
use std::{
    fs,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, Instant},
};

const LEFT_IN_WAL: &str = "
db.execute('pragma journal_mode = wal')
db.execute('create table t(n)')
db.execute('pragma wal_checkpoint(truncate)')
for n in range(500): db.execute('insert into t values (?)', (n,))
die()
";

fn count(bench: &Bench, captured: &lifeboat_run::source::sqlite::CapturedDb) -> i64 {
    assert_passed(captured);
    let copy = bench.restore(captured);
    copy.query_row("select count(*) from t", [], |row| row.get(0))
        .unwrap()
}

fn with_ending(db: &Path, ending: &str) -> std::path::PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[test]
fn transactions_left_in_a_wal_are_in_the_copy() {
    let bench = Bench::new();
    Python::run(&bench.db(), LEFT_IN_WAL);
    assert!(with_ending(&bench.db(), "-wal").metadata().unwrap().len() > 100_000);
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(count(&bench, &captured), 500);
    assert_eq!(bytes(&captured)[18..20], [2, 2], "it still says WAL");
}

#[test]
fn transactions_left_in_a_wal_without_an_index_are_in_the_copy() {
    let bench = Bench::new();
    Python::run(&bench.db(), LEFT_IN_WAL);
    fs::remove_file(with_ending(&bench.db(), "-shm")).unwrap();
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(captured.how, How::Still);
    assert_eq!(count(&bench, &captured), 500);
    assert_eq!(bytes(&captured)[18..20], [2, 2], "it still says WAL");
}

#[test]
fn transactions_left_in_a_wal_with_a_ruined_index_are_in_the_copy() {
    let bench = Bench::new();
    Python::run(&bench.db(), LEFT_IN_WAL);
    let shm = with_ending(&bench.db(), "-shm");
    let size = shm.metadata().unwrap().len() as usize;
    fs::write(&shm, vec![0xa5; size]).unwrap();
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(count(&bench, &captured), 500);
}

#[test]
fn a_wal_whose_end_was_torn_off_gives_what_was_whole() {
    let bench = Bench::new();
    Python::run(&bench.db(), LEFT_IN_WAL);
    let wal = with_ending(&bench.db(), "-wal");
    let file = fs::OpenOptions::new().write(true).open(&wal).unwrap();
    file.set_len(wal.metadata().unwrap().len() - 100).unwrap();
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(count(&bench, &captured), 499);
}

#[test]
fn a_wal_database_at_rest_gets_no_companions() {
    let bench = Bench::new();
    Python::run(
        &bench.db(),
        "db.execute('pragma journal_mode = wal'); db.execute('create table t(n)')",
    );
    assert!(!with_ending(&bench.db(), "-wal").exists());
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(count(&bench, &captured), 0);
    assert_eq!(bytes(&captured), fs::read(bench.db()).unwrap());
}

#[test]
fn companions_of_an_open_database_keep_their_owner() {
    let bench = Bench::new();
    let mut python = Python::start(
        &bench.db(),
        "
db.execute('pragma journal_mode = wal')
db.execute('create table t(n)')
say('open')
wait()
db.execute('insert into t values (1)')
say('written')
wait()
",
    );
    python.hear();
    let shm = with_ending(&bench.db(), "-shm");
    if std::os::unix::fs::chown(&shm, Some(4321), Some(4321)).is_err() {
        println!("SKIPPED: the owner part of this test needs root");
    }
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(captured.how, How::Online);
    python.tell();
    assert_eq!(python.hear(), "written");
}

/// More is changed than the cache holds, so that half of it is in the database file already.
const HALF_WRITTEN: &str = "
db.execute('pragma journal_mode = ' + JOURNAL)
db.execute('create table t(n, pad)')
db.execute('begin')
for n in range(2000): db.execute('insert into t values (?, ?)', (0, 'x' * 500))
db.execute('commit')
say('committed')
wait()
db.execute('pragma cache_size = 5')
db.execute('begin')
db.execute('update t set n = 1, pad = upper(pad)')
say('half written')
wait()
db.execute('commit')
say('written')
wait()
";

fn half_written(bench: &Bench, journal_mode: &str) -> Python {
    let script = HALF_WRITTEN.replace("JOURNAL", &format!("{journal_mode:?}"));
    let mut python = Python::start(&bench.db(), &script);
    assert_eq!(python.hear(), "committed");
    let before = fs::read(bench.db()).unwrap();
    python.tell();
    assert_eq!(python.hear(), "half written");
    assert_ne!(before, fs::read(bench.db()).unwrap(), "nothing was spilled");
    python
}

fn assert_rolled_back(bench: &Bench, captured: &lifeboat_run::source::sqlite::CapturedDb) {
    assert_eq!(count(bench, captured), 2000);
    let changed: i64 = bench
        .restore(captured)
        .query_row(
            "select count(*) from t where n = 1 or pad glob '*X*'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(changed, 0);
}

#[test]
fn a_half_written_transaction_is_rolled_back_in_the_copy_and_not_in_the_source() {
    for journal_mode in ["delete", "truncate", "persist"] {
        let bench = Bench::new();
        half_written(&bench, journal_mode).kill();
        let captured = bench.capture_untouched(&bench.db());
        assert_eq!(captured.how, How::Still);
        assert_rolled_back(&bench, &captured);
        // And the application finds its journal and recovers as if nobody had been there.
        Python::run(&bench.db(), "db.execute('delete from t where n = 0')");
        let left = Python::start(
            &bench.db(),
            "say(db.execute('select count(*) from t').fetchone()[0])",
        )
        .hear();
        assert_eq!(left, "0");
    }
}

#[test]
fn a_writer_that_stands_in_the_middle_of_a_transaction_is_captured_as_of_before_it() {
    let bench = Bench::new();
    let mut python = half_written(&bench, "delete");
    let before = traces(&bench.source());
    let captured = bench
        .try_capture(&bench.db(), Duration::from_millis(300))
        .unwrap();
    assert_eq!(before, traces(&bench.source()));
    assert_rolled_back(&bench, &captured);
    python.tell();
    assert_eq!(python.hear(), "written");
}

#[test]
fn a_locked_database_whose_journal_is_in_memory_is_refused_within_the_time_given() {
    let bench = Bench::new();
    let mut python = half_written(&bench, "memory");
    let began = Instant::now();
    let refused = bench.try_capture(&bench.db(), Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(5));
    let SqliteError::Locked { by, .. } = refused.unwrap_err() else {
        panic!("it could be half-written");
    };
    assert_eq!(by, Some(python.id() as i32));
    python.tell();
    assert_eq!(python.hear(), "written");
}

#[test]
fn a_wal_database_under_exclusive_lock_is_captured_while_it_is_quiet() {
    let bench = Bench::new();
    let mut python = Python::start(
        &bench.db(),
        "
db.execute('pragma locking_mode = exclusive')
db.execute('pragma journal_mode = wal')
db.execute('create table t(n)')
for n in range(10): db.execute('insert into t values (?)', (n,))
say('open')
wait()
db.execute('insert into t values (1)')
say('written')
wait()
",
    );
    python.hear();
    let before = traces(&bench.source());
    let captured = bench
        .try_capture(&bench.db(), Duration::from_millis(300))
        .unwrap();
    assert_eq!(before, traces(&bench.source()));
    assert_eq!(count(&bench, &captured), 10);
    python.tell();
    assert_eq!(python.hear(), "written");
}

#[test]
fn a_locked_database_that_never_stands_still_is_refused() {
    let bench = Bench::new();
    let mut python = Python::start(
        &bench.db(),
        "
db.execute('pragma locking_mode = exclusive')
db.execute('pragma journal_mode = wal')
db.execute('pragma synchronous = off')
db.execute('create table t(n)')
say('begin')
while True: db.execute('insert into t values (1)')
",
    );
    python.hear();
    let error = bench
        .try_capture(&bench.db(), Duration::from_millis(300))
        .unwrap_err();
    assert!(matches!(error, SqliteError::Restless { .. }), "{error}");
    assert!(error.is_of_the_file());
    python.kill();
    let captured = bench.capture(&bench.db());
    assert!(count(&bench, &captured) > 0);
}

/// Names `super_journal` at the end of a journal, as a transaction over two databases does.
fn join_super_journal(journal: &Path, super_journal: &Path) {
    let name = super_journal.as_os_str().as_bytes();
    let sum: u32 = name.iter().map(|&byte| u32::from(byte)).sum();
    let mut file = fs::OpenOptions::new().append(true).open(journal).unwrap();
    file.write_all(&262_145_u32.to_be_bytes()).unwrap();
    file.write_all(name).unwrap();
    file.write_all(&(name.len() as u32).to_be_bytes()).unwrap();
    file.write_all(&sum.to_be_bytes()).unwrap();
    file.write_all(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7])
        .unwrap();
}

#[test]
fn a_transaction_over_two_databases_is_rolled_back_while_its_super_journal_is_there() {
    let bench = Bench::new();
    half_written(&bench, "delete").kill();
    fs::write(
        bench.source().join("shop.sqlite3-mj0A1B2C9D3"),
        b"/x/other-journal\0",
    )
    .unwrap();
    join_super_journal(
        &with_ending(&bench.db(), "-journal"),
        Path::new("/data/in/the/other/container/shop.sqlite3-mj0A1B2C9D3"),
    );
    let captured = bench.capture_untouched(&bench.db());
    assert_rolled_back(&bench, &captured);
}

#[test]
fn a_transaction_over_two_databases_is_committed_once_its_super_journal_is_gone() {
    let bench = Bench::new();
    half_written(&bench, "delete").kill();
    join_super_journal(
        &with_ending(&bench.db(), "-journal"),
        Path::new("/data/in/the/other/container/shop.sqlite3-mj0A1B2C9D3"),
    );
    let captured = bench.capture_untouched(&bench.db());
    assert_eq!(bytes(&captured), fs::read(bench.db()).unwrap());
}

#[test]
fn a_damaged_database_is_copied_and_reported() {
    let bench = Bench::new();
    Python::run(
        &bench.db(),
        "
db.execute('create table t(n, pad)')
db.execute('begin')
for n in range(2000): db.execute('insert into t values (?, ?)', (n, 'x' * 500))
db.execute('commit')
",
    );
    let mut damaged = fs::read(bench.db()).unwrap();
    damaged[8192..12288].fill(0x5a);
    fs::write(bench.db(), &damaged).unwrap();
    let captured = bench.capture_untouched(&bench.db());
    assert!(matches!(&captured.check, Check::Failed(found) if !found.is_empty()));
    assert_eq!(bytes(&captured)[8192..12288], damaged[8192..12288]);
}

#[test]
fn a_database_whose_schema_is_ruined_is_copied_and_reported() {
    let bench = Bench::new();
    Python::run(&bench.db(), "db.execute('create table t(n, pad)')");
    let mut damaged = fs::read(bench.db()).unwrap();
    damaged[100..4096].fill(0x5a);
    fs::write(bench.db(), &damaged).unwrap();
    let captured = bench.capture_untouched(&bench.db());
    assert!(matches!(captured.check, Check::Failed(_)));
    assert_eq!(bytes(&captured)[100..], damaged[100..]);
}

#[test]
fn a_file_that_only_begins_like_a_database_is_left_to_the_plain_copy() {
    let bench = Bench::new();
    let mut file = b"SQLite format 3\0".to_vec();
    file.resize(4096, 0x77);
    fs::write(bench.db(), &file).unwrap();
    let before = traces(&bench.source());
    let error = bench
        .try_capture(&bench.db(), Duration::from_millis(300))
        .unwrap_err();
    assert!(matches!(error, SqliteError::NotSqlite(_)), "{error}");
    assert!(error.is_of_the_file());
    assert_eq!(before, traces(&bench.source()));
}

#[test]
fn a_schema_that_needs_its_application_is_no_damage() {
    let bench = Bench::new();
    Python::run(
        &bench.db(),
        "
db.create_collation('ours', lambda a, b: (a > b) - (a < b))
db.execute('create table t(n text collate ours)')
db.execute('create index i on t(n)')
db.execute(\"insert into t values ('a'), ('b')\")
",
    );
    let captured = bench.capture_untouched(&bench.db());
    assert!(
        matches!(captured.check, Check::NotPossible(_)),
        "{:?}",
        captured.check
    );
}
