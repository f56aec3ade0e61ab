//! What was seen in all histories, so that no law is praised that was never put to the test.

use lifeboat_plan::{DropReason, KeepReason, Refusal};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) plans: u64,
    pub(crate) dropped: u64,
    pub(crate) violations: Vec<String>,
    seen: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn and(mut self, other: Tally) -> Tally {
        self.plans += other.plans;
        self.dropped += other.dropped;
        self.violations.extend(other.violations);
        for (what, times) in other.seen {
            *self.seen.entry(what).or_default() += times;
        }
        self
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    #[expect(clippy::print_stdout, reason = "the figures are read from there")]
    pub(crate) fn print(&self, count: u64) {
        println!(
            "RELIABILITY retention_histories={count} violations={}",
            self.violations.len()
        );
        println!(
            "RELIABILITY retention_plans={} retention_dropped={}",
            self.plans, self.dropped
        );
        for (what, times) in &self.seen {
            println!("  {what}: {times}");
        }
    }

    pub(crate) fn expect_that_everything_happened(&self) {
        assert!(self.dropped > 0, "no plan dropped anything");
        for what in EVERYTHING {
            assert!(self.seen.contains_key(what), "never happened: {what}");
        }
    }
}

pub(crate) fn kept(reason: &KeepReason) -> &'static str {
    match reason {
        KeepReason::Newest => "kept: Newest",
        KeepReason::Floor { .. } => "kept: Floor",
        KeepReason::Rule { .. } => "kept: Rule",
        KeepReason::NewestOfTier(_) => "kept: NewestOfTier",
        KeepReason::Oldest { .. } => "kept: Oldest",
        KeepReason::LastProven(_) => "kept: LastProven",
        KeepReason::Held { .. } => "kept: Held",
        KeepReason::Leased => "kept: Leased",
        KeepReason::Suspect => "kept: Suspect",
        KeepReason::Untrusted => "kept: Untrusted",
        KeepReason::FromTheFuture(_) => "kept: FromTheFuture",
        KeepReason::Unfinished(_) => "kept: Unfinished",
        KeepReason::OtherName => "kept: OtherName",
        KeepReason::Postponed { .. } => "kept: Postponed",
    }
}

pub(crate) fn dropped(reason: &DropReason) -> &'static str {
    match reason {
        DropReason::TooOld(..) => "dropped: TooOld",
        DropReason::TooMany { .. } => "dropped: TooMany",
        DropReason::Unfinished(_) => "dropped: Unfinished",
    }
}

pub(crate) fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotAfterGoodRun => "refused: NotAfterGoodRun",
        Refusal::NoCatalogue => "refused: NoCatalogue",
        Refusal::ShortListing { .. } => "refused: ShortListing",
        Refusal::ListedTwice(_) => "refused: ListedTwice",
        Refusal::NothingGood(_) => "refused: NothingGood",
        Refusal::Clock(_) => "refused: Clock",
    }
}

/// All of the above: a history in which one of them never happens proves nothing about it.
const EVERYTHING: [&str; 23] = [
    "kept: Newest",
    "kept: Floor",
    "kept: Rule",
    "kept: NewestOfTier",
    "kept: Oldest",
    "kept: LastProven",
    "kept: Held",
    "kept: Leased",
    "kept: Suspect",
    "kept: Untrusted",
    "kept: FromTheFuture",
    "kept: Unfinished",
    "kept: OtherName",
    "kept: Postponed",
    "dropped: TooOld",
    "dropped: TooMany",
    "dropped: Unfinished",
    "refused: NotAfterGoodRun",
    "refused: NoCatalogue",
    "refused: ShortListing",
    "refused: ListedTwice",
    "refused: NothingGood",
    "refused: Clock",
];
