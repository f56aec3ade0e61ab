//! What a change of the clock does to a schedule: on the dates that people wrote bugs about, and against
//! a slow second opinion that looks at every minute.

use crate::dice::Dice;
use crate::shelf::at;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use lifeboat_plan::Schedule;

fn schedule(text: &str, zone: Tz) -> Schedule {
    Schedule::parse(text, zone).unwrap()
}

/// The local times, with their offset, at which it fires from `from` on.
fn fires(text: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    schedule(text, zone)
        .upcoming(at(from), count)
        .into_iter()
        .map(|slot| slot.with_timezone(&zone).format("%F %H:%M %z").to_string())
        .collect()
}

#[test]
fn a_fixed_time_in_the_gap_runs_once_right_after_it() {
    assert_eq!(
        fires(
            "30 2 * * *",
            Tz::America__New_York,
            "2025-03-08T12:00:00Z",
            2
        ),
        ["2025-03-09 03:00 -0400", "2025-03-10 02:30 -0400"]
    );
    assert_eq!(
        fires("30 2 * * *", Tz::Europe__Berlin, "2025-03-29T12:00:00Z", 2),
        ["2025-03-30 03:00 +0200", "2025-03-31 02:30 +0200"]
    );
    // Several fixed times in one gap are one run.
    assert_eq!(
        fires(
            "0,30 2,14 * * *",
            Tz::Europe__Berlin,
            "2025-03-29T20:00:00Z",
            3
        ),
        [
            "2025-03-30 03:00 +0200",
            "2025-03-30 14:00 +0200",
            "2025-03-30 14:30 +0200"
        ]
    );
}

#[test]
fn a_fixed_time_that_comes_twice_runs_the_first_time() {
    assert_eq!(
        fires(
            "30 1 * * *",
            Tz::America__New_York,
            "2025-11-01T12:00:00Z",
            2
        ),
        ["2025-11-02 01:30 -0400", "2025-11-03 01:30 -0500"]
    );
    assert_eq!(
        fires("30 2 * * *", Tz::Europe__Berlin, "2025-10-25T12:00:00Z", 2),
        ["2025-10-26 02:30 +0200", "2025-10-27 02:30 +0100"]
    );
    assert_eq!(
        fires(
            "30 2,14 * * *",
            Tz::Europe__Berlin,
            "2025-10-26T00:00:00Z",
            2
        ),
        ["2025-10-26 02:30 +0200", "2025-10-26 14:30 +0100"]
    );
    // Asked in the second of the two hours, the first one is over.
    assert_eq!(
        fires("30 2 * * *", Tz::Europe__Berlin, "2025-10-26T01:10:00Z", 1),
        ["2025-10-27 02:30 +0100"]
    );
}

#[test]
fn an_interval_keeps_its_real_length() {
    for (zone, from) in [
        (Tz::America__New_York, "2025-03-09T00:00:00Z"),
        (Tz::America__New_York, "2025-11-02T00:00:00Z"),
        (Tz::Europe__Berlin, "2025-03-29T18:00:00Z"),
        (Tz::Europe__Berlin, "2025-10-25T18:00:00Z"),
    ] {
        let slots = schedule("*/15 * * * *", zone).upcoming(at(from), 96);
        assert_eq!(slots[0], at(from) + TimeDelta::minutes(15));
        for pair in slots.windows(2) {
            assert_eq!(pair[1] - pair[0], TimeDelta::minutes(15), "{zone}");
        }
        let hours = schedule("@hourly", zone).upcoming(at(from), 24);
        assert_eq!(hours[23] - hours[0], TimeDelta::hours(23), "{zone}");
    }
}

