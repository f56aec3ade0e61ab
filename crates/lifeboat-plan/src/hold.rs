//! How an application is made to hold still while its files are read.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum HoldKind {
    /// It goes on: its files are read as they are, which is as safe as pulling the plug.
    #[default]
    None,
    /// Its processes are frozen: nothing changes, but what it had in memory is not on disk.
    Pause,
    /// It is asked to end, and started again afterwards: all of it is on disk.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to hold still; write none, pause or stop")]
pub struct UnknownHold(String);

impl HoldKind {
    pub fn as_str(self) -> &'static str {
        match self {
            HoldKind::None => "none",
            HoldKind::Pause => "pause",
            HoldKind::Stop => "stop",
        }
    }
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for HoldKind {
    type Err = UnknownHold;

    fn from_str(word: &str) -> Result<Self, UnknownHold> {
        match word.trim() {
            "none" => Ok(HoldKind::None),
            "pause" => Ok(HoldKind::Pause),
            "stop" => Ok(HoldKind::Stop),
            other => Err(UnknownHold(other.to_owned())),
        }
    }
}
