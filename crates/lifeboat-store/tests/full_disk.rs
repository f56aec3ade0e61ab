//! No space, no inodes, no right to write: nothing is left half done, and nothing else suffers.

use lifeboat_store::{Error, ErrorKind, Key, Local, Store, get, put};
use lifeboat_testkit::{Mount, noise};
use std::io::Write;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    result.err().expect("it cannot work here").kind()
}

fn free(store: &Local) -> u64 {
    store.space().unwrap().unwrap().free
}

#[test]
fn on_a_full_disk_the_unfinished_object_goes_and_its_space_comes_back() {
    let Some(mount) = Mount::tmpfs("size=64k") else {
        return;
    };
    let store = Local::open_or_create(mount.path()).unwrap();
    put(&store, &key("daily/small"), &noise(10_000, 1)).unwrap();
    let before = free(&store);

    let mut upload = store.begin(&key("daily/large")).unwrap();
    let failed = upload.write_all(&noise(700_000, 2)).unwrap_err();
    assert_eq!(Error::io("write", "x", failed).kind(), ErrorKind::Full);
    assert_eq!(kind(upload.commit()), ErrorKind::Full, "half an object");
    assert_eq!(free(&store), before);

    // Small pieces are gathered: there the commit finds out.
    let mut upload = store.begin(&key("daily/large")).unwrap();
    upload.write_all(&noise(100_000, 2)).unwrap();
    assert_eq!(kind(upload.commit()), ErrorKind::Full);
    assert_eq!(free(&store), before);

    store.replace(&key("manifest.json"), b"old").unwrap();
    let too_much = store.replace(&key("manifest.json"), &noise(100_000, 3));
    assert_eq!(kind(too_much), ErrorKind::Full);
    assert_eq!(get(&store, &key("manifest.json"), 10).unwrap(), b"old");

    assert_eq!(store.list("daily/").unwrap().len(), 1);
    assert_eq!(store.sweep(true).unwrap(), [] as [String; 0]);
    let small = get(&store, &key("daily/small"), 1 << 20).unwrap();
    assert_eq!(small, noise(10_000, 1));
    store.delete(&key("daily/small")).unwrap();
    put(&store, &key("daily/next"), &noise(20_000, 4)).unwrap();
}

#[test]
fn without_inodes_nothing_begins_and_deleting_helps() {
    let Some(mount) = Mount::tmpfs("nr_inodes=10") else {
        return;
    };
    let store = Local::open_or_create(mount.path()).unwrap();
    let mut kept = Vec::new();
    let full = loop {
        let at = key(&format!("daily/{}", kept.len()));
        match put(&store, &at, b"x") {
            Ok(object) => kept.push(object),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
    assert!(!kept.is_empty());
    assert_eq!(store.list("").unwrap(), kept);
    assert_eq!(
        kind(store.replace(&key("manifest.json"), b"{}")),
        ErrorKind::Full
    );

    store.delete(&kept[0].key).unwrap();
    put(&store, &key("daily/again"), b"x").unwrap();
    assert_eq!(store.list("").unwrap().len(), kept.len());
}

#[test]
fn a_disk_that_became_read_only_refuses_and_can_be_read() {
    let Some(mount) = Mount::tmpfs("size=1m") else {
        return;
    };
    let store = Local::open_or_create(mount.path()).unwrap();
    put(&store, &key("daily/a"), b"a").unwrap();
    mount.remount("ro").unwrap();

    assert_eq!(kind(store.begin(&key("daily/b"))), ErrorKind::Denied);
    assert_eq!(
        kind(store.link(&key("daily/a"), &key("weekly/a"))),
        ErrorKind::Denied
    );
    assert_eq!(
        kind(store.link(&key("daily/a"), &key("daily/c"))),
        ErrorKind::Denied
    );
    assert_eq!(
        kind(store.replace(&key("manifest.json"), b"{}")),
        ErrorKind::Denied
    );
    assert_eq!(kind(store.delete(&key("daily/a"))), ErrorKind::Denied);
    assert_eq!(kind(store.probe()), ErrorKind::Denied);

    let reader = Local::existing(mount.path()).unwrap();
    assert_eq!(reader.list("").unwrap().len(), 1);
    assert_eq!(get(&reader, &key("daily/a"), 10).unwrap(), b"a");
    assert_eq!(reader.sweep(true).unwrap(), [] as [String; 0]);
    assert_eq!(
        kind(Local::open_or_create(mount.path().join("new"))),
        ErrorKind::Denied
    );

    mount.remount("rw").unwrap();
    put(&store, &key("daily/b"), b"b").unwrap();
}
