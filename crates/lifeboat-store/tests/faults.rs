//! Whatever fails, a caller who was told "ok" has it, and one who was told "no" has lost nothing.

use lifeboat_store::{
    Error, ErrorKind, Key, Local, Memory, Patience, ReadOnly, Retrying, Store, get, put,
};
use lifeboat_testkit::{Fault, Faults, at_every_step, mount::fast_dir, noise};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

const PATIENCE: Patience = Patience {
    tries_max: 4,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_secs(3),
};

/// A backup in small: two archives, their manifest, a promotion, the catalogue, a pruning.
fn run(store: &dyn Store) -> Vec<(&'static str, Result<(), Error>)> {
    vec![
        (
            "a",
            put(store, &key("daily/a"), &noise(600_000, 1)).map(drop),
        ),
        ("b", put(store, &key("daily/b"), b"b").map(drop)),
        ("list", store.list("daily/").map(drop)),
        ("head", store.head(&key("daily/b")).map(drop)),
        ("link", store.link(&key("daily/old"), &key("weekly/old"))),
        ("replace", store.replace(&key("manifest.json"), b"new")),
        ("delete", store.delete(&key("daily/older"))),
        ("read", get(store, &key("daily/old"), 100).map(drop)),
        ("sweep", store.sweep(false).map(drop)),
    ]
}

fn prepared(store: &dyn Store) {
    put(store, &key("daily/old"), b"old").unwrap();
    put(store, &key("daily/older"), b"older").unwrap();
    store.replace(&key("manifest.json"), b"old").unwrap();
}

/// Every operation either did its whole work or none of it; `lost_answers` may have done it unsaid.
fn honest(store: &dyn Store, results: &[(&str, Result<(), Error>)], lost_answers: bool) {
    let ok = |name: &str| {
        results
            .iter()
            .any(|(n, result)| *n == name && result.is_ok())
    };
    let read = |at: &str| {
        store
            .head(&key(at))
            .unwrap()
            .map(|_| get(store, &key(at), 1 << 20).unwrap())
    };
    let check = |name: &str, at: &str, done: Option<&[u8]>, undone: Option<&[u8]>| {
        let there = read(at);
        let there = there.as_deref();
        let fine = if ok(name) {
            there == done
        } else {
            there == undone || (lost_answers && there == done)
        };
        assert!(
            fine,
            "{name} was {}, and {at} is {:?}",
            if ok(name) { "ok" } else { "refused" },
            there.map(<[u8]>::len)
        );
    };
    check("a", "daily/a", Some(&noise(600_000, 1)), None);
    check("b", "daily/b", Some(b"b"), None);
    check("link", "weekly/old", Some(b"old"), None);
    check("replace", "manifest.json", Some(b"new"), Some(b"old"));
    check("delete", "daily/older", None, Some(b"older"));
    assert_eq!(read("daily/old").as_deref(), Some(&b"old"[..]));
}

#[test]
fn any_single_fault_is_told_and_spoils_nothing_else() {
    for fault in [
        Fault::Full,
        Fault::Denied,
        Fault::Passing,
        Fault::AnswerLost,
    ] {
        for local in [false, true] {
            let met = at_every_step(fault, |faults| {
                let dir = fast_dir().unwrap();
                let store: Arc<dyn Store> = if local {
                    Arc::new(Local::open_or_create(dir.path()).unwrap())
                } else {
                    Arc::new(Memory::new())
                };
                prepared(&store);
                let results = run(&faults.wrap(store.clone()));
                let refused = results.iter().filter(|(_, result)| result.is_err()).count();
                assert_eq!(
                    refused,
                    usize::from(faults.struck().is_some()),
                    "{results:?}"
                );
                honest(&store, &results, fault == Fault::AnswerLost);
                assert_eq!(store.sweep(true).unwrap(), [] as [String; 0]);
            });
            assert!(met >= 6, "{fault:?} met only {met} operations");
        }
    }
}

#[test]
fn a_flipped_bit_and_a_cut_read_are_what_they_say() {
    let memory = Memory::new();
    put(&memory, &key("a"), &noise(100_000, 1)).unwrap();
    for fault in [Fault::FlipBit, Fault::CutRead] {
        at_every_step(fault, |faults| {
            let read = get(&faults.wrap(&memory), &key("a"), 1 << 20).unwrap();
            let wrong = noise(100_000, 1)
                .iter()
                .zip(&read)
                .map(|(a, b)| (a ^ b).count_ones())
                .sum::<u32>();
            let (flipped, whole) = match (faults.struck().is_some(), fault) {
                (true, Fault::FlipBit) => (1, true),
                (true, _) => (0, false),
                (false, _) => (0, true),
            };
            assert_eq!(
                (wrong, read.len() == 100_000),
                (flipped, whole),
                "{:?}",
                faults.struck()
            );
        });
    }
}

