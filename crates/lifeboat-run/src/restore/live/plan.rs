//! What a restore in place would replace, and what speaks against it. Nothing is touched.

use crate::{
    Cancel,
    catalog::Item,
    restore::{RestoreError, Wish, chosen},
    target::{Outlook, Target},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, BackupId};
use serde::Serialize;

/// For a person to read before it is done.
#[derive(Debug, Serialize)]
pub struct LivePlan {
    pub id: BackupId,
    pub created_at: DateTime<Utc>,
    /// In the order in which they are restored.
    pub parts: Vec<LivePart>,
    /// What a person should know before saying yes.
    pub remarks: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct LivePart {
    /// What is replaced.
    pub what: String,
    pub source: String,
    pub kind: String,
    pub plain_size: u64,
    #[serde(flatten)]
    pub outlook: Outlook,
    #[serde(skip)]
    pub archive: Archive,
    #[serde(skip)]
    pub target: Box<dyn Target>,
}

impl LivePlan {
    pub fn archives(&self) -> impl Iterator<Item = &Archive> {
        self.parts.iter().map(|part| &part.archive)
    }

    /// The sources that a safety backup has to save.
    pub fn replaced(&self) -> Vec<String> {
        let there = self.parts.iter().filter(|part| part.outlook.exists);
        there.map(|part| part.source.clone()).collect()
    }
}

/// Where an archive belongs.
pub type Find<'a> = dyn Fn(&Archive) -> Result<Box<dyn Target>, RestoreError> + 'a;

/// `find` says where an archive belongs, and refuses what has no place.
pub fn plan(
    item: &Item,
    wish: &Wish,
    find: &Find<'_>,
    cancel: &Cancel,
) -> Result<LivePlan, RestoreError> {
    let (archives, remarks) = chosen(item, wish)?;
    let mut parts = Vec::new();
    for archive in archives {
        let target = find(&archive)?;
        let outlook = target.look(&archive, cancel)?;
        if let Some(free) = outlook.free
            && outlook.needs > free
            && !wish.force
        {
            return Err(RestoreError::Refused(format!(
                "{} has {free} bytes free, and what is restored beside it may need {}",
                target.what(),
                outlook.needs
            )));
        }
        parts.push(LivePart {
            what: target.what(),
            source: archive.source.clone(),
            kind: archive.kind.clone(),
            plain_size: archive.plain_size,
            outlook,
            archive,
            target,
        });
    }
    parts.sort_by_key(|part| !part.target.comes_first());
    Ok(LivePlan {
        id: item.manifest.id.clone(),
        created_at: item.manifest.created_at,
        parts,
        remarks,
    })
}
