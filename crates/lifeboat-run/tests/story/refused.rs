//! What a restore does not even begin: decided before anything is touched.

use crate::world::World;
use lifeboat_run::{
    Cancel, layout,
    restore::{self, RestoreError, RestorePlan, Wish},
    unseal::{Depth, UnsealError},
    verify,
};
use serde_json::{Value, json};
use std::fs;

fn plan(world: &World, force: bool) -> Result<RestorePlan, RestoreError> {
    let wish = Wish {
        target: world.dir.path().join("out"),
        force,
        ..Wish::default()
    };
    restore::plan(&world.catalog().items[0], wish)
}

#[test]
fn a_backup_in_quarantine_is_refused_also_when_it_is_unsigned() {
    for world in [World::new(), World::signed()] {
        let archive = world.back_up().unwrap().manifest.archives.remove(0);
        let file = world.store_path().join("daily").join(&archive.file);
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(&file, bytes).unwrap();
        verify::verify(
            &world.catalog().items[0],
            Depth::Digest,
            world.harbour(&world.local),
            world.now,
            &Cancel::default(),
            &(),
        )
        .unwrap();

        let error = plan(&world, false).unwrap_err();
        assert!(
            matches!(error, RestoreError::Unseal(UnsealError::Damaged { .. })),
            "{error}"
        );
        let remarks = plan(&world, true).unwrap().remarks;
        assert!(
            remarks.iter().any(|remark| remark.contains(&archive.file)),
            "whoever insists is told of it: {remarks:?}"
        );
    }
}

/// Of an unsigned store, as whoever can write to it can.
fn rewrite(world: &World, change: impl Fn(&mut Value)) {
    let id = world.catalog().items[0].id().clone();
    let path = world.store_path().join(layout::manifest(&id).as_str());
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn sizes_that_no_disk_has_are_more_than_there_is_room_for() {
    let world = World::new();
    world.back_up().unwrap();
    rewrite(&world, |manifest| {
        for archive in manifest["archives"].as_array_mut().unwrap() {
            archive["plain_size"] = json!(u64::MAX);
        }
    });
    let error = plan(&world, false).unwrap_err();
    assert!(matches!(error, RestoreError::Refused(_)), "{error}");
    assert_eq!(plan(&world, true).unwrap().needs, u64::MAX);
}

#[test]
fn after_a_sequence_number_that_cannot_grow_there_are_still_backups() {
    let mut world = World::new();
    world.back_up().unwrap();
    rewrite(&world, |manifest| manifest["sequence"] = json!(u64::MAX));
    world.days_pass(1);
    assert_eq!(world.back_up().unwrap().manifest.sequence, u64::MAX);
}
