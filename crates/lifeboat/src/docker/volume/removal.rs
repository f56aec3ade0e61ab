//! The end of a helper's container: asked for until it is gone, within a bound.
//!
//! A busy machine's engine says no to a removal that it has begun itself (409), that it was too slow for (500,
//! "did not receive an exit event"), or whose mounts somebody still looks into (500, "device or resource busy").

use crate::docker::{DockerError, Engine, Trouble};
use std::{
    thread,
    time::{Duration, Instant},
};

/// A run that is over waits for it.
const TIME_MAX: Duration = Duration::from_secs(15);
/// For a container that an engine was asked for and did not answer.
const UNSURE_TIME_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Returns when it is gone, whoever removed it.
pub(super) fn remove(engine: &Engine, id: &str) -> Result<(), DockerError> {
    let begun = Instant::now();
    let mut pause = PAUSE_MIN;
    loop {
        match engine.remove(id) {
            Err(error) if may_pass(&error) && begun.elapsed() < TIME_MAX => {
                tracing::debug!(%error, "a helper is not gone yet");
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSE_MAX);
            }
            result => return result,
        }
    }
}

/// The engine was asked to make it and did not say whether it did: it may be there, or come a moment later.
pub(super) fn remove_unsure(engine: &Engine, name: &str) {
    let begun = Instant::now();
    let removed = loop {
        match engine.container(name) {
            Ok(container) => break remove(engine, &container.id),
            Err(error) if error.trouble == Trouble::Denied => break Err(error),
            Err(_) if begun.elapsed() < UNSURE_TIME_MAX => thread::sleep(PAUSE_MIN * 4),
            Err(error) if error.trouble == Trouble::NotFound => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    tell(removed, name);
}

/// What stays is swept by the next run, so the verdict on what was read does not depend on it.
pub(super) fn tell(removed: Result<(), DockerError>, container: &str) {
    if let Err(error) = removed {
        tracing::warn!(container, %error, "a helper stays behind until the next run");
    }
}

fn may_pass(error: &DockerError) -> bool {
    match error.trouble {
        Trouble::Conflict | Trouble::TooSlow | Trouble::Unreachable => true,
        Trouble::Status(status) => status >= 500,
        Trouble::Denied | Trouble::NotFound | Trouble::Garbled | Trouble::OneWay => false,
    }
}
