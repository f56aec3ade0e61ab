//! The life of the process: wake, look at the calendar, run what is due, tell how it went, sleep.
//!
//! The scheduler wakes it at the start of every minute and knows nothing of jobs. What is due is decided
//! by the calendar alone, from the time of the last run: so a minute that was slept through, a clock that
//! was moved and an hour that a time change repeats are all the same question. One run at a time; its
//! work is done on a thread of its own, which is told to stop through a `Cancel`.

mod book;
mod wakes;
mod work;

use crate::{
    config::{Config, Loaded, Mistakes},
    exit::{Code, Failure},
    health::{Health, Promise},
    heartbeat::Heartbeat,
    http, job,
    metrics::{Metrics, NEAR},
};
use book::{Book, Entry};
use chrono::{DateTime, Utc};
use lifeboat_plan::event::Outcome;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc, sync::oneshot};
use tracing::{error, info, warn};
use wakes::Wake;
use work::{Ended, Running, Store, Task};

/// Docker kills ten seconds after it has asked to stop.
const STOPPING_MAX: Duration = Duration::from_secs(8);

/// Lives until it is told to stop.
pub fn live(loaded: Loaded, file: Option<PathBuf>) -> crate::exit::Result {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| {
            Failure::io(
                "start",
                "the daemon",
                &e,
                "the system is out of threads or files; see `ulimit -a`",
            )
        })?;
    let end = runtime.block_on(Daemon::new(loaded, file)?.live());
    // A run that cannot be stopped in time is left behind: by design nothing of it can be seen.
    runtime.shutdown_background();
    end
}

#[derive(Debug)]
struct Daemon {
    config: Arc<Config>,
    file: Option<PathBuf>,
    since: DateTime<Utc>,
    store: Store,
    book: Book,
    running: Option<Running>,
    /// Due, and waiting for the run in hand to end.
    waiting: Vec<Task>,
    health: Arc<Health>,
    metrics: Metrics,
}

impl Daemon {
    fn new(loaded: Loaded, file: Option<PathBuf>) -> crate::exit::Result<Self> {
        let metrics = Metrics::new().map_err(|e| {
            Failure::new(
                Code::Failed,
                format!("cannot set up the metrics: {e}"),
                "this is a fault of the program: please report it",
            )
        })?;
        tell_warnings(&loaded);
        let since = Utc::now();
        let config = Arc::new(loaded.config);
        Ok(Daemon {
            book: Book::open(&config, Store::MayBegin, since),
            store: Store::MayBegin,
            config,
            file,
            since,
            running: None,
            waiting: Vec::new(),
            health: Arc::new(Health::default()),
            metrics,
        })
    }

    async fn live(mut self) -> crate::exit::Result {
        let (send, mut wakes) = mpsc::channel(64);
        let _scheduler = wakes::start(send.clone()).await.map_err(|e| {
            Failure::new(
                Code::Failed,
                format!("cannot start the scheduler: {e}"),
                "this is a fault of the program: please report it",
            )
        })?;
        let (stop_http, http_stopped) = oneshot::channel::<()>();
        self.serve(http_stopped).await?;
        self.promise();
        self.look_around();
        if self.config.wake.cleanup_on_start {
            self.wait_or_start(Task::CleanUp, &send);
        }
        if self.config.wake.enabled && self.config.wake.run_on_start {
            for job in self.book.job_names() {
                self.wait_or_start(Task::BackUp { job }, &send);
            }
        }
        self.tell_next(Utc::now());
        self.tick(Utc::now(), &send);

        while let Some(wake) = wakes.recv().await {
            match wake {
                Wake::Tick => self.tick(Utc::now(), &send),
                Wake::Ended(ended) => self.ended(ended, &send),
                Wake::Reload => self.reload(),
                Wake::Stop(code) => {
                    drop(stop_http);
                    return Ok(self.stop(code, &mut wakes).await);
                }
            }
        }
        Ok(Code::Done)
    }

    /// Once a minute: a sign of life, and whatever is due.
    fn tick(&mut self, now: DateTime<Utc>, wakes: &mpsc::Sender<Wake>) {
        self.health.known().ticked_at = Some(now);
        let beat = Heartbeat::of(&self.health.known(), now);
        let beat = beat.write(&self.config.near.dir);
        if let Err(error) = &beat {
            warn!(%error, "the heartbeat could not be written; is {} writable?", self.config.near.dir.display());
        }
        // A store that went away, or one that came back.
        if beat.is_err() || self.health.known().trouble.is_some() {
            self.look_around();
        }
        if !self.config.wake.enabled {
            return;
        }
        for entry in self.book.due(now) {
            match entry {
                Entry::Start(task) => self.wait_or_start(task, wakes),
                Entry::Lost { job, slots } => self.lost(&job, slots, now),
            }
        }
    }

    fn wait_or_start(&mut self, task: Task, wakes: &mpsc::Sender<Wake>) {
        match &self.running {
            None => self.start(task, wakes),
            Some(running) if *running.task() == task => {
                warn!(
                    job = task.job(),
                    "it is due again while it is still running; this one is left out"
                );
                self.count(task.job(), Outcome::Overlap, 1, Utc::now());
            }
            Some(_) if self.waiting.contains(&task) => {}
            Some(_) => self.waiting.push(task),
        }
    }

