//! What must hold for every plan, written down a second time and in another way than in the code: each law
//! looks at the shelf and the plan, and names itself when it is broken.

use crate::dice::Dice;
use crate::shelf::Shelf;
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{
    BackupId, Dropped, KeepReason, KeepRules, PruneInput, PrunePlan, Standing, Status, Tier,
};
use std::collections::{BTreeSet, HashSet};

/// The laws that `plan`, the answer to `input`, breaks.
pub(crate) fn broken(input: &PruneInput<'_>, plan: &PrunePlan) -> Vec<String> {
    let mut broken = Vec::new();
    let mut law = |holds: bool, name: &str| {
        if !holds {
            broken.push(name.to_owned());
        }
    };
    let kept: HashSet<&BackupId> = plan.kept().map(|kept| &kept.id).collect();
    let dropped: Vec<&Standing> = plan
        .dropped()
        .iter()
        .map(|gone| input.backups.iter().find(|b| b.id == gone.id).unwrap())
        .collect();

    law(
        kept.len() + dropped.len() == input.backups.len()
            && input
                .backups
                .iter()
                .all(|b| kept.contains(&b.id) != dropped.iter().any(|gone| gone.id == b.id)),
        "every backup is in the plan, once",
    );
    law(
        plan.kept().all(|kept| !kept.reasons.is_empty()),
        "whatever stays has a reason",
    );

    let mut good: Vec<&Standing> = input
        .backups
        .iter()
        .filter(|b| counts(b, input.now))
        .collect();
    good.sort_by_key(|b| b.sequence);
    let newest = good.last().unwrap();
    law(
        good.iter()
            .any(|b| b.sequence == newest.sequence && kept.contains(&b.id)),
        "the newest good moment stays",
    );
    let floor = input.rules.daily.floor() as usize;
    let daily = good.iter().filter(|b| b.tier() == Tier::Daily);
    let daily_kept = daily.clone().filter(|b| kept.contains(&b.id)).count();
    law(
        daily_kept >= floor.min(daily.count()),
        "the daily floor holds",
    );
    let moments = |of: &mut dyn Iterator<Item = &&Standing>| {
        of.map(|b| b.sequence).collect::<BTreeSet<_>>().len()
    };
    law(
        moments(&mut good.iter().filter(|b| kept.contains(&b.id)))
            >= floor.min(moments(&mut good.iter())),
        "the floor holds over all tiers",
    );

    let proven = good
        .iter()
        .filter(|b| b.proven_at.is_some())
        .map(|b| b.sequence)
        .max();
    law(
        proven.is_none_or(|sequence| {
            good.iter()
                .any(|b| b.sequence == sequence && b.proven_at.is_some() && kept.contains(&b.id))
        }),
        "the last proven one stays",
    );
    for b in &dropped {
        law(b.trusted && !b.suspect, "doubtful ones stay");
        law(!b.leased, "used ones stay");
        law(
            b.keep_until.is_none_or(|until| until <= input.now),
            "held ones stay",
        );
        law(
            b.created_at <= input.now + TimeDelta::minutes(5),
            "future ones stay",
        );
        law(b.id.name() == input.name, "foreign ones stay");
        law(
            b.status != Status::Completed || overdue(input.rules, b, newest, &good),
            "what is within its rule stays",
        );
    }
    law(
        plan.dropped().len() <= input.drop_max.unwrap_or(5.max(input.backups.len() / 5)),
        "few go at once",
    );
    law(
        dropped.is_sorted_by_key(|b| b.sequence),
        "the oldest go first",
    );
    broken
}

pub(crate) fn depends_on_listing(
    input: &PruneInput<'_>,
    plan: &PrunePlan,
    dice: &mut Dice,
) -> bool {
    let mut shuffled = input.backups.to_vec();
    dice.shuffle(&mut shuffled);
    let again = PrunePlan::make(&PruneInput {
        backups: &shuffled,
        ..input.clone()
    });
    again.as_ref().map(PrunePlan::dropped) != Ok(plan.dropped())
}

