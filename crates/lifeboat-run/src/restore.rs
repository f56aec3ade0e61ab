//! The way back: to a folder here, in place in [`live`]. Plan first, prove while unpacking, appear all at once.
//!
//! Everything is unpacked into a private folder beside the target and takes the target's name only when the
//! last byte of the last archive was found right. A restore that fails or is killed leaves the target as it
//! was; what it leaves behind is swept by the next restore to the same place.

mod decide;

mod carry_out;

pub mod audit;
pub mod beside;
pub mod live;

pub use carry_out::carry_out;
use decide::chosen;
pub use decide::plan;

use crate::{
    Cancelled,
    backup::BackupError,
    quiesce::HoldError,
    target::TargetError,
    unseal::{self, BadPattern, PublishError, UnsealError},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, BackupId, Missed};
use lifeboat_store::Error;
use serde::Serialize;
use std::{
    io,
    path::{Path, PathBuf},
};

/// What a person wants back.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Names of sources; none = all of them.
    pub sources: Vec<String>,
    /// Globs inside the sources; none = everything.
    pub paths: Vec<String>,
    pub target: PathBuf,
    /// Device nodes are made only when asked for.
    pub devices: bool,
    /// Also from a backup that is partial, quarantined or not authentic.
    pub force: bool,
}

/// What would be done, for a person to read before it is.
#[derive(Debug, Clone, Serialize)]
pub struct RestorePlan {
    pub id: BackupId,
    pub created_at: DateTime<Utc>,
    pub target: PathBuf,
    pub parts: Vec<Part>,
    /// Bytes that it needs, and that the target's file system has.
    pub needs: u64,
    pub free: u64,
    /// What a person should know before saying yes.
    pub remarks: Vec<String>,
    #[serde(skip)]
    wish: Wish,
    #[serde(skip)]
    paths: unseal::Paths,
    #[serde(skip)]
    archives: Vec<Archive>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Part {
    pub source: String,
    pub kind: String,
    pub file: String,
    pub plain_size: u64,
    pub into: PathBuf,
}

/// What was done; also the audit record that goes into the store.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    pub id: BackupId,
    pub target: PathBuf,
    pub sources: Vec<String>,
    pub paths: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub took_seconds: f64,
    pub entries: u64,
    pub bytes: u64,
    pub host: String,
    /// Entries that this user or file system could not be given in full (owners without root, devices).
    pub remarks: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    #[error(transparent)]
    Store(#[from] Error),
    /// Exit code 14: a safety rule says no, and nothing was touched.
    #[error("{0}")]
    Refused(String),
    #[error("{id} has no source {source_name:?} (it has {})", has.join(", "))]
    NoSuchSource {
        id: BackupId,
        source_name: String,
        has: Vec<String>,
    },
    #[error("nothing in {id} matches {}", paths.join(", "))]
    NothingMatched { id: BackupId, paths: Vec<String> },
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error(transparent)]
    Pattern(#[from] BadPattern),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("who uses it cannot be made to hold still: {0}")]
    Hold(HoldError),
    /// Exit code 14: no safety backup, no restore.
    #[error("what would be replaced cannot be saved first: {0}")]
    Safety(BackupError),
    #[error(
        "what would be replaced cannot be saved first: {id} lacks {}",
        names(missed)
    )]
    SafetyPartial { id: BackupId, missed: Vec<Missed> },
    /// Neither the old state nor the new one; whoever was held stays held.
    #[error("{why}; and it cannot be taken back: {failed}")]
    Half { why: String, failed: String },
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn names(missed: &[Missed]) -> String {
    let each = missed
        .iter()
        .map(|m| format!("{} ({})", m.source, m.reason));
    each.collect::<Vec<_>>().join(", ")
}

/// Where an archive's content goes, below the target: a folder for files, a file for a dump.
fn place_of(archive: &Archive) -> PathBuf {
    let source = Path::new(&archive.source);
    // A source is a folder's name; anything else must not lead out of the target.
    let plain = source.components().count() == 1 && source.file_name().is_some();
    match (archive.entries, plain) {
        // A bundle holds its sources' folders itself.
        (Some(_), _) if archive.source.is_empty() => PathBuf::new(),
        (Some(_), true) => source.to_owned(),
        _ => PathBuf::from(archive.file.replace('/', "_")),
    }
}