    fn start(&mut self, task: Task, wakes: &mpsc::Sender<Wake>) {
        let now = Utc::now();
        self.book.started(&task, now);
        let job = task.job().to_owned();
        match Running::start(
            task,
            Arc::clone(&self.config),
            self.store,
            self.metrics.clone(),
            now,
            wakes.clone(),
        ) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                error!(%error, "a run could not be started; the system is out of threads");
                self.count(&job, Outcome::Failed, 1, now);
            }
        }
    }

    fn ended(&mut self, ended: Ended, wakes: &mpsc::Sender<Wake>) {
        self.running = None;
        let now = Utc::now();
        if let Some(outcome) = ended.outcome {
            self.metrics.run_ended(
                ended.task.job(),
                outcome,
                now,
                Some(ended.took.as_secs_f64()),
                1,
            );
            self.book.note(ended.task.job(), outcome, 1, now);
        }
        self.look_around();
        if !self.waiting.is_empty() {
            let next = self.waiting.remove(0);
            self.start(next, wakes);
        }
        self.tell_next(now);
    }

    fn lost(&mut self, job: &str, slots: u32, now: DateTime<Utc>) {
        warn!(
            job,
            slots, "runs were due while nobody was there; what passed is lost, the next one is not"
        );
        self.count(job, Outcome::Missed, u64::from(slots), now);
    }

    fn count(&mut self, job: &str, outcome: Outcome, count: u64, now: DateTime<Utc>) {
        self.metrics.run_ended(job, outcome, now, None, count);
        self.book.note(job, outcome, count, now);
    }

    /// Reads what the store holds into health and metrics.
    fn look_around(&mut self) {
        match work::look(&self.config, self.store) {
            Ok(seen) => {
                self.store = Store::WasThere;
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
                self.metrics.store_is_up(NEAR, false);
                error!(hint = failure.hint, "{}", failure.what);
                self.health.known().trouble = Some(failure.what);
            }
        }
    }

    fn promise(&mut self) {
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

    fn tell_next(&self, now: DateTime<Utc>) {
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
    fn reload(&mut self) {
        match Config::from_environment(self.file.clone()) {
            Ok(loaded) => {
                tell_warnings(&loaded);
                if loaded.config.near.dir != self.config.near.dir {
                    self.store = Store::MayBegin;
                }
                self.config = Arc::new(loaded.config);
                self.book = Book::open(&self.config, self.store, self.since);
                self.promise();
                self.look_around();
                info!("the configuration was read again");
                self.tell_next(Utc::now());
            }
            Err(mistakes) => tell_mistakes(&mistakes),
        }
    }

    /// Lets the run in hand take back what it wrote, within the time that Docker gives.
    async fn stop(mut self, code: Code, wakes: &mut mpsc::Receiver<Wake>) -> Code {
        let Some(running) = self.running.take() else {
            info!("stopped");
            return Code::Done;
        };
        info!(
            job = running.task().job(),
            "stopping: the run in hand takes back what it wrote"
        );
        running.cancel();
        let ended = tokio::time::timeout(STOPPING_MAX, async {
            while let Some(wake) = wakes.recv().await {
                match wake {
                    Wake::Ended(ended) => return Some(ended),
                    // A second signal: at once.
                    Wake::Stop(_) => return None,
                    Wake::Tick | Wake::Reload => {}
                }
            }
            None
        });
        let ended = ended.await;
        if let Ok(Some(Ended {
            task,
            outcome: Some(outcome),
            ..
        })) = &ended
        {
            self.book.note(task.job(), *outcome, 1, Utc::now());
        }
        match ended {
            Ok(Some(ended)) if ended.outcome != Some(Outcome::Aborted) => {
                info!("stopped; the run in hand had just ended");
                Code::Done
            }
            Ok(Some(_)) => {
                warn!("stopped; the run in hand was abandoned and nothing of it can be seen");
                code
            }
            Ok(None) | Err(_) => {
                warn!("stopped before the run in hand could clean up; the next start does it");
                code
            }
        }
    }

    async fn serve(&self, stopped: oneshot::Receiver<()>) -> crate::exit::Result<()> {
        let Some(addr) = self.config.http.addr else {
            return Ok(());
        };
        let listener = TcpListener::bind(addr).await.map_err(|e| {
            Failure::io(
                "listen on",
                addr,
                &e,
                "choose another BACKUP_HTTP_ADDR, or `off`",
            )
        })?;
        // Not what was asked for, but what was given: port 0 means any.
        let addr = listener.local_addr().unwrap_or(addr);
        info!(%addr, "listening");
        let site = http::Site {
            metrics: self.metrics.clone(),
            health: Arc::clone(&self.health),
            metrics_token: self.config.http.metrics_token.clone(),
        };
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            if let Err(error) = http::serve(listener, site, stopped).await {
                error!(%error, "the HTTP server ended; restart the service to have it back");
            }
        });
        Ok(())
    }
}

fn tell_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
}

fn tell_mistakes(mistakes: &Mistakes) {
    error!("the new configuration has mistakes; the old one stays in force");
    for line in mistakes.to_string().lines() {
        error!("{line}");
    }
}
