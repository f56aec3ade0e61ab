//! The manual is written from the register of settings, and stays as it was written.

mod config_world;

use config_world::World;
use lifeboat::config::manual;
use std::{fs, path::PathBuf};

#[test]
fn the_example_of_the_environment_says_what_the_program_does() {
    compare(".env.example", &manual::env_example());
}

#[test]
fn the_manual_says_what_the_program_does() {
    compare("docs/configuration.md", &manual::configuration_md());
}

#[test]
fn the_report_that_the_manual_shows_is_the_one_that_is_made() {
    let report = World::new()
        .env("BACKUP_RETENTION_DAY", "14")
        .env("BACKUP_KEEP_MIN", "0")
        .mistakes();
    assert_eq!(block("```text"), format!("lifeboat: {report}"));
}

#[test]
fn the_jobs_that_the_manual_shows_are_sound() {
    let loaded = World::new().toml(&block("```toml")).loaded();
    assert_eq!(loaded.config.jobs.len(), 2);
}

#[test]
fn a_copy_of_the_example_changes_nothing() {
    for line in manual::env_example().lines() {
        assert!(line.is_empty() || line.starts_with('#'), "{line}");
    }
}

/// The first block of that kind.
fn block(fence: &str) -> String {
    let manual = manual::configuration_md();
    let (_, after) = manual.split_once(&format!("{fence}\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "asks whether to write, not how to behave"
)]
fn compare(name: &str, written: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name);
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(&path, written).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let differs = there
        .lines()
        .zip(written.lines())
        .position(|(there, written)| there != written)
        .unwrap_or(there.lines().count().min(written.lines().count()));
    assert!(
        there == written,
        "{name} is out of date from line {}; LIFEBOAT_BLESS=1 cargo test -p lifeboat --test \
         config_manual writes it anew",
        differs + 1,
    );
}
