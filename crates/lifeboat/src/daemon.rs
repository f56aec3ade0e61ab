//! The life of the process: wake, look at the calendar, run what is due, tell how it went, sleep.
//!
//! The scheduler wakes it at the start of every minute and knows nothing of jobs. What is due is decided
//! by the calendar alone, from the time of the last run: so a minute that was slept through, a clock that
//! was moved and an hour that a time change repeats are all the same question. One run at a time; its
//! work is done on a thread of its own, which is told to stop through a `Cancel`.

mod book;
mod survey;
mod wakes;
mod work;

use crate::{
    config::{Config, JobConfig, Loaded, Mistakes},
    exit::{Code, Failure},
    health::{Health, Promise},
    heartbeat::Heartbeat,
    http, job,
    metrics::{Metrics, NEAR},
};
use book::{Book, Entry};
use chrono::{DateTime, Utc};
use lifeboat_plan::event::Outcome;
use std::{panic, path::PathBuf, sync::Arc, time::Duration};
use survey::Survey;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tracing::{error, info, warn};
use wakes::Wake;
use work::{Ended, Running, Store, Task};

/// Docker kills ten seconds after it has asked to stop.
const STOPPING_MAX: Duration = Duration::from_secs(8);

/// Between two looks at what there is to save.
const SURVEY_MINUTES: u32 = 5;

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
    let end = runtime.block_on(begin(loaded, file));
    // A run that cannot be stopped in time is left behind: by design nothing of it can be seen.
    runtime.shutdown_background();
    end
}

/// The daemon itself lives on a thread, because a store may hang for as long as it likes. What is asked over
/// HTTP is answered, and a wish to stop is heard, even then.
async fn begin(loaded: Loaded, file: Option<PathBuf>) -> crate::exit::Result {
    let (send, wakes) = mpsc::channel(64);
    let (tell, stops) = mpsc::channel(2);
    let _scheduler = wakes::start(send.clone(), tell).await.map_err(|e| {
        Failure::new(
            Code::Failed,
            format!("cannot start the scheduler: {e}"),
            "this is a fault of the program: please report it",
        )
    })?;
    let metrics = Metrics::new().map_err(|e| {
        Failure::new(
            Code::Failed,
            format!("cannot set up the metrics: {e}"),
            "this is a fault of the program: please report it",
        )
    })?;
    let health = Arc::new(Health::default());
    tell_warnings(&loaded);
    let config = Arc::new(loaded.config);
    if let Some(addr) = config.http.addr {
        let site = http::Site {
            metrics: metrics.clone(),
            health: Arc::clone(&health),
            metrics_token: config.http.metrics_token.clone(),
        };
        http::open(addr, site).await?;
    }
    let life = tokio::task::spawn_blocking(move || {
        Daemon::new(config, file, health, metrics).live(wakes, &send)
    });
    tokio::select! {
        biased;
        code = life => Ok(code.unwrap_or_else(|e| panic::resume_unwind(e.into_panic()))),
        code = not_heard(stops) => Ok(code),
    }
}

/// The daemon stops by itself, unless it waits for a store that does not answer.
async fn not_heard(mut stops: mpsc::Receiver<Code>) -> Code {
    let Some(code) = stops.recv().await else {
        return std::future::pending().await;
    };
    // A second signal: at once.
    let patience = STOPPING_MAX + Duration::from_millis(500);
    let _ = timeout(patience, stops.recv()).await;
    warn!("stopped while the store did not answer; the next start cleans up what there may be");
    code
}

