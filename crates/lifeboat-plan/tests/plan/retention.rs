//! The safety rules of retention, one by one.

use crate::shelf::{Shelf, at, days};
use chrono::TimeDelta;
use chrono_tz::Tz;
use lifeboat_plan::{
    BackupId, DeleteRefusal, KeepReason, KeepRules, PruneInput, PrunePlan, Standing, Status, Tier,
    may_delete,
};

/// Daily only: no longer tiers, no cap.
pub(crate) fn daily_rules() -> KeepRules {
    let mut rules = KeepRules::default();
    rules.weekly.enabled = false;
    rules.monthly.enabled = false;
    rules
}

/// One good backup a night, the last of them at 2025-06-30 02:00 UTC.
pub(crate) fn nights(count: i64, rules: KeepRules) -> Shelf {
    let mut shelf = Shelf::new(Tz::UTC, rules);
    for night in (0..count).rev() {
        shelf.run(at("2025-06-30T02:00:00Z") - days(night), Status::Completed);
    }
    shelf
}

pub(crate) fn now() -> chrono::DateTime<chrono::Utc> {
    at("2025-06-30T02:10:00Z")
}

fn all_at_once(input: PruneInput<'_>) -> PrunePlan {
    PrunePlan::make(&PruneInput {
        drop_max: Some(usize::MAX),
        ..input
    })
    .unwrap()
}

fn reasons(plan: &PrunePlan, id: &BackupId) -> Vec<KeepReason> {
    plan.kept()
        .find(|kept| kept.id == *id)
        .unwrap_or_else(|| panic!("{id} is dropped"))
        .reasons
        .clone()
}

#[test]
fn what_is_older_than_the_rule_goes_and_the_rest_stays() {
    let shelf = nights(40, daily_rules());
    let plan = all_at_once(shelf.input(now()));
    assert_eq!((plan.kept().count(), plan.dropped().len()), (31, 9));
    assert_eq!(
        plan.dropped()[0].reason.to_string(),
        "daily, older than 30 days"
    );
    assert_eq!(
        plan.dropped()[0].id.to_string(),
        "shop_daily_20250522_020000"
    );
}

#[test]
fn a_count_limits_the_daily_tier() {
    let mut rules = daily_rules();
    rules.daily.slots = Some(2);
    let plan = all_at_once(nights(5, rules).input(now()));
    assert_eq!((plan.kept().count(), plan.dropped().len()), (2, 3));
    assert_eq!(
        plan.dropped()[0].reason.to_string(),
        "daily 5, and the newest 2 stay"
    );
}

#[test]
fn after_a_long_outage_the_floor_stays() {
    let mut shelf = nights(40, daily_rules());
    let back = now() + days(400);
    shelf.run(back, Status::Completed);
    let plan = all_at_once(shelf.input(back));
    assert_eq!(plan.kept().count(), 7);
}

#[test]
fn sixty_failing_nights_drop_nothing_good() {
    let mut shelf = nights(31, daily_rules());
    for night in 1..=60 {
        let status = [Status::Failed, Status::Partial][night as usize % 2];
        shelf.run(now() + days(night), status);
    }
    let plan = all_at_once(shelf.input(now() + days(60)));
    assert_eq!(
        plan.dropped().len(),
        0,
        "young by the newest good one's time"
    );

    // The first good one after that ages them all at once; the floor holds, the failed ones go.
    shelf.run(now() + days(61), Status::Completed);
    let plan = all_at_once(shelf.input(now() + days(61)));
    let good = plan
        .kept()
        .filter(|kept| shelf.get(&kept.id).unwrap().is_good())
        .count();
    assert_eq!(good, 7);
    let unfinished = plan.kept().count() - good;
    assert_eq!(unfinished, 6, "those of the last seven days");
}

#[test]
fn failed_runs_are_not_counted_and_push_nothing_out() {
    let mut rules = daily_rules();
    rules.daily.max_count = 10;
    let mut shelf = nights(10, rules);
    for minute in 1..=20 {
        shelf.put(
            Tier::Daily,
            at("2025-06-30T02:00:00Z") + TimeDelta::minutes(minute),
            Status::Partial,
        );
    }
    let plan = all_at_once(shelf.input(now() + TimeDelta::hours(1)));
    assert_eq!(plan.dropped(), []);
}

