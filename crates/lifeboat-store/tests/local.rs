//! What a folder does beyond the contract that all stores share.

#![allow(clippy::print_stdout)]

use lifeboat_store::{ErrorKind, Key, Local, Probe, Store, Weakness, get, put};
use lifeboat_testkit::{
    Mount, Victim,
    mount::fast_dir,
    noise,
    victim::{self, How},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::Instant,
};
use tempfile::TempDir;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn keys(store: &Local, prefix: &str) -> Vec<String> {
    let objects = store.list(prefix).unwrap();
    objects.into_iter().map(|o| o.key.into()).collect()
}

fn new_store() -> (TempDir, Local) {
    let dir = TempDir::new().unwrap();
    let store = Local::open_or_create(dir.path().join("store")).unwrap();
    (dir, store)
}

#[test]
fn a_folder_that_is_away_is_not_taken_for_an_empty_store() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("nas");
    for _ in ["missing", "an empty mount point"] {
        let error = Local::existing(&missing).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.hint().contains("mounted"), "{}", error.hint());
        fs::create_dir_all(&missing).unwrap();
    }
    assert_eq!(fs::read_dir(&missing).unwrap().count(), 0);

    drop(Local::open_or_create(&missing).unwrap());
    assert_eq!(
        keys(&Local::existing(&missing).unwrap(), ""),
        [] as [&str; 0]
    );

    let copied = dir.path().join("usb");
    fs::create_dir_all(copied.join("daily")).unwrap();
    fs::write(copied.join("daily/a.tar"), b"a").unwrap();
    assert_eq!(
        keys(&Local::existing(&copied).unwrap(), ""),
        ["daily/a.tar"]
    );

    fs::write(dir.path().join("file"), b"").unwrap();
    assert!(Local::existing(dir.path().join("file")).is_err());
    assert!(Local::open_or_create(dir.path().join("file")).is_err());
}

#[test]
fn an_open_store_stays_on_its_disk_when_another_is_mounted_over_it() {
    let (_dir, store) = new_store();
    let Some(over) = Mount::tmpfs_at(store.path(), "size=1m") else {
        return;
    };
    put(&store, &key("daily/a"), b"a").unwrap();
    assert!(!over.path().join("daily").exists());
    drop(over);
    assert!(store.path().join("daily/a").exists());
}

#[test]
fn only_the_owner_may_read_what_is_kept() {
    let (_dir, store) = new_store();
    put(&store, &key("daily/deep/a"), b"a").unwrap();
    store.replace(&key("manifest.json"), b"{}").unwrap();
    let mode = |path: &str| {
        let meta = fs::metadata(store.path().join(path)).unwrap();
        meta.permissions().mode() & 0o7777
    };
    for folder in ["", "daily", "daily/deep", ".lifeboat", ".lifeboat/work"] {
        assert_eq!(mode(folder), 0o700, "{folder:?}");
    }
    for file in ["daily/deep/a", "manifest.json"] {
        assert_eq!(mode(file), 0o600, "{file:?}");
    }
}

#[test]
fn a_link_takes_no_space() {
    let (_dir, store) = new_store();
    put(&store, &key("daily/a"), b"a").unwrap();
    store.link(&key("daily/a"), &key("weekly/a")).unwrap();
    let inode = |path| fs::metadata(store.path().join(path)).unwrap().ino();
    assert_eq!(inode("daily/a"), inode("weekly/a"));
}

#[test]
fn a_tier_on_a_disk_of_its_own_works_like_the_others() {
    let (_dir, store) = new_store();
    fs::create_dir(store.path().join("monthly")).unwrap();
    let Some(_mount) = Mount::tmpfs_at(&store.path().join("monthly"), "size=8m") else {
        return;
    };
    let bytes = noise(3 << 20, 1);
    put(&store, &key("daily/a"), &bytes).unwrap();
    store.link(&key("daily/a"), &key("monthly/2025/a")).unwrap();
    put(&store, &key("monthly/b"), b"b").unwrap();
    store.replace(&key("monthly/c"), b"c").unwrap();

    let mut upload = store.begin(&key("monthly/2025/d")).unwrap();
    upload.write_all(b"d").unwrap();
    let all = ["daily/a", "monthly/2025/a", "monthly/b", "monthly/c"];
    assert_eq!(keys(&store, ""), all);
    assert_eq!(store.sweep(false).unwrap(), [] as [String; 0]);
    upload.commit().unwrap();
    assert!(get(&store, &key("monthly/2025/a"), 8 << 20).unwrap() == bytes);

    let stray = "monthly/.lifeboat-work/0123456789abcdef-1.unfinished";
    fs::write(store.path().join(stray), b"half").unwrap();
    assert_eq!(store.sweep(false).unwrap(), [stray]);
    assert_eq!(store.probe().unwrap(), Probe::default());
}

