//! Is a backup still what was written? Read it back and see.
//!
//! What is found damaged is put into quarantine: it stays where it is and can still be looked at, but no
//! keep rule counts it any more. A later verification that finds it whole lifts the quarantine.

use crate::{
    Cancel, Listener,
    authenticity::Authenticity,
    backup::Harbour,
    catalog::{Item, MANIFEST_BYTES_MAX, Quarantine},
    layout,
    unseal::{self, Depth, UnsealError},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, BackupId, Manifest, event::RunEvent};
use lifeboat_store::{Error, ErrorKind, Store};
use serde::Serialize;

const DIGEST_BYTES_MAX: u64 = 4096;

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    pub id: BackupId,
    pub at: DateTime<Utc>,
    pub deep: bool,
    pub archives: usize,
    pub bytes: u64,
    /// Empty when all is well.
    pub damage: Vec<String>,
    /// Things a person should know although nothing is broken (an unsigned manifest, evidence that could
    /// not be written down).
    pub remarks: Vec<String>,
}

impl Checked {
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Why it could not be found out whether the backup is whole. Damage is not an error here: it is an answer.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Retention or a person dropped it since the catalogue was read.
    #[error("{0} was dropped meanwhile")]
    Gone(BackupId),
    /// No key, the wrong one, a store that does not answer, a wish to stop.
    #[error(transparent)]
    Unseal(UnsealError),
    #[error(transparent)]
    Store(#[from] Error),
    /// The archives are as the manifest says, and nothing at hand can tell whether that is ours.
    #[error("the manifest of {id} was signed with another key ({key_id})")]
    OtherKey { id: BackupId, key_id: String },
}

/// Reads all of `item`'s archives, compares them with its manifest, and writes down what it found.
pub fn verify(
    item: &Item,
    depth: Depth,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Checked, VerifyError> {
    let manifest = &item.manifest;
    let _lease = lease_if_writable(harbour, item.id())?;
    // From here on nobody can drop it; until here somebody may have, and that is no damage.
    if harbour.store.head(&layout::manifest(item.id()))?.is_none() {
        return Err(VerifyError::Gone(manifest.id.clone()));
    }
    let mut checked = Checked {
        id: manifest.id.clone(),
        at: now,
        deep: depth == Depth::Deep,
        archives: manifest.archives.len(),
        bytes: 0,
        damage: Vec::new(),
        remarks: Vec::new(),
    };
    match &item.authenticity {
        Authenticity::Verified | Authenticity::Unsigned => {}
        Authenticity::Stripped => checked.damage.push(
            "its manifest carries no MAC although a key is configured: it may not be ours"
                .to_owned(),
        ),
        Authenticity::Forged => checked
            .damage
            .push("its manifest was changed after it was signed".to_owned()),
        // Judged at the end: damage says more.
        Authenticity::UnknownKey { .. } => {}
    }
    for archive in &manifest.archives {
        cancel.check().map_err(|c| VerifyError::Unseal(c.into()))?;
        let Ok(key) = layout::archive(manifest.tier, &archive.file) else {
            checked
                .damage
                .push(format!("{:?} is not a file name", archive.file));
            continue;
        };
        let answer = harbour
            .store
            .open_cold(&key)
            .map_err(UnsealError::from)
            .and_then(|stored| unseal::check(stored, archive, depth, harbour.keys, cancel));
        match answer {
            Ok(()) => {
                checked.bytes += archive.size;
                checked
                    .remarks
                    .extend(look_at_digest(item, archive, harbour.store));
                listener.hear(&RunEvent::Verified {
                    file: archive.file.clone(),
                });
            }
            Err(error @ (UnsealError::Damaged { .. } | UnsealError::Hostile { .. })) => {
                checked.damage.push(error.to_string())
            }
            Err(UnsealError::Store(error)) if error.kind() == ErrorKind::NotFound => {
                checked.damage.push(format!("{} is missing", archive.file));
            }
            Err(error) => return Err(VerifyError::Unseal(error)),
        }
    }
    if let Authenticity::UnknownKey { key_id } = &item.authenticity
        && checked.is_whole()
    {
        // Whoever replaced the archives would name a key that nobody here has.
        if harbour.authenticator.signs() {
            return Err(VerifyError::OtherKey {
                id: manifest.id.clone(),
                key_id: key_id.clone(),
            });
        }
        checked.remarks.push(format!(
            "its manifest was signed with a key ({key_id}), and there is none here to check it"
        ));
    }
    // What cannot be written down is a remark: the answer itself stands.
    if let Err(error) = write_down(item, &checked, harbour, now) {
        checked
            .remarks
            .push(format!("this result was not noted: {error}"));
    }
    Ok(checked)
}

/// The line beside a whole archive says the same as the manifest, for people without Lifeboat. When it
/// does not, it is written anew: a remark, for nothing that is needed to restore was damaged.
fn look_at_digest(item: &Item, archive: &Archive, store: &dyn Store) -> Option<String> {
    if !item.authenticity.is_trusted() {
        return None;
    }
    let file = layout::digest_file(&archive.file);
    let line = layout::digest_line(&archive.sha256, &archive.file);
    let key = layout::in_tier(item.manifest.tier, &file);
    match lifeboat_store::get(store, &key, DIGEST_BYTES_MAX) {
        Ok(stored) if stored == line.as_bytes() => None,
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
            Some(format!("{file} could not be read: {error}"))
        }
        _ => Some(match store.replace(&key, line.as_bytes()) {
            Ok(()) => format!("{file} did not say the archive's digest; it was written anew"),
            Err(error) => format!("{file} does not say the archive's digest: {error}"),
        }),
    }
}

fn write_down(
    item: &Item,
    checked: &Checked,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let Harbour {
        store,
        authenticator,
        ..
    } = harbour;
    let id = item.id();
    if !checked.is_whole() {
        let record = Quarantine {
            at: now,
            reason: checked.damage.join("; "),
        };
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|e| Error::new(ErrorKind::Other, "write", id.to_string(), e.to_string()))?;
        return store.replace(&layout::quarantined(id), &bytes);
    }
    if item.quarantined.is_some() {
        store.delete(&layout::quarantined(id))?;
    }
    // Added to the manifest as it is now: others write down evidence too, and this may have taken hours.
    let key = layout::manifest(id);
    let corrupt = |e: String| Error::new(ErrorKind::Corrupt, "read", key.as_str(), e);
    let bytes = lifeboat_store::get(store, &key, MANIFEST_BYTES_MAX)?;
    let mut manifest = Manifest::parse(&bytes).map_err(|e| corrupt(e.to_string()))?;
    let authenticity = authenticator
        .judge(&bytes, &manifest)
        .map_err(|e| corrupt(e.to_string()))?;
    if manifest.core() != item.manifest.core() {
        return Err(corrupt("it is another one now".to_owned()));
    }
    // And only to one that can be signed again.
    let ours = matches!(authenticity, Authenticity::Verified)
        || (matches!(authenticity, Authenticity::Unsigned) && !authenticator.signs());
    if ours {
        manifest.verified_at = Some(now);
        authenticator.sign(&mut manifest);
        store.replace(&key, &manifest.to_bytes())?;
    }
    Ok(())
}

/// Retention keeps off while the lease lives. A store that cannot be written to has no retention either.
pub(crate) fn lease_if_writable(
    harbour: Harbour<'_>,
    id: &BackupId,
) -> Result<Option<lifeboat_store::lease::Lease>, Error> {
    match harbour.state.lease(id) {
        Ok(lease) => Ok(Some(lease)),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Full
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
