//! When retention does not run at all: after a bad run, on a listing that lies, by a clock in doubt.

use crate::retention::{daily_rules, nights, now};
use crate::shelf::{Shelf, at, days};
use chrono::TimeDelta;
use chrono_tz::Tz;
use lifeboat_plan::{ClockDoubt, ClockEvidence, PruneInput, PrunePlan, Refusal, Status};

#[test]
fn nothing_is_dropped_after_a_bad_run() {
    let shelf = nights(60, daily_rules());
    let input = PruneInput {
        last_run_good: false,
        ..shelf.input(now())
    };
    assert_eq!(PrunePlan::make(&input), Err(Refusal::NotAfterGoodRun));
}

#[test]
fn nothing_is_dropped_when_the_listing_is_short() {
    let shelf = nights(79, daily_rules());
    let make = |expected| {
        PrunePlan::make(&PruneInput {
            expected,
            ..shelf.input(now())
        })
    };
    assert_eq!(
        make(Some(100)),
        Err(Refusal::ShortListing {
            listed: 79,
            expected: 100
        })
    );
    assert_eq!(make(None), Err(Refusal::NoCatalogue));
    assert!(make(Some(99)).is_err());
    assert!(make(Some(98)).is_ok());
    // Exactly a fifth fewer is no sudden drop yet.
    let eighty = nights(80, daily_rules());
    let input = PruneInput {
        expected: Some(100),
        ..eighty.input(now())
    };
    assert!(PrunePlan::make(&input).is_ok());

    let mut twice = shelf.clone();
    twice.backups.push(twice.backups[0].clone());
    assert_eq!(
        twice.plan(now()),
        Err(Refusal::ListedTwice(twice.backups[0].id.clone()))
    );
}

#[test]
fn nothing_is_dropped_where_nothing_is_good() {
    let mut shelf = nights(60, daily_rules());
    for backup in &mut shelf.backups {
        backup.suspect = true;
    }
    assert_eq!(shelf.plan(now()), Err(Refusal::NothingGood(60)));
    shelf.backups.clear();
    assert_eq!(shelf.plan(now()), Err(Refusal::NothingGood(0)));
}

fn under(
    shelf: &Shelf,
    now: chrono::DateTime<chrono::Utc>,
    clock: ClockEvidence,
) -> Option<ClockDoubt> {
    let input = PruneInput {
        clock,
        ..shelf.input(now)
    };
    match PrunePlan::make(&input) {
        Ok(_) => None,
        Err(Refusal::Clock(doubt)) => Some(doubt),
        Err(other) => panic!("refused for another reason: {other}"),
    }
}

#[test]
fn a_clock_that_leaps_a_year_ahead_drops_nothing_until_it_is_confirmed() {
    let mut shelf = nights(60, daily_rules());
    let alone = ClockEvidence::default();
    assert_eq!(under(&shelf, now(), alone), None);

    let ahead = now() + days(365);
    for night in 0..3 {
        shelf.run(ahead + days(night), Status::Completed);
        let doubt = under(&shelf, ahead + days(night), alone);
        assert!(matches!(doubt, Some(ClockDoubt::Leap(_))), "{doubt:?}");
    }
    // A store with a clock of its own knows better at once, either way.
    let store = |store| ClockEvidence {
        store: Some(store),
        ..alone
    };
    assert_eq!(under(&shelf, ahead + days(2), store(ahead + days(2))), None);
    let doubt = under(&shelf, ahead + days(2), store(now() + days(2)));
    assert_eq!(doubt, Some(ClockDoubt::Store(days(365))));

    shelf.run(ahead + days(3), Status::Completed);
    assert_eq!(under(&shelf, ahead + days(3), alone), None);
    let plan = shelf.plan(ahead + days(3)).unwrap();
    assert!(plan.dropped().len() <= 12, "and then only a few at once");
    assert!(plan.kept().count() >= 7);
}

#[test]
fn a_clock_that_goes_back_suspends_deletion() {
    let mut shelf = nights(60, daily_rules());
    let alone = ClockEvidence::default();
    for back in [TimeDelta::hours(1), days(365), days(365 * 50)] {
        let mut shelf = shelf.clone();
        let now = now() - back;
        shelf.run(now, Status::Completed);
        assert!(under(&shelf, now, alone).is_some(), "back by {back}");
    }
    let last_run = ClockEvidence {
        last_run: Some(now() + TimeDelta::hours(1)),
        ..alone
    };
    shelf.run(now(), Status::Completed);
    assert_eq!(
        under(&shelf, now(), last_run),
        Some(ClockDoubt::BeforeLastRun(TimeDelta::hours(1)))
    );
    let moved = ClockEvidence {
        last_run: Some(now() - days(20)),
        since_last_run: Some(days(1)),
        ..alone
    };
    assert_eq!(
        under(&shelf, now(), moved),
        Some(ClockDoubt::Moved(days(19)))
    );
}

#[test]
fn a_backup_dated_too_late_is_remembered_until_three_good_ones_lie_between() {
    let mut shelf = nights(60, daily_rules());
    // The clock was five days ahead for one night, and has been right since.
    shelf.run(now() + days(6), Status::Completed);
    let mut doubts = Vec::new();
    for night in 2..12 {
        shelf.run(now() + days(night), Status::Completed);
        let now = now() + days(night) + TimeDelta::minutes(10);
        doubts.push(under(&shelf, now, ClockEvidence::default()));
    }
    assert_eq!(
        doubts[..4],
        [
            Some(ClockDoubt::Future(days(4) - TimeDelta::minutes(10))),
            Some(ClockDoubt::Future(days(3) - TimeDelta::minutes(10))),
            Some(ClockDoubt::Backwards(days(4))),
            None
        ]
    );
}

#[test]
fn a_pause_of_more_than_a_month_waits_for_witnesses() {
    for (pause, doubted) in [(31, false), (32, false), (33, true), (60, true)] {
        let mut shelf = nights(60, daily_rules());
        let back = at("2025-06-30T02:00:00Z") + days(pause);
        shelf.run(back, Status::Completed);
        let doubt = under(&shelf, back, ClockEvidence::default());
        assert_eq!(doubt.is_some(), doubted, "{pause} days: {doubt:?}");
    }
}

#[test]
fn a_schedule_of_quarters_is_no_leap() {
    let mut shelf = Shelf::new(Tz::UTC, daily_rules());
    for quarter in 0..12 {
        shelf.run(
            at("2020-01-01T00:00:00Z") + days(91 * quarter),
            Status::Completed,
        );
    }
    let now = at("2020-01-01T00:10:00Z") + days(91 * 11);
    assert_eq!(under(&shelf, now, ClockEvidence::default()), None);
}
