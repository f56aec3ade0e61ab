//! Where one backup stands: all that the decisions about it need to know, and nothing else.

use crate::{BackupId, Manifest, Status, Tier};
use chrono::{DateTime, TimeDelta, Utc};
use std::cmp::Reverse;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its tier is the id's.
    pub id: BackupId,
    pub created_at: DateTime<Utc>,
    /// The order of backups; no clock can disturb it. A copy in a longer tier has its origin's.
    pub sequence: u64,
    pub status: Status,
    /// The manifest's MAC was verified, or unsigned manifests are allowed here.
    pub trusted: bool,
    /// Quarantined, or its manifest cannot be read: what it holds is not known.
    pub suspect: bool,
    /// Retention leaves it alone until then.
    pub keep_until: Option<DateTime<Utc>>,
    /// Somebody reads it at this moment: a restore, a drill, an upload.
    pub leased: bool,
    /// When a drill last proved it, and none has disproved it since.
    pub proven_at: Option<DateTime<Utc>>,
    /// Set on a copy in a longer tier: the backup whose bytes it shares.
    pub origin: Option<BackupId>,
}

/// How far a backup's own date may lie ahead of `now` without being from the future.
pub(crate) const SKEW: TimeDelta = TimeDelta::minutes(5);

impl Standing {
    /// `trusted`, `suspect` and `leased` are not in a manifest; they are what the reader found out.
    pub fn of(manifest: &Manifest, trusted: bool) -> Self {
        let last_proof = manifest.proofs.iter().max_by_key(|proof| proof.at);
        Standing {
            id: manifest.id.clone(),
            created_at: manifest.created_at,
            sequence: manifest.sequence,
            // As far as keeping goes, some of the sources are some of the sources, whyever that is.
            status: match manifest.status {
                Status::Completed if !manifest.is_full() => Status::Partial,
                status => status,
            },
            trusted,
            suspect: last_proof.is_some_and(|proof| !proof.proved),
            keep_until: manifest.keep_until,
            leased: false,
            proven_at: last_proof
                .filter(|proof| proof.proved)
                .map(|proof| proof.at),
            origin: manifest.origin.clone(),
        }
    }

    /// A backup whose manifest cannot be read: it is listed, never counted, never deleted.
    pub fn unreadable(id: BackupId) -> Self {
        Standing {
            id,
            created_at: DateTime::UNIX_EPOCH,
            sequence: 0,
            status: Status::Failed,
            trusted: false,
            suspect: true,
            keep_until: None,
            leased: false,
            proven_at: None,
            origin: None,
        }
    }

    pub fn tier(&self) -> Tier {
        self.id.tier()
    }

    /// Whole, and known to be what it says. Only good backups count.
    pub fn is_good(&self) -> bool {
        self.status == Status::Completed && self.trusted && !self.suspect
    }

    pub(crate) fn is_from_the_future(&self, now: DateTime<Utc>) -> bool {
        self.created_at > now + SKEW
    }

    /// Oldest first. Never by the clock, while sequences differ. Of the copies of one moment the daily
    /// one is the last.
    pub(crate) fn order(&self) -> impl Ord + '_ {
        (
            self.sequence,
            self.created_at,
            Reverse(self.tier()),
            &self.id,
        )
    }
}
