//! A host of its own for each test: a configuration file, some more files, and an environment.

#![allow(
    dead_code,
    reason = "every test file needs another part of it, and the compiler sees each alone"
)]

use lifeboat::config::{Config, Loaded, Mistakes};
use std::{ffi::OsString, fs, path::PathBuf};
use tempfile::TempDir;

pub(crate) struct World {
    dir: TempDir,
    environment: Vec<(OsString, OsString)>,
}

impl World {
    /// With an empty configuration file, so that none of this machine is read.
    pub(crate) fn new() -> Self {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        };
        world.toml("")
    }

    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    pub(crate) fn envs(self, variables: &[(&str, &str)]) -> Self {
        variables
            .iter()
            .fold(self, |world, (name, value)| world.env(name, value))
    }

    pub(crate) fn toml(self, text: &str) -> Self {
        fs::write(self.toml_path(), text).unwrap();
        self
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn toml_path(&self) -> PathBuf {
        self.path("lifeboat.toml")
    }

    pub(crate) fn load(&self) -> Result<Loaded, Mistakes> {
        Config::load(self.environment.iter().cloned(), Some(self.toml_path()))
    }

    #[track_caller]
    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// The report, with this world's folder as `DIR`.
    #[track_caller]
    pub(crate) fn mistakes(&self) -> String {
        match self.load() {
            Ok(_) => panic!("nothing was found wrong"),
            Err(mistakes) => self.anonymous(&mistakes.to_string()),
        }
    }

    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&*self.dir.path().to_string_lossy(), "DIR")
    }
}

/// Loads one variable alone.
#[track_caller]
pub(crate) fn with(name: &str, value: &str) -> Loaded {
    World::new().env(name, value).loaded()
}

/// The value and the origin of a setting as `lifeboat plan` shows them.
pub(crate) fn effective(loaded: &Loaded, name: &str) -> (Option<String>, String) {
    let setting = loaded
        .effective
        .iter()
        .find(|effective| effective.name == name)
        .unwrap_or_else(|| panic!("{name} is not shown"));
    (setting.value.clone(), setting.origin.clone())
}
