//! `restore_logs/2025/12/restore_20251227_201500.json`: what was restored, by whom and when. It survives what
//! it tells of, because it lies with the backups.

use super::live::LivePlan;
use chrono::{DateTime, Utc};
use lifeboat_plan::BackupId;
use lifeboat_store::{Error, ErrorKind, Key, Store};
use serde::{Deserialize, Serialize};

/// A restore in place, as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// The backup.
    pub id: BackupId,
    /// `live`.
    pub target: String,
    pub sources: Vec<String>,
    /// What was replaced, for people.
    pub replaced: Vec<String>,
    pub started_at: DateTime<Utc>,
    pub took_seconds: f64,
    pub entries: u64,
    pub bytes: u64,
    pub host: String,
    pub ending: Ending,
    /// The backup of what was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<BackupId>,
    /// What was put aside and kept, and how it is removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<String>,
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    /// Everything is as it was before, unless the remarks say otherwise.
    Failed,
    /// It was killed while it swapped; the next start finished it.
    FinishedAfterKill,
    /// It was killed, and the next start took it back.
    TakenBack,
}

impl Audit {
    pub(super) fn of_live(plan: &LivePlan, host: &str, now: DateTime<Utc>) -> Self {
        Audit {
            id: plan.id.clone(),
            target: "live".to_owned(),
            sources: plan.parts.iter().map(|p| p.source.clone()).collect(),
            replaced: plan.parts.iter().map(|p| p.what.clone()).collect(),
            started_at: now,
            took_seconds: 0.0,
            entries: 0,
            bytes: 0,
            host: host.to_owned(),
            ending: Ending::Failed,
            safety: None,
            stays: Vec::new(),
            remarks: plan.remarks.clone(),
        }
    }
}

pub(super) fn write(
    record: &impl Serialize,
    store: &dyn Store,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let other = |e: String| Error::new(ErrorKind::Other, "write", "restore_logs", e);
    let bytes = serde_json::to_vec_pretty(record).map_err(|e| other(e.to_string()))?;
    for counter in 1..100 {
        let suffix = match counter {
            1 => String::new(),
            more => format!("_{more}"),
        };
        let name = at.format("restore_logs/%Y/%m/restore_%Y%m%d_%H%M%S");
        let key = Key::new(format!("{name}{suffix}.json")).map_err(|e| other(e.to_string()))?;
        match lifeboat_store::put(store, &key, &bytes) {
            Err(e) if e.kind() == ErrorKind::Exists => continue,
            done => return done.map(|_| ()),
        }
    }
    Err(other("a hundred restores in one second".to_owned()))
}
