//! Killed between two steps, and two at work on one store at once.

use crate::world::World;
use chrono::TimeDelta;
use lifeboat_plan::{Name, manifest::Proof};
use lifeboat_run::{
    Cancel,
    catalog::Catalog,
    drop, layout, leftovers, prune,
    restore::{self, Wish},
    unseal::Depth,
    verify,
    verify::VerifyError,
};
use lifeboat_store::{Key, Local, Object, Result, Space, Store, Upload};
use lifeboat_testkit::{Fault, Mount, at_every_step};
use std::{fs, io::Read, time::SystemTime};

#[test]
fn a_backup_that_is_taken_back_half_way_promises_nothing() {
    at_every_step(Fault::Denied, |faults| {
        let world = World::new();
        let id = world.back_up().unwrap().manifest.id;
        let store = faults.wrap(world.local.clone());
        let _ = leftovers::take_back(&store, &id);
        for item in &world.catalog().items {
            assert!(item.missing.is_empty(), "{:?}: {item:?}", faults.struck());
        }
    });
}

#[test]
fn a_leftover_that_cannot_be_removed_costs_no_backup_and_is_told() {
    let mut world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.back_up().unwrap();
    let grace = TimeDelta::hours(1);
    prune::delete(&first, grace, world.harbour(&world.local), world.now, &()).unwrap();
    // A folder where the lease should be: its archives can never be taken away.
    let lease = world.store_path().join(format!(".lifeboat/leases/{first}"));
    let _ = fs::remove_file(&lease);
    fs::create_dir(&lease).unwrap();

    world.days_pass(1);
    let report = world.back_up().unwrap();
    let told = report.afterthoughts.join("\n");
    assert!(told.contains("left behind"), "{told}");
}

#[test]
fn a_drop_that_was_killed_after_its_first_step_is_finished_before_anyone_counts_on_the_backup() {
    let mut world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.back_up().unwrap();
    let manifest = fs::read(world.store_path().join(layout::manifest(&first).as_str())).unwrap();
    let grace = TimeDelta::hours(48);
    prune::delete(&first, grace, world.harbour(&world.local), world.now, &()).unwrap();
    world
        .local
        .replace(&layout::manifest(&first), &manifest)
        .unwrap();

    let buried = drop::finish_drops(&world.local, &world.state, world.now).unwrap();
    assert!(buried.is_empty(), "its grace is not over");
    assert!(world.catalog().get(&first).is_none());
    // And what is read meanwhile stays until it was read.
    let lease = world.state.lease(&first).unwrap();
    world.days_pass(3);
    let buried = drop::finish_drops(&world.local, &world.state, world.now).unwrap();
    assert!(buried.is_empty(), "somebody reads it");
    std::mem::drop(lease);
    let buried = drop::finish_drops(&world.local, &world.state, world.now).unwrap();
    assert_eq!(buried, [first]);
}

#[test]
fn every_name_in_a_store_has_a_chain_of_its_own() {
    let mut world = World::new();
    let shop = world.back_up().unwrap().manifest;
    let shop_name = std::mem::replace(&mut world.name, "blog".parse::<Name>().unwrap());
    world.days_pass(1);
    world.back_up().unwrap();
    for object in world.local.list("").unwrap() {
        if object.key.as_str().contains("shop_") {
            world.local.delete(&object.key).unwrap();
        }
    }
    let head = world.state.head(&shop_name).unwrap();
    let gap = world.catalog().chain_gap(head.as_ref()).unwrap();
    assert!(gap.contains(&shop.id.to_string()), "{gap}");
}

