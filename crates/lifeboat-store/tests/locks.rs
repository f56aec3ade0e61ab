//! One run at a time, and nobody deletes what somebody reads.

use lifeboat_store::{
    ErrorKind, Local, Store,
    lease::{Eviction, Lease, is_leased},
    lock::{self, Holder, Owner, RunLock},
    put,
};
use lifeboat_testkit::{Victim, victim};
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Child,
};
use tempfile::TempDir;

fn new_store() -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let store = Local::open_or_create(dir.path().join("store")).unwrap();
    (dir, store)
}

fn me(doing: &str) -> Owner {
    Owner::here("shop", "2025-12-13T02:00:00Z", doing)
}

#[test]
#[ignore = "a victim of other tests"]
fn holder() {
    let (Some(folder), Some(what)) = (victim::order("folder"), victim::order("what")) else {
        return;
    };
    let store = Local::existing(folder).unwrap();
    let _held: Box<dyn std::fmt::Debug> = match &what[..] {
        "lock" => Box::new(RunLock::take(&store, &me("prune")).unwrap()),
        lease => Box::new(Lease::take(&store, lease).unwrap()),
    };
    victim::say("held");
    let mut ended = String::new();
    std::io::stdin().read_line(&mut ended).unwrap();
}

/// Another process that holds `what` until it is killed.
fn hold(store: &Local, what: &str) -> Child {
    let order = Victim::new("holder").order("folder", store.path().display());
    let mut other = order.order("what", what).start().unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|l| l.unwrap().contains("held")),
        "it never held {what}"
    );
    other
}

