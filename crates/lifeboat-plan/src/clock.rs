//! May the clock be believed? Asked before anything is deleted for its age.
//!
//! One witness is enough: a store with a clock of its own that agrees with `now`. Where there is none
//! (a local disk), the newest good backups must tell one plausible story: each later than the one
//! before it, none from the future, no leap of months. When they do not, deletion waits until a few
//! more have been made. Backups are made all the while: only deleting depends on this.

use crate::standing::{SKEW, Standing};
use chrono::{DateTime, TimeDelta, Utc};

/// What is known of the time besides `now`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockEvidence {
    /// The store's own clock, read just now.
    pub store: Option<DateTime<Utc>>,
    /// What this machine's clock showed at the run before.
    pub last_run: Option<DateTime<Utc>>,
    /// How long ago that was by a clock that nobody can set (`CLOCK_BOOTTIME`, in the same boot).
    pub since_last_run: Option<TimeDelta>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockDoubt {
    #[error("the store's clock differs from this one by {}", days(*.0))]
    Store(TimeDelta),
    #[error("the run before took place {} from now", days(*.0))]
    BeforeLastRun(TimeDelta),
    #[error("since the run before, the clock has been moved by {}", days(*.0))]
    Moved(TimeDelta),
    #[error("one of the newest backups is {} ahead of the clock", days(*.0))]
    Future(TimeDelta),
    #[error("one of the newest backups is {} older than the one before it", days(*.0))]
    Backwards(TimeDelta),
    #[error("there are {} between two of the newest backups", days(*.0))]
    Leap(TimeDelta),
}

/// As many of the newest good backups must agree on the time.
const WITNESSES: usize = 3;

/// Longer than any monthly schedule pauses.
const LEAP: TimeDelta = TimeDelta::days(32);

impl ClockEvidence {
    /// `good` are the good backups of one name, oldest first.
    pub(crate) fn doubt(&self, now: DateTime<Utc>, good: &[&Standing]) -> Option<ClockDoubt> {
        if let Some(store) = self.store {
            let off = (store - now).abs();
            return (off > SKEW).then_some(ClockDoubt::Store(off));
        }
        if let Some(last_run) = self.last_run {
            if last_run > now + SKEW {
                return Some(ClockDoubt::BeforeLastRun(last_run - now));
            }
            let moved = self
                .since_last_run
                .map_or(TimeDelta::zero(), |passed| (now - last_run - passed).abs());
            if moved > SKEW {
                return Some(ClockDoubt::Moved(moved));
            }
        }
        doubtful_story(now, &moments(good))
    }
}

/// When the backups were made, in the order in which they were made. Thinned tiers have gaps of their
/// own, so daily ones are preferred.
fn moments(good: &[&Standing]) -> Vec<DateTime<Utc>> {
    let daily: Vec<_> = good
        .iter()
        .filter(|backup| backup.origin.is_none())
        .map(|backup| backup.created_at)
        .collect();
    if daily.len() > 1 {
        daily
    } else {
        good.iter().map(|backup| backup.created_at).collect()
    }
}

fn doubtful_story(now: DateTime<Utc>, moments: &[DateTime<Utc>]) -> Option<ClockDoubt> {
    let recent = moments.len().saturating_sub(WITNESSES);
    if let Some(ahead) = moments[recent..].iter().find(|at| **at > now + SKEW) {
        return Some(ClockDoubt::Future(*ahead - now));
    }
    let gaps: Vec<TimeDelta> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let recent = gaps.len().saturating_sub(WITNESSES);
    let leap = LEAP.max(median(&gaps[..recent]) * 3);
    gaps[recent..].iter().find_map(|gap| {
        if *gap < -SKEW {
            Some(ClockDoubt::Backwards(-*gap))
        } else {
            (*gap > leap).then_some(ClockDoubt::Leap(*gap))
        }
    })
}

/// Of the last ones: a schedule may have been another one long ago.
fn median(gaps: &[TimeDelta]) -> TimeDelta {
    let mut last = gaps[gaps.len().saturating_sub(9)..].to_vec();
    last.sort();
    last.get(last.len() / 2)
        .copied()
        .unwrap_or(TimeDelta::zero())
}

fn days(span: TimeDelta) -> String {
    match span.num_minutes() {
        minutes if minutes < 120 => format!("{minutes} minutes"),
        minutes if minutes < 48 * 60 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / 60 / 24),
    }
}
