//! The mirror of a source: something live that is replaced by what an archive holds.
//!
//! ```text
//! look → fill (beside, the live one is not touched) → swap → clear
//!                     ╰──────── clear ◀── swap_back ◀──╯     whenever something fails
//! ```
//!
//! A restore may be killed between any two of these, so whoever finishes it or takes it back knows no more
//! than what was written down: [`Target::spec`] and [`Beside`]. For the same reason `swap`, `swap_back` and
//! `clear` can be asked for again, and go on from wherever they had come.

use crate::{Cancel, Cancelled};
use lifeboat_plan::Archive;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fmt,
    io::{self, Read},
};

/// A volume, a database, whatever can be put back where it came from.
pub trait Target: Send + Sync + fmt::Debug {
    /// `the database shop of service db`: for people.
    fn what(&self) -> String;

    /// Enough to make this target anew in another process. Holds no secret.
    fn spec(&self) -> Value;

    /// The others need it: roles, whom tables belong to.
    fn comes_first(&self) -> bool {
        false
    }

    /// What is there, and what speaks against replacing it. Changes nothing.
    fn look(&self, archive: &Archive, cancel: &Cancel) -> Result<Outlook, TargetError>;

    /// Makes all of `plain` beside the live one, and compares it with what the archive's facts promise. What
    /// comes out is believed only when the caller has seen the end of `plain` as well.
    fn fill(
        &self,
        beside: &Beside,
        archive: &Archive,
        plain: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Filled, TargetError>;

    /// Puts what was filled in the live one's place, and the live one aside.
    fn swap(&self, beside: &Beside) -> Result<(), TargetError>;

    /// The live one is where it was before `swap`, however far that had come.
    fn swap_back(&self, beside: &Beside) -> Result<(), TargetError>;

    /// Removes what is not needed any more: beside, what was filled and not swapped in; after a swap, what
    /// was put aside unless it is worth keeping. Says what stays, and how it is removed.
    fn clear(&self, beside: &Beside) -> Result<Vec<String>, TargetError>;
}

/// The word that names everything which one restore puts beside: the second in which it began
/// (`20251227_201500`), so that a person who meets it knows when that was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Beside(String);

impl Beside {
    pub fn new(word: impl Into<String>) -> Self {
        Beside(word.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person should see before saying yes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// There is something that would be replaced, and that a safety backup can save.
    pub exists: bool,
    /// Bytes of it now, where that is known.
    pub size: Option<u64>,
    /// Bytes that it takes beside the live one, and that are free there, where that is known.
    pub needs: u64,
    pub free: Option<u64>,
    pub remarks: Vec<String>,
}

/// What lies beside now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// Files, or rows where they were counted.
    pub entries: u64,
    pub bytes: u64,
    /// What could not be brought back in full (owners without root, a grant for a role that is gone).
    pub remarks: Vec<String>,
}

/// Why a target is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A safety rule says no, and nothing was touched.
    #[error("{0}")]
    Refused(String),
    /// What came out is not what was saved.
    #[error("{what} is not what was saved: {detail}")]
    Disproved { what: String, detail: String },
    #[error("{what}: {detail}")]
    Failed { what: String, detail: String },
    /// The archive could not be read; its passage knows why.
    #[error("{what}: {error}")]
    Reading { what: String, error: io::Error },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
