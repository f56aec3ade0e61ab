//! Backups and what they save are kept apart.

mod config_world;

use config_world::World;
use std::{fs, os::unix::fs::symlink};

#[track_caller]
fn refused(sources: &str, backups: &str, what: &str) {
    let report = World::new()
        .env("BACKUP_SOURCES_DIR", sources)
        .env("BACKUP_DIR", backups)
        .mistakes();
    assert!(report.contains(what), "{report}");
}

#[test]
fn backups_inside_a_source_are_refused() {
    refused("/data", "/data/shop/backups", "lies inside");
    refused("/data", "/data/./shop", "lies inside");
    refused("/", "/backups", "lies inside");
}

#[test]
fn backups_around_the_sources_are_refused() {
    refused(
        "/backups/data",
        "/backups",
        "holds the folder of the sources",
    );
    refused("/data", "/data/", "is the folder of the sources");
    refused("/data", "/", "holds the folder of the sources");
}

#[test]
fn a_name_that_only_begins_alike_is_another_folder() {
    let world = World::new().env("BACKUP_DIR", "/data-backups");
    assert!(world.load().is_ok());
}

#[test]
fn a_symbolic_link_into_the_sources_does_not_hide_it() {
    let world = World::new();
    fs::create_dir(world.path("data")).unwrap();
    symlink(world.path("data"), world.path("elsewhere")).unwrap();
    let (data, backups) = (world.path("data"), world.path("elsewhere/not/yet/there"));
    let report = world
        .env("BACKUP_SOURCES_DIR", data)
        .env("BACKUP_DIR", backups)
        .mistakes();
    assert!(report.contains("lies inside"), "{report}");
}

#[test]
fn the_folder_of_a_source_mounted_a_second_time_is_refused() {
    let world = World::new();
    fs::create_dir_all(world.path("data/shop")).unwrap();
    symlink(world.path("data/shop"), world.path("backups")).unwrap();
    let (data, backups) = (world.path("data"), world.path("backups"));
    let report = world
        .env("BACKUP_SOURCES_DIR", data)
        .env("BACKUP_DIR", backups)
        .mistakes();
    assert!(report.contains("lies inside"), "{report}");
}
