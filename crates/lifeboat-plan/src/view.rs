//! The shelf as a prune plan sees it: counted once, from the newest good backup, then asked about each
//! backup why it stays or why it goes.

use crate::reason::{DropReason, KeepReason, Refusal, Span};
use crate::zone::{first_instant, wall};
use crate::{BackupId, KeepRules, PruneInput, Standing, Status, Tier};
use chrono::{DateTime, Days, Months, TimeDelta, Utc};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// Partial and failed backups: as many of the last stay, and all that are this young.
const UNFINISHED_COUNT: usize = 3;
const UNFINISHED_AGE: TimeDelta = TimeDelta::days(7);

#[derive(Debug)]
pub(crate) struct View<'a> {
    input: &'a PruneInput<'a>,
    /// The newest that is good and not from the future.
    pub(crate) newest: &'a Standing,
    /// 1 is the newest of its tier.
    ranks: BTreeMap<&'a BackupId, u32>,
    floor: BTreeMap<&'a BackupId, u32>,
    last_proven: Option<&'a BackupId>,
    oldest: Option<(&'a BackupId, Tier)>,
    recent_unfinished: BTreeSet<&'a BackupId>,
}

impl<'a> View<'a> {
    pub(crate) fn of(input: &'a PruneInput<'a>, mine: &[&'a Standing]) -> Result<Self, Refusal> {
        let good: Vec<&Standing> = mine
            .iter()
            .copied()
            .filter(|b| b.is_good() && !b.is_from_the_future(input.now))
            .collect();
        let newest = *good.last().ok_or(Refusal::NothingGood(mine.len()))?;

        let mut counts: BTreeMap<Tier, u32> = BTreeMap::new();
        let mut ranks = BTreeMap::new();
        for backup in good.iter().rev() {
            let rank = counts.entry(backup.tier()).or_default();
            *rank += 1;
            ranks.insert(&backup.id, *rank);
        }
        let last_proven = good
            .iter()
            .filter(|b| b.proven_at.is_some())
            .max_by_key(|b| (b.sequence, b.tier()))
            .map(|b| &b.id);
        let oldest = good.first().and_then(|b| {
            let longer = Tier::ALL.into_iter().filter(|tier| *tier > b.tier());
            let missing = longer.rev().find(|tier| {
                slots(input.rules, *tier)
                    .is_some_and(|full| counts.get(tier).copied().unwrap_or(0) < full)
            });
            Some((&b.id, missing?))
        });
        let recent_unfinished = mine
            .iter()
            .rev()
            .filter(|b| b.status != Status::Completed && b.trusted && !b.suspect)
            .take(UNFINISHED_COUNT)
            .map(|b| &b.id)
            .collect();
        let floor = floor(&good, input.rules.daily.floor());
        Ok(View {
            input,
            newest,
            ranks,
            floor,
            last_proven,
            oldest,
            recent_unfinished,
        })
    }

    /// Every reason for which it stays; none: it may go.
    pub(crate) fn keeps(&self, backup: &Standing) -> Vec<KeepReason> {
        let mut reasons = self.pins(backup);
        if backup.status != Status::Completed {
            let young = backup.created_at > self.newest.created_at - UNFINISHED_AGE;
            if young || self.recent_unfinished.contains(&backup.id) {
                reasons.push(KeepReason::Unfinished(backup.status));
            }
            return reasons;
        }
        if !backup.is_good() || backup.is_from_the_future(self.input.now) {
            return reasons;
        }
        let tier = backup.tier();
        if backup == self.newest {
            reasons.push(KeepReason::Newest);
        } else if tier != Tier::Daily && self.rank(backup) == 1 && is_on(self.input.rules, tier) {
            reasons.push(KeepReason::NewestOfTier(tier));
        }
        if let Some(rank) = self.floor.get(&backup.id) {
            reasons.push(KeepReason::Floor {
                rank: *rank,
                min: self.input.rules.daily.floor(),
            });
        }
        if let (Some((id, missing)), true) = (self.oldest, reasons.is_empty())
            && *id == backup.id
        {
            reasons.push(KeepReason::Oldest { missing });
        }
        if self.broken_rule(backup).is_none() {
            let (of, span) = limits(self.input.rules, tier);
            reasons.push(KeepReason::Rule {
                tier,
                rank: self.rank(backup),
                of,
                span,
            });
        }
        reasons
    }

    /// What holds a backup whatever its age.
    fn pins(&self, backup: &Standing) -> Vec<KeepReason> {
        let mut pins = Vec::new();
        if backup.suspect {
            pins.push(KeepReason::Suspect);
        } else if !backup.trusted {
            pins.push(KeepReason::Untrusted);
        }
        if backup.is_from_the_future(self.input.now) {
            pins.push(KeepReason::FromTheFuture(backup.created_at));
        }
        // A hold lasts by the newest good backup's time, as every age does.
        if let Some(until) = backup.keep_until.filter(|t| *t > self.newest.created_at) {
            pins.push(KeepReason::Held { until });
        }
        if backup.leased {
            pins.push(KeepReason::Leased);
        }
        if let (Some(at), true) = (backup.proven_at, self.last_proven == Some(&backup.id)) {
            pins.push(KeepReason::LastProven(at));
        }
        pins
    }

    /// Asked only of backups that have no reason to stay.
    pub(crate) fn drops(&self, backup: &Standing) -> DropReason {
        self.broken_rule(backup)
            .unwrap_or(DropReason::Unfinished(backup.status))
    }

    fn broken_rule(&self, backup: &Standing) -> Option<DropReason> {
        if backup.status != Status::Completed {
            return None;
        }
        let tier = backup.tier();
        let (of, span) = limits(self.input.rules, tier);
        let rank = self.rank(backup);
        let too_old = span.filter(|span| {
            back_by(*span, self.input.zone, self.newest.created_at)
                .is_some_and(|cut| backup.created_at < cut)
        });
        if let Some(span) = too_old {
            return Some(DropReason::TooOld(tier, span));
        }
        of.filter(|of| rank > *of)
            .map(|of| DropReason::TooMany { tier, rank, of })
    }

    fn rank(&self, backup: &Standing) -> u32 {
        self.ranks.get(&backup.id).copied().unwrap_or(0)
    }
}

/// The newest `min` good moments: daily ones first, and where they are too few, the newest of the longer
/// tiers that are not copies of them.
fn floor<'a>(good: &[&'a Standing], min: u32) -> BTreeMap<&'a BackupId, u32> {
    let (daily, longer): (Vec<&Standing>, Vec<&Standing>) =
        good.iter().rev().partition(|b| b.tier() == Tier::Daily);
    let mut moments = BTreeSet::new();
    daily
        .into_iter()
        .chain(longer)
        .filter(|b| moments.insert(b.origin.as_ref().unwrap_or(&b.id)))
        .take(min as usize)
        .zip(1..)
        .map(|(b, rank)| (&b.id, rank))
        .collect()
}

