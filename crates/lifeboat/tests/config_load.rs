//! What goes in and what comes out.

use lifeboat::config::{Config, Loaded, Mistakes};
use std::{ffi::OsString, path::PathBuf};

fn load(variables: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Config::load(variables, None::<PathBuf>)
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let loaded = load(&[]).unwrap();
    assert_eq!(loaded.config.name.as_str(), "backup");
    assert_eq!(loaded.warnings, []);
}