#[test]
fn symbolic_links_are_followed_but_not_in_circles() {
    let (dir, store) = new_store();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("old"), b"old").unwrap();
    symlink(&elsewhere, store.path().join("monthly")).unwrap();
    symlink(".", store.path().join("circle")).unwrap();
    symlink("..", elsewhere.join("up")).unwrap();
    symlink("nowhere", store.path().join("dangling")).unwrap();
    put(&store, &key("monthly/new"), b"new").unwrap();
    store.link(&key("monthly/new"), &key("daily/new")).unwrap();

    let listed = keys(&store, "");
    for wanted in ["daily/new", "monthly/new", "monthly/old"] {
        assert!(listed.iter().any(|k| k == wanted), "{wanted}: {listed:?}");
    }
    assert!(
        listed.iter().all(|k| !k.starts_with("circle")),
        "{listed:?}"
    );
    assert_eq!(fs::read(elsewhere.join("new")).unwrap(), b"new");
}

#[test]
fn what_is_not_a_file_is_not_an_object() {
    let (_dir, store) = new_store();
    put(&store, &key("daily/a"), b"a").unwrap();
    let fifo = store.path().join("daily/fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    fs::write(store.path().join("daily/new\nline"), b"").unwrap();
    fs::create_dir(store.path().join("lost+found")).unwrap();

    assert_eq!(keys(&store, ""), ["daily/a"]);
    assert_eq!(store.head(&key("daily/fifo")).unwrap(), None);
    let error = store.open(&key("daily/fifo")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = store.begin(&key("daily/fifo")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let error = store.begin(&key(".lifeboat/work/x")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
#[ignore = "a victim of other tests"]
fn uploader() {
    let Some(folder) = victim::order("folder") else {
        return;
    };
    let store = Local::existing(folder).unwrap();
    let mut upload = store.begin(&key("daily/theirs")).unwrap();
    upload.write_all(&noise(1 << 20, 1)).unwrap();
    victim::say("half done");
    let mut ended = String::new();
    std::io::stdin().read_line(&mut ended).unwrap();
}

#[test]
fn a_sweep_takes_what_the_dead_left_and_nothing_else() {
    let (_dir, store) = new_store();
    let work = store.path().join(".lifeboat/work");
    fs::create_dir_all(work.join("folder")).unwrap();
    let foreign = [
        "notes.txt",
        "0123456789abcdef-x.unfinished",
        "1.unfinished",
        "folder",
    ];
    for name in &foreign[..3] {
        fs::write(work.join(name), b"theirs").unwrap();
    }

    let mut mine = store.begin(&key("daily/mine")).unwrap();
    mine.write_all(b"mine").unwrap();
    let order = Victim::new("uploader").order("folder", store.path().display());
    let mut other = order.start().unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|l| l.unwrap().contains("half done")),
        "the other run never began"
    );

    assert_eq!(
        store.sweep(false).unwrap(),
        [] as [String; 0],
        "both are alive"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    let would_go = store.sweep(true).unwrap();
    assert_eq!(would_go.len(), 1, "{would_go:?}");
    assert!(
        store.path().join(&would_go[0]).exists(),
        "a dry run removes nothing"
    );
    assert_eq!(store.sweep(false).unwrap(), would_go);
    assert!(!store.path().join(&would_go[0]).exists());

    mine.commit().unwrap();
    assert_eq!(keys(&store, ""), ["daily/mine"]);
    for name in foreign {
        assert!(work.join(name).exists(), "{name} was not ours to take");
    }
}

#[test]
fn thirty_thousand_objects_are_listed_at_once() {
    let dir = fast_dir().unwrap();
    let store = Local::open_or_create(dir.path()).unwrap();
    for folder in 0..30 {
        let path = dir.path().join(format!("daily/{folder:02}"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..1000 {
            fs::write(path.join(format!("shop_{file:04}.json")), b"").unwrap();
        }
    }
    let began = Instant::now();
    assert_eq!(store.list("daily/").unwrap().len(), 30_000);
    let all = began.elapsed();
    let began = Instant::now();
    assert_eq!(store.list("daily/07/shop_00").unwrap().len(), 100);
    let some = began.elapsed();
    println!("listed 30000 in {all:?}, 100 of them in {some:?}");
    assert!(all.as_secs() < 5, "{all:?}");
}

#[test]
fn a_cold_read_comes_from_the_disk() {
    // Not below /tmp, which may be a tmpfs.
    let dir = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Local::open_or_create(dir.path()).unwrap();
    let size = 8 << 20;
    put(&store, &key("daily/a"), &noise(size, 1)).unwrap();
    let from_disk = |stream: &mut dyn Read| {
        let before = bytes_from_disk();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        assert!(bytes == noise(size, 1));
        bytes_from_disk() - before
    };
    let cached = from_disk(&mut store.open(&key("daily/a")).unwrap());
    let cold = from_disk(&mut store.open_cold(&key("daily/a")).unwrap());
    if cold == 0 {
        println!("SKIPPED: this file system does not tell what it reads from a disk");
        return;
    }
    assert!(
        cold >= size as u64,
        "only {cold} bytes were read from the disk"
    );
    assert!(
        cached < size as u64 / 2,
        "{cached} bytes were not in the cache"
    );
}

fn bytes_from_disk() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|l| l.strip_prefix("read_bytes: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_store_of_this_machine_has_no_clock_of_its_own() {
    let (_dir, store) = new_store();
    assert_eq!(store.clock().unwrap(), None);
}

#[test]
fn a_good_file_system_has_no_weakness() {
    let (_dir, store) = new_store();
    assert_eq!(store.probe().unwrap(), Probe::default());
    assert_eq!(keys(&store, ".lifeboat"), [] as [&str; 0]);
    let work = fs::read_dir(store.path().join(".lifeboat/work")).unwrap();
    assert_eq!(work.count(), 0);
}

#[test]
#[ignore = "a victim of other tests"]
fn prober() {
    let Some(folder) = victim::order("folder") else {
        return;
    };
    let store = Local::existing(folder).unwrap();
    match store.probe() {
        Ok(probe) => victim::say(&format!("{:?}", probe.weaknesses)),
        Err(error) => victim::say(&error.to_string()),
    }
    let made = put(&store, &key("daily/a"), b"a").is_ok();
    let linked = store.link(&key("daily/a"), &key("weekly/a")).is_ok();
    victim::say(&format!("made {made} linked {linked}"));
}

#[test]
fn a_weak_file_system_is_seen_through_and_still_serves() {
    if !victim::can_strace() {
        return;
    }
    let weak = |injections: &[&str]| {
        let (_dir, store) = new_store();
        let mut order = Victim::new("prober").order("folder", store.path().display());
        for injection in injections {
            order = order.inject(injection);
        }
        let ended = order.run().unwrap();
        assert_eq!(ended.how, How::Well, "{}", ended.output);
        assert_eq!(left_in_work(store.path()), 0, "{injections:?}");
        ended.said
    };
    for (injection, weakness) in [
        ("renameat2:error=EINVAL", Weakness::RenameNew),
        ("linkat:error=EPERM", Weakness::Links),
        ("flock:error=EOPNOTSUPP", Weakness::Locks),
    ] {
        let said = weak(&[injection]);
        assert_eq!(
            said,
            [format!("[{weakness:?}]"), "made true linked true".into()]
        );
    }
    // Every sync after the two of the files themselves.
    let said = weak(&["fsync:error=EINVAL:when=2"]);
    assert_eq!(said[0], "[FolderSync]");

    let said = weak(&["renameat2:error=EINVAL", "linkat:error=EPERM"]);
    assert!(
        said[0].contains("neither hard links nor a rename"),
        "{said:?}"
    );
    assert_eq!(said[1], "made false linked false");
    let said = weak(&["renameat2:retval=0:when=1"]);
    assert!(said[0].contains("renames over a file"), "{said:?}");
}

fn left_in_work(store: &Path) -> usize {
    fs::read_dir(store.join(".lifeboat/work")).map_or(0, Iterator::count)
}
