//! What every store must do, whatever it is made of.

use lifeboat_store::{Error, ErrorKind, Key, Object, Store, get, put};
use std::{
    io::{Read, Write},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

type Rule = fn(&dyn Store);

/// Asks one promise of the contract after the other, each of a fresh store.
///
/// # Panics
/// When one is not kept; the place of the panic tells which.
pub fn store_suite(make_store: impl Fn() -> Box<dyn Store>) {
    let rules: &[Rule] = &[
        an_object_comes_back_as_it_was_written,
        nothing_is_seen_before_the_commit,
        a_dropped_upload_leaves_nothing,
        an_object_is_never_overwritten,
        a_taken_key_is_noticed_at_the_commit_too,
        of_concurrent_uploads_of_a_key_one_wins,
        a_missing_object_is_not_found,
        a_list_is_exact_and_sorted,
        a_list_leaves_out_what_is_lifeboats_own,
        odd_names_are_kept,
        empty_and_large_objects_are_kept,
        deleting_twice_is_no_error,
        a_deleted_key_is_free_again,
        a_link_has_a_life_of_its_own,
        a_link_overwrites_nothing,
        a_replacement_is_whole,
        readers_never_see_a_replacement_half_done,
        an_open_object_can_be_read_to_its_end,
        a_sweep_leaves_objects_and_uploads_in_progress_alone,
        what_a_store_says_of_itself_makes_sense,
    ];
    for rule in rules {
        rule(make_store().as_ref());
    }
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).expect("a sound key")
}

/// Bytes that neither repeat soon nor depend on chance.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn read(store: &dyn Store, at: &str) -> Vec<u8> {
    get(store, &key(at), u64::MAX - 1).expect("the object can be read")
}

fn keys(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|o| o.key.as_str()).collect()
}

fn refused<T>(result: Result<T, Error>, kind: ErrorKind) {
    match result {
        Ok(_) => panic!("{kind:?} was expected, and it worked"),
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
    }
}

fn an_object_comes_back_as_it_was_written(store: &dyn Store) {
    let bytes = noise(100_000, 1);
    let made = put(store, &key("daily/a.tar"), &bytes).unwrap();
    assert_eq!((made.key.as_str(), made.size), ("daily/a.tar", 100_000));
    assert!(read(store, "daily/a.tar") == bytes);

    let mut cold = Vec::new();
    let mut stream = store.open_cold(&key("daily/a.tar")).unwrap();
    stream.read_to_end(&mut cold).unwrap();
    assert!(cold == bytes);

    let head = store.head(&key("daily/a.tar")).unwrap().unwrap();
    assert_eq!((&head.key, head.size), (&made.key, made.size));
}

fn nothing_is_seen_before_the_commit(store: &dyn Store) {
    let mut upload = store.begin(&key("daily/a")).unwrap();
    for step in 0..3 {
        assert_eq!(store.head(&key("daily/a")).unwrap(), None, "{step}");
        assert_eq!(store.list("").unwrap(), [], "{step}");
        refused(store.open(&key("daily/a")), ErrorKind::NotFound);
        upload.write_all(&noise(400_000, step)).unwrap();
        upload.flush().unwrap();
    }
    assert_eq!(upload.commit().unwrap().size, 1_200_000);
    assert_eq!(keys(&store.list("").unwrap()), ["daily/a"]);
}

fn a_dropped_upload_leaves_nothing(store: &dyn Store) {
    let mut upload = store.begin(&key("daily/a")).unwrap();
    upload.write_all(&noise(400_000, 1)).unwrap();
    drop(upload);
    assert_eq!(store.head(&key("daily/a")).unwrap(), None);
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!(store.sweep(false).unwrap(), [] as [String; 0]);
    put(store, &key("daily/a"), b"again").unwrap();
    assert_eq!(read(store, "daily/a"), b"again");
}

fn an_object_is_never_overwritten(store: &dyn Store) {
    put(store, &key("a"), b"first").unwrap();
    refused(put(store, &key("a"), b"second"), ErrorKind::Exists);
    assert_eq!(read(store, "a"), b"first");
}

fn a_taken_key_is_noticed_at_the_commit_too(store: &dyn Store) {
    let mut late = store.begin(&key("a")).unwrap();
    late.write_all(b"second").unwrap();
    put(store, &key("a"), b"first").unwrap();
    refused(late.commit(), ErrorKind::Exists);
    assert_eq!(read(store, "a"), b"first");
    assert_eq!(keys(&store.list("").unwrap()), ["a"]);
    assert_eq!(store.sweep(false).unwrap(), [] as [String; 0]);
}

