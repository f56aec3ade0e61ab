//! Where copies of databases are made: never too full, for no other eyes, and swept after a kill.

mod sqlite_kit;

use lifeboat_run::{
    Cancel,
    source::sqlite::{SqliteError, capture, sweep},
};
use sqlite_kit::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

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
