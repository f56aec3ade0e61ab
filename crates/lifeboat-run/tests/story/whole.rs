//! What happens when all goes well, and when a source, a byte or a manifest is not as it should be.

use crate::world::World;
use chrono::TimeDelta;
use lifeboat_plan::{
    Status, Tier,
    event::{Outcome, RunEvent},
};
use lifeboat_run::{
    Cancel, Listener,
    backup::Batch,
    layout,
    prune::{self, PruneError},
    restore::{self, RestoreError, Wish},
    unseal::{Depth, UnsealError},
    verify,
};
use lifeboat_store::{
    Key, Store,
    lock::{Holder, Owner},
};
use lifeboat_testkit::compare_trees;
use std::{fs, os::unix::fs::MetadataExt, process::Command, sync::Mutex};

fn wish(world: &World) -> Wish {
    Wish {
        target: world.dir.path().join("out"),
        ..Wish::default()
    }
}

fn restore(world: &World, wish: Wish) -> Result<restore::Restored, RestoreError> {
    let catalog = world.catalog();
    let item = catalog.latest(&world.name).expect("there is a good backup");
    let plan = restore::plan(item, wish)?;
    restore::carry_out(
        &plan,
        world.harbour(&world.local),
        "here",
        world.now,
        &Cancel::default(),
        &(),
    )
}

#[test]
fn a_backup_comes_back_as_it_was() {
    let world = World::signed();
    let report = world.back_up().unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    assert_eq!(report.manifest.sequence, 1);
    assert!(report.manifest.verified_at.is_some());

    let restored = restore(&world, wish(&world)).unwrap();
    assert_eq!(restored.remarks, Vec::<String>::new());
    for source in ["storage", "conf"] {
        let differences =
            compare_trees(&world.data().join(source), &restored.target.join(source)).unwrap();
        assert!(differences.is_empty(), "{differences:?}");
    }
    assert!(
        world
            .keys_in_store()
            .iter()
            .any(|key| key.starts_with("restore_logs/2025/12/restore_20251210_"))
    );
}

/// Hears whose name the lock bears while a run has it.
struct LockReader<'a>(&'a World, Mutex<Vec<Owner>>);

impl Listener for LockReader<'_> {
    fn hear(&self, _: &RunEvent) {
        if let Some(Holder::Named(owner)) = self.0.state.lock_holder().unwrap() {
            self.1.lock().unwrap().push(owner);
        }
    }
}

#[test]
fn every_date_of_a_run_is_of_the_clock_that_it_was_given() {
    let world = World::new();
    let reader = LockReader(&world, Mutex::default());
    let sources = world.sources();
    let report = world.back_up_heard(&world.local, &Batch::each(&sources), None, &reader);
    let manifest = report.unwrap().manifest;
    assert_eq!(manifest.created_at, world.now);
    for at in [manifest.completed_at, manifest.verified_at.unwrap()] {
        assert!(
            at >= world.now && at - world.now < TimeDelta::hours(1),
            "{at}"
        );
    }
    let owners = reader.1.into_inner().unwrap();
    assert!(!owners.is_empty());
    assert!(
        owners
            .iter()
            .all(|owner| owner.since == "2025-12-10T01:00:00Z"),
        "{owners:?}"
    );
}

