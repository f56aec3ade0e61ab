//! Settings and the near store, opened: what nearly every verb begins with.

use crate::{
    config::{Config, JobConfig, Loaded, Named},
    exit::{Code, Failure, Result},
    memory,
    sources::Seen,
};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{BackupId, Manifest, Tier};
use lifeboat_run::{
    authenticity::{Authenticator, Authenticity},
    backup::Harbour,
    catalog::{Catalog, Item},
    prune::Rules,
    state::State,
};
use lifeboat_store::{
    Local, Store,
    lock::{Holder, RunLock},
};
use std::path::Path;

#[derive(Debug)]
pub struct Port {
    pub loaded: Loaded,
    pub now: DateTime<Utc>,
    store: Local,
    state: State,
    authenticator: Authenticator,
}

impl Port {
    /// For verbs that look at what is there, or change it. Makes no store where there is none.
    pub fn open(loaded: Loaded) -> Result<Self> {
        let store = Local::existing(&loaded.config.near.dir)?;
        Ok(Port::at(store, loaded))
    }

    /// For the first backup, which makes the store.
    pub fn open_or_create(loaded: Loaded) -> Result<Self> {
        let store = Local::open_or_create(&loaded.config.near.dir)?;
        Ok(Port::at(store, loaded))
    }

    fn at(store: Local, mut loaded: Loaded) -> Self {
        let state = |loaded: &Loaded| State::new(store.clone(), loaded.config.name.clone());
        let unnamed = state(&loaded);
        memory::recall(&mut loaded.config, &unnamed);
        Port {
            now: Utc::now(),
            state: state(&loaded),
            authenticator: Authenticator::new(&loaded.config.sealing.keys),
            store,
            loaded,
        }
    }

    /// Writes down what the engine says, before the first backup that it holds for.
    pub fn note(&mut self, seen: &Seen) -> Result<()> {
        let Some(found) = seen.discovery.found() else {
            return Ok(());
        };
        let unnamed = self.config().named == Named::Unsaid && self.state.name()?.is_none();
        if unnamed && let Some(name) = memory::name_for(self.config(), found, &self.catalog()?) {
            self.state.note_name(&name)?;
            memory::recall(&mut self.loaded.config, &self.state);
            self.state = State::new(self.store.clone(), name);
        }
        memory::see_jobs(&mut self.loaded.config, found);
        memory::note_jobs(self.config(), &self.state)
    }

    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    pub fn zone(&self) -> Tz {
        self.config().wake.zone
    }

    pub fn dir(&self) -> &Path {
        &self.config().near.dir
    }

    pub fn place(&self) -> &str {
        self.store.place()
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn harbour(&self) -> Harbour<'_> {
        Harbour {
            store: &self.store,
            state: &self.state,
            keys: &self.config().sealing.keys,
            authenticator: &self.authenticator,
        }
    }

    pub fn lock(&self, doing: &str) -> Result<RunLock> {
        Ok(self.state.lock(doing, self.now)?)
    }

    /// Whose run is under way; `None` while nobody holds the lock.
    pub fn running(&self) -> Result<Option<String>> {
        Ok(self.state.lock_holder()?.map(|holder| match holder {
            Holder::Named(owner) => format!(
                "{} by {} on {} since {}",
                owner.doing, owner.instance, owner.host, owner.since
            ),
            Holder::Unnamed => "by somebody whose record cannot be read".to_owned(),
        }))
    }

    pub fn rules(&self, job: &JobConfig) -> Rules {
        self.config().rules(job)
    }

    pub fn grace(&self) -> TimeDelta {
        TimeDelta::from_std(self.config().near.delete_grace).unwrap_or(TimeDelta::zero())
    }

    /// Whether old daily backups already go as new ones come.
    pub fn is_pruning(&self, backups: &[&Manifest]) -> bool {
        self.jobs().iter().any(|job| {
            let daily = backups
                .iter()
                .filter(|m| m.name == job.backups && m.tier == Tier::Daily);
            let count = daily.clone().count();
            let oldest = daily.map(|m| m.created_at).min();
            let rules = &self.rules(job).keep.daily;
            let full = rules.count().is_some_and(|max| count >= max as usize);
            let days = TimeDelta::days(i64::from(rules.days.max(1)) - 1);
            let old = rules.days > 0 && oldest.is_some_and(|at| self.now - at >= days);
            full || old
        })
    }

