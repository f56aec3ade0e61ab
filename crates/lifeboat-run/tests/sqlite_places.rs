//! Where databases lie, and what shapes they have.

mod sqlite_kit;

use lifeboat_run::source::sqlite::{How, companion_of, is_database};
use sqlite_kit::*;
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{fd::AsRawFd, unix::ffi::OsStringExt},
    path::PathBuf,
};

#[test]
fn a_database_is_known_by_its_header_and_not_by_its_name() {
    let header = b"SQLite format 3\0";
    assert!(is_database(header, 512));
    assert!(is_database(&[&header[..], &[0; 4080]].concat(), 4096));
    assert!(!is_database(header, 0));
    assert!(!is_database(header, 4095));
    assert!(!is_database(&header[..15], 4096));
    assert!(!is_database(b"", 0));
    assert!(!is_database(b"SQLite format 4\0", 4096));
}

#[test]
fn companions_are_known_by_their_endings() {
    let base = |name: &'static str| companion_of(OsStr::new(name)).and_then(OsStr::to_str);
    assert_eq!(base("a.db-wal"), Some("a.db"));
    assert_eq!(base("a.db-shm"), Some("a.db"));
    assert_eq!(base("a.db-journal"), Some("a.db"));
    assert_eq!(base("a.db"), None);
    assert_eq!(base("-wal"), None);
}

#[test]
fn every_shape_of_a_database_survives_to_the_byte() {
    let shapes = [
        "",
        "db.execute('pragma page_size = 512')",
        "db.execute('pragma page_size = 65536')",
        "db.execute('pragma encoding = \"UTF-16le\"')",
        "db.execute('pragma auto_vacuum = full')",
        "db.execute('pragma auto_vacuum = incremental')",
        "db.execute('pragma application_id = 1196444487'); db.execute('pragma user_version = 42')",
    ];
    for shape in shapes {
        let bench = Bench::new();
        Python::run(&bench.db(), &format!("{shape}{FILL}"));
        let captured = bench.capture_untouched(&bench.db());
        assert_passed(&captured);
        assert_eq!(captured.how, How::Online);
        let (mut copy, mut live) = (bytes(&captured), fs::read(bench.db()).unwrap());
        for bytes in [&mut copy, &mut live] {
            bytes[24..28].fill(0); // counts changes
            bytes[92..100].fill(0); // says at which change the SQLite of which version wrote
        }
        assert!(copy == live, "{shape} came back otherwise");
    }
}

#[test]
fn odd_names_are_no_hindrance() {
    let names: [&[u8]; 9] = [
        b"what?mode=rwc",
        b"a#b%41%00.db",
        b"two  spaces ",
        b"line\nbreak",
        b"\xff\xfe\x80",
        b"file:x.db?vfs=none",
        b":memory:",
        b"quote'\"; drop",
        "größe.db".as_bytes(),
    ];
    for name in names {
        for mode in ["delete", "wal"] {
            let bench = Bench::new();
            let db = bench.source().join(OsString::from_vec(name.to_vec()));
            let script = format!(
                "db.execute('pragma journal_mode = {mode}')
db.execute('create table t(n)')
say('open')
wait()
"
            );
            let mut python = Python::start(&db, &script);
            python.hear();
            let captured = bench.capture_untouched(&db);
            assert_passed(&captured);
            assert_eq!(captured.how, How::Online);
            bench
                .restore(&captured)
                .execute("select * from t", [])
                .unwrap_or_default();
            assert_eq!(
                bench.source().read_dir().unwrap().count(),
                if mode == "wal" { 3 } else { 1 }
            );
        }
    }
}

/// A folder whose path SQLite cannot take, seen under a short one as in the application's container.
fn deep(bench: &Bench) -> (fs::File, PathBuf) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut folder = openat(CWD, bench.source(), flags, Mode::empty()).unwrap();
    let name = "d".repeat(200);
    for _ in 0..30 {
        mkdirat(&folder, &name, Mode::from_raw_mode(0o755)).unwrap();
        folder = openat(&folder, &name, flags, Mode::empty()).unwrap();
    }
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd()).into();
    (folder.into(), path)
}