#[test]
fn an_empty_policy_keeps_all() {
    let mut rules = daily_rules();
    rules.daily.days = 0;
    rules.daily.max_count = 0;
    let plan = all_at_once(nights(900, rules).input(now()));
    assert_eq!(plan.dropped(), []);
    let oldest = plan.kept().last().unwrap();
    assert_eq!(oldest.reasons[0].to_string(), "daily 900, no limit is set");
}

#[test]
fn what_comes_from_the_future_stays_and_shifts_no_window() {
    let mut shelf = nights(40, daily_rules());
    let calm = all_at_once(shelf.input(now()));
    let future = shelf.put(Tier::Daily, now() + days(3650), Status::Completed);
    let plan = all_at_once(shelf.input(now()));
    assert_eq!(plan.dropped(), calm.dropped());
    assert_eq!(
        reasons(&plan, &future),
        [KeepReason::FromTheFuture(now() + days(3650))]
    );
}

#[test]
fn suspect_and_unauthentic_backups_neither_go_nor_count() {
    let mut rules = daily_rules();
    rules.daily.max_count = 7;
    let mut shelf = nights(14, rules);
    // Seven younger ones that a stranger wrote must not push out seven real ones.
    let fakes: Vec<BackupId> = (1..=7)
        .map(|minute| {
            let id = shelf.put(
                Tier::Daily,
                now() + TimeDelta::minutes(minute),
                Status::Completed,
            );
            shelf.get_mut(&id).trusted = false;
            id
        })
        .collect();
    let broken = shelf.backups[0].id.clone();
    shelf.get_mut(&broken).suspect = true;
    let plan = all_at_once(shelf.input(now() + TimeDelta::hours(1)));
    for fake in &fakes {
        assert_eq!(reasons(&plan, fake), [KeepReason::Untrusted]);
    }
    assert_eq!(reasons(&plan, &broken), [KeepReason::Suspect]);
    assert_eq!(plan.dropped().len(), 6, "the old ones but the suspect one");
}

#[test]
fn an_unreadable_manifest_is_kept_as_suspect() {
    let mut shelf = nights(3, daily_rules());
    let id: BackupId = "shop_daily_20200101_020000".parse().unwrap();
    shelf.backups.push(Standing::unreadable(id.clone()));
    let plan = all_at_once(shelf.input(now()));
    assert_eq!(reasons(&plan, &id), [KeepReason::Suspect]);
}

#[test]
fn holds_leases_and_the_last_proof_outlive_the_rules() {
    let mut shelf = nights(60, daily_rules());
    let ids: Vec<BackupId> = shelf.backups.iter().map(|b| b.id.clone()).collect();
    shelf.get_mut(&ids[0]).keep_until = Some(now() + days(1));
    shelf.get_mut(&ids[1]).leased = true;
    shelf.get_mut(&ids[2]).proven_at = Some(now() - days(50));
    shelf.get_mut(&ids[3]).proven_at = Some(now() - days(49));
    shelf.get_mut(&ids[4]).keep_until = Some(now() - days(1));
    let plan = all_at_once(shelf.input(now()));
    assert_eq!(
        reasons(&plan, &ids[0]),
        [KeepReason::Held {
            until: now() + days(1)
        }]
    );
    assert_eq!(reasons(&plan, &ids[1]), [KeepReason::Leased]);
    assert_eq!(
        reasons(&plan, &ids[3]),
        [KeepReason::LastProven(now() - days(49))]
    );
    for gone in [2, 4] {
        assert!(plan.dropped().iter().any(|dropped| dropped.id == ids[gone]));
    }
}

#[test]
fn few_go_at_once_and_the_oldest_of_them_first() {
    let mut shelf = nights(40, daily_rules());
    shelf.rules.daily.days = 10;
    let plan = shelf.plan(now()).unwrap();
    let dropped: Vec<&str> = plan.dropped().iter().map(|d| d.id.stamp()).collect();
    assert_eq!(dropped.len(), 8, "a fifth of 40");
    assert_eq!(dropped[0], "20250522_020000");
    assert!(dropped.is_sorted());
    let postponed = plan
        .kept()
        .filter(|kept| kept.reasons == [KeepReason::Postponed { max: 8 }])
        .count();
    assert_eq!(postponed, 40 - 11 - 8);
}

