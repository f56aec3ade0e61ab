//! When a schedule fires, and whether it is due: from the last run and `now`, both arguments.
//!
//! croner answers "which wall-clock time is next"; it is asked as if there were no time zones, and the
//! clock changes are settled here, by one rule for each kind of schedule:
//! - *fixed times* run once each. A time that the clock leaps over runs at the end of the gap; a time
//!   that comes twice runs the first time.
//! - *intervals* (`*/15`, `@hourly`) keep their real distance: nothing runs in a gap, and the repeated
//!   hour is an hour like any other.

use crate::schedule::{Beat, Schedule};
use crate::zone::{first_instant, offset, wall};
use chrono::{DateTime, NaiveDateTime, SubsecRound, TimeDelta, Utc};
use croner::Cron;

/// Missed slots are counted up to here: it tells as much as the true number, after years of downtime.
pub const MISSED_MAX: u32 = 1000;

/// A run that starts this much after its slot still started on time.
const ON_TIME: TimeDelta = TimeDelta::minutes(5);

/// A clock that is corrected by less than this is a healthy one.
const CORRECTION: TimeDelta = TimeDelta::minutes(1);

/// The longest gap of any zone is a day, the shortest step a minute.
const GAP_STEPS_MAX: u32 = 3 * 24 * 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// The schedule is off.
    Never,
    NotYet {
        next: DateTime<Utc>,
        anomaly: Option<Anomaly>,
    },
    /// Run for `slot`. `missed` slots before it passed with nobody there.
    Now { slot: DateTime<Utc>, missed: u32 },
    /// The newest slot passed a while ago. One run makes up for it (`catch_up`); `missed` more are lost.
    /// Without catching up, all `missed + 1` are lost.
    Missed {
        missed: u32,
        catch_up: DateTime<Utc>,
    },
}

/// The last run lies in the future: the clock has gone back, or was ahead at that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anomaly {
    /// By less than one period: that run stands for the slots up to it, and none of them runs twice.
    Ahead { by: TimeDelta },
    /// By so much that waiting for it would mean no backups at all. **Record `now` as the last run**;
    /// from there on the schedule goes on as if it had just run.
    StartOver { by: TimeDelta },
}

impl Schedule {
    /// The first firing strictly after `at`; `None` when off.
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = at.trunc_subsecs(0);
        match self.beat() {
            Beat::Off => None,
            Beat::Fixed(cron) => self.next_fixed(cron, at),
            Beat::Interval(cron) => self.next_interval(cron, at),
        }
    }

    /// The next `count` firings after `at`.
    pub fn upcoming(&self, at: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(at), |slot| self.next_after(*slot))
            .take(count)
            .collect()
    }

    /// `last_run` is the later of the slot that was served last and the time its run began; `None`
    /// before the first run ever, which then waits for its slot.
    pub fn due(&self, last_run: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Due {
        let last_run = last_run.unwrap_or(now);
        let Some(next) = self.next_after(last_run) else {
            return Due::Never;
        };
        if last_run > now {
            return self.due_before_last_run(last_run, next, now);
        }
        if next > now {
            return Due::NotYet {
                next,
                anomaly: None,
            };
        }
        let newest = self.newest_slot(next, now);
        let missed = self.count_slots(next, newest);
        if now - newest <= ON_TIME {
            Due::Now {
                slot: newest,
                missed,
            }
        } else {
            Due::Missed {
                missed,
                catch_up: newest,
            }
        }
    }

    /// `slot`, put off by up to `max_seconds`, never further than half-way to the next slot. `random` is
    /// any number that the caller rolled.
    pub fn jittered(&self, slot: DateTime<Utc>, max_seconds: u32, random: u64) -> DateTime<Utc> {
        let room = self
            .next_after(slot)
            .map_or(0, |next| (next - slot).num_seconds() / 2)
            .min(i64::from(max_seconds));
        let seconds = random % (u64::try_from(room).unwrap_or(0) + 1);
        slot + TimeDelta::seconds(seconds as i64)
    }

    fn due_before_last_run(
        &self,
        last_run: DateTime<Utc>,
        next: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Due {
        let by = last_run - now;
        let period = self
            .next_after(next)
            .map_or(TimeDelta::zero(), |after| after - next);
        if by <= period {
            return Due::NotYet {
                next,
                anomaly: (by > CORRECTION).then_some(Anomaly::Ahead { by }),
            };
        }
        Due::NotYet {
            next: self.next_after(now).unwrap_or(next),
            anomaly: Some(Anomaly::StartOver { by }),
        }
    }

    /// The newest slot that is not after `now`, given one such slot. A bisection, because between the
    /// two may lie years of minutes.
    fn newest_slot(&self, known: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let (mut known, mut beyond) = (known, now + TimeDelta::seconds(1));
        while beyond - known > TimeDelta::seconds(1) {
            let middle = known + TimeDelta::seconds((beyond - known).num_seconds() / 2);
            match self.next_after(middle) {
                Some(slot) if slot <= now => known = slot,
                _ => beyond = middle,
            }
        }
        known
    }

    /// Slots from `first` on, before `end`.
    fn count_slots(&self, first: DateTime<Utc>, end: DateTime<Utc>) -> u32 {
        let mut slot = first;
        let mut count = 0;
        while slot < end && count < MISSED_MAX {
            count += 1;
            match self.next_after(slot) {
                Some(next) => slot = next,
                None => break,
            }
        }
        count
    }

    fn next_fixed(&self, cron: &Cron, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut time = wall(self.zone(), at);
        loop {
            time = next_wall(cron, time)?;
            let slot = first_instant(self.zone(), time);
            // Not after `at`: the first of two passes that is over already, or a gap just left behind.
            if slot > at {
                return Some(slot);
            }
        }
    }

    /// The zone has one offset until its clock changes and another one after; each is asked for its next
    /// firing, and those count that fall where their offset holds.
    fn next_interval(&self, cron: &Cron, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let zone = self.zone();
        let under = |offset: TimeDelta, from: DateTime<Utc>| {
            let time = next_wall(cron, from.naive_utc().checked_add_signed(offset)?)?;
            Some(time.checked_sub_signed(offset)?.and_utc())
        };
        let near = TimeDelta::hours(26);
        let mut from = at;
        // One turn; a few more when what comes next falls into a gap.
        for _ in 0..GAP_STEPS_MAX {
            let guess = under(offset(zone, from), from)?;
            let candidates = [from, from + near, guess - near, guess]
                .into_iter()
                .filter_map(|when| {
                    let assumed = offset(zone, when);
                    let slot = under(assumed, from)?;
                    Some((slot, offset(zone, slot) == assumed))
                });
            let real = candidates.clone().filter(|(_, holds)| *holds);
            if let Some((slot, _)) = real.min() {
                return Some(slot);
            }
            from = candidates.map(|(slot, _)| slot).min()?;
        }
        None
    }
}

/// The next wall-clock time of the pattern, in a world without time zones.
fn next_wall(cron: &Cron, after: NaiveDateTime) -> Option<NaiveDateTime> {
    cron.find_next_occurrence(&after.and_utc(), false)
        .ok()
        .map(|slot| slot.naive_utc())
}
