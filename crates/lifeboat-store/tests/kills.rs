//! Killed at any system call that changes something, a store shows whole objects only, and can be
//! used again at once.

#![allow(clippy::print_stdout)]

mod story;

use lifeboat_store::{
    ErrorKind, Key, Local, Store,
    lock::{Owner, RunLock},
    put,
};
use lifeboat_testkit::{
    mount::fast_dir,
    noise,
    victim::{self, Ended, How, Victim},
};
use std::{io::Write, path::Path};

#[test]
#[ignore = "a victim of other tests"]
fn storyteller() {
    story::tell();
}

#[test]
fn killed_at_any_call_it_shows_whole_objects_only() {
    if !victim::can_strace() {
        return;
    }
    let dir = fast_dir().unwrap();
    let mut kills = 0;
    for call in [
        "write",
        "fsync",
        "renameat2",
        "renameat",
        "linkat",
        "unlinkat",
        "mkdirat",
    ] {
        let folder = |nth: u64| dir.path().join(format!("{call}-{nth}"));
        kills += victim::kill_at_every(
            call,
            |nth| Victim::new("storyteller").order("folder", folder(nth).display()),
            |nth, ended| recovers(&folder(nth), ended),
        );
    }
    println!("RELIABILITY store_kills={kills} visible_partials=0");
}

#[test]
fn killed_at_any_call_without_a_safe_rename_it_shows_whole_objects_only() {
    if !victim::can_strace() {
        return;
    }
    let dir = fast_dir().unwrap();
    let mut kills = 0;
    for call in ["linkat", "unlinkat"] {
        let folder = |nth: u64| dir.path().join(format!("{call}-{nth}"));
        kills += victim::kill_at_every(
            call,
            |nth| {
                let victim = Victim::new("storyteller").order("folder", folder(nth).display());
                victim.inject("renameat2:error=EINVAL")
            },
            |nth, ended| recovers(&folder(nth), ended),
        );
    }
    println!("RELIABILITY store_kills_without_rename_noreplace={kills} visible_partials=0");
}

/// The next run finds the lock free, what was said done, and cleans up the rest.
fn recovers(folder: &Path, ended: &Ended) {
    let in_flight = ended.how == How::Killed;
    if let Err(wrong) = story::faithful(folder, ended.said.len(), in_flight) {
        panic!("{wrong}\n{}", ended.output);
    }
    if !in_flight {
        assert_eq!(ended.said.len(), story::STEPS);
    }

    let store = Local::open_or_create(folder).unwrap();
    let lock = RunLock::take(&store, &Owner::here("test", "now", "look")).unwrap();
    if !in_flight {
        assert_eq!(lock.left_behind(), None);
    } else if !ended.said.is_empty() && ended.said.len() < story::STEPS {
        let before = lock.left_behind().expect("a killed run leaves its record");
        assert_eq!(before.doing, "tale");
    }

    let would_go = store.sweep(true).unwrap();
    assert_eq!(store.sweep(false).unwrap(), would_go);
    assert!(would_go.len() <= 1, "{would_go:?}");
    if let Ok(mut left) = std::fs::read_dir(folder.join(".lifeboat/work")) {
        assert!(left.next().is_none());
    }
    put(&store, &story::key("daily/after"), b"the kill").unwrap();
}

/// Tries an object of the ordered size, then the same again under another key.
#[test]
#[ignore = "a victim of other tests"]
fn writer() {
    let (Some(folder), Some(size)) = (victim::order("folder"), victim::order("size")) else {
        return;
    };
    let store = Local::existing(folder).unwrap();
    let bytes = noise(size.parse().unwrap(), 1);
    let upload = |name: &str| -> Result<(), String> {
        let mut upload = store.begin(&story::key(name)).map_err(|e| e.to_string())?;
        for piece in bytes.chunks(1 << 20) {
            upload.write_all(piece).map_err(|e| e.to_string())?;
        }
        upload.commit().map(drop).map_err(|e| e.to_string())
    };
    for name in ["daily/first", "daily/second"] {
        match upload(name) {
            Ok(()) => victim::say(&format!("{name} ok")),
            Err(error) => victim::say(&format!("{name} failed: {error}")),
        }
    }
}

