//! Every store and every wrapper keeps the whole contract.

use lifeboat_store::{Local, Memory, Patience, Retrying, Store};
use lifeboat_testkit::store_suite;
use std::{path::Path, sync::Mutex};
use tempfile::TempDir;

/// Local stores below a folder that outlives them.
fn folders(below: &Path) -> impl Fn() -> Box<dyn Store> {
    let count = Mutex::new(0);
    let below = below.to_owned();
    move || {
        let mut count = count.lock().unwrap();
        *count += 1;
        Box::new(Local::open_or_create(below.join(format!("store-{count}"))).unwrap())
    }
}

#[test]
fn a_folder_keeps_the_contract() {
    let dir = TempDir::new().unwrap();
    store_suite(folders(dir.path()));
}

#[test]
fn a_folder_in_memory_keeps_the_contract() {
    let dir = TempDir::new_in("/dev/shm").unwrap();
    store_suite(folders(dir.path()));
}

#[test]
fn memory_keeps_the_contract() {
    store_suite(|| Box::new(Memory::new()));
}

#[test]
fn a_retried_store_keeps_the_contract() {
    store_suite(|| {
        let never = |_| panic!("nothing here may pass by itself");
        Box::new(Retrying::with_wait(
            Memory::new(),
            Patience::default(),
            never,
        ))
    });
}
