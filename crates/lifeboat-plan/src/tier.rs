//! A rung of age. A tier says how long a backup lives; it never says where it lives (a *store*).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Daily,
    Weekly,
    Fortnightly,
    Monthly,
    Yearly,
}

impl Tier {
    /// From the shortest-lived to the longest-lived. Every backup is born daily.
    pub const ALL: [Tier; 5] = [
        Tier::Daily,
        Tier::Weekly,
        Tier::Fortnightly,
        Tier::Monthly,
        Tier::Yearly,
    ];

    /// The tier's folder in a store and its word in a backup's id.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Daily => "daily",
            Tier::Weekly => "weekly",
            Tier::Fortnightly => "fortnightly",
            Tier::Monthly => "monthly",
            Tier::Yearly => "yearly",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a tier (daily, weekly, fortnightly, monthly, yearly)")]
pub struct UnknownTier(pub String);

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Tier::ALL
            .into_iter()
            .find(|tier| tier.as_str() == word)
            .ok_or_else(|| UnknownTier(word.to_owned()))
    }
}
