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
use lifeboat_plan::{BackupType, Name, event::Outcome};
use lifeboat_run::{
    Cancel, Listener,
    catalog::Catalog,
    prune,
    quiesce::{self, Undo},
    state::Runs,
};
use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

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
        store: Store,
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
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| carry_out(&task, &config, store, now, &cancel, &listener)))
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

/// A store that was there once is not begun again: an empty folder in its place is the mount point of a
/// disk that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    MayBegin,
    WasThere,
}

/// What the store holds and what the state remembers.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) catalog: Catalog,
    /// What its backups are called.
    pub(super) name: Name,
    pub(super) runs: Runs,
}

pub(super) fn look(config: &Config, store: Store) -> Result<Seen, Failure> {
    let port = open(config, store)?;
    Ok(Seen {
        catalog: port.catalog()?,
        name: port.config().name.clone(),
        runs: port.state().runs()?,
    })
}

fn carry_out(
    task: &Task,
    config: &Config,
    store: Store,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Option<Outcome> {
    let done = open(config, store).and_then(|mut port| match task {
        Task::BackUp { job } => back_up(&mut port, job, now, cancel, listener),
        Task::Prune => prune_all(&port, now, listener).map(Some),
        Task::CleanUp => clean_up(&port, now, listener).map(|()| None),
    });
    done.unwrap_or_else(|failure| {
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
    })
}

fn back_up(
    port: &mut Port,
    job: &str,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Option<Outcome>, Failure> {
    let seen = sources::survey(port.config())?;
    port.note(&seen)?;
    let config = port.config();
    let Some(job) = config.jobs.iter().find(|j| j.name.as_str() == job) else {
        info!(job, "the job is gone from the configuration");
        return Ok(None);
    };
    let wish = job::Wish {
        kind: BackupType::Scheduled,
        only: &[],
        seen: &seen,
        keep_until: None,
    };
    let report = job::back_up(config, job, &wish, port.harbour(), now, cancel, listener)?;
    Ok(Some(report.outcome()))
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
    let seen = sources::survey(port.config());
    let discovery = seen.map(|seen| seen.discovery).unwrap_or_default();
    let undo = job::undoing(port.config(), &discovery, &sources::scratch(port.state())?);
    let _lock = port.state().lock("clean-up", now)?;
    let harbour = port.harbour();
    let undo = undo.as_ref().map(|undo| undo as &dyn Undo);
    for remark in quiesce::put_right(harbour.state, harbour.store, undo, listener) {
        warn!("{remark}");
    }
    lifeboat_run::leftovers::recover(harbour.store, harbour.state, now, listener)?;
    Ok(())
}

/// For one piece of work, never for longer: what is open cannot be unmounted.
pub(super) fn open(config: &Config, store: Store) -> Result<Port, Failure> {
    let loaded = Loaded {
        config: config.clone(),
        warnings: Vec::new(),
        effective: Vec::new(),
    };
    match store {
        Store::MayBegin => Port::open_or_create(loaded),
        Store::WasThere => Port::open(loaded),
    }
}