#[test]
fn a_database_deeper_than_any_path_is_captured_while_it_is_written() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let (_folder, path) = deep(&bench);
        let Some(_mount) = Mount::bind(&path, &bench.folder("app")) else {
            return;
        };
        let bank = Bank::open(&bench.folder("app").join("bank.db"), mode, 0);
        for _ in 0..5 {
            let acknowledged = bank.acknowledged();
            let captured = bench.capture(&path.join("bank.db"));
            assert_passed(&captured);
            assert_eq!(captured.how, How::Still);
            audit(&bench.restore(&captured), acknowledged).unwrap();
            bank.wait_beyond(bank.acknowledged());
        }
        bank.close();
    }
}

#[test]
fn a_path_through_a_descriptor_is_as_good_as_any() {
    let bench = Bench::new();
    let _bank = Bank::open(&bench.db(), "wal", 0);
    let folder = fs::File::open(bench.source()).unwrap();
    let path = format!("/proc/self/fd/{}/shop.sqlite3", folder.as_raw_fd());
    let captured = bench.capture(path.as_ref());
    assert_eq!(captured.how, How::Online);
    audit(&bench.restore(&captured), 1).unwrap();
}

#[test]
fn a_read_only_mount_of_a_live_database_is_enough() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let bank = Bank::open(&bench.db(), mode, 0);
        let view = bench.folder("view");
        let Some(_mount) = Mount::bind_read_only(&bench.source(), &view) else {
            return;
        };
        for _ in 0..10 {
            let acknowledged = bank.acknowledged();
            let captured = bench.capture(&view.join("shop.sqlite3"));
            assert_passed(&captured);
            assert_eq!(captured.how, How::Online);
            audit(&bench.restore(&captured), acknowledged).unwrap();
            bank.wait_beyond(bank.acknowledged());
        }
    }
}

#[test]
fn a_read_only_mount_of_a_crashed_database_is_enough() {
    for remove in ["", "-shm"] {
        let bench = Bench::new();
        Python::run(
            &bench.db(),
            "
db.execute('pragma journal_mode = wal')
db.execute('create table t(n)')
db.execute('insert into t values (7)')
die()
",
        );
        if !remove.is_empty() {
            fs::remove_file(bench.source().join("shop.sqlite3-shm")).unwrap();
        }
        let view = bench.folder("view");
        let Some(_mount) = Mount::bind_read_only(&bench.source(), &view) else {
            return;
        };
        let captured = bench.capture_untouched(&view.join("shop.sqlite3"));
        let n: i64 = bench
            .restore(&captured)
            .query_row("select n from t", [], |r| r.get(0))
            .unwrap();
        assert_eq!(n, 7);
    }
}

#[test]
fn short_lived_writers_lose_nothing_and_find_nothing() {
    let bench = Bench::new();
    Python::run(
        &bench.db(),
        "db.execute('pragma journal_mode = wal'); db.execute('create table t(n)')",
    );
    // Opens, writes and closes again and again: the companions come and go.
    let mut python = Python::start(
        &bench.db(),
        "
import threading
stop = []
threading.Thread(target=lambda: (wait(), stop.append(1)), daemon=True).start()
db.close()
say('begin')
n = 0
while not stop:
    db = connect()
    db.execute('insert into t values (?)', (n,))
    db.close()
    n += 1
say(n)
",
    );
    python.hear();
    for _ in 0..40 {
        let captured = bench.capture(&bench.db());
        assert_passed(&captured);
        let copy = bench.restore(&captured);
        let gap: i64 = copy
            .query_row(
                "select coalesce(max(n) + 1 - count(*), 0) from t",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(gap, 0);
    }
    python.tell();
    let written: i64 = python.hear().parse().unwrap();
    assert!(written > 0);
    drop(python);
    let captured = bench.capture(&bench.db());
    let last: i64 = bench
        .restore(&captured)
        .query_row("select count(*) from t", [], |r| r.get(0))
        .unwrap();
    assert_eq!(last, written);
}
