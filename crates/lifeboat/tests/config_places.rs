//! Backups and what they save are kept apart.

mod config_world;

use config_world::World;
use std::{fs, os::unix::fs::symlink, process::Command};

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
#[expect(clippy::print_stdout, reason = "says that it was skipped")]
fn the_backups_mounted_a_second_time_as_a_source_are_refused() {
    let world = World::new();
    let (backups, source) = (world.path("backups"), world.path("data/backups"));
    fs::create_dir_all(&backups).unwrap();
    fs::create_dir_all(&source).unwrap();
    let mounted = Command::new("mount")
        .arg("--bind")
        .args([&backups, &source])
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: this needs the right to mount");
        return;
    }
    let world = world
        .env("BACKUP_SOURCES_DIR", source.parent().unwrap())
        .env("BACKUP_DIR", &backups);
    let loaded = world.load();
    let unmounted = Command::new("umount").arg(&source).status().unwrap();
    assert!(unmounted.success());
    let report = loaded.map(|_| ()).unwrap_err().to_string();
    assert!(report.contains("mounted a second time"), "{report}");
}
