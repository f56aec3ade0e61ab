//! A person deletes one backup by name. The rules of retention do not apply; its safety does.

use crate::{BackupId, Standing};
use chrono::{DateTime, Utc};

/// Whether a person may delete this one backup.
pub fn may_delete(
    backups: &[Standing],
    id: &BackupId,
    now: DateTime<Utc>,
) -> Result<(), DeleteRefusal> {
    let Some(backup) = backups.iter().find(|backup| backup.id == *id) else {
        return Err(DeleteRefusal::Unknown(id.clone()));
    };
    if backup.leased {
        return Err(DeleteRefusal::Leased(id.clone()));
    }
    if let Some(until) = backup.keep_until.filter(|until| *until > now) {
        return Err(DeleteRefusal::Held {
            id: id.clone(),
            until,
        });
    }
    let another = backups
        .iter()
        .any(|other| other.is_good() && other.id != *id && other.id.name() == id.name());
    if backup.is_good() && !another {
        return Err(DeleteRefusal::LastGood(id.clone()));
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRefusal {
    #[error("there is no backup {0}")]
    Unknown(BackupId),
    #[error("{0} is in use")]
    Leased(BackupId),
    #[error("{id} is held until {}", until.format("%Y-%m-%d %H:%M UTC"))]
    Held { id: BackupId, until: DateTime<Utc> },
    #[error("{0} is the last good backup")]
    LastGood(BackupId),
}

impl DeleteRefusal {
    pub fn hint(&self) -> &'static str {
        match self {
            DeleteRefusal::Unknown(_) => "`lifeboat list` shows what is there",
            DeleteRefusal::Leased(_) => {
                "wait until the restore, drill or copy that reads it has ended"
            }
            DeleteRefusal::Held { .. } => {
                "a safety backup stays until then, so that the restore it was made for can be undone"
            }
            DeleteRefusal::LastGood(_) => "make another one first: `lifeboat backup`",
        }
    }
}
