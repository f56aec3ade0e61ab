//! One backup of one job, as the command line and the daemon both make it.

mod lanes;

use crate::{
    config::{Config, JobConfig, PruneWhen, Wake},
    docker::{definition, hold::Undoing},
    exit::{Code, Failure, Result},
    sources::{self, Discovery, Opened, Opening, Seen},
};
use chrono::{DateTime, TimeDelta, Utc};
use lanes::Lane;
use lifeboat_plan::{BackupType, Freshness, Manifest, Name, event::RunEvent};
use lifeboat_run::{
    Cancel, Listener,
    backup::{self, Batch, Harbour, Order, Report},
    catalog::Catalog,
    prune::Rules,
    quiesce::Undo,
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// What is asked for beyond what the configuration says.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub kind: BackupType,
    /// Names of sources; none = all of the job's.
    pub only: &'a [String],
    /// All that could be saved.
    pub seen: &'a Seen,
    /// Retention leaves it alone until then.
    pub keep_until: Option<DateTime<Utc>>,
}

pub fn back_up(
    config: &Config,
    job: &JobConfig,
    wish: &Wish<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Report> {
    let deadline = Deadline::start(config.wake.run_time_max, cancel);
    with_order(config, job, wish, harbour, cancel, listener, |order| {
        let made = backup::back_up(order, harbour, now, cancel, listener);
        made.map_err(|error| match deadline.has_passed() {
            Some(limit) => too_long(job, limit),
            None => error.into(),
        })
    })
}

/// Everything that a backup needs, opened, for whoever makes it.
pub fn with_order<T>(
    config: &Config,
    job: &JobConfig,
    wish: &Wish<'_>,
    harbour: Harbour<'_>,
    cancel: &Cancel,
    listener: &dyn Listener,
    then: impl FnOnce(&Order<'_>) -> Result<T>,
) -> Result<T> {
    let catalog = Catalog::read(harbour)?;
    let last = newest(&catalog, &job.backups);
    let scratch = sources::scratch(harbour.state)?;
    let found = wish.seen.discovery.found();
    let mut opened = sources::open(&Opening {
        config,
        job,
        seen: wish.seen,
        only: wish.only,
        catalog: &catalog,
        last,
        scratch: &scratch,
        cancel,
    })?;
    if wish.only.is_empty()
        && let Some(good) = newest_good(&catalog, job)
    {
        opened.extend(sources::no_longer_asked(&wish.seen.discovery, good));
        tell_vanished(&opened, good, &wish.seen.discovery, listener);
    }
    if opened.is_empty() {
        return Err(nothing_to_back_up(config));
    }
    let lanes = lanes::of(opened, config, found, harbour.state);
    let batches: Vec<Batch<'_>> = lanes.iter().map(Lane::batch).collect();
    let undo = undoing(config, &wish.seen.discovery, &scratch);
    let compose = found.map(|found| definition::of(&found.seen));
    let rules = config.rules(job);
    let recipe = config.sealing.recipe();
    let order = Order {
        name: &job.backups,
        job: job.name.as_str(),
        kind: wish.kind,
        batches: &batches,
        at_once: if found.is_some() {
            config.capture.at_once
        } else {
            1
        },
        hold_max: Some(config.capture.hold_time_max),
        undo: undo.as_ref().map(|undo| undo as &dyn Undo),
        selection: wish.only,
        recipe: &recipe,
        verify: config.near.verify_after_backup,
        zone: config.wake.zone,
        host: &host(),
        keep_until: wish.keep_until,
        retry: config.capture.retry_pause,
        keep: &rules.keep,
        compose: compose.as_ref(),
        prune: (config.wake.prune == PruneWhen::AfterBackup && wish.only.is_empty())
            .then_some(&rules),
    };
    then(&order)
}

/// Whoever can put right what a killed run left behind at the engine.
pub fn undoing(config: &Config, discovery: &Discovery, scratch: &Path) -> Option<Undoing> {
    let found = discovery.found()?;
    Some(Undoing {
        engine: found.engine.clone(),
        helpers: sources::helpers(config, found, scratch),
        coverage: found.coverage.clone(),
        owner: sources::owner(config, found),
    })
}

/// A source that was there is not forgotten in silence.
fn tell_vanished(
    opened: &[Opened],
    good: &Manifest,
    discovery: &Discovery,
    listener: &dyn Listener,
) {
    if !matches!(discovery, Discovery::Found(_)) || good.compose.is_none() {
        return;
    }
    let there: BTreeSet<&str> = opened.iter().map(|opened| opened.source.name()).collect();
    let wholes: BTreeSet<&str> = opened.iter().map(|opened| opened.whole.as_str()).collect();
    for archive in &good.archives {
        let name = archive.source.as_str();
        // A server that cannot be asked has one source that fails for all.
        let spoken_for = there.contains(name)
            || wholes.iter().any(|whole| {
                there.contains(whole)
                    && name
                        .strip_prefix(whole)
                        .is_some_and(|rest| rest.starts_with('.'))
            });
        if !spoken_for {
            listener.hear(&RunEvent::Warning {
                source: archive.source.clone(),
                what: format!("it was in {}, and is not there any more", good.id),
            });
        }
    }
}

impl Config {
    /// What stays of a job's backups, and for how long what goes can be brought back.
    pub fn rules(&self, job: &JobConfig) -> Rules {
        Rules {
            keep: job.keep.clone(),
            zone: self.wake.zone,
            grace: TimeDelta::from_std(self.near.delete_grace).unwrap_or(TimeDelta::zero()),
        }
    }
}

/// The newest good backup of a job, rather than its copy in a longer tier.
pub fn newest_good<'a>(catalog: &'a Catalog, job: &'a JobConfig) -> Option<&'a Manifest> {
    catalog.latest(&job.backups).map(|item| &item.manifest)
}

/// Is the newest good backup as young as the schedule promises? `since` is when backups began to be
/// expected.
pub fn freshness(
    config: &Config,
    job: &JobConfig,
    newest_good: Option<DateTime<Utc>>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Freshness {
    match config.wake.enabled {
        true => Freshness::of(&job.schedule, newest_good, since, now, grace(&config.wake)),
        false => Freshness::Unscheduled,
    }
}

/// What a run may take, with its jitter, before its backup counts as overdue.
pub fn grace(wake: &Wake) -> TimeDelta {
    const RUN_TIME_USUAL: Duration = Duration::from_secs(6 * 3600);
    let run = wake.run_time_max.unwrap_or(RUN_TIME_USUAL) + wake.jitter_max;
    TimeDelta::from_std(run).unwrap_or(TimeDelta::hours(6)) + TimeDelta::hours(1)
}

/// The backup that the next one is compared with.
fn newest<'a>(catalog: &'a Catalog, name: &'a Name) -> Option<&'a Manifest> {
    let mut newest_first = catalog.of(name).rev().map(|item| &item.manifest);
    newest_first.find(|manifest| manifest.origin.is_none())
}

pub fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn nothing_to_back_up(config: &Config) -> Failure {
    Failure::new(
        Code::NotFound,
        format!(
            "there is nothing to back up: no folder that is to be saved lies below {}",
            config.sources.dir.display()
        ),
        "mount the volumes there, read-only; `lifeboat plan` shows what is left out and why",
    )
}

fn too_long(job: &JobConfig, limit: Duration) -> Failure {
    Failure::new(
        Code::Failed,
        format!(
            "the backup of job {} was stopped: it took longer than {} min",
            job.name,
            limit.as_secs() / 60
        ),
        "nothing of it can be seen; raise BACKUP_JOB_TIMEOUT_MINUTES, or find out what was so slow",
    )
}

/// Cancels a run that takes too long. Ends with the run.
#[derive(Debug)]
struct Deadline {
    limit: Option<Duration>,
    passed: Arc<AtomicBool>,
    /// Dropped with this, which ends the thread.
    _alive: Sender<()>,
}

impl Deadline {
    fn start(limit: Option<Duration>, cancel: &Cancel) -> Self {
        let passed = Arc::new(AtomicBool::new(false));
        let (alive, ended) = mpsc::channel::<()>();
        if let Some(limit) = limit {
            let (passed, cancel) = (Arc::clone(&passed), cancel.clone());
            // A machine that cannot start one more thread will not get far with the run either.
            let _ = thread::Builder::new()
                .name("deadline".to_owned())
                .spawn(move || {
                    if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                        passed.store(true, Ordering::SeqCst);
                        cancel.cancel();
                    }
                });
        }
        Deadline {
            limit,
            passed,
            _alive: alive,
        }
    }

    fn has_passed(&self) -> Option<Duration> {
        self.limit.filter(|_| self.passed.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_cancels_what_takes_too_long_and_says_so() {
        let cancel = Cancel::default();
        let deadline = Deadline::start(Some(Duration::from_millis(1)), &cancel);
        while !cancel.is_cancelled() {
            thread::yield_now();
        }
        assert_eq!(deadline.has_passed(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_run_that_is_stopped_by_somebody_else_has_not_passed_its_deadline() {
        let cancel = Cancel::default();
        let deadline = Deadline::start(Some(Duration::from_secs(3600)), &cancel);
        cancel.cancel();
        assert_eq!(deadline.has_passed(), None);
        assert_eq!(Deadline::start(None, &cancel).has_passed(), None);
    }
}
