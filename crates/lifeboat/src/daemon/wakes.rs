//! Everything that can wake the daemon, as a closed set.

use super::{survey::Survey, work::Ended};
use crate::exit::Code;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

#[derive(Debug)]
pub(super) enum Wake {
    /// A minute began.
    Tick,
    Ended(Ended),
    /// What there is to save was looked at.
    Surveyed(Box<Survey>),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT, and the exit code that tells so.
    Stop(Code),
}

/// Starts the scheduler and listens to signals. `stops` hears at once what the daemon may be too busy to hear.
///
/// The scheduler's own reading of a cron expression differs from ours in what a day of the month *and* a
/// day of the week mean together, so it is asked for nothing but the beginning of each minute.
pub(super) async fn start(
    wakes: mpsc::Sender<Wake>,
    stops: mpsc::Sender<Code>,
) -> Result<JobScheduler, JobSchedulerError> {
    // First of all: until somebody listens, a SIGHUP would end the process.
    match Ears::open() {
        Ok(ears) => drop(tokio::spawn(ears.listen(wakes.clone(), stops))),
        Err(error) => {
            tracing::error!(%error, "signals cannot be heard; `docker stop` will have to kill this process");
        }
    }
    let scheduler = JobScheduler::new().await?;
    let every_minute = Job::new_async("0 * * * * *", move |_, _| {
        let ticks = wakes.clone();
        Box::pin(async move {
            // A full channel means that the daemon is awake anyway.
            let _ = ticks.try_send(Wake::Tick);
        })
    })?;
    scheduler.add(every_minute).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

struct Ears {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Ears {
    fn open() -> std::io::Result<Self> {
        Ok(Ears {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn listen(mut self, wakes: mpsc::Sender<Wake>, stops: mpsc::Sender<Code>) {
        loop {
            let wake = tokio::select! {
                _ = self.terminate.recv() => Wake::Stop(Code::Terminated),
                _ = self.interrupt.recv() => Wake::Stop(Code::Interrupted),
                _ = self.hang_up.recv() => Wake::Reload,
            };
            if let Wake::Stop(code) = &wake {
                // Who has heard it twice needs to hear it no more.
                let _ = stops.try_send(*code);
            }
            if wakes.send(wake).await.is_err() {
                return;
            }
        }
    }
}
