//! Why a backup stays, why it goes, and why retention did not run: in words for people.

use crate::clock::ClockDoubt;
use crate::{BackupId, Status, Tier};
use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepReason {
    /// The newest good backup of its name: never dropped, whatever the rules say.
    Newest,
    /// One of the good backups that always stay.
    Floor {
        rank: u32,
        min: u32,
    },
    /// Within its tier's rule.
    Rule {
        tier: Tier,
        rank: u32,
        of: Option<u32>,
        span: Option<Span>,
    },
    /// The newest good one of a tier that is in use.
    NewestOfTier(Tier),
    /// Nothing good reaches further back, and this longer tier is not full yet.
    Oldest {
        missing: Tier,
    },
    LastProven(DateTime<Utc>),
    Held {
        until: DateTime<Utc>,
    },
    Leased,
    /// Quarantined or unreadable: a person decides.
    Suspect,
    /// Its manifest's MAC is missing or wrong.
    Untrusted,
    FromTheFuture(DateTime<Utc>),
    /// Partial or failed, but one of the last.
    Unfinished(Status),
    /// Belongs to another project in the same store.
    OtherName,
    /// It would go, but not more than `max` go in one run.
    Postponed {
        max: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropReason {
    TooOld(Tier, Span),
    TooMany {
        tier: Tier,
        rank: u32,
        of: u32,
    },
    /// Partial or failed, and newer ones of that kind are there to look at.
    Unfinished(Status),
}

/// A length of time as a person set it. Counted back from the newest good backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
}

/// Retention did not run. Everything stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the last run was not a good one")]
    NotAfterGoodRun,
    #[error("it is not known how many backups there should be")]
    NoCatalogue,
    #[error("the store lists {listed} backups where {expected} should be")]
    ShortListing { listed: usize, expected: usize },
    #[error("the store lists {0} twice")]
    ListedTwice(BackupId),
    #[error("none of {0} backups is known to be good")]
    NothingGood(usize),
    #[error("the clock cannot be believed: {0}")]
    Clock(#[from] ClockDoubt),
}

impl Refusal {
    /// One word for metrics and scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NotAfterGoodRun => "run",
            Refusal::NoCatalogue => "catalogue",
            Refusal::ShortListing { .. } | Refusal::ListedTwice(_) => "listing",
            Refusal::NothingGood(_) => "nothing_good",
            Refusal::Clock(_) => "clock",
        }
    }

    pub fn hint(&self) -> &'static str {
        match self {
            Refusal::NotAfterGoodRun => {
                "backups are dropped only after a complete, verified one; `lifeboat backup` makes one"
            }
            Refusal::NoCatalogue => {
                "`lifeboat rebuild` reads the catalogue from the manifests; look at `lifeboat list` before the next prune"
            }
            Refusal::ShortListing { .. } | Refusal::ListedTwice(_) => {
                "check the mount or the bucket; if the missing ones were deleted on purpose, `lifeboat rebuild`"
            }
            Refusal::NothingGood(_) => "`lifeboat verify --all` tells what is wrong with them",
            Refusal::Clock(_) => {
                "set the clock right (`lifeboat doctor` compares it); where nothing can confirm it, a few more backups will"
            }
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeepReason::Newest => write!(f, "the newest good backup"),
            KeepReason::Floor { rank, min } => {
                write!(f, "good backup {rank} of the {min} that always stay")
            }
            KeepReason::Rule {
                tier,
                rank,
                of,
                span,
            } => {
                write!(f, "{tier} {rank}")?;
                if let Some(of) = of {
                    write!(f, " of {of}")?;
                }
                match span {
                    Some(span) => write!(f, ", within {span}"),
                    None if of.is_none() => write!(f, ", no limit is set"),
                    None => Ok(()),
                }
            }
            KeepReason::NewestOfTier(tier) => write!(f, "the newest {tier} one"),
            KeepReason::Oldest { missing } => {
                write!(
                    f,
                    "the oldest good backup, and the {missing} tier is not full"
                )
            }
            KeepReason::LastProven(at) => {
                write!(f, "the last one proven by a drill ({})", day(at))
            }
            KeepReason::Held { until } => write!(f, "held until {}", day(until)),
            KeepReason::Leased => write!(f, "in use"),
            KeepReason::Suspect => write!(f, "suspect: never dropped by itself, never counted"),
            KeepReason::Untrusted => {
                write!(f, "not authentic: never dropped by itself, never counted")
            }
            KeepReason::FromTheFuture(at) => {
                write!(f, "from the future ({}), not counted", day(at))
            }
            KeepReason::Unfinished(status) => {
                write!(f, "{}, one of the last, not counted", word(*status))
            }
            KeepReason::OtherName => write!(f, "belongs to another name"),
            KeepReason::Postponed { max } => {
                write!(f, "to be dropped, but not more than {max} go in one run")
            }
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DropReason::TooOld(tier, span) => write!(f, "{tier}, older than {span}"),
            DropReason::TooMany { tier, rank, of } => {
                write!(f, "{tier} {rank}, and the newest {of} stay")
            }
            DropReason::Unfinished(status) => write!(f, "{}, and not recent", word(*status)),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self {
            Span::Days(n) => (n, "day"),
            Span::Weeks(n) => (n, "week"),
            Span::Months(n) => (n, "month"),
            Span::Years(n) => (n, "year"),
        };
        write!(f, "{count} {unit}{}", if *count == 1 { "" } else { "s" })
    }
}

impl Serialize for KeepReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for DropReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn day(at: &DateTime<Utc>) -> impl fmt::Display {
    at.format("%Y-%m-%d")
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Partial => "partial",
        Status::Failed => "failed",
    }
}