/// What a retried store waited, instead of waiting.
fn retrying<S: Store>(store: S) -> (Retrying<S>, Arc<Mutex<Vec<Duration>>>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = waits.clone();
    let wait = move |time| noted.lock().unwrap().push(time);
    (Retrying::with_wait(store, PATIENCE, wait), waits)
}

#[test]
fn what_passes_by_itself_is_not_even_noticed() {
    for fault in [Fault::Passing, Fault::AnswerLost] {
        at_every_step(fault, |faults| {
            let memory = Memory::new();
            prepared(&memory);
            let (store, waits) = retrying(faults.wrap(memory.clone()));
            let results = run(&store);
            let waited = waits.lock().unwrap().len();
            // An upload is not tried again: its bytes are gone. Nor is a stream that has begun.
            match faults.struck() {
                Some(what)
                    if ["write", "commit", "read"]
                        .iter()
                        .any(|w| what.starts_with(w)) =>
                {
                    assert_eq!(waited, 0, "{what}");
                }
                struck => {
                    assert!(
                        results.iter().all(|(_, r)| r.is_ok()),
                        "{struck:?}: {results:?}"
                    );
                    assert_eq!(waited, usize::from(struck.is_some()));
                }
            }
            honest(&memory, &results, fault == Fault::AnswerLost);
        });
    }
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    for fault in [Fault::Full, Fault::Denied] {
        at_every_step(fault, |faults| {
            let memory = Memory::new();
            prepared(&memory);
            let (store, waits) = retrying(faults.wrap(memory.clone()));
            let results = run(&store);
            honest(&memory, &results, false);
            assert_eq!(waits.lock().unwrap().len(), 0);
        });
    }
}

#[test]
fn patience_ends() {
    let memory = Memory::new();
    let failing: Vec<Faults> = (0..10).map(|_| Faults::at(Fault::Passing, 1)).collect();
    // Ten layers, each of which fails once: more than four tries can pass.
    let mut store: Box<dyn Store> = Box::new(memory);
    for faults in &failing {
        store = Box::new(faults.wrap(store));
    }
    let (store, waits) = retrying(store);
    let error = store.list("").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Passing);
    let waits = waits.lock().unwrap();
    assert_eq!(waits.len(), 3, "the first try, and three more");
    for (wait, longest) in waits.iter().zip([1, 2, 3]) {
        assert!(*wait <= Duration::from_secs(longest), "{waits:?}");
    }
}

#[test]
fn waits_grow_to_a_bound_and_are_spread() {
    let at = |failures, chance| PATIENCE.wait_after(failures, chance).as_millis();
    assert_eq!(
        [at(1, 1.0), at(2, 1.0), at(3, 1.0), at(40, 1.0)],
        [1000, 2000, 3000, 3000]
    );
    assert_eq!([at(1, 0.0), at(2, 0.5), at(9, 0.5)], [0, 1000, 1500]);
}

#[test]
fn a_lost_answer_to_a_link_is_not_taken_for_another_object() {
    let memory = Memory::new();
    put(&memory, &key("a"), b"one").unwrap();
    put(&memory, &key("taken"), b"something else").unwrap();
    let (store, _) = retrying(Faults::at(Fault::Passing, 1).wrap(memory.clone()));
    let error = store.link(&key("a"), &key("taken")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists);
    let error = store.link(&key("a"), &key("a")).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Exists,
        "nothing was lost this time"
    );
}

#[test]
fn a_store_that_is_read_only_reads_and_does_nothing_else() {
    let memory = Memory::new();
    prepared(&memory);
    let store = ReadOnly::new(memory.clone());
    let results = run(&store);
    for (name, result) in &results {
        let reads = ["list", "head", "read"].contains(name);
        let kind = result.as_ref().err().map(Error::kind);
        assert_eq!(kind, (!reads).then_some(ErrorKind::Denied), "{name}");
    }
    honest(&memory, &results, false);
    assert_eq!(store.sweep(true).unwrap(), [] as [String; 0]);
}