#[test]
fn another_project_in_the_same_store_is_never_touched() {
    let mut shelf = nights(40, daily_rules());
    let mut other = nights(40, daily_rules());
    for backup in &mut other.backups {
        backup.id = backup
            .id
            .to_string()
            .replace("shop", "shop_2")
            .parse()
            .unwrap();
    }
    let expected = Some(shelf.backups.len());
    let alone = all_at_once(shelf.input(now()));
    shelf.backups.extend(other.backups);
    let plan = all_at_once(PruneInput {
        expected,
        ..shelf.input(now())
    });
    assert_eq!(plan.dropped(), alone.dropped());
    assert_eq!(plan.kept().count(), alone.kept().count() + 40);
}

#[test]
fn a_disabled_tier_ages_out_but_is_not_wiped() {
    let mut shelf = Shelf::new(Tz::UTC, KeepRules::default());
    for night in 0..60 {
        shelf.run(at("2025-01-01T02:00:00Z") + days(night), Status::Completed);
    }
    shelf.rules.weekly.enabled = false;
    let plan = all_at_once(shelf.input(at("2025-03-01T02:10:00Z")));
    let weekly = plan
        .dropped()
        .iter()
        .filter(|d| d.id.tier() == Tier::Weekly)
        .count();
    assert_eq!((shelf.count(Tier::Weekly), weekly), (9, 1));
}

#[test]
fn where_daily_ones_are_missing_longer_tiers_make_the_floor() {
    // A far store that gets copies in longer tiers only.
    let mut rules = KeepRules::default();
    rules.weekly.weeks = 2;
    let mut shelf = Shelf::new(Tz::UTC, rules);
    for week in 0..20 {
        shelf.put(
            Tier::Weekly,
            at("2025-01-06T02:00:00Z") + days(7 * week),
            Status::Completed,
        );
    }
    let plan = all_at_once(shelf.input(at("2025-05-19T02:10:00Z")));
    assert_eq!(plan.kept().count(), 7 + 1, "the floor, and the oldest");
    assert_eq!(
        plan.kept().last().unwrap().reasons,
        [KeepReason::Oldest {
            missing: Tier::Monthly
        }]
    );
}

#[test]
fn a_person_may_delete_all_but_the_last_good_the_held_and_the_used() {
    let mut shelf = nights(3, daily_rules());
    let ids: Vec<BackupId> = shelf.backups.iter().map(|b| b.id.clone()).collect();
    assert_eq!(may_delete(&shelf.backups, &ids[2], now()), Ok(()));

    shelf.get_mut(&ids[0]).suspect = true;
    shelf.get_mut(&ids[1]).status = Status::Partial;
    assert_eq!(
        may_delete(&shelf.backups, &ids[2], now()),
        Err(DeleteRefusal::LastGood(ids[2].clone()))
    );
    assert_eq!(may_delete(&shelf.backups, &ids[0], now()), Ok(()));

    shelf.get_mut(&ids[0]).leased = true;
    assert_eq!(
        may_delete(&shelf.backups, &ids[0], now()),
        Err(DeleteRefusal::Leased(ids[0].clone()))
    );
    shelf.get_mut(&ids[1]).keep_until = Some(now() + days(1));
    assert!(matches!(
        may_delete(&shelf.backups, &ids[1], now()),
        Err(DeleteRefusal::Held { .. })
    ));
    assert_eq!(may_delete(&shelf.backups, &ids[1], now() + days(2)), Ok(()));
    let unknown: BackupId = "shop_daily_20000101_000000".parse().unwrap();
    assert_eq!(
        may_delete(&shelf.backups, &unknown, now()),
        Err(DeleteRefusal::Unknown(unknown.clone()))
    );
}

#[test]
fn a_plan_is_printed_as_the_contract_says() {
    let mut rules = daily_rules();
    rules.daily.slots = Some(1);
    let plan = all_at_once(nights(2, rules).input(now()));
    assert_eq!(
        serde_json::to_value(&plan).unwrap(),
        serde_json::json!({
            "keep": [{
                "id": "shop_daily_20250630_020000",
                "reasons": [
                    "the newest good backup",
                    "good backup 1 of the 1 that always stay",
                    "daily 1 of 1, within 30 days"
                ]
            }],
            "drop": [{ "id": "shop_daily_20250629_020000", "reason": "daily 2, and the newest 1 stay" }]
        })
    );
}