const ZONES: [(Tz, &str); 12] = [
    (Tz::UTC, "2025-03-30T01:00:00Z"),
    (Tz::Europe__Berlin, "2025-03-30T01:00:00Z"),
    (Tz::Europe__Berlin, "2025-10-26T01:00:00Z"),
    (Tz::America__New_York, "2025-03-09T07:00:00Z"),
    (Tz::America__New_York, "2025-11-02T06:00:00Z"),
    // Half an hour.
    (Tz::Australia__Lord_Howe, "2025-04-05T15:00:00Z"),
    (Tz::Australia__Lord_Howe, "2025-10-04T15:30:00Z"),
    // At midnight: the day begins at 01:00, or 23:00 comes twice.
    (Tz::Africa__Cairo, "2025-04-24T22:00:00Z"),
    (Tz::Africa__Cairo, "2025-10-30T21:00:00Z"),
    // Winter time is the exception, in Ramadan.
    (Tz::Africa__Casablanca, "2025-02-23T02:00:00Z"),
    (Tz::Africa__Casablanca, "2025-04-06T02:00:00Z"),
    // A day that never was.
    (Tz::Pacific__Apia, "2011-12-30T10:00:00Z"),
];

const MINUTES: [&str; 9] = [
    "*", "*/15", "*/7", "0", "30", "59", "0,30", "5-10", "0-30/10",
];
const HOURS: [&str; 11] = [
    "*", "*/2", "*/5", "0", "1", "2", "3", "1-3", "2,14", "0,23", "0-23",
];

#[test]
fn every_firing_agrees_with_a_search_minute_by_minute() {
    let mut dice = Dice::new(7);
    let mut compared = 0;
    for (zone, change) in ZONES {
        let start = at(change) - TimeDelta::hours(30);
        let end = at(change) + TimeDelta::hours(54);
        let world: Vec<(DateTime<Utc>, NaiveDateTime)> = (0..(end - start).num_minutes())
            .map(|minute| start + TimeDelta::minutes(minute))
            .map(|when| (when, when.with_timezone(&zone).naive_local()))
            .collect();
        for minutes in MINUTES {
            for hours in HOURS {
                let text = format!("{minutes} {hours} * * *");
                let schedule = schedule(&text, zone);
                let expected = slowly(&world, minutes, hours);
                for _ in 0..20 {
                    let from = start + TimeDelta::seconds(dice.between(0, 50 * 3600));
                    let next = expected.iter().find(|slot| **slot > from);
                    let found = schedule.next_after(from).filter(|slot| *slot < end);
                    assert_eq!(found.as_ref(), next, "{text:?} in {zone} after {from}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 20_000);
}

/// All firings in `world`, found by looking.
fn slowly(
    world: &[(DateTime<Utc>, NaiveDateTime)],
    minutes: &str,
    hours: &str,
) -> Vec<DateTime<Utc>> {
    let fits = |wall: &NaiveDateTime| {
        values(minutes, 59).contains(&wall.minute()) && values(hours, 23).contains(&wall.hour())
    };
    let interval = [minutes, hours].concat().contains('*') || values(hours, 23).len() == 24;
    if interval {
        return world
            .iter()
            .filter(|(_, wall)| fits(wall))
            .map(|(when, _)| *when)
            .collect();
    }
    let first = world[0].1;
    let last = world.iter().map(|(_, wall)| *wall).max().unwrap();
    let mut slots: Vec<DateTime<Utc>> = (0..=(last - first).num_minutes())
        .map(|minute| first + TimeDelta::minutes(minute))
        .filter(fits)
        .filter_map(|wanted| {
            let shown = world.iter().find(|(_, wall)| *wall == wanted);
            let passed = || world.iter().find(|(_, wall)| *wall > wanted);
            shown.or_else(passed).map(|(when, _)| *when)
        })
        .collect();
    slots.sort();
    slots.dedup();
    slots
}

fn values(field: &str, max: u32) -> Vec<u32> {
    field
        .split(',')
        .flat_map(|part| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            let (low, high) = match range.split_once('-') {
                Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
                None if range == "*" => (0, max),
                None => (range.parse().unwrap(), range.parse().unwrap()),
            };
            (low..=high).step_by(step.parse().unwrap())
        })
        .collect()
}
