//! The life of the process: wake, look at the calendar, run what is due, tell how it went, sleep.
//!
//! The scheduler wakes it at the start of every minute and knows nothing of jobs. What is due is decided
//! by the calendar alone, from the time of the last run: so a minute that was slept through, a clock that
//! was moved and an hour that a time change repeats are all the same question. One run at a time; its
//! work is done on a thread of its own, which is told to stop through a `Cancel`.

mod book;
mod lookout;
mod survey;
mod wakes;
mod work;

use crate::{
    config::{Config, Loaded},
    exit::{Code, Failure},
    health::Health,
    heartbeat::Heartbeat,
    http, memory,
    metrics::Metrics,
};
use book::{Book, Entry};
use chrono::{DateTime, Utc};
use lifeboat_plan::event::Outcome;
use std::{panic, path::PathBuf, sync::Arc, time::Duration};
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
        let given = Arc::clone(&config);
        let (config, book) = health.while_asking(since, || {
            let config = Arc::new(memory::recalled(&config));
            let book = Book::open(&config, Store::MayBegin, since);
            (config, book)
        });
        Daemon {
            book,
            store: Store::MayBegin,
            given,
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
