//! What the daemon knows of the world between runs: what the store holds, what there is to save, and what it
//! promises because of it.

use super::{
    Daemon,
    book::Book,
    survey::Survey,
    tell_warnings,
    wakes::Wake,
    work::{self, Store},
};
use crate::{
    config::{Config, JobConfig, Mistakes},
    health::Promise,
    job, memory,
    metrics::NEAR,
};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

impl Daemon {
    /// Reads what the store holds into health and metrics.
    pub(super) fn look_around(&mut self) {
        let look = || work::look(&self.config, self.store);
        match self.health.while_asking(Utc::now(), look) {
            Ok(seen) => {
                self.store = Store::WasThere;
                // A run has settled what backups are called here.
                if seen.name != self.config.name {
                    let mut config = Config::clone(&self.config);
                    config.call(&seen.name);
                    self.take(config);
                    self.promise();
                }
                self.metrics.remember(&seen.runs);
                self.metrics.holdings(NEAR, &seen.catalog, Utc::now());
                let mut known = self.health.known();
                known.trouble = None;
                for job in &self.config.jobs {
                    if let Some(promise) = known.jobs.get_mut(job.name.as_str()) {
                        promise.newest_good = seen
                            .catalog
                            .latest(&job.backups)
                            .map(|item| item.manifest.created_at);
                    }
                }
            }
            Err(failure) => {
                error!(hint = failure.hint, "{}", failure.what);
                self.health.known().trouble = Some(failure.what);
                self.metrics.store_is_up(NEAR, false);
            }
        }
    }

    pub(super) fn survey(&mut self, wakes: &mpsc::Sender<Wake>) {
        if self.surveying {
            return;
        }
        self.minutes_since_survey = 0;
        match Survey::start(Arc::clone(&self.given), wakes.clone()) {
            Ok(()) => self.surveying = true,
            Err(error) => {
                warn!(%error, "what there is to save could not be looked at; the system is out of threads");
            }
        }
    }

    pub(super) fn surveyed(&mut self, survey: Survey, wakes: &mpsc::Sender<Wake>) {
        self.surveying = false;
        if !Arc::ptr_eq(&survey.config, &self.given) {
            // The configuration was read again meanwhile.
            return self.survey(wakes);
        }
        if let Some(uncovered) = survey.uncovered {
            self.metrics.uncovered(uncovered);
        }
        for (what, hint) in &survey.remarks {
            if !self.remarks.iter().any(|(told, _)| told == what) {
                warn!(hint, "{what}");
            }
        }
        self.remarks = survey.remarks;
        let is_lost = survey.engine.is_some();
        let was_lost = std::mem::replace(&mut self.health.known().engine, survey.engine).is_some();
        if was_lost && !is_lost {
            info!("the engine answers again");
        }
        if let Some(jobs) = survey.jobs {
            self.take_jobs(jobs);
        }
    }

    pub(super) fn take(&mut self, config: Config) {
        let mut given = config.clone();
        given.take_jobs(Vec::new());
        self.given = Arc::new(given);
        self.config = Arc::new(config);
    }

    /// The jobs of labels in place of those there were.
    fn take_jobs(&mut self, jobs: Vec<JobConfig>) {
        let more = &self.config.jobs[self.given.jobs.len()..];
        let same = |a: &JobConfig, b: &JobConfig| {
            a.name == b.name && a.schedule.as_str() == b.schedule.as_str() && a.sources == b.sources
        };
        if more.len() == jobs.len() && more.iter().zip(&jobs).all(|(a, b)| same(a, b)) {
            return;
        }
        let mut config = Config::clone(&self.given);
        config.take_jobs(jobs);
        self.config = Arc::new(config);
        if let Ok(port) = work::open(&self.config, Store::WasThere)
            && let Err(failure) = memory::note_jobs(&self.config, port.state())
        {
            warn!("the jobs of labels could not be noted: {}", failure.what);
        }
        self.book = Book::open(&self.config, self.store, self.since);
        self.promise();
        self.look_around();
        self.tell_next(Utc::now());
    }

    pub(super) fn promise(&mut self) {
        let mut known = self.health.known();
        known.watching_since = self.book.watching_since();
        let wake = &self.config.wake;
        known.grace = job::grace(wake);
        known.jobs.clear();
        for job in self.config.jobs.iter().filter(|_| wake.enabled) {
            known.jobs.insert(
                job.name.to_string(),
                Promise {
                    schedule: job.schedule.clone(),
                    newest_good: None,
                },
            );
        }
    }

    pub(super) fn tell_next(&self, now: DateTime<Utc>) {
        for (job, next) in self.book.next(now) {
            let next = next.filter(|_| self.config.wake.enabled);
            self.metrics.next_run(&job, next);
            match next {
                Some(next) => info!(
                    job,
                    "next run at {}",
                    next.with_timezone(&self.config.wake.zone)
                        .format("%Y-%m-%d %H:%M %Z")
                ),
                None => info!(job, "no run is scheduled"),
            }
        }
    }

    /// All of the new configuration, or none of it.
    pub(super) fn reload(&mut self) {
        match Config::from_environment(self.file.clone()) {
            Ok(loaded) => {
                tell_warnings(&loaded);
                if loaded.config.near.dir != self.config.near.dir {
                    self.store = Store::MayBegin;
                }
                let recalled = || memory::recalled(&loaded.config);
                let config = self.health.while_asking(Utc::now(), recalled);
                self.take(config);
                self.book = Book::open(&self.config, self.store, self.since);
                self.promise();
                self.look_around();
                info!("the configuration was read again");
                self.tell_next(Utc::now());
            }
            Err(mistakes) => tell_mistakes(&mistakes),
        }
    }
}

fn tell_mistakes(mistakes: &Mistakes) {
    error!("the new configuration has mistakes; the old one stays in force");
    for line in mistakes.to_string().lines() {
        error!("{line}");
    }
}