/// Planning again after the plan was carried out drops only what the first plan had put off.
pub(crate) fn not_settled(shelf: &Shelf, input: &PruneInput<'_>, plan: &PrunePlan) -> bool {
    let put_off: BTreeSet<&BackupId> = plan
        .kept()
        .filter(|kept| matches!(kept.reasons[..], [KeepReason::Postponed { .. }]))
        .map(|kept| &kept.id)
        .collect();
    let mut after = shelf.clone();
    after.apply(plan);
    match PrunePlan::make(&PruneInput {
        backups: &after.backups,
        expected: Some(0),
        ..input.clone()
    }) {
        Ok(again) => again.dropped().iter().any(|d| !put_off.contains(&d.id)),
        Err(_) => false,
    }
}

/// Rules that are laxer in one way or another never drop more.
pub(crate) fn not_monotone(input: &PruneInput<'_>, dice: &mut Dice) -> bool {
    let strict = drops(input);
    let mut lax = input.rules.clone();
    let more = |limit: &mut u32, by: i64| *limit += if *limit == 0 { 0 } else { by as u32 };
    let by = dice.between(0, 40);
    lax.daily.keep_min = Some(lax.daily.floor() + dice.between(0, 9) as u32);
    more(&mut lax.daily.days, by);
    more(&mut lax.weekly.weeks, dice.between(0, 10));
    more(&mut lax.fortnightly.count, dice.between(0, 10));
    more(&mut lax.monthly.months, dice.between(0, 10));
    more(&mut lax.yearly.years, dice.between(0, 3));
    match &mut lax.daily.slots {
        Some(slots) => more(slots, by),
        None => more(&mut lax.daily.max_count, by),
    }
    let lax = drops(&PruneInput {
        rules: &lax,
        ..input.clone()
    });
    !lax.is_subset(&strict)
}

/// Partial and failed backups may be there or not: the good ones fare the same.
pub(crate) fn swayed_by_failures(input: &PruneInput<'_>) -> bool {
    let good_only: Vec<Standing> = input
        .backups
        .iter()
        .filter(|b| b.status == Status::Completed)
        .cloned()
        .collect();
    let without = drops(&PruneInput {
        backups: &good_only,
        expected: Some(0),
        ..input.clone()
    });
    let with: BTreeSet<BackupId> = drops(input)
        .into_iter()
        .filter(|id| good_only.iter().any(|b| b.id == *id))
        .collect();
    with != without
}

/// With no cap. Empty when it is refused.
fn drops(input: &PruneInput<'_>) -> BTreeSet<BackupId> {
    PrunePlan::make(&PruneInput {
        drop_max: Some(usize::MAX),
        ..input.clone()
    })
    .map(|plan| {
        plan.dropped()
            .iter()
            .map(|d: &Dropped| d.id.clone())
            .collect()
    })
    .unwrap_or_default()
}

fn counts(b: &Standing, now: DateTime<Utc>) -> bool {
    b.is_good() && b.created_at <= now + TimeDelta::minutes(5)
}

/// Surely older than its tier's rule says, or surely one too many; some grace for calendars: from one
/// 28th to the next may be 28 days, and a day may have 25 hours.
fn overdue(rules: &KeepRules, b: &Standing, newest: &Standing, good: &[&Standing]) -> bool {
    let age = newest.created_at - b.created_at;
    let older = |n: u32, unit_days: i64| {
        n > 0
            && age
                >= TimeDelta::days(i64::from(n) * unit_days - unit_days.min(30) / 10)
                    - TimeDelta::hours(1)
    };
    let younger = good
        .iter()
        .filter(|other| other.tier() == b.tier() && other.sequence > b.sequence)
        .count();
    let too_many = |n: Option<u32>| n.is_some_and(|n| n > 0 && younger >= n as usize);
    match b.tier() {
        Tier::Daily => older(rules.daily.days, 1) || too_many(rules.daily.count()),
        Tier::Weekly => older(rules.weekly.weeks, 7),
        Tier::Fortnightly => too_many(Some(rules.fortnightly.count)),
        Tier::Monthly => older(rules.monthly.months, 30),
        Tier::Yearly => older(rules.yearly.years, 365),
    }
}