fn of_concurrent_uploads_of_a_key_one_wins(store: &dyn Store) {
    for round in 0..10 {
        let at = key(&format!("daily/{round}"));
        let ready = Barrier::new(4);
        let won: Vec<u8> = thread::scope(|scope| {
            let runners: Vec<_> = (0..4u8)
                .map(|me| {
                    let (at, ready) = (&at, &ready);
                    scope.spawn(move || {
                        ready.wait();
                        match put(store, at, &[me; 5000]) {
                            Ok(_) => Some(me),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
                                None
                            }
                        }
                    })
                })
                .collect();
            runners
                .into_iter()
                .filter_map(|r| r.join().unwrap())
                .collect()
        });
        assert_eq!(won.len(), 1, "winners of round {round}: {won:?}");
        assert_eq!(read(store, at.as_str()), [won[0]; 5000]);
    }
    assert_eq!(store.list("").unwrap().len(), 10);
}

fn a_missing_object_is_not_found(store: &dyn Store) {
    put(store, &key("daily/a"), b"a").unwrap();
    for absent in ["b", "daily", "daily/b", "daily/a/b", "weekly/a"] {
        assert_eq!(store.head(&key(absent)).unwrap(), None, "{absent}");
        refused(store.open(&key(absent)), ErrorKind::NotFound);
        refused(store.open_cold(&key(absent)), ErrorKind::NotFound);
        refused(store.link(&key(absent), &key("c")), ErrorKind::NotFound);
    }
}

fn a_list_is_exact_and_sorted(store: &dyn Store) {
    let mut all: Vec<String> = (0..60).map(|n| format!("daily/shop_{n}.json")).collect();
    all.extend(
        [
            "a",
            "daily-old/x",
            "daily.json",
            "weekly/deep/er/x",
            "weekly/y",
        ]
        .map(String::from),
    );
    for (n, name) in all.iter().rev().enumerate() {
        put(store, &key(name), &vec![7; n]).unwrap();
    }
    all.sort();
    for prefix in [
        "",
        "d",
        "daily",
        "daily/",
        "daily/shop_1",
        "weekly/deep/er",
        "none",
        "weekly/y/",
    ] {
        let wanted: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|k| k.starts_with(prefix))
            .collect();
        let listed = store.list(prefix).unwrap();
        assert_eq!(keys(&listed), wanted, "prefix {prefix:?}");
        for object in listed {
            assert_eq!(store.head(&object.key).unwrap().unwrap(), object);
        }
    }
}

fn a_list_leaves_out_what_is_lifeboats_own(store: &dyn Store) {
    put(store, &key(".lifeboat/journal/1.json"), b"{}").unwrap();
    put(store, &key(".lifeboatish"), b"not ours").unwrap();
    put(store, &key("a"), b"a").unwrap();
    assert_eq!(keys(&store.list("").unwrap()), [".lifeboatish", "a"]);
    assert_eq!(keys(&store.list(".l").unwrap()), [".lifeboatish"]);
    let own = store.list(".lifeboat/").unwrap();
    assert_eq!(keys(&own), [".lifeboat/journal/1.json"]);
}

fn odd_names_are_kept(store: &dyn Store) {
    let long = format!("daily/{}", "n".repeat(255));
    let mut names = vec![
        "Größe/日本語/🚣.tar",
        "with space/ and more ",
        "-rf",
        "~",
        "a+b=c&d?e#f%20",
        "*",
        "[x]",
        "quote\"'`$(x)\\",
        "dots...",
        "..a/.b",
        "e\u{301}",
        "\u{e9}",
        "\u{202e}abc",
        &long,
    ];
    for name in &names {
        put(store, &key(name), name.as_bytes()).unwrap();
    }
    names.sort_unstable();
    assert_eq!(keys(&store.list("").unwrap()), names);
    for name in &names {
        assert_eq!(read(store, name), name.as_bytes());
        store.delete(&key(name)).unwrap();
    }
    assert_eq!(store.list("").unwrap(), []);
}

fn empty_and_large_objects_are_kept(store: &dyn Store) {
    let large = noise(20 << 20, 3);
    put(store, &key("empty"), b"").unwrap();
    let mut upload = store.begin(&key("large")).unwrap();
    // In pieces below, at and above what anybody would buffer.
    let mut rest = &large[..];
    for size in [1, 4095, 70_000, 1 << 20, 5 << 20, usize::MAX] {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        upload.write_all(piece).unwrap();
        rest = after;
    }
    assert_eq!(upload.commit().unwrap().size, 20 << 20);
    assert_eq!(read(store, "empty"), b"");
    assert!(read(store, "large") == large);
}

fn deleting_twice_is_no_error(store: &dyn Store) {
    put(store, &key("daily/a"), b"a").unwrap();
    put(store, &key("daily/b"), b"b").unwrap();
    for _ in 0..2 {
        store.delete(&key("daily/a")).unwrap();
        assert_eq!(keys(&store.list("").unwrap()), ["daily/b"]);
    }
    store.delete(&key("never/was")).unwrap();
    store.delete(&key("daily/b/below")).unwrap();
    assert_eq!(read(store, "daily/b"), b"b");
}

