//! Where databases lie, what shapes they have, and where copies are made.

mod sqlite_kit;

use lifeboat_run::{
    Cancel,
    source::sqlite::{How, SqliteError, capture, companion_of, is_database, sweep},
};
use sqlite_kit::*;
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStringExt, fs::PermissionsExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
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

const FILL: &str = "
db.execute('create table t(n integer primary key, word text unique, b blob)')
db.execute('begin')
for n in range(300): db.execute('insert into t values (?, ?, randomblob(3000))', (n, 'wörd %d' % n))
db.execute('delete from t where n % 3 = 0')
db.execute('commit')
db.execute('create view v as select word from t')
db.execute('drop view v')
";

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

#[test]
fn a_scratch_folder_too_small_is_known_before() {
    let bench = Bench::new();
    let _bank = Bank::open(&bench.db(), "wal", 4);
    let Some(_mount) = Mount::tmpfs(&bench.scratch(), "1m") else {
        return;
    };
    let error = bench
        .try_capture(&bench.db(), Duration::from_secs(5))
        .unwrap_err();
    let SqliteError::NoRoom {
        scratch,
        need,
        free,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*scratch, bench.scratch().canonicalize().unwrap());
    assert!(*need > 4 << 20 && *free <= 1 << 20);
    assert!(!error.is_of_the_file());
}

#[test]
fn a_scratch_folder_that_fills_up_meanwhile_is_named_and_left_clean() {
    let bench = Bench::new();
    Python::run(
        &bench.db(),
        "
db.execute('create table ballast(b blob)')
db.execute('begin')
for _ in range(160): db.execute('insert into ballast values (zeroblob(1048576))')
db.execute('commit')
",
    );
    for wal in [false, true] {
        if wal {
            Python::run(&bench.db(), "db.execute('pragma journal_mode = wal')");
        }
        let Some(_mount) = Mount::tmpfs(&bench.scratch(), "200m") else {
            return;
        };
        let scratch = bench.scratch();
        let elsewhere = thread::spawn(move || {
            // As soon as the copy has begun, somebody else takes the rest.
            let begun = || {
                let folder = scratch.read_dir().unwrap().flatten().next()?;
                (folder.path().join("copy").metadata().ok()?.len() > 1 << 20)
                    .then_some(folder.path())
            };
            let folder = loop {
                if let Some(folder) = begun() {
                    break folder;
                }
            };
            // In the capture's own folder, to see it cleared.
            let thief = fs::File::create(folder.join("thief")).unwrap();
            for taken in (0..200_u64).map(|mib| mib << 20) {
                let flags = rustix::fs::FallocateFlags::empty();
                if rustix::fs::fallocate(&thief, flags, taken, 1 << 20).is_err() {
                    break;
                }
            }
        });
        let error = bench
            .try_capture(&bench.db(), Duration::from_secs(5))
            .unwrap_err();
        elsewhere.join().unwrap();
        assert!(matches!(error, SqliteError::NoRoom { .. }), "{error}");
    }
}

#[test]
fn a_cancelled_capture_leaves_nothing() {
    let bench = Bench::new();
    Python::run(&bench.db(), FILL);
    let cancel = Cancel::default();
    cancel.cancel();
    let error = capture(&bench.db(), &bench.scratch(), &cancel).unwrap_err();
    assert!(matches!(error, SqliteError::Cancelled));
    assert_eq!(bench.scratch().read_dir().unwrap().count(), 0);
}

#[test]
fn a_copy_is_for_no_other_eyes() {
    let bench = Bench::new();
    Python::run(&bench.db(), FILL);
    let captured = bench.capture(&bench.db());
    assert_eq!(
        captured.file.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_sweep_takes_what_the_killed_left_and_nothing_else() {
    let bench = Bench::new();
    let scratch = bench.scratch();
    fs::create_dir(scratch.join("sqlite-4711-0")).unwrap();
    fs::write(scratch.join("sqlite-4711-0").join("copy"), b"half").unwrap();
    fs::create_dir(scratch.join("sqlite-4712-0")).unwrap();
    fs::create_dir(scratch.join("sqlite-notes")).unwrap();
    fs::write(scratch.join("sqlite-4711-1"), b"a file").unwrap();
    // 4712 is alive, in whatever container.
    let mut alive = Command::new("flock")
        .arg(scratch.join("sqlite-4712-0"))
        .args(["sh", "-c", "echo locked; read _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 7];
    std::io::Read::read_exact(alive.stdout.as_mut().unwrap(), &mut line).unwrap();

    assert_eq!(sweep(&scratch).unwrap(), 1);
    let mut left: Vec<_> = scratch
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["sqlite-4711-1", "sqlite-4712-0", "sqlite-notes"]);

    drop(alive.stdin.take());
    alive.wait().unwrap();
    assert_eq!(sweep(&scratch).unwrap(), 1);
    assert_eq!(sweep(&bench.source().join("nowhere")).unwrap(), 0);
}

/// The victim of the test below: captures what lies in its working folder, if anything does.
#[test]
#[ignore = "is run by the test below"]
fn a_capture_to_be_killed() {
    if Path::new("victim.db").exists() {
        let here = std::env::current_dir().unwrap();
        let _ = capture(
            &here.join("victim.db"),
            &here.join("scratch"),
            &Cancel::default(),
        );
    }
}

#[test]
fn a_capture_killed_in_the_middle_leaves_only_what_a_sweep_takes() {
    let bench = Bench::new();
    let work = bench.folder("work");
    let scratch = bench.folder("work/scratch");
    Python::run(
        &work.join("victim.db"),
        "
db.execute('create table ballast(b blob)')
db.execute('begin')
for _ in range(160): db.execute('insert into ballast values (zeroblob(1048576))')
db.execute('commit')
",
    );
    let before = fs::read(work.join("victim.db")).unwrap();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_capture_to_be_killed", "--ignored"])
        .current_dir(&work)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = || {
        let folder = scratch.read_dir().unwrap().flatten().next()?;
        let copy = folder.path().join("copy").metadata().ok()?;
        (copy.len() > 1 << 20).then_some(())
    };
    while begun().is_none() {
        assert!(
            victim.try_wait().unwrap().is_none(),
            "it was too fast for us"
        );
    }
    assert_eq!(sweep(&scratch).unwrap(), 0, "it is alive");
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(sweep(&scratch).unwrap(), 1);
    assert_eq!(scratch.read_dir().unwrap().count(), 0);
    assert!(before == fs::read(work.join("victim.db")).unwrap());
    assert_eq!(
        work.read_dir().unwrap().count(),
        2,
        "something lies beside the database"
    );
    Python::run(&work.join("victim.db"), "db.execute('delete from ballast')");
    assert!(
        before != fs::read(work.join("victim.db")).unwrap(),
        "still locked"
    );
}
