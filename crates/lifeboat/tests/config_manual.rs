//! The manual is written from the register of settings, and stays as it was written.

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
