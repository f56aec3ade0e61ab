//! Is it time? After downtime, after years of it, and with a clock that went back.

use crate::shelf::{at, days};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::calendar::MISSED_MAX;
use lifeboat_plan::{Anomaly, Due, Freshness, Schedule};
use std::time::{Duration, Instant};

fn nightly() -> Schedule {
    Schedule::parse("0 2 * * *", Tz::UTC).unwrap()
}

#[test]
fn a_run_is_due_at_its_slot_and_once() {
    let slot = at("2025-06-02T02:00:00Z");
    let last = Some(slot - days(1));
    let waiting = |last| Due::NotYet {
        next: last,
        anomaly: None,
    };
    assert_eq!(
        nightly().due(last, slot - TimeDelta::seconds(1)),
        waiting(slot)
    );
    let now = Due::Now { slot, missed: 0 };
    assert_eq!(nightly().due(last, slot), now);
    assert_eq!(nightly().due(last, slot + TimeDelta::minutes(4)), now);
    assert_eq!(nightly().due(Some(slot), slot), waiting(slot + days(1)));
    assert_eq!(nightly().due(None, slot), waiting(slot + days(1)));
    assert_eq!(Schedule::off().due(last, slot), Due::Never);
}

#[test]
fn what_was_missed_is_caught_up_once_and_the_rest_is_counted() {
    let last = at("2025-06-01T02:00:05Z");
    assert_eq!(
        nightly().due(Some(last), at("2025-06-02T09:00:00Z")),
        Due::Missed {
            missed: 0,
            catch_up: at("2025-06-02T02:00:00Z")
        }
    );
    assert_eq!(
        nightly().due(Some(last), at("2025-06-20T09:00:00Z")),
        Due::Missed {
            missed: 18,
            catch_up: at("2025-06-20T02:00:00Z")
        }
    );
    // Back just in time for a slot: that one is no catch-up, it is punctual.
    assert_eq!(
        nightly().due(Some(last), at("2025-06-20T02:00:30Z")),
        Due::Now {
            slot: at("2025-06-20T02:00:00Z"),
            missed: 18
        }
    );
    // And once it has caught up, it waits for the next slot.
    let caught_up = at("2025-06-20T09:00:00Z");
    assert_eq!(
        nightly().due(Some(caught_up), caught_up + TimeDelta::minutes(30)),
        Due::NotYet {
            next: at("2025-06-21T02:00:00Z"),
            anomaly: None
        }
    );
}

