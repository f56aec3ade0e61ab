//! Which longer tiers a backup fills, and on which day their slots begin.

use crate::shelf::{Shelf, at, days};
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use lifeboat_plan::slot::slot;
use lifeboat_plan::{KeepRules, Standing, Status, Tier, promotions};

fn all_tiers() -> KeepRules {
    let mut rules = KeepRules::default();
    rules.fortnightly.enabled = true;
    rules.yearly.enabled = true;
    rules
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn begins(rules: &KeepRules, tier: Tier, day: &str) -> String {
    slot(rules, tier, date(day)).unwrap().to_string()
}

#[test]
fn a_week_begins_on_its_weekday_and_sunday_is_0_and_7() {
    let mut rules = all_tiers();
    for (day, monday) in [
        ("2025-12-01", "2025-12-01"),
        ("2025-12-07", "2025-12-01"),
        ("2025-12-08", "2025-12-08"),
        ("2026-01-01", "2025-12-29"),
    ] {
        assert_eq!(begins(&rules, Tier::Weekly, day), monday);
    }
    for sunday in [0, 7] {
        rules.weekly.day = sunday;
        assert_eq!(begins(&rules, Tier::Weekly, "2025-12-07"), "2025-12-07");
        assert_eq!(begins(&rules, Tier::Weekly, "2025-12-06"), "2025-11-30");
    }
}

#[test]
fn a_month_that_is_too_short_begins_its_slot_on_its_last_day() {
    let mut rules = all_tiers();
    rules.monthly.day = 31;
    for (day, begin) in [
        ("2025-01-31", "2025-01-31"),
        ("2025-02-27", "2025-01-31"),
        ("2025-02-28", "2025-02-28"),
        ("2025-03-30", "2025-02-28"),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-28", "2024-01-31"),
        ("2025-01-01", "2024-12-31"),
    ] {
        assert_eq!(begins(&rules, Tier::Monthly, day), begin);
    }
}

#[test]
fn fortnights_begin_on_days_of_the_month() {
    let rules = all_tiers();
    for (day, begin) in [
        ("2025-12-01", "2025-12-01"),
        ("2025-12-14", "2025-12-01"),
        ("2025-12-15", "2025-12-15"),
        ("2026-01-31", "2026-01-15"),
    ] {
        assert_eq!(begins(&rules, Tier::Fortnightly, day), begin);
    }
    let mut late = all_tiers();
    late.fortnightly.days = vec![20];
    assert_eq!(begins(&late, Tier::Fortnightly, "2025-01-03"), "2024-12-20");
}

#[test]
fn every_day_of_ten_years_lies_in_exactly_one_slot_of_each_tier() {
    let mut rules = all_tiers();
    for start_day in [1, 15, 29, 30, 31] {
        rules.monthly.day = start_day;
        rules.fortnightly.days = vec![start_day, 10];
        for tier in &Tier::ALL[1..] {
            let mut begin = slot(&rules, *tier, date("2023-12-31")).unwrap();
            let mut slots = 0;
            for day in date("2024-01-01").iter_days().take(3653) {
                let now = slot(&rules, *tier, day).unwrap();
                assert!(
                    now <= day && now >= begin,
                    "{tier} {day}: {now} after {begin}"
                );
                if now != begin {
                    assert_eq!(now, day, "{tier}: a new slot begins on its own day");
                    slots += 1;
                    begin = now;
                }
            }
            let expected = match tier {
                Tier::Weekly => 521..=522,
                Tier::Fortnightly => 240..=240,
                Tier::Monthly => 120..=120,
                _ => 10..=10,
            };
            assert!(
                expected.contains(&slots),
                "{tier} from {start_day}: {slots}"
            );
        }
    }
}

#[test]
fn the_first_good_backup_on_or_after_the_day_fills_the_slot() {
    let mut shelf = Shelf::new(Tz::UTC, all_tiers());
    // The first backup ever fills all of them; the next day none.
    shelf.run(at("2025-12-03T02:00:00Z"), Status::Completed);
    assert_eq!(shelf.backups.len(), 5);
    shelf.run(at("2025-12-04T02:00:00Z"), Status::Completed);
    assert_eq!(shelf.backups.len(), 6);
    // Monday fails, Tuesday is partial, Wednesday takes the week.
    shelf.run(at("2025-12-08T02:00:00Z"), Status::Failed);
    shelf.run(at("2025-12-09T02:00:00Z"), Status::Partial);
    assert_eq!(shelf.count(Tier::Weekly), 1);
    shelf.run(at("2025-12-10T02:00:00Z"), Status::Completed);
    assert_eq!(shelf.count(Tier::Weekly), 2);
    assert_eq!(shelf.count(Tier::Monthly), 1);
}

#[test]
fn days_are_those_of_the_job_s_zone() {
    // 23:30 UTC on Sunday the 30th is Monday the first in Berlin.
    let when = at("2025-11-30T23:30:00Z");
    for (zone, weekly, month) in [
        (Tz::UTC, "2025-11-24", 11),
        (Tz::Europe__Berlin, "2025-12-01", 12),
    ] {
        let mut shelf = Shelf::new(zone, all_tiers());
        shelf.put(Tier::Daily, when, Status::Completed);
        let found = promotions(&shelf.rules, zone, &shelf.backups[0], &shelf.backups);
        assert_eq!(found[0].slot.to_string(), weekly);
        assert_eq!(found[2].slot.month(), month);
    }
}

#[test]
fn only_good_daily_backups_of_the_same_name_fill_a_slot_once() {
    let mut shelf = Shelf::new(Tz::UTC, all_tiers());
    let id = shelf.run(at("2025-12-03T02:00:00Z"), Status::Completed);
    let new = shelf.get(&id).unwrap().clone();
    let asked = |new: &Standing, existing: &Shelf| {
        promotions(&existing.rules, Tz::UTC, new, &existing.backups).len()
    };
    assert_eq!(asked(&new, &shelf), 0, "asked again after a crash");

    let mut other = shelf.clone();
    for b in &mut other.backups {
        b.id = b.id.to_string().replace("shop", "shop2").parse().unwrap();
    }
    assert_eq!(asked(&new, &other), 4, "another name fills nothing of ours");

    // A copy that turned out bad leaves its slot to the next good backup.
    let weekly = new.id.in_tier(Tier::Weekly);
    shelf.get_mut(&weekly).suspect = true;
    assert_eq!(
        asked(&new, &shelf),
        0,
        "but the same id is not written twice"
    );
    shelf.run(at("2025-12-04T02:00:00Z"), Status::Completed);
    assert_eq!(shelf.count(Tier::Weekly), 2);

    let empty = Shelf::new(Tz::UTC, all_tiers());
    for spoil in [
        |b: &mut Standing| b.status = Status::Partial,
        |b: &mut Standing| b.trusted = false,
        |b: &mut Standing| b.suspect = true,
        |b: &mut Standing| b.keep_until = Some(b.created_at + days(14)),
        |b: &mut Standing| b.id = b.id.in_tier(Tier::Weekly),
    ] {
        let mut spoiled = new.clone();
        spoil(&mut spoiled);
        assert_eq!(asked(&spoiled, &empty), 0, "{spoiled:?}");
    }
    assert_eq!(asked(&new, &empty), 4);
}
