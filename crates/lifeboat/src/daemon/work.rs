//! The work of one run, on a thread of its own, and how it ended.

use super::wakes::Wake;
use crate::{
    cli::port::Port,
    config::{Config, Loaded},
    exit::{Code, Failure},
    job,
    log::Narrator,
    metrics::Metrics,
    sources,
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{BackupType, event::Outcome};
use lifeboat_run::{Cancel, Listener, catalog::Catalog, prune, state::Runs};
use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tracing::{error, info};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    BackUp {
        job: String,
    },
    Prune,
    /// What a run that was killed left behind.
    CleanUp,
}

impl Task {
    pub(super) fn job(&self) -> &str {
        match self {
            Task::BackUp { job } => job,
            Task::Prune => "prune",
            Task::CleanUp => "cleanup",
        }
    }
}

/// A run in hand.
#[derive(Debug)]
pub(super) struct Running {
    task: Task,
    cancel: Cancel,
}

#[derive(Debug)]
pub(super) struct Ended {
    pub(super) task: Task,
    /// `None` for what is not counted as a run.
    pub(super) outcome: Option<Outcome>,
    pub(super) took: Duration,
}

impl Running {
    pub(super) fn start(
        task: Task,
        config: Arc<Config>,
        metrics: Metrics,
        now: DateTime<Utc>,
        wakes: mpsc::Sender<Wake>,
    ) -> io::Result<Self> {
        let cancel = Cancel::default();
        let running = Running {
            task: task.clone(),
            cancel: cancel.clone(),
        };
        thread::Builder::new().name("run".to_owned()).spawn(move || {
            let begun = Instant::now();
            let listener: Vec<Box<dyn Listener>> = vec![Box::new(Narrator), Box::new(metrics)];
            // A bug in a run must not take the daemon with it.
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| carry_out(&task, &config, now, &cancel, &listener)))
                .unwrap_or_else(|_| {
                    error!(job = task.job(), "the run panicked: this is a fault of the program; please report it with the lines above");
                    Some(Outcome::Failed)
                });
            let ended = Ended { task, outcome, took: begun.elapsed() };
            let _ = wakes.blocking_send(Wake::Ended(ended));
        })?;
        Ok(running)
    }

    pub(super) fn task(&self) -> &Task {
        &self.task
    }

    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// What the store holds and what the state remembers.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) catalog: Catalog,
    pub(super) runs: Runs,
}

pub(super) fn look(config: &Config) -> Result<Seen, Failure> {
    let port = open(config)?;
    Ok(Seen {
        catalog: port.catalog()?,
        runs: port.state().runs()?,
    })
}

fn carry_out(
    task: &Task,
    config: &Config,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Option<Outcome> {
    let done = open(config).and_then(|port| match task {
        Task::BackUp { job } => back_up(&port, job, now, cancel, listener).map(Some),
        Task::Prune => prune_all(&port, now, listener).map(Some),
        Task::CleanUp => clean_up(&port, now, listener).map(|()| None),
    });
    let outcome = done.unwrap_or_else(|failure| {
        let outcome = match failure.code {
            _ if cancel.is_cancelled() && failure.code != Code::Failed => Outcome::Aborted,
            Code::Interrupted | Code::Terminated => Outcome::Aborted,
            Code::Locked => Outcome::Overlap,
            _ => Outcome::Failed,
        };
        error!(
            job = task.job(),
            outcome = outcome.as_str(),
            hint = failure.hint,
            "{}",
            failure.what
        );
        for detail in &failure.details {
            error!(job = task.job(), "{detail}");
        }
        (*task != Task::CleanUp).then_some(outcome)
    });
    if let Some(outcome) = outcome
        && let Ok(port) = open(config)
        && let Err(error) = port.state().note_end(task.job(), Utc::now(), outcome, 1)
    {
        error!(%error, "the end of the run could not be noted");
    }
    outcome
}

fn back_up(
    port: &Port,
    job: &str,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Outcome, Failure> {
    let config = port.config();
    let Some(job) = config.jobs.iter().find(|j| j.name.as_str() == job) else {
        info!(job, "the job is gone from the configuration");
        return Ok(Outcome::Ok);
    };
    let seen = sources::look(&config.sources.dir)?;
    let wish = job::Wish {
        kind: BackupType::Scheduled,
        only: &[],
        seen: &seen,
    };
    let report = job::back_up(config, job, &wish, port.harbour(), now, cancel, listener)?;
    Ok(report.outcome())
}

fn prune_all(port: &Port, now: DateTime<Utc>, listener: &dyn Listener) -> Result<Outcome, Failure> {
    for job in port.jobs() {
        prune::prune(
            &job.backups,
            &port.config().rules(job),
            port.harbour(),
            now,
            listener,
        )?;
    }
    Ok(Outcome::Ok)
}

fn clean_up(port: &Port, now: DateTime<Utc>, listener: &dyn Listener) -> Result<(), Failure> {
    let _lock = port.state().lock("clean-up")?;
    let harbour = port.harbour();
    lifeboat_run::leftovers::recover(harbour.store, harbour.state, now, listener)?;
    Ok(())
}

fn open(config: &Config) -> Result<Port, Failure> {
    Port::open_or_create(Loaded {
        config: config.clone(),
        warnings: Vec::new(),
        effective: Vec::new(),
    })
}
