//! The Nth operation of the store fails, for every N there is, in every way there is.
//!
//! Whatever fails: a backup that is reported is there and whole; one that is not reported does not exist
//! or is whole all the same; and those that were there before are untouched.

use crate::world::World;
use lifeboat_plan::BackupId;
use lifeboat_run::{Cancel, unseal::Depth, verify};
use lifeboat_testkit::{Fault, at_every_step};

fn all_that_exists_is_whole(world: &World, what: &str) {
    let catalog = world.catalog();
    assert!(
        catalog.suspects.is_empty(),
        "{what}: {:?}",
        catalog.suspects
    );
    for item in &catalog.items {
        assert!(
            item.missing.is_empty(),
            "{what}: {} misses {:?}",
            item.id(),
            item.missing
        );
        let checked = verify::verify(
            item,
            Depth::Deep,
            world.harbour(&world.local),
            world.now,
            &Cancel::default(),
            &(),
        )
        .unwrap();
        assert!(checked.is_whole(), "{what}: {checked:?}");
    }
}

fn back_up_with(fault: Fault) -> u64 {
    at_every_step(fault, |faults| {
        let mut world = World::new();
        world.keep.daily.slots = Some(2);
        world.keep.daily.keep_min = Some(1);
        let mut before: Vec<BackupId> = Vec::new();
        for _ in 0..3 {
            before.push(world.back_up().unwrap().manifest.id);
            world.days_pass(1);
        }
        let store = faults.wrap(world.local.clone());
        let result = world.back_up_into(&store, &world.sources());
        let what = format!("{fault:?} at {:?}", faults.struck());

        all_that_exists_is_whole(&world, &what);
        let catalog = world.catalog();
        assert!(
            catalog.get(&before[2]).is_some(),
            "{what}: the newest before it is gone"
        );
        match &result {
            Ok(report) => assert!(
                catalog.get(&report.manifest.id).is_some(),
                "{what}: reported, and not there"
            ),
            Err(error) => {
                assert!(
                    catalog.get(&before[1]).is_some(),
                    "{what}: pruned after a failed run ({error})"
                );
            }
        }
        // The next run, on a healthy store, cleans up and works.
        world.days_pass(1);
        let next = world
            .back_up()
            .unwrap_or_else(|e| panic!("{what}: the next run failed: {e}"));
        all_that_exists_is_whole(&world, &what);
        let catalog = world.catalog();
        assert!(
            catalog
                .get(&next.manifest.id)
                .is_some_and(|item| item.is_good()),
            "{what}"
        );
        let strays: Vec<_> = catalog.strays.iter().map(|o| o.key.as_str()).collect();
        assert!(strays.is_empty(), "{what}: {strays:?}");
        assert!(world.state.open_runs().unwrap().is_empty(), "{what}");
    })
}

#[test]
fn a_full_store_at_every_step_never_leaves_half_a_backup() {
    println!(
        "RELIABILITY every_failure_full={} broken_backups=0",
        back_up_with(Fault::Full)
    );
}

#[test]
fn a_store_that_refuses_at_every_step_never_leaves_half_a_backup() {
    println!(
        "RELIABILITY every_failure_denied={} broken_backups=0",
        back_up_with(Fault::Denied)
    );
}

#[test]
fn a_lost_answer_at_every_step_never_leaves_half_a_backup() {
    println!(
        "RELIABILITY every_failure_answer_lost={} broken_backups=0",
        back_up_with(Fault::AnswerLost)
    );
}

#[test]
fn a_bit_that_a_read_got_wrong_is_never_reported_as_a_good_backup() {
    println!(
        "RELIABILITY every_failure_flipped_read={} broken_backups=0",
        back_up_with(Fault::FlipBit)
    );
}

#[test]
fn a_read_that_ends_early_is_never_taken_for_the_whole() {
    println!(
        "RELIABILITY every_failure_cut_read={} broken_backups=0",
        back_up_with(Fault::CutRead)
    );
}