#[test]
fn years_of_downtime_are_answered_at_once() {
    let every_minute = Schedule::parse("* * * * *", Tz::Europe__Berlin).unwrap();
    let leap_days = Schedule::parse("0 2 29 2 *", Tz::Europe__Berlin).unwrap();
    let started = Instant::now();
    assert_eq!(
        every_minute.due(Some(at("1970-01-01T00:00:00Z")), at("2025-06-02T02:20:30Z")),
        Due::Now {
            slot: at("2025-06-02T02:20:00Z"),
            missed: MISSED_MAX
        }
    );
    assert_eq!(
        leap_days.due(Some(at("1970-01-01T00:00:00Z")), at("2025-06-02T02:20:30Z")),
        Due::Missed {
            missed: 13,
            catch_up: at("2024-02-29T01:00:00Z")
        }
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A daemon that looks at the clock every half minute; what its clock shows is `clock`.
fn watch(schedule: &Schedule, last: &mut Option<DateTime<Utc>>, clock: DateTime<Utc>) -> bool {
    match schedule.due(*last, clock) {
        Due::Now { slot, .. } | Due::Missed { catch_up: slot, .. } => {
            *last = Some(slot.max(clock));
            true
        }
        Due::NotYet { anomaly, .. } => {
            if let Some(Anomaly::StartOver { .. }) = anomaly {
                *last = Some(clock);
            }
            false
        }
        Due::Never => false,
    }
}

#[test]
fn a_clock_that_goes_back_makes_no_fixed_job_run_twice_and_none_wait_for_ever() {
    for back in [
        TimeDelta::seconds(3),
        TimeDelta::minutes(1),
        TimeDelta::hours(1),
        TimeDelta::hours(20),
        days(365),
        days(20_000),
    ] {
        let mut last = Some(at("2025-06-01T02:00:00Z"));
        let mut clock = at("2025-06-02T01:59:30Z");
        let mut runs = Vec::new();
        let mut real = TimeDelta::zero();
        while real < days(5) {
            if watch(&nightly(), &mut last, clock) {
                runs.push(real);
                if runs.len() == 1 {
                    clock -= back;
                }
            }
            clock += TimeDelta::seconds(30);
            real += TimeDelta::seconds(30);
        }
        let gaps: Vec<i64> = runs.windows(2).map(|p| (p[1] - p[0]).num_hours()).collect();
        assert!(runs.len() >= 4, "back by {back}: {runs:?}");
        // The first slot after the jump comes later, by what the clock went back within its day.
        assert!(gaps[0] >= 23 && gaps[0] <= 49, "back by {back}: {gaps:?}");
        assert!(gaps[1..].iter().all(|gap| *gap == 24), "{back}: {gaps:?}");
    }
}

#[test]
fn an_interval_goes_on_when_the_clock_goes_back() {
    let quarterly = Schedule::parse("*/15 * * * *", Tz::UTC).unwrap();
    for back in [TimeDelta::seconds(3), TimeDelta::hours(1), days(365)] {
        let mut last = Some(at("2025-06-02T01:45:00Z"));
        let mut clock = at("2025-06-02T01:59:30Z");
        let mut runs = Vec::new();
        for half_minute in 0..240 {
            if watch(&quarterly, &mut last, clock) {
                runs.push(half_minute);
                if runs.len() == 1 {
                    clock -= back;
                }
            }
            clock += TimeDelta::seconds(30);
        }
        for pair in runs.windows(2) {
            let minutes = (pair[1] - pair[0]) / 2;
            assert!((14..=16).contains(&minutes), "{back}: {runs:?}");
        }
        assert_eq!(runs.len(), 8, "{back}: {runs:?}");
    }
}

#[test]
fn a_last_run_in_the_future_is_an_anomaly_but_a_correction_of_seconds_is_none() {
    let last = at("2025-06-02T02:00:00Z");
    let due = |now| nightly().due(Some(last), now);
    let next = at("2025-06-03T02:00:00Z");
    assert_eq!(
        due(last - TimeDelta::seconds(20)),
        Due::NotYet {
            next,
            anomaly: None
        }
    );
    let by = TimeDelta::hours(1);
    assert_eq!(
        due(last - by),
        Due::NotYet {
            next,
            anomaly: Some(Anomaly::Ahead { by })
        }
    );
    assert_eq!(
        due(last - days(365)),
        Due::NotYet {
            next: at("2024-06-03T02:00:00Z"),
            anomaly: Some(Anomaly::StartOver { by: days(365) })
        }
    );
}

#[test]
fn jitter_delays_but_never_reaches_the_next_slot() {
    let slot = at("2025-06-02T02:00:00Z");
    assert_eq!(nightly().jittered(slot, 0, 12_345), slot);
    assert_eq!(
        nightly().jittered(slot, 600, 600),
        slot + TimeDelta::seconds(600)
    );
    assert_eq!(nightly().jittered(slot, 600, 601), slot);
    let often = Schedule::parse("*/5 * * * *", Tz::UTC).unwrap();
    for random in 0..2000 {
        let late = often.jittered(slot, 3600, random) - slot;
        assert!(late <= TimeDelta::seconds(150), "{late}");
    }
}

#[test]
fn a_backup_is_fresh_until_the_next_one_is_overdue() {
    let made = at("2025-06-02T02:00:03Z");
    let grace = TimeDelta::hours(1);
    let start = at("2025-06-01T12:00:00Z");
    let of = |made, now| Freshness::of(&nightly(), made, start, now, grace);
    let until = at("2025-06-03T03:00:00Z");
    assert_eq!(of(Some(made), until), Freshness::Fresh { until });
    assert_eq!(
        of(Some(made), until + TimeDelta::seconds(1)),
        Freshness::Stale { since: until }
    );

    let first = at("2025-06-02T03:00:00Z");
    assert_eq!(of(None, start), Freshness::Waiting { until: first });
    assert_eq!(of(None, made + days(1)), Freshness::Stale { since: first });

    // A backup that claims to be from next year keeps nothing green.
    let future = Freshness::Future {
        created_at: made + days(365),
    };
    assert_eq!(of(Some(made + days(365)), made), future);
    assert!(!future.is_healthy());

    let off = Freshness::of(&Schedule::off(), Some(made), start, made + days(900), grace);
    assert_eq!(off, Freshness::Unscheduled);
    assert!(off.is_healthy());
}