#[test]
fn sha256sum_agrees_with_what_was_written() {
    let world = World::new();
    world.back_up().unwrap();
    let daily = world.store_path().join("daily");
    let sums: Vec<_> = fs::read_dir(&daily)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .filter(|n| n.to_string_lossy().ends_with(".sha256"))
        .collect();
    assert_eq!(sums.len(), 2);
    let status = Command::new("sha256sum")
        .arg("-c")
        .args(sums)
        .current_dir(daily)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn the_first_good_backup_fills_the_longer_tiers_without_taking_space() {
    let mut world = World::signed();
    let report = world.back_up().unwrap();
    let tiers: Vec<Tier> = report.promoted.iter().map(|id| id.tier()).collect();
    assert_eq!(tiers, [Tier::Weekly, Tier::Monthly]);
    for archive in &report.manifest.archives {
        let meta = fs::metadata(world.store_path().join("daily").join(&archive.file)).unwrap();
        assert_eq!(meta.nlink(), 3, "{}", archive.file);
    }
    assert!(world.catalog().items.iter().all(|item| item.is_good()));
    world.days_pass(1);
    assert!(world.back_up().unwrap().promoted.is_empty());
}

#[test]
fn a_source_that_cannot_be_captured_makes_the_backup_partial_and_prunes_nothing() {
    let mut world = World::new();
    world.keep.daily.keep_min = Some(1);
    world.keep.daily.slots = Some(1);
    world.back_up().unwrap();
    world.days_pass(1);
    let mut sources = world.sources();
    fs::remove_dir_all(world.data().join("conf")).unwrap();
    let report = world.back_up_into(&world.local, &sources).unwrap();
    assert_eq!(report.outcome(), Outcome::Partial);
    assert_eq!(report.manifest.status, Status::Partial);
    assert_eq!(report.manifest.missed[0].source, "conf");
    assert!(report.pruned.is_none() && report.promoted.is_empty());

    // And when none can be captured there is no backup at all.
    world.days_pass(1);
    fs::remove_dir_all(world.data().join("storage")).unwrap();
    let before = world.keys_in_store();
    sources.truncate(2);
    world.back_up_into(&world.local, &sources).unwrap_err();
    assert_eq!(world.keys_in_store(), before);
}

#[test]
fn a_backup_of_some_sources_is_complete_and_stands_for_nothing_else() {
    let mut world = World::new();
    let full = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.selection = vec!["conf".to_owned()];
    let report = world
        .back_up_into(&world.local, &[world.source("conf")])
        .unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    assert!(report.promoted.is_empty() && report.pruned.is_none());
    assert_eq!(world.catalog().latest(&world.name).unwrap().id(), &full);
}

#[test]
fn pruning_drops_the_old_ones_and_says_why() {
    let mut world = World::new();
    world.keep.daily.slots = Some(2);
    world.keep.daily.keep_min = Some(1);
    for _ in 0..5 {
        world.back_up().unwrap();
        world.days_pass(1);
    }
    let daily = world
        .catalog()
        .items
        .iter()
        .filter(|item| item.manifest.tier == Tier::Daily)
        .count();
    assert_eq!(daily, 2);
    assert!(
        world.catalog().strays.is_empty(),
        "{:?}",
        world.catalog().strays
    );
    assert!(world.local.list(layout::DROPPED).unwrap().is_empty());
}

#[test]
fn a_flipped_bit_is_found_quarantined_and_refused() {
    let world = World::signed();
    let report = world.back_up().unwrap();
    let file = world
        .store_path()
        .join("daily")
        .join(&report.manifest.archives[0].file);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();

    let catalog = world.catalog();
    let item = catalog.get(&report.manifest.id).unwrap();
    let harbour = world.harbour(&world.local);
    let checked = verify::verify(
        item,
        Depth::Digest,
        harbour,
        world.now,
        &Cancel::default(),
        &(),
    )
    .unwrap();
    assert_eq!(checked.damage.len(), 1, "{checked:?}");

    let catalog = world.catalog();
    let item = catalog.get(&report.manifest.id).unwrap();
    assert!(!item.is_good());
    let error = restore::plan(item, wish(&world)).unwrap_err();
    assert!(
        matches!(error, RestoreError::Unseal(UnsealError::Damaged { .. })),
        "{error}"
    );

    // Whoever insists still gets nothing that is wrong.
    let plan = restore::plan(
        item,
        Wish {
            force: true,
            ..wish(&world)
        },
    )
    .unwrap();
    let error =
        restore::carry_out(&plan, harbour, "here", world.now, &Cancel::default(), &()).unwrap_err();
    assert!(
        matches!(error, RestoreError::Unseal(UnsealError::Damaged { .. })),
        "{error}"
    );
    assert!(!plan.target.exists());
    let left: Vec<_> = fs::read_dir(world.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_manifest_that_was_touched_is_not_believed() {
    let world = World::signed();
    let report = world.back_up().unwrap();
    let path = world
        .store_path()
        .join(layout::manifest(&report.manifest.id).as_str());
    let text = fs::read_to_string(&path).unwrap();

    fs::write(
        &path,
        text.replace("\"host\": \"here\"", "\"host\": \"elsewhere\""),
    )
    .unwrap();
    let catalog = world.catalog();
    let error = restore::plan(catalog.get(&report.manifest.id).unwrap(), wish(&world)).unwrap_err();
    assert!(
        error.to_string().contains("changed after it was signed"),
        "{error}"
    );

    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value.as_object_mut().unwrap().remove("mac");
    fs::write(&path, value.to_string()).unwrap();
    let catalog = world.catalog();
    let error = restore::plan(catalog.get(&report.manifest.id).unwrap(), wish(&world)).unwrap_err();
    assert!(error.to_string().contains("no MAC"), "{error}");
}

#[test]
fn a_backup_that_vanished_from_the_store_leaves_a_gap_in_the_chain() {
    let mut world = World::signed();
    world.back_up().unwrap();
    world.days_pass(1);
    let newest = world.back_up().unwrap().manifest;
    let head = world.state.head(&world.name).unwrap();
    assert_eq!(world.catalog().chain_gap(head.as_ref()), None);
    for object in world.local.list(&layout::objects_of(&newest.id)).unwrap() {
        world.local.delete(&object.key).unwrap();
    }
    let gap = world.catalog().chain_gap(head.as_ref()).unwrap();
    assert!(gap.contains(&newest.id.to_string()), "{gap}");
}

#[test]
fn deleting_by_hand_leaves_no_gap_and_never_takes_the_last_good_one() {
    let mut world = World::signed();
    world.keep.weekly.enabled = false;
    world.keep.monthly.enabled = false;
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    let second = world.back_up().unwrap().manifest.id;
    let harbour = world.harbour(&world.local);
    let none = chrono::TimeDelta::zero();
    prune::delete(&second, none, harbour, world.now, &()).unwrap();
    assert_eq!(
        world
            .catalog()
            .chain_gap(world.state.head(&world.name).unwrap().as_ref()),
        None
    );
    let error = prune::delete(&first, none, harbour, world.now, &()).unwrap_err();
    assert!(matches!(error, PruneError::DeleteRefused(_)), "{error}");
    // Its number is not given twice.
    world.days_pass(1);
    assert_eq!(world.back_up().unwrap().manifest.sequence, 3);
}

#[test]
fn what_is_dropped_can_be_revived_during_its_grace_and_is_no_stray() {
    let mut world = World::signed();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.back_up().unwrap();
    let harbour = world.harbour(&world.local);
    prune::delete(
        &first,
        chrono::TimeDelta::hours(24),
        harbour,
        world.now,
        &(),
    )
    .unwrap();
    assert!(world.catalog().get(&first).is_none());
    assert!(world.catalog().strays.is_empty());
    lifeboat_run::drop::finish_drops(&world.local, &world.state, world.now).unwrap();
    lifeboat_run::drop::revive(&world.local, &first).unwrap();
    assert!(world.catalog().get(&first).unwrap().is_good());

    prune::delete(
        &first,
        chrono::TimeDelta::hours(24),
        harbour,
        world.now,
        &(),
    )
    .unwrap();
    world.days_pass(2);
    assert_eq!(
        lifeboat_run::drop::finish_drops(&world.local, &world.state, world.now).unwrap(),
        std::slice::from_ref(&first)
    );
    assert!(
        world
            .local
            .list(&layout::objects_of(&first))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_backup_that_is_being_read_is_not_dropped() {
    let mut world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.back_up().unwrap();
    let lease = world.state.lease(&first).unwrap();
    let harbour = world.harbour(&world.local);
    let none = chrono::TimeDelta::zero();
    prune::delete(&first, none, harbour, world.now, &()).unwrap_err();
    assert!(world.catalog().get(&first).is_some());
    drop(lease);
    prune::delete(&first, none, harbour, world.now, &()).unwrap();
}

#[test]
fn foreign_files_are_left_alone() {
    let mut world = World::new();
    world.keep.daily.slots = Some(1);
    world.keep.daily.keep_min = Some(1);
    world.back_up().unwrap();
    for foreign in [
        "daily/notes.txt",
        "daily/shop_daily_20251210_010000",
        "weekly/other_weekly_20200101_000000.tar",
    ] {
        lifeboat_store::put(&world.local, &Key::new(foreign).unwrap(), b"mine").unwrap();
    }
    for _ in 0..3 {
        world.days_pass(1);
        world.back_up().unwrap();
    }
    let keys = world.keys_in_store();
    assert!(keys.contains(&"daily/notes.txt".to_owned()));
    assert!(keys.contains(&"weekly/other_weekly_20200101_000000.tar".to_owned()));
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_an_empty_one_is_filled() {
    let world = World::new();
    world.back_up().unwrap();
    let target = world.dir.path().join("out");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "x").unwrap();
    let error = restore(&world, wish(&world)).unwrap_err();
    assert!(matches!(error, RestoreError::Refused(_)), "{error}");
    fs::remove_file(target.join("mine")).unwrap();
    restore(
        &world,
        Wish {
            sources: vec!["storage".into()],
            paths: vec!["sub/*".into()],
            ..wish(&world)
        },
    )
    .unwrap();
    assert_eq!(
        fs::read_to_string(target.join("storage/sub/b.bin")).unwrap(),
        "beta"
    );
    assert!(!target.join("storage/a.txt").exists());
}

#[test]
fn two_backups_in_one_second_have_two_names() {
    let world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    let second = world.back_up().unwrap().manifest.id;
    assert_eq!(second.to_string(), format!("{first}_2"));
    assert!(first < second);
}