fn kill(mut other: Child) {
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_second_run_is_told_who_is_at_work() {
    let (_dir, store) = new_store();
    assert_eq!(lock::holder(&store).unwrap(), None);
    let first = RunLock::take(&store, &me("backup")).unwrap();
    assert_eq!(first.left_behind(), None);

    let error = RunLock::take(&store, &me("prune")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let told = error.to_string();
    let pid = std::process::id().to_string();
    for part in [
        "the backup of \"shop\"",
        &pid,
        "since 2025-12-13T02:00:00Z",
        store.place(),
    ] {
        assert!(told.contains(part), "{part:?} is missing in {told}");
    }
    assert_eq!(
        lock::holder(&store).unwrap(),
        Some(Holder::Named(me("backup")))
    );

    drop(first);
    assert_eq!(lock::holder(&store).unwrap(), None);
    let next = RunLock::take(&store, &me("prune")).unwrap();
    assert_eq!(next.left_behind(), None, "the first run ended well");
}

#[test]
fn the_record_can_be_read_by_people_and_scripts() {
    let (_dir, store) = new_store();
    let _lock = RunLock::take(&store, &me("backup")).unwrap();
    let record = fs::read_to_string(store.path().join(".lifeboat/lock")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["doing"], "backup");
    assert_eq!(record["pid"], std::process::id());
    assert_eq!(record["boot_id"].as_str().map(str::len), Some(36));
    assert!(!record["host"].as_str().unwrap().is_empty());
}

#[test]
fn the_lock_of_a_killed_run_is_taken_over_and_named() {
    let (_dir, store) = new_store();
    let other = hold(&store, "lock");
    let pid = other.id();
    assert_eq!(
        RunLock::take(&store, &me("backup")).unwrap_err().kind(),
        ErrorKind::Busy
    );
    kill(other);
    let lock = RunLock::take(&store, &me("backup")).unwrap();
    let before = lock.left_behind().unwrap();
    assert_eq!((before.pid, &before.doing[..]), (pid, "prune"));
}

#[test]
fn age_alone_never_frees_a_lock() {
    let (_dir, store) = new_store();
    let ancient = Owner {
        since: "1999-12-31T00:00:00Z".into(),
        boot_id: "another boot".into(),
        ..me("backup")
    };
    let _held = RunLock::take(&store, &ancient).unwrap();
    let file = fs::File::open(store.path().join(".lifeboat/lock")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(
        RunLock::take(&store, &me("backup")).unwrap_err().kind(),
        ErrorKind::Busy
    );
}

#[test]
fn a_record_from_before_a_reboot_or_of_a_reused_pid_stops_nobody() {
    let (_dir, store) = new_store();
    let leftovers = [
        Owner {
            boot_id: "another boot".into(),
            ..me("backup")
        },
        // This very process has that number now.
        me("prune"),
        Owner {
            host: "container-1".into(),
            ..me("backup")
        },
    ];
    for before in leftovers {
        let record = serde_json::to_vec(&before).unwrap();
        fs::write(store.path().join(".lifeboat/lock"), record).unwrap();
        let lock = RunLock::take(&store, &me("backup")).unwrap();
        assert_eq!(lock.left_behind(), Some(&before));
    }
    for damaged in ["", "{", "\0\0\0\0", "[]"] {
        fs::write(store.path().join(".lifeboat/lock"), damaged).unwrap();
        let lock = RunLock::take(&store, &me("backup")).unwrap();
        assert_eq!(lock.left_behind(), None);
    }
}

#[test]
fn a_look_at_the_lock_never_costs_a_run() {
    let (_dir, store) = new_store();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            // Once at least, however late this thread gets its turn.
            loop {
                lock::holder(&store).unwrap();
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        let taken: Vec<_> = (0..200)
            .map(|_| RunLock::take(&store, &me("backup")).map(drop))
            .collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        looks.join().unwrap();
        assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    });
}

#[test]
fn what_is_read_is_not_deleted_and_what_is_deleted_is_not_read() {
    let (_dir, store) = new_store();
    let id = "shop_daily_20251213_020000";
    assert!(!is_leased(&store, id).unwrap());

    let one = Lease::take(&store, id).unwrap();
    let two = Lease::take(&store, id).unwrap();
    drop(one);
    assert!(is_leased(&store, id).unwrap());
    assert!(Eviction::try_begin(&store, id).unwrap().is_none());
    assert!(!is_leased(&store, "shop_daily_20251214_020000").unwrap());
    drop(two);
    assert!(!is_leased(&store, id).unwrap());

    let eviction = Eviction::try_begin(&store, id).unwrap().unwrap();
    assert_eq!(Lease::take(&store, id).unwrap_err().kind(), ErrorKind::Busy);
    assert!(Eviction::try_begin(&store, id).unwrap().is_none());
    drop(eviction);
    drop(Lease::take(&store, id).unwrap());
}

#[test]
fn the_leases_of_killed_processes_are_over() {
    let (_dir, store) = new_store();
    let (one, two) = (hold(&store, "some_backup"), hold(&store, "some_backup"));
    assert!(is_leased(&store, "some_backup").unwrap());
    kill(one);
    assert!(is_leased(&store, "some_backup").unwrap());
    kill(two);
    assert!(!is_leased(&store, "some_backup").unwrap());
    assert!(
        Eviction::try_begin(&store, "some_backup")
            .unwrap()
            .is_some()
    );
}

#[test]
fn locks_and_leases_are_no_objects_and_lead_nowhere() {
    let (_dir, store) = new_store();
    let _lock = RunLock::take(&store, &me("backup")).unwrap();
    let _lease = Lease::take(&store, "x").unwrap();
    put(&store, &lifeboat_store::Key::new("a").unwrap(), b"a").unwrap();
    assert_eq!(store.list(".lifeboat").unwrap(), []);
    assert_eq!(store.list("").unwrap().len(), 1);
    for bad in ["", "..", "a/b", "../../etc/passwd", "a\n"] {
        assert!(Lease::take(&store, bad).is_err(), "{bad:?}");
        assert!(is_leased(&store, bad).is_err(), "{bad:?}");
    }
}

/// While some read and some delete, nobody reads what is half deleted.
#[test]
fn readers_and_deleters_never_meet() {
    let (_dir, store) = new_store();
    let inside = std::sync::atomic::AtomicI32::new(0);
    std::thread::scope(|scope| {
        use std::sync::atomic::Ordering::SeqCst;
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if let Ok(_lease) = Lease::take(&store, "b") {
                        assert!(inside.fetch_add(1, SeqCst) >= 0, "a reader met a deleter");
                        inside.fetch_sub(1, SeqCst);
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                if let Some(_eviction) = Eviction::try_begin(&store, "b").unwrap() {
                    assert_eq!(inside.fetch_sub(1000, SeqCst), 0, "a deleter met a reader");
                    inside.fetch_add(1000, SeqCst);
                }
            }
        });
    });
}
