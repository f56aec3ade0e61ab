use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long a wish to stop may go unseen by somebody who waits.
const TICK: Duration = Duration::from_millis(100);

/// A wish to stop, seen by every thread of a run within one piece of work.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Wish>);

#[derive(Debug, Default)]
struct Wish {
    told: AtomicBool,
    above: Option<Cancel>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Cancel {
    pub fn cancel(&self) {
        self.0.told.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.told.load(Ordering::Relaxed)
            || self.0.above.as_ref().is_some_and(Cancel::is_cancelled)
    }

    /// One that is cancelled with this one, and can be cancelled alone.
    #[must_use]
    pub fn below(&self) -> Cancel {
        Cancel(Arc::new(Wish {
            told: AtomicBool::new(false),
            above: Some(self.clone()),
        }))
    }

    /// Lets `pause` go by, unless somebody wishes to stop meanwhile.
    pub fn wait(&self, pause: Duration) -> Result<(), Cancelled> {
        let begun = Instant::now();
        loop {
            self.check()?;
            match pause.saturating_sub(begun.elapsed()) {
                Duration::ZERO => return Ok(()),
                left => thread::sleep(left.min(TICK)),
            }
        }
    }

    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_below_hears_of_the_one_above_and_not_the_other_way_round() {
        let above = Cancel::default();
        let (first, second) = (above.below(), above.below());
        first.cancel();
        assert!(first.is_cancelled() && !above.is_cancelled() && !second.is_cancelled());
        above.cancel();
        assert!(second.is_cancelled());
    }

    #[test]
    fn a_wait_ends_when_it_is_over_or_when_somebody_wishes_to_stop() {
        let cancel = Cancel::default();
        assert_eq!(cancel.wait(Duration::from_millis(1)), Ok(()));
        let waiting = cancel.clone();
        let waiter = thread::spawn(move || waiting.wait(Duration::from_secs(3600)));
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), Err(Cancelled));
    }
}
