//! Everything that can happen in a run, as a closed set. Listeners (log, metrics, notifications, a
//! progress bar) turn these into words and numbers; they can never fail or delay a run.

use crate::{BackupId, Status, Tier};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// A run that was never finished was found at the start of this one and cleaned up.
    Recovered {
        run: String,
        removed: Vec<String>,
    },
    Started {
        id: BackupId,
        sources: usize,
    },
    SourceStarted {
        source: String,
    },
    /// Plain bytes and entries of this source so far. Many of these; drop them freely.
    Progress {
        source: String,
        plain_bytes: u64,
        entries: u64,
    },
    SourceDone {
        source: String,
        plain_bytes: u64,
        stored_bytes: u64,
        entries: Option<u64>,
        took: Duration,
    },
    /// Captured, but not as one would wish (changed while read, unreadable …).
    Warning {
        source: String,
        what: String,
    },
    /// It failed in a way that may pass: it is tried once more.
    SourceRetried {
        source: String,
        reason: String,
    },
    SourceMissed {
        source: String,
        reason: String,
        /// For machines: one of a closed set of words.
        code: Option<&'static str>,
    },
    /// Somebody is asked to hold still.
    Holding {
        what: String,
    },
    /// It goes on again, exactly as it was.
    Released {
        service: String,
        took: Duration,
    },
    /// A run that was killed had left it held; now it goes on again.
    LetGo {
        service: String,
    },
    /// It could not be put back as it was: somebody has to look.
    StillHeld {
        service: String,
        reason: String,
    },
    Verified {
        file: String,
    },
    /// What was restored stands where the live one stood.
    Replaced {
        what: String,
    },
    /// A restore in place that was killed was finished, or taken back.
    Settled {
        id: BackupId,
        finished: bool,
    },
    /// It could be neither: somebody has to look.
    Unsettled {
        id: BackupId,
        reason: String,
    },
    Committed {
        id: BackupId,
        status: Status,
    },
    Promoted {
        id: BackupId,
        tier: Tier,
    },
    Pruned {
        id: BackupId,
        reason: String,
    },
    /// Retention did not run, and why that is safer.
    PruneRefused {
        reason: String,
    },
    Finished {
        outcome: Outcome,
        took: Duration,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Ok,
    /// Every source is safe, but some files changed or were unreadable, or a far copy is still owed.
    Warn,
    /// Some sources are missing from it.
    Partial,
    Failed,
    /// A signal ended it; nothing of it is visible.
    Aborted,
    /// It was due while nobody was there.
    Missed,
    /// It was due while the one before it was still running.
    Overlap,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Ok,
        Outcome::Warn,
        Outcome::Partial,
        Outcome::Failed,
        Outcome::Aborted,
        Outcome::Missed,
        Outcome::Overlap,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Partial => "partial",
            Outcome::Failed => "failed",
            Outcome::Aborted => "aborted",
            Outcome::Missed => "missed",
            Outcome::Overlap => "overlap",
        }
    }
}