#[test]
fn what_a_failed_sync_has_dropped_is_never_trusted() {
    if !victim::can_strace() {
        return;
    }
    let dir = fast_dir().unwrap();
    let mut lies = 0;
    // The file's, its folder's, the root's.
    for nth in 1..=3 {
        let folder = dir.path().join(format!("fsync-{nth}"));
        Local::open_or_create(&folder).unwrap();
        let ended = Victim::new("writer")
            .order("folder", folder.display())
            .order("size", 100_000)
            .inject(format!("fsync:error=EIO:when={nth}"))
            .run()
            .unwrap();
        only_the_second_is_there(&folder, &ended);
        lies += 1;
    }
    // The same from the thread that syncs behind the writer: the last fsync says that all is well.
    let folder = dir.path().join("behind");
    Local::open_or_create(&folder).unwrap();
    let ended = Victim::new("writer")
        .order("folder", folder.display())
        .order("size", 70 << 20)
        .inject("fdatasync:error=EIO:when=1")
        .run()
        .unwrap();
    // Each upload has a thread of its own, and strace counts for each thread.
    assert_eq!(ended.said.len(), 2, "{}", ended.output);
    assert!(
        ended.said.iter().all(|s| s.contains("failed: ")),
        "{:?}",
        ended.said
    );
    let store = Local::existing(&folder).unwrap();
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(store.sweep(true).unwrap(), [] as [String; 0]);
    println!("RELIABILITY fsync_errors={} trusted=0", lies + 2);
}

#[test]
fn an_object_that_got_its_name_is_there_although_its_old_name_stays() {
    if !victim::can_strace() {
        return;
    }
    let dir = fast_dir().unwrap();
    let store = Local::open_or_create(dir.path()).unwrap();
    let ended = Victim::new("writer")
        .order("folder", dir.path().display())
        .order("size", 100_000)
        .inject("renameat2:error=EINVAL")
        .inject("unlinkat:error=EIO")
        .run()
        .unwrap();
    assert_eq!(ended.said, ["daily/first ok", "daily/second ok"]);
    assert_eq!(store.list("").unwrap().len(), 2);
    assert_eq!(store.sweep(false).unwrap().len(), 2, "the old names");
    for object in store.list("").unwrap() {
        let bytes = lifeboat_store::get(&store, &object.key, 1 << 20).unwrap();
        assert_eq!(bytes, noise(100_000, 1));
    }
}

fn only_the_second_is_there(folder: &Path, ended: &Ended) {
    let said: Vec<&str> = ended.said.iter().map(String::as_str).collect();
    let [first, "daily/second ok"] = said[..] else {
        panic!("{said:?}: {}", ended.output);
    };
    assert!(first.starts_with("daily/first failed: cannot "), "{first}");
    let store = Local::existing(folder).unwrap();
    let keys: Vec<Key> = store.list("").unwrap().into_iter().map(|o| o.key).collect();
    assert_eq!(keys, [story::key("daily/second")]);
    assert_eq!(store.sweep(true).unwrap(), [] as [String; 0]);
}

#[test]
fn an_error_in_one_folder_is_an_error_of_the_whole_list() {
    if !victim::can_strace() {
        return;
    }
    let dir = fast_dir().unwrap();
    let store = Local::open_or_create(dir.path()).unwrap();
    for n in 0..5 {
        put(&store, &story::key(&format!("f{n}/x")), b"x").unwrap();
    }
    // Each folder takes two calls; the first folder is the root.
    for nth in 1..=12 {
        let ended = Victim::new("lister")
            .order("folder", dir.path().display())
            .inject(format!("getdents64:error=EIO:when={nth}"))
            .run()
            .unwrap();
        assert_eq!(ended.said, ["failed"], "call {nth}: {}", ended.output);
    }
}

#[test]
#[ignore = "a victim of other tests"]
fn lister() {
    let Some(folder) = victim::order("folder") else {
        return;
    };
    let store = Local::open_or_create(folder).unwrap();
    match store.list("") {
        Ok(objects) => victim::say(&format!("{} objects", objects.len())),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Other, "{error}");
            victim::say("failed");
        }
    }
}
