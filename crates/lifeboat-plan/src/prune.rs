//! Which backups stay and which go: a plan with a reason for each of them, made before anything is
//! touched.
//!
//! What holds whatever the rules and the history are:
//! - The newest good backup stays, and with it the newest `keep_min` good ones. A plan is built around a
//!   backup that stays, so one that drops everything cannot be written down.
//! - Only good backups count. Partial and failed ones have a short rule of their own and push nothing out.
//! - Age is counted back from the newest good backup, not from now: a month of failures drops nothing.
//! - Order is the sequence's, not a clock's. What is dated in the future stays and counts for nothing.
//! - What is suspect, not authentic, held, in use, or of another name is never dropped.
//! - When the run, the listing or the clock is in doubt, there is no plan but a [`Refusal`].
//! - Few go at once, the oldest first; the others wait for the next run.

use crate::clock::ClockEvidence;
use crate::reason::{DropReason, KeepReason, Refusal};
use crate::view::View;
use crate::{BackupId, KeepRules, Name, Standing};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Serialize, Serializer, ser::SerializeStruct};
use std::collections::BTreeSet;

/// What a plan is made from: one name, one store, one moment.
#[derive(Debug, Clone)]
pub struct PruneInput<'a> {
    pub name: &'a Name,
    /// Everything that the store lists, the new backup and its copies in longer tiers included.
    pub backups: &'a [Standing],
    pub rules: &'a KeepRules,
    pub zone: Tz,
    pub now: DateTime<Utc>,
    pub clock: ClockEvidence,
    /// How many backups of this name the catalogue knows in this store; `None` when it is lost.
    pub expected: Option<usize>,
    /// How many may go in this run; `None` for the larger of 5 and a fifth of them all.
    pub drop_max: Option<usize>,
    /// The last run of this name on this store ended with a complete, verified backup.
    pub last_run_good: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePlan {
    survivor: Kept,
    others: Vec<Kept>,
    drop: Vec<Dropped>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    pub id: BackupId,
    /// Never empty.
    pub reasons: Vec<KeepReason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    pub id: BackupId,
    pub reason: DropReason,
}

const DROP_MAX: usize = 5;

impl PrunePlan {
    pub fn make(input: &PruneInput<'_>) -> Result<Self, Refusal> {
        let mut mine: Vec<&Standing> = input
            .backups
            .iter()
            .filter(|backup| backup.id.name() == input.name)
            .collect();
        mine.sort_by(|a, b| a.order().cmp(&b.order()));
        admit(input, &mine)?;

        let view = View::of(input, &mine)?;
        let mut survivor = None;
        let mut others = Vec::new();
        let mut drop = Vec::new();
        let drop_max = input
            .drop_max
            .unwrap_or_else(|| DROP_MAX.max(mine.len() / 5));
        for backup in &mine {
            let id = backup.id.clone();
            let mut reasons = view.keeps(backup);
            if reasons.is_empty() && drop.len() >= drop_max {
                reasons.push(KeepReason::Postponed { max: drop_max });
            }
            if *backup == view.newest {
                survivor = Some(Kept { id, reasons });
            } else if reasons.is_empty() {
                let reason = view.drops(backup);
                drop.push(Dropped { id, reason });
            } else {
                others.push(Kept { id, reasons });
            }
        }
        others.reverse();
        others.extend(
            input
                .backups
                .iter()
                .filter(|backup| backup.id.name() != input.name)
                .map(|backup| Kept {
                    id: backup.id.clone(),
                    reasons: vec![KeepReason::OtherName],
                }),
        );
        let survivor = survivor.ok_or(Refusal::NothingGood(mine.len()))?;
        Ok(PrunePlan {
            survivor,
            others,
            drop,
        })
    }

    /// The newest good backup first, then the others from the newest to the oldest.
    pub fn kept(&self) -> impl Iterator<Item = &Kept> {
        std::iter::once(&self.survivor).chain(&self.others)
    }

    /// In the order in which to drop them: the oldest first.
    pub fn dropped(&self) -> &[Dropped] {
        &self.drop
    }
}

impl Serialize for PrunePlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("PrunePlan", 2)?;
        plan.serialize_field("keep", &self.kept().collect::<Vec<_>>())?;
        plan.serialize_field("drop", &self.drop)?;
        plan.end()
    }
}

/// Is this a moment at which anything may be dropped at all?
fn admit(input: &PruneInput<'_>, mine: &[&Standing]) -> Result<(), Refusal> {
    if !input.last_run_good {
        return Err(Refusal::NotAfterGoodRun);
    }
    let expected = input.expected.ok_or(Refusal::NoCatalogue)?;
    let listed = mine.len();
    if listed * 5 < expected * 4 {
        return Err(Refusal::ShortListing { listed, expected });
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = input.backups.iter().find(|b| !seen.insert(&b.id)) {
        return Err(Refusal::ListedTwice(twice.id.clone()));
    }
    let good: Vec<&Standing> = mine.iter().copied().filter(|b| b.is_good()).collect();
    match input.clock.doubt(input.now, &good) {
        Some(doubt) => Err(doubt.into()),
        None => Ok(()),
    }
}