#[test]
fn a_backup_dropped_before_its_turn_to_be_verified_came_is_not_called_damaged() {
    let mut world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    world.back_up().unwrap();
    let catalog = world.catalog();
    let harbour = world.harbour(&world.local);
    prune::delete(&first, TimeDelta::zero(), harbour, world.now, &()).unwrap();
    let answer = verify::verify(
        catalog.get(&first).unwrap(),
        Depth::Digest,
        harbour,
        world.now,
        &Cancel::default(),
        &(),
    );
    assert!(matches!(answer, Err(VerifyError::Gone(_))), "{answer:?}");
    assert!(world.local.list(layout::QUARANTINE).unwrap().is_empty());
    assert!(
        world
            .local
            .head(&layout::manifest(&first))
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_verification_keeps_the_evidence_that_others_wrote_meanwhile() {
    let world = World::signed();
    let id = world.back_up().unwrap().manifest.id;
    let before = world.catalog();
    let mut manifest = before.get(&id).unwrap().manifest.clone();
    manifest.proofs.push(Proof {
        at: world.now,
        proved: true,
        summary: "it opens".to_owned(),
    });
    world.authenticator.sign(&mut manifest);
    world
        .local
        .replace(&layout::manifest(&id), &manifest.to_bytes())
        .unwrap();
    let item = before.get(&id).unwrap();
    let harbour = world.harbour(&world.local);
    let later = world.now + TimeDelta::hours(1);
    let cancel = Cancel::default();
    verify::verify(item, Depth::Digest, harbour, later, &cancel, &()).unwrap();
    let after = world.catalog();
    let manifest = &after.get(&id).unwrap().manifest;
    assert_eq!(manifest.proofs.len(), 1);
    assert_eq!(manifest.verified_at, Some(later));
    assert!(after.get(&id).unwrap().is_good());
}

#[test]
fn copies_that_share_damaged_bytes_count_no_more_than_the_backup_itself() {
    let mut world = World::signed();
    world.back_up().unwrap();
    let first = world
        .catalog()
        .latest(&world.name)
        .unwrap()
        .manifest
        .clone();
    let file = world
        .store_path()
        .join("daily")
        .join(&first.archives[0].file);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&file, &damaged).unwrap();

    let harbour = world.harbour(&world.local);
    let check = |at| {
        let catalog = world.catalog();
        let item = catalog.get(&first.id).unwrap();
        let checked =
            verify::verify(item, Depth::Digest, harbour, at, &Cancel::default(), &()).unwrap();
        checked.is_whole()
    };
    let later = world.now + TimeDelta::days(1);
    assert!(!check(later));
    let catalog = world.catalog();
    assert_eq!(catalog.items.len(), 3);
    assert!(catalog.items.iter().all(|item| !item.is_good()));

    fs::write(&file, &whole).unwrap();
    assert!(check(later + TimeDelta::days(1)));
    assert!(world.catalog().items.iter().all(|item| item.is_good()));
    world.days_pass(3);
    world.back_up().unwrap();
}

#[test]
fn a_store_that_shows_only_half_is_not_pruned_by_what_is_left_at_the_second_look_either() {
    let mut world = World::new();
    for _ in 0..10 {
        world.back_up().unwrap();
        world.days_pass(1);
    }
    let gone = world.dir.path().join("away");
    fs::create_dir(&gone).unwrap();
    for item in world.catalog().items.iter().take(6) {
        let key = layout::manifest(item.id());
        let name = gone.join(key.file_name());
        fs::rename(world.store_path().join(key.as_str()), name).unwrap();
    }
    world.keep.daily.slots = Some(1);
    world.keep.daily.keep_min = Some(1);
    for _ in 0..3 {
        let report = world.back_up().unwrap();
        assert!(report.pruned.is_none(), "{:?}", report.pruned);
        world.days_pass(1);
    }
    // A person says that it is right so.
    world.catalog().remember(&world.local).unwrap();
    let report = world.back_up().unwrap();
    assert!(!report.pruned.unwrap().dropped.is_empty());
}

#[test]
fn a_prune_that_is_killed_half_way_does_not_look_like_a_loss() {
    at_every_step(Fault::Denied, |faults| {
        let mut world = World::new();
        world.keep.weekly.enabled = false;
        world.keep.monthly.enabled = false;
        for _ in 0..6 {
            world.back_up().unwrap();
            world.days_pass(1);
        }
        world.keep.daily.slots = Some(1);
        world.keep.daily.keep_min = Some(1);
        let store = faults.wrap(world.local.clone());
        let _ = prune::prune(
            &world.name,
            &world.rules(),
            world.harbour(&store),
            world.now,
            &(),
        );
        assert!(!world.catalog().is_short(), "{:?}", faults.struck());
    });
}

#[test]
fn an_archive_that_is_missing_or_has_no_possible_name_is_refused_before_anything_is_unpacked() {
    let world = World::new();
    let id = world.back_up().unwrap().manifest.id;
    let mut manifest = world.catalog().get(&id).unwrap().manifest.clone();
    manifest.archives[1].file = "../../etc/passwd".to_owned();
    world
        .local
        .replace(&layout::manifest(&id), &manifest.to_bytes())
        .unwrap();
    let catalog = world.catalog();
    for force in [false, true] {
        let wish = Wish {
            target: world.dir.path().join("out"),
            force,
            ..Wish::default()
        };
        let error = restore::plan(catalog.get(&id).unwrap(), wish).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

#[test]
fn a_restore_into_a_mounted_volume_that_is_stopped_half_way_leaves_it_as_it_was() {
    let world = World::new();
    let id = world.back_up().unwrap().manifest.id;
    let Some(volume) = Mount::tmpfs("size=8m") else {
        return;
    };
    let catalog = world.catalog();
    let wish = Wish {
        target: volume.path().to_owned(),
        ..Wish::default()
    };
    let plan = restore::plan(catalog.get(&id).unwrap(), wish).unwrap();
    for taken in ["conf", "storage"] {
        fs::write(volume.path().join(taken), "somebody was faster").unwrap();
        let done = restore::carry_out(
            &plan,
            world.harbour(&world.local),
            "here",
            world.now,
            &Cancel::default(),
            &(),
        );
        done.unwrap_err();
        let left: Vec<_> = fs::read_dir(volume.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [taken]);
        fs::remove_file(volume.path().join(taken)).unwrap();
    }
}

#[test]
fn what_happens_while_the_catalogue_is_read_is_no_error_and_no_damage() {
    let mut world = World::new();
    let first = world.back_up().unwrap().manifest.id;
    world.days_pass(1);
    let second = world.back_up().unwrap().manifest;
    let mut listed = world.local.list("").unwrap();
    // An archive that was not seen although its manifest was, and a backup that is gone now.
    listed.retain(|o| !o.key.as_str().ends_with(&second.archives[0].file));
    prune::delete(
        &first,
        TimeDelta::zero(),
        world.harbour(&world.local),
        world.now,
        &(),
    )
    .unwrap();

    let store = ListedBefore {
        store: world.local.clone(),
        listed,
    };
    let catalog = Catalog::read(world.harbour(&store)).unwrap();
    assert!(catalog.get(&first).is_none());
    assert!(catalog.get(&second.id).unwrap().is_good());
}

/// Lists what was there a while ago.
#[derive(Debug)]
struct ListedBefore {
    store: Local,
    listed: Vec<Object>,
}

impl Store for ListedBefore {
    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        match prefix {
            "" => Ok(self.listed.clone()),
            prefix => self.store.list(prefix),
        }
    }
    fn place(&self) -> &str {
        self.store.place()
    }
    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.store.begin(key)
    }
    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        self.store.open(key)
    }
    fn head(&self, key: &Key) -> Result<Option<Object>> {
        self.store.head(key)
    }
    fn delete(&self, key: &Key) -> Result<()> {
        self.store.delete(key)
    }
    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        self.store.link(from, to)
    }
    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.store.replace(key, bytes)
    }
    fn space(&self) -> Result<Option<Space>> {
        self.store.space()
    }
    fn clock(&self) -> Result<Option<SystemTime>> {
        self.store.clock()
    }
    fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
        self.store.sweep(dry_run)
    }
}
