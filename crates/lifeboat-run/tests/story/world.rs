//! One small world a test: a folder to save, a store, a clock.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{BackupType, Compression, KeepRules, Name};
use lifeboat_run::{
    Authenticator, Cancel, Keyring, Listener, Secret,
    backup::{self, BackupError, Batch, Harbour, Order, Report},
    catalog::Catalog,
    keys::KeyTexts,
    prune::Rules,
    quiesce::Undo,
    seal::Recipe,
    source::{Folder, Options, Source},
    state::State,
};
use lifeboat_store::{Local, Store};
use std::{fs, path::PathBuf, time::Duration};

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) local: Local,
    pub(crate) state: State,
    pub(crate) keys: Keyring,
    pub(crate) authenticator: Authenticator,
    pub(crate) name: Name,
    pub(crate) now: DateTime<Utc>,
    pub(crate) keep: KeepRules,
    pub(crate) verify: bool,
    pub(crate) selection: Vec<String>,
    pub(crate) at_once: usize,
    pub(crate) hold_max: Option<Duration>,
    pub(crate) retry: Option<Duration>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_keys(Keyring::none())
    }

    pub(crate) fn signed() -> Self {
        let texts = KeyTexts {
            signing: Some(Secret::new("a signing key".to_owned())),
            ..KeyTexts::default()
        };
        Self::with_keys(Keyring::new(texts).unwrap())
    }

    fn with_keys(keys: Keyring) -> Self {
        // In memory where there is such a place: thousands of steps need no disk to be true.
        let dir = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let local = Local::open_or_create(dir.path().join("backups")).unwrap();
        let name: Name = "shop".parse().unwrap();
        let world = World {
            state: State::new(local.clone(), name.clone()),
            authenticator: Authenticator::new(&keys),
            keys,
            local,
            name,
            now: Utc.with_ymd_and_hms(2025, 12, 10, 1, 0, 0).unwrap(),
            keep: KeepRules::default(),
            verify: true,
            selection: Vec::new(),
            at_once: 1,
            hold_max: None,
            retry: Some(Duration::ZERO),
            dir,
        };
        for (path, content) in [
            ("storage/a.txt", "alpha"),
            ("storage/sub/b.bin", "beta"),
            ("conf/c", "gamma"),
        ] {
            let path = world.data().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        world
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    pub(crate) fn sources(&self) -> Vec<Box<dyn Source>> {
        let mut names: Vec<_> = fs::read_dir(self.data())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names.iter().map(|name| self.source(name)).collect()
    }

    pub(crate) fn source(&self, name: &str) -> Box<dyn Source> {
        Box::new(Folder::new(name, self.data().join(name), Options::default()).unwrap())
    }

    pub(crate) fn harbour<'a>(&'a self, store: &'a dyn Store) -> Harbour<'a> {
        Harbour {
            store,
            state: &self.state,
            keys: &self.keys,
            authenticator: &self.authenticator,
        }
    }

    pub(crate) fn back_up(&self) -> Result<Report, BackupError> {
        self.back_up_into(&self.local, &self.sources())
    }

    pub(crate) fn back_up_into(
        &self,
        store: &dyn Store,
        sources: &[Box<dyn Source>],
    ) -> Result<Report, BackupError> {
        self.back_up_batches(store, &Batch::each(sources))
    }

    pub(crate) fn back_up_with(&self, undo: &dyn Undo) -> Result<Report, BackupError> {
        let sources = self.sources();
        self.back_up_heard(&self.local, &Batch::each(&sources), Some(undo), &())
    }

    pub(crate) fn back_up_batches(
        &self,
        store: &dyn Store,
        batches: &[Batch<'_>],
    ) -> Result<Report, BackupError> {
        self.back_up_heard(store, batches, None, &())
    }

    pub(crate) fn back_up_heard(
        &self,
        store: &dyn Store,
        batches: &[Batch<'_>],
        undo: Option<&dyn Undo>,
        listener: &dyn Listener,
    ) -> Result<Report, BackupError> {
        self.back_up_until(store, batches, undo, &Cancel::default(), listener)
    }

    pub(crate) fn back_up_until(
        &self,
        store: &dyn Store,
        batches: &[Batch<'_>],
        undo: Option<&dyn Undo>,
        cancel: &Cancel,
        listener: &dyn Listener,
    ) -> Result<Report, BackupError> {
        let rules = self.rules();
        let recipe = Recipe {
            compression: Compression::Zstd,
            level: 3,
            threads: 2,
            seal: self.keys.seal.clone(),
        };
        let order = Order {
            name: &self.name,
            job: "default",
            kind: BackupType::Scheduled,
            batches,
            at_once: self.at_once,
            hold_max: self.hold_max,
            undo,
            selection: &self.selection,
            recipe: &recipe,
            verify: self.verify,
            keep: &self.keep,
            zone: Tz::UTC,
            host: "here",
            keep_until: None,
            retry: self.retry,
            compose: None,
            prune: Some(&rules),
        };
        backup::back_up(&order, self.harbour(store), self.now, cancel, listener)
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            keep: self.keep.clone(),
            zone: Tz::UTC,
            grace: TimeDelta::zero(),
        }
    }

    pub(crate) fn catalog(&self) -> Catalog {
        Catalog::read(self.harbour(&self.local)).unwrap()
    }

    pub(crate) fn keys_in_store(&self) -> Vec<String> {
        self.local
            .list("")
            .unwrap()
            .into_iter()
            .map(|o| o.key.to_string())
            .collect()
    }

    pub(crate) fn days_pass(&mut self, days: i64) {
        self.now += TimeDelta::days(days);
    }
}