fn a_deleted_key_is_free_again(store: &dyn Store) {
    put(store, &key("a"), b"one").unwrap();
    store.delete(&key("a")).unwrap();
    put(store, &key("a"), b"two").unwrap();
    assert_eq!(read(store, "a"), b"two");
}

fn a_link_has_a_life_of_its_own(store: &dyn Store) {
    let bytes = noise(3 << 20, 5);
    put(store, &key("daily/a"), &bytes).unwrap();
    store.link(&key("daily/a"), &key("monthly/2025/a")).unwrap();
    assert_eq!(
        keys(&store.list("").unwrap()),
        ["daily/a", "monthly/2025/a"]
    );
    assert!(read(store, "monthly/2025/a") == bytes);
    store.delete(&key("daily/a")).unwrap();
    assert!(read(store, "monthly/2025/a") == bytes);
    let head = store.head(&key("monthly/2025/a")).unwrap().unwrap();
    assert_eq!(head.size, bytes.len() as u64);
}

fn a_link_overwrites_nothing(store: &dyn Store) {
    put(store, &key("a"), b"a").unwrap();
    put(store, &key("b"), b"b").unwrap();
    refused(store.link(&key("a"), &key("b")), ErrorKind::Exists);
    refused(store.link(&key("a"), &key("a")), ErrorKind::Exists);
    assert_eq!(read(store, "b"), b"b");
}

fn a_replacement_is_whole(store: &dyn Store) {
    store.replace(&key("manifest.json"), b"one").unwrap();
    assert_eq!(read(store, "manifest.json"), b"one");
    store
        .replace(&key("manifest.json"), &noise(70_000, 2))
        .unwrap();
    assert!(read(store, "manifest.json") == noise(70_000, 2));
    store.replace(&key("manifest.json"), b"").unwrap();
    assert_eq!(read(store, "manifest.json"), b"");

    // A link to the old bytes keeps them.
    store.link(&key("manifest.json"), &key("old.json")).unwrap();
    store.replace(&key("manifest.json"), b"new").unwrap();
    assert_eq!(read(store, "old.json"), b"");
}

fn readers_never_see_a_replacement_half_done(store: &dyn Store) {
    let at = key("manifest.json");
    store.replace(&at, &[0; 30_000]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0u32;
                    loop {
                        let last = done.load(Ordering::Acquire);
                        let bytes = read(store, at.as_str());
                        assert_eq!(bytes.len(), 30_000);
                        assert!(bytes.iter().all(|b| *b == bytes[0]), "a mixture");
                        seen += 1;
                        if last {
                            return seen;
                        }
                    }
                })
            })
            .collect();
        for version in 1..=30u8 {
            store.replace(&at, &[version; 30_000]).unwrap();
        }
        done.store(true, Ordering::Release);
        assert!(readers.into_iter().all(|r| r.join().unwrap() > 0));
    });
    assert_eq!(read(store, at.as_str()), [30; 30_000]);
}

fn an_open_object_can_be_read_to_its_end(store: &dyn Store) {
    let bytes = noise(2 << 20, 8);
    put(store, &key("a"), &bytes).unwrap();
    let mut stream = store.open(&key("a")).unwrap();
    let mut begun = vec![0; 1000];
    stream.read_exact(&mut begun).unwrap();
    store.replace(&key("a"), b"other").unwrap();
    stream.read_to_end(&mut begun).unwrap();
    assert!(begun == bytes, "the stream changed under its reader");
}

fn a_sweep_leaves_objects_and_uploads_in_progress_alone(store: &dyn Store) {
    put(store, &key("daily/a"), b"a").unwrap();
    let mut upload = store.begin(&key("daily/b")).unwrap();
    upload.write_all(&noise(600_000, 1)).unwrap();
    for dry_run in [true, false] {
        assert_eq!(store.sweep(dry_run).unwrap(), [] as [String; 0]);
    }
    upload.write_all(&noise(600_000, 2)).unwrap();
    upload.commit().unwrap();
    assert_eq!(keys(&store.list("").unwrap()), ["daily/a", "daily/b"]);
    assert!(read(store, "daily/b")[600_000..] == noise(600_000, 2));
}

fn what_a_store_says_of_itself_makes_sense(store: &dyn Store) {
    assert!(!store.place().is_empty());
    if let Some(space) = store.space().unwrap() {
        assert!(0 < space.free && space.free <= space.total, "{space:?}");
    }
    if let Some(clock) = store.clock().unwrap() {
        let apart = clock.duration_since(std::time::SystemTime::now());
        let apart = apart.unwrap_or_else(|before| before.duration());
        assert!(apart.as_secs() < 86_400, "{apart:?} apart");
    }
}
