//! The name of a project's backups, and the id of one backup.

use crate::Tier;
use chrono::{DateTime, TimeZone};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `BACKUP_NAME`: the first part of every file name, and what keeps two projects apart in one store.
///
/// Letters, digits, `-` and `_`; starts with a letter or digit; at most 64 bytes. No dot, so that an
/// id always ends at the first dot of a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `NAME_TIER_YYYYMMDD_HHMMSS`, in the job's zone; `_2`, `_3` … follow when that name is taken already
/// (a second backup in one second, or in the hour that a time change repeats).
///
/// Order is the order of local wall time, then of the counter: good for listings. *Age* is never
/// taken from an id; it comes from the manifest's `created_at`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId {
    name: Name,
    tier: Tier,
    stamp: String,
    counter: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error(
        "{0:?} is not a usable name: letters, digits, - and _, at most 64, a letter or digit first"
    )]
    Name(String),
    #[error("{0:?} is not the id of a backup (NAME_TIER_YYYYMMDD_HHMMSS)")]
    Id(String),
}

impl BackupId {
    /// The id of a backup that begins at `at`, whose zone is the job's zone. `counter` starts at 1.
    pub fn new<Z: TimeZone>(name: &Name, tier: Tier, at: &DateTime<Z>, counter: u32) -> Self
    where
        Z::Offset: fmt::Display,
    {
        BackupId {
            name: name.clone(),
            tier,
            stamp: at.format("%Y%m%d_%H%M%S").to_string(),
            counter: counter.max(1),
        }
    }

    /// The same moment under another tier's name.
    pub fn in_tier(&self, tier: Tier) -> Self {
        BackupId {
            tier,
            ..self.clone()
        }
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// `YYYYMMDD_HHMMSS`, local to the job's zone.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    pub fn counter(&self) -> u32 {
        self.counter
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.name, self.tier, self.stamp)?;
        if self.counter > 1 {
            write!(f, "_{}", self.counter)?;
        }
        Ok(())
    }
}

impl PartialOrd for BackupId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BackupId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.stamp, self.counter, &self.name, self.tier).cmp(&(
            &other.stamp,
            other.counter,
            &other.name,
            other.tier,
        ))
    }
}

impl FromStr for BackupId {
    type Err = IdError;

    /// Read from the right, because a name may itself contain `_daily_`.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError::Id(text.to_owned());
        let all_digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());

        let mut words: Vec<&str> = text.split('_').collect();
        let mut counter = 1;
        if let [.., clock, last] = words[..]
            && all_digits(clock, 6)
            && !last.is_empty()
            && last.len() < 6
        {
            counter = last.parse().ok().filter(|n| *n > 1).ok_or_else(bad)?;
            if counter.to_string() != last {
                return Err(bad());
            }
            words.pop();
        }
        let [name @ .., tier, date, clock] = &words[..] else {
            return Err(bad());
        };
        if !all_digits(date, 8) || !all_digits(clock, 6) {
            return Err(bad());
        }
        Ok(BackupId {
            name: name.join("_").parse().map_err(|_| bad())?,
            tier: tier.parse().map_err(|_| bad())?,
            stamp: format!("{date}_{clock}"),
            counter,
        })
    }
}

impl FromStr for Name {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let usable = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if usable {
            Ok(Name(text.to_owned()))
        } else {
            Err(IdError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl TryFrom<String> for BackupId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    fn id(text: &str) -> BackupId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let at = Utc.with_ymd_and_hms(2025, 12, 13, 2, 0, 0).unwrap();
        for name in ["shop", "my_daily_app", "a-1", "x_2"] {
            for counter in [1, 2, 14] {
                let made = BackupId::new(&name.parse().unwrap(), Tier::Daily, &at, counter);
                assert_eq!(id(&made.to_string()), made);
            }
        }
    }

    #[test]
    fn ids_sort_by_time_and_a_repeated_second_comes_after() {
        let first = id("shop_daily_20251026_023000");
        let again = id("shop_daily_20251026_023000_2");
        let tenth = id("shop_daily_20251026_023000_10");
        assert!(first < again && again < tenth);
        assert!(tenth < id("shop_daily_20251026_023001"));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "shop",
            "shop_daily_20251213",
            "shop_hourly_20251213_020000",
            "shop_daily_2025121_020000",
            "shop_daily_20251213_020000_1",
            "shop_daily_20251213_020000_02",
            "../x_daily_20251213_020000",
            "_daily_20251213_020000",
            "shop_daily_20251213_020000.json",
        ] {
            assert!(
                text.parse::<BackupId>().is_err(),
                "{text:?} was taken for an id"
            );
        }
    }
}
