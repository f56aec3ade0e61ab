//! Everything that can wake the daemon, as a closed set.

use super::work::Ended;
use crate::exit::Code;
use std::pin::pin;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

#[derive(Debug)]
pub(super) enum Wake {
    /// A minute began.
    Tick,
    Ended(Ended),
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT, and the exit code that tells so.
    Stop(Code),
}

/// Starts the scheduler and listens to signals.
///
/// The scheduler's own reading of a cron expression differs from ours in what a day of the month *and* a
/// day of the week mean together, so it is asked for nothing but the beginning of each minute.
pub(super) async fn start(wakes: mpsc::Sender<Wake>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    let ticks = wakes.clone();
    let every_minute = Job::new_async("0 * * * * *", move |_, _| {
        let ticks = ticks.clone();
        Box::pin(async move {
            // A full channel means that the daemon is awake anyway.
            let _ = ticks.try_send(Wake::Tick);
        })
    })?;
    scheduler.add(every_minute).await?;
    scheduler.start().await?;
    tokio::spawn(async move {
        if let Err(error) = signals(wakes).await {
            tracing::error!(%error, "signals cannot be heard; `docker stop` will have to kill this process");
        }
    });
    Ok(scheduler)
}

async fn signals(wakes: mpsc::Sender<Wake>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        let wake = {
            let (terminate, interrupt, hang_up) = (
                pin!(terminate.recv()),
                pin!(interrupt.recv()),
                pin!(hang_up.recv()),
            );
            tokio::select! {
                _ = terminate => Wake::Stop(Code::Terminated),
                _ = interrupt => Wake::Stop(Code::Interrupted),
                _ = hang_up => Wake::Reload,
            }
        };
        if wakes.send(wake).await.is_err() {
            return Ok(());
        }
    }
}