#[derive(Debug)]
struct Daemon {
    /// With the jobs that services have by their labels.
    config: Arc<Config>,
    /// Without them.
    given: Arc<Config>,
    /// A look at what there is to save is under way.
    surveying: bool,
    minutes_since_survey: u32,
    /// What was said of the sources last, so that it is not said every five minutes.
    remarks: Vec<(String, String)>,
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
    fn new(
        config: Arc<Config>,
        file: Option<PathBuf>,
        health: Arc<Health>,
        metrics: Metrics,
    ) -> Self {
        let since = Utc::now();
        let book = health.while_asking(since, || Book::open(&config, Store::MayBegin, since));
        Daemon {
            book,
            store: Store::MayBegin,
            given: Arc::clone(&config),
            config,
            surveying: false,
            minutes_since_survey: 0,
            remarks: Vec::new(),
            file,
            since,
            running: None,
            waiting: Vec::new(),
            health,
            metrics,
        }
    }

    fn live(mut self, mut wakes: mpsc::Receiver<Wake>, send: &mpsc::Sender<Wake>) -> Code {
        self.promise();
        self.health.known().ticked_at = Some(self.since);
        self.look_around();
        self.survey(send);
        if self.config.wake.cleanup_on_start {
            self.wait_or_start(Task::CleanUp, send);
        }
        if self.config.wake.enabled && self.config.wake.run_on_start {
            for job in self.book.job_names() {
                self.wait_or_start(Task::BackUp { job }, send);
            }
        }
        self.tell_next(Utc::now());
        self.tick(Utc::now(), send);

        while let Some(wake) = wakes.blocking_recv() {
            match wake {
                Wake::Tick => self.tick(Utc::now(), send),
                Wake::Ended(ended) => self.ended(ended, send),
                Wake::Surveyed(survey) => self.surveyed(*survey, send),
                Wake::Reload => {
                    self.reload();
                    self.survey(send);
                }
                Wake::Stop(code) => return self.stop(code, &mut wakes),
            }
        }
        Code::Done
    }

    /// Once a minute: a sign of life, and whatever is due.
    fn tick(&mut self, now: DateTime<Utc>, wakes: &mpsc::Sender<Wake>) {
        self.health.known().ticked_at = Some(now);
        let beat = Heartbeat::of(&self.health.known(), now);
        let beat = self
            .health
            .while_asking(now, || beat.write(&self.config.near.dir));
        if let Err(error) = &beat {
            warn!(%error, "the heartbeat could not be written; is {} writable?", self.config.near.dir.display());
        }
        self.minutes_since_survey += 1;
        let lost = self.health.known().engine.is_some();
        if lost || self.minutes_since_survey >= SURVEY_MINUTES {
            self.survey(wakes);
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
        let look = || work::look(&self.config, self.store);
        match self.health.while_asking(Utc::now(), look) {
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
                error!(hint = failure.hint, "{}", failure.what);
                self.health.known().trouble = Some(failure.what);
                self.metrics.store_is_up(NEAR, false);
            }
        }
    }

    fn survey(&mut self, wakes: &mpsc::Sender<Wake>) {
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

    fn surveyed(&mut self, survey: Survey, wakes: &mpsc::Sender<Wake>) {
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
        config.jobs.extend(jobs);
        self.config = Arc::new(config);
        self.book = Book::open(&self.config, self.store, self.since);
        self.promise();
        self.look_around();
        self.tell_next(Utc::now());
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
                self.given = Arc::clone(&self.config);
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
    fn stop(mut self, code: Code, wakes: &mut mpsc::Receiver<Wake>) -> Code {
        let Some(running) = self.running.take() else {
            info!("stopped");
            return Code::Done;
        };
        info!(
            job = running.task().job(),
            "stopping: the run in hand takes back what it wrote"
        );
        running.cancel();
        let ended = async {
            while let Some(wake) = wakes.recv().await {
                match wake {
                    Wake::Ended(ended) => return Some(ended),
                    // A second signal: at once.
                    Wake::Stop(_) => return None,
                    Wake::Tick | Wake::Reload | Wake::Surveyed(_) => {}
                }
            }
            None
        };
        let ended = Handle::current().block_on(async { timeout(STOPPING_MAX, ended).await });
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
