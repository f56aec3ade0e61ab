//! The slots of the longer tiers, and which of them a new backup fills.
//!
//! A slot begins on its day (a weekday, days of the month, the first of January) and lasts until the next
//! one begins; the first good backup in it fills it. So a backup that was missed on the very day costs a
//! slot nothing, and a month that is too short for its day begins its slot on its last day.

use crate::{KeepRules, Name, Standing, Tier};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use chrono_tz::Tz;

/// A new backup is to be copied into `tier`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    pub tier: Tier,
    /// The day on which the slot that it fills began.
    pub slot: NaiveDate,
}

/// The longer tiers that `new` fills. Empty unless it is a good daily backup; safety backups (those with
/// `keep_until`) fill no slot, for they show a state that somebody wanted to leave behind.
///
/// Safe to ask again for the same backup: a slot that is filled is not filled twice.
pub fn promotions(
    rules: &KeepRules,
    zone: Tz,
    new: &Standing,
    existing: &[Standing],
) -> Vec<Promotion> {
    if !new.is_good() || new.tier() != Tier::Daily || new.keep_until.is_some() {
        return Vec::new();
    }
    Tier::ALL
        .into_iter()
        .filter_map(|tier| {
            let slot = slot(rules, tier, local_date(zone, new.created_at))?;
            let filled = existing
                .iter()
                .any(|other| fills(rules, zone, other, new.id.name(), tier, slot));
            let copied = existing
                .iter()
                .any(|other| other.id == new.id.in_tier(tier));
            (!filled && !copied).then_some(Promotion { tier, slot })
        })
        .collect()
}

fn fills(
    rules: &KeepRules,
    zone: Tz,
    other: &Standing,
    name: &Name,
    tier: Tier,
    wanted: NaiveDate,
) -> bool {
    other.tier() == tier
        && other.id.name() == name
        && other.is_good()
        && slot(rules, tier, local_date(zone, other.created_at)) == Some(wanted)
}

/// The day on which the slot of `tier` began that `date` lies in. `None` when the tier is off.
pub fn slot(rules: &KeepRules, tier: Tier, date: NaiveDate) -> Option<NaiveDate> {
    match tier {
        Tier::Daily => None,
        Tier::Weekly if rules.weekly.enabled => {
            let since = (date.weekday().num_days_from_sunday() + 7 - rules.weekly.day % 7) % 7;
            date.checked_sub_days(Days::new(u64::from(since)))
        }
        Tier::Fortnightly if rules.fortnightly.enabled => {
            latest_day_of_month(date, &rules.fortnightly.days)
        }
        Tier::Monthly if rules.monthly.enabled => latest_day_of_month(date, &[rules.monthly.day]),
        Tier::Yearly if rules.yearly.enabled => NaiveDate::from_ymd_opt(date.year(), 1, 1),
        _ => None,
    }
}

/// The latest date, up to `date`, that falls on one of these days of its month.
fn latest_day_of_month(date: NaiveDate, days: &[u32]) -> Option<NaiveDate> {
    let this_month = date.with_day(1)?;
    let last_month = this_month.checked_sub_months(Months::new(1))?;
    [this_month, last_month]
        .into_iter()
        .flat_map(|first| {
            let last = u32::from(first.num_days_in_month());
            days.iter()
                .filter_map(move |day| first.with_day((*day).min(last)))
        })
        .filter(|start| *start <= date)
        .max()
}

fn local_date(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
    crate::zone::wall(zone, at).date()
}
