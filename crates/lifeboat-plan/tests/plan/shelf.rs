//! A shelf of backups that lives through time: runs put backups on it, promotion copies them, plans take
//! them away. What happens to it is what a real store goes through, without the store.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    BackupId, ClockEvidence, DropReason, KeepRules, Name, PruneInput, PrunePlan, Refusal, Standing,
    Status, Tier, promotions,
};

#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub(crate) name: Name,
    pub(crate) zone: Tz,
    pub(crate) rules: KeepRules,
    pub(crate) backups: Vec<Standing>,
    pub(crate) sequence: u64,
}

impl Shelf {
    pub(crate) fn new(zone: Tz, rules: KeepRules) -> Self {
        Shelf {
            name: "shop".parse().unwrap(),
            zone,
            rules,
            backups: Vec::new(),
            sequence: 0,
        }
    }

    /// A daily backup that begins at `at`; a good one is copied into the tiers whose slots it fills.
    pub(crate) fn run(&mut self, at: DateTime<Utc>, status: Status) -> BackupId {
        let id = self.put(Tier::Daily, at, status);
        let new = self.backups.last().unwrap().clone();
        for promotion in promotions(&self.rules, self.zone, &new, &self.backups) {
            self.backups.push(Standing {
                id: new.id.in_tier(promotion.tier),
                origin: Some(new.id.clone()),
                proven_at: None,
                ..new.clone()
            });
        }
        id
    }

    /// A backup in any tier, as it may be found in a store.
    pub(crate) fn put(&mut self, tier: Tier, at: DateTime<Utc>, status: Status) -> BackupId {
        self.sequence += 1;
        let local = at.with_timezone(&self.zone);
        let id = (1..)
            .map(|counter| BackupId::new(&self.name, tier, &local, counter))
            .find(|id| self.get(id).is_none())
            .unwrap();
        self.backups.push(Standing {
            id: id.clone(),
            created_at: at,
            sequence: self.sequence,
            status,
            trusted: true,
            suspect: false,
            keep_until: None,
            leased: false,
            proven_at: None,
            origin: None,
        });
        id
    }

    pub(crate) fn get(&self, id: &BackupId) -> Option<&Standing> {
        self.backups.iter().find(|backup| backup.id == *id)
    }

    pub(crate) fn get_mut(&mut self, id: &BackupId) -> &mut Standing {
        self.backups
            .iter_mut()
            .find(|backup| backup.id == *id)
            .unwrap()
    }

    /// What may be asked at a calm moment: a good run before, everything listed, a clock that agrees.
    pub(crate) fn input(&self, now: DateTime<Utc>) -> PruneInput<'_> {
        PruneInput {
            name: &self.name,
            backups: &self.backups,
            rules: &self.rules,
            zone: self.zone,
            now,
            clock: ClockEvidence {
                store: Some(now),
                ..ClockEvidence::default()
            },
            expected: Some(self.own()),
            drop_max: None,
            last_run_good: true,
        }
    }

    pub(crate) fn plan(&self, now: DateTime<Utc>) -> Result<PrunePlan, Refusal> {
        PrunePlan::make(&self.input(now))
    }

    pub(crate) fn apply(&mut self, plan: &PrunePlan) -> Vec<(Standing, DropReason)> {
        plan.dropped()
            .iter()
            .map(|dropped| {
                let place = self.backups.iter().position(|b| b.id == dropped.id);
                let gone = self
                    .backups
                    .remove(place.expect("what is dropped was there"));
                (gone, dropped.reason.clone())
            })
            .collect()
    }

    /// Backups of its own name.
    pub(crate) fn own(&self) -> usize {
        let own = |b: &&Standing| b.id.name() == &self.name;
        self.backups.iter().filter(own).count()
    }

    pub(crate) fn good(&self) -> usize {
        self.backups.iter().filter(|b| b.is_good()).count()
    }

    pub(crate) fn count(&self, tier: Tier) -> usize {
        self.backups.iter().filter(|b| b.tier() == tier).count()
    }
}

/// `2025-03-01T02:00:00Z`.
pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn days(n: i64) -> TimeDelta {
    TimeDelta::days(n)
}
