//! Dumps that are far smaller than they used to be (row D12 of the fault matrix).

use crate::{
    dumps::{back_up, sql},
    script::{Attempt, Script},
    world::World,
};
use lifeboat_plan::event::Outcome;
use lifeboat_run::{
    backup::Report,
    source::{Format, Sizes},
};
use std::fs;

/// One more day with a dump of so many rows, compared with those before.
fn day(world: &mut World, rows: usize, accept_smaller: bool) -> Report {
    let script = Script::new([Attempt::good(sql(rows))]);
    let mut dump = script.dump(Format::PostgresSql);
    dump.before = Sizes::of(&world.catalog(), &world.name, "db.shop", "postgres");
    dump.accept_smaller = accept_smaller;
    let report = back_up(world, dump).unwrap();
    script.assert_played();
    world.days_pass(1);
    report
}

fn size_accepted(report: &Report) -> Option<bool> {
    let archive = report
        .manifest
        .archives
        .iter()
        .find(|a| a.source == "db.shop");
    archive
        .unwrap()
        .facts
        .get("size_accepted")
        .and_then(|fact| fact.as_bool())
}

#[test]
fn a_dump_that_is_half_as_large_is_remarked_and_one_of_a_tenth_is_refused_until_a_person_accepts_it()
 {
    let mut world = World::new();
    for _ in 0..4 {
        assert_eq!(day(&mut world, 1000, false).outcome(), Outcome::Ok);
    }
    let smaller = day(&mut world, 400, false);
    assert_eq!(smaller.outcome(), Outcome::Warn);
    let warnings: Vec<_> = smaller
        .manifest
        .archives
        .iter()
        .flat_map(|a| &a.warnings)
        .collect();
    assert!(
        warnings[0].starts_with("far smaller than usual: 128"),
        "{warnings:?}"
    );
    assert_eq!(size_accepted(&smaller), None);

    for _ in 0..3 {
        let tiny = day(&mut world, 10, false);
        assert_eq!(tiny.outcome(), Outcome::Partial);
        assert_eq!(tiny.manifest.missed[0].code.as_deref(), Some("too_small"));
        assert!(tiny.pruned.is_none());
    }
    let accepted = day(&mut world, 10, true);
    assert_eq!(accepted.outcome(), Outcome::Ok);
    assert_eq!(size_accepted(&accepted), Some(true));
    // What was before it is no measure any more.
    let usual = day(&mut world, 11, true);
    assert_eq!(
        (usual.outcome(), size_accepted(&usual)),
        (Outcome::Ok, None)
    );
    assert_eq!(day(&mut world, 10, false).outcome(), Outcome::Ok);
    assert_eq!(day(&mut world, 1000, false).outcome(), Outcome::Ok);
}

#[test]
fn in_its_first_days_a_dump_may_become_small_and_that_is_remarked() {
    let mut world = World::new();
    day(&mut world, 1000, false);
    assert_eq!(day(&mut world, 1, false).outcome(), Outcome::Warn);
    // The lower one of two is what is usual.
    assert_eq!(day(&mut world, 1, false).outcome(), Outcome::Ok);
}

#[test]
fn copies_in_longer_tiers_are_no_sizes_of_their_own_and_damaged_backups_none_at_all() {
    let mut world = World::new();
    day(&mut world, 1000, false);
    assert!(
        world.catalog().items.len() > 1,
        "there are copies in longer tiers"
    );
    day(&mut world, 2000, false);
    let sizes = |world: &World, kind| Sizes::of(&world.catalog(), &world.name, "db.shop", kind);
    let size = |rows| sql(rows).len() as u64;
    assert_eq!(
        sizes(&world, "postgres"),
        Sizes::new([size(2000), size(1000)])
    );
    assert_eq!(sizes(&world, "mysql"), Sizes::default());

    // In a partial backup the dump may be whole.
    fs::rename(world.data().join("conf"), world.dir.path().join("away")).unwrap();
    let mut sources = world.sources();
    let gone = world.source("conf");
    let script = Script::new([Attempt::good(sql(3000))]);
    sources.extend([gone, script.source(Format::PostgresSql)]);
    let report = world.back_up_into(&world.local, &sources).unwrap();
    assert_eq!(report.outcome(), Outcome::Partial);
    let three = Sizes::new([size(3000), size(2000), size(1000)]);
    assert_eq!(sizes(&world, "postgres"), three);

    let archive = report
        .manifest
        .archives
        .iter()
        .find(|a| a.source == "db.shop");
    fs::remove_file(
        world
            .store_path()
            .join("daily")
            .join(&archive.unwrap().file),
    )
    .unwrap();
    assert_eq!(
        sizes(&world, "postgres"),
        Sizes::new([size(2000), size(1000)])
    );
}