    pub fn catalog(&self) -> Result<Catalog> {
        Ok(Catalog::read(self.harbour())?)
    }

    /// The newest good backup of any of our jobs, made not after `at`.
    pub fn latest<'a>(&self, catalog: &'a Catalog, at: Option<DateTime<Utc>>) -> Result<&'a Item> {
        let in_time = |item: &Item| at.is_none_or(|at| item.manifest.created_at <= at);
        let found = self.latest_that(catalog, in_time);
        found.ok_or_else(|| self.no_good_backup(catalog, at))
    }

    pub fn latest_that<'a>(
        &self,
        catalog: &'a Catalog,
        fits: impl Fn(&Item) -> bool,
    ) -> Option<&'a Item> {
        let newest = |job: &JobConfig| {
            let all = catalog.items.iter();
            let good = all.filter(|item| item.manifest.name == job.backups && item.is_good());
            // By the sequence: the clock may have been wrong for a while. And the backup itself rather than
            // its copy in a longer tier.
            good.filter(|item| fits(item))
                .max_by_key(|item| (item.manifest.sequence, item.manifest.origin.is_none()))
        };
        let of_all_jobs = self.jobs().iter().filter_map(newest);
        of_all_jobs.max_by_key(|item| item.manifest.created_at)
    }

    /// The backup that `word` means: an id, or `latest`.
    pub fn find<'a>(&self, catalog: &'a Catalog, word: &str) -> Result<&'a Item> {
        if word == "latest" {
            return self.latest(catalog, None);
        }
        if let Ok(id) = word.parse::<BackupId>() {
            if let Some(item) = catalog.get(&id) {
                return Ok(item);
            }
            if let Some(suspect) = catalog.suspects.iter().find(|s| s.id == id) {
                return Err(Failure::new(
                    Code::Integrity,
                    format!(
                        "{id} is there, but its manifest cannot be relied on: {}",
                        suspect.reason
                    ),
                    "its archives can still be opened one by one with `lifeboat restore FILE --to DIR`",
                ));
            }
        }
        let hint = match &catalog.nearest(word)[..] {
            [] => "there is no backup here yet; `lifeboat backup` makes one".to_owned(),
            ids => format!("did you mean {}? `lifeboat list` shows all", ids.join(", ")),
        };
        Err(Failure::new(
            Code::NotFound,
            format!("there is no backup {word:?} in {}", self.place()),
            hint,
        ))
    }

    pub fn jobs(&self) -> &[JobConfig] {
        &self.config().jobs
    }

    pub fn no_good_backup(&self, catalog: &Catalog, at: Option<DateTime<Utc>>) -> Failure {
        // Good or not cannot be told of manifests that another key signed.
        let other_key = catalog
            .items
            .iter()
            .find_map(|item| match &item.authenticity {
                Authenticity::UnknownKey { key_id } => Some(key_id),
                _ => None,
            });
        if let Some(key_id) = other_key {
            return Failure::new(
                Code::WrongKey,
                format!(
                    "the backups in {} were signed with another key ({key_id})",
                    self.place()
                ),
                "give the key that they were made with (BACKUP_SIGNING_KEY, BACKUP_ENCRYPTION_KEY, BACKUP_AGE_IDENTITY)",
            );
        }
        let (what, hint) = if catalog.items.is_empty() {
            ("there is no backup", "`lifeboat backup` makes one")
        } else if at.is_some() {
            (
                "there is no good backup that old",
                "`lifeboat list` shows what there is",
            )
        } else {
            (
                "there are backups, but none of them is good",
                "`lifeboat list` shows what is wrong with each; is BACKUP_NAME right?",
            )
        };
        Failure::new(Code::NotFound, format!("{what} in {}", self.place()), hint)
    }
}

/// There is one store in this version.
pub fn only_near(store: &str) -> Result<()> {
    match store {
        "near" => Ok(()),
        other => Err(Failure::usage(
            format!("there is no store {other:?}"),
            "this version has one store, `near`: the folder BACKUP_DIR",
        )),
    }
}