/// The largest count and the longest age in a tier.
fn limits(rules: &KeepRules, tier: Tier) -> (Option<u32>, Option<Span>) {
    let set = |n: u32| Some(n).filter(|n| *n > 0);
    match tier {
        Tier::Daily => (rules.daily.count(), set(rules.daily.days).map(Span::Days)),
        Tier::Weekly => (None, set(rules.weekly.weeks).map(Span::Weeks)),
        Tier::Fortnightly => (set(rules.fortnightly.count), None),
        Tier::Monthly => (None, set(rules.monthly.months).map(Span::Months)),
        Tier::Yearly => (None, set(rules.yearly.years).map(Span::Years)),
    }
}

/// How many slots a longer tier has when it is full; `None` when it is off.
fn slots(rules: &KeepRules, tier: Tier) -> Option<u32> {
    let slots = match limits(rules, tier) {
        (Some(count), _) => count,
        (None, Some(Span::Days(n) | Span::Weeks(n) | Span::Months(n) | Span::Years(n))) => n,
        (None, None) => u32::MAX,
    };
    is_on(rules, tier).then_some(slots)
}

fn is_on(rules: &KeepRules, tier: Tier) -> bool {
    match tier {
        Tier::Daily => true,
        Tier::Weekly => rules.weekly.enabled,
        Tier::Fortnightly => rules.fortnightly.enabled,
        Tier::Monthly => rules.monthly.enabled,
        Tier::Yearly => rules.yearly.enabled,
    }
}

/// By the calendar of the job's zone; `None` before the beginning of time.
fn back_by(span: Span, zone: Tz, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = wall(zone, from);
    let cut = match span {
        Span::Days(n) => local.checked_sub_days(Days::new(n.into())),
        Span::Weeks(n) => local.checked_sub_days(Days::new(u64::from(n) * 7)),
        Span::Months(n) => local.checked_sub_months(Months::new(n)),
        Span::Years(n) => local.checked_sub_months(Months::new(n.checked_mul(12)?)),
    };
    Some(first_instant(zone, cut?))
}
