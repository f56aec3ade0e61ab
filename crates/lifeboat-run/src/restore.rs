//! The way back to a folder: plan first, prove while unpacking, appear all at once.
//!
//! Everything is unpacked into a private folder beside the target and takes the target's name only when the
//! last byte of the last archive was found right. A restore that fails or is killed leaves the target as it
//! was; what it leaves behind is swept by the next restore to the same place.

use crate::{
    Cancel, Cancelled, Listener,
    authenticity::Authenticity,
    backup::Harbour,
    catalog::Item,
    layout,
    staging::{Staging, is_staging},
    unseal::{self, BadPattern, Extracted, Passage, PublishError, UnsealError},
    verify::lease_if_writable,
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, BackupId, event::RunEvent};
use lifeboat_store::{Error, Key, Store};
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
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
    Cancelled(#[from] Cancelled),
}

/// Decides what a restore would do, and refuses what would not end well.
pub fn plan(item: &Item, wish: Wish) -> Result<RestorePlan, RestoreError> {
    let manifest = &item.manifest;
    let id = &manifest.id;
    let mut remarks = may_be_trusted(item, wish.force)?;

    for name in &wish.sources {
        if !manifest.archives.iter().any(|a| a.source == *name) {
            let has = manifest.archives.iter().map(|a| a.source.clone()).collect();
            return Err(RestoreError::NoSuchSource {
                id: id.clone(),
                source_name: name.clone(),
                has,
            });
        }
    }
    let paths = match &wish.paths[..] {
        [] => unseal::Paths::all(),
        patterns => unseal::Paths::matching(patterns)?,
    };
    let archives: Vec<Archive> = manifest
        .archives
        .iter()
        .filter(|a| wish.sources.is_empty() || wish.sources.contains(&a.source))
        .cloned()
        .collect();
    // Also names that can be no name: those are in no store either.
    if let Some(gone) = archives.iter().find(|a| item.missing.contains(&a.file)) {
        return Err(UnsealError::Damaged {
            file: gone.file.clone(),
            reason: "it is missing in the store, or cut short".to_owned(),
        }
        .into());
    }
    for archive in &archives {
        if archive.warnings_total > 0 {
            remarks.push(format!(
                "{}: {} remark(s) when it was made, first: {}",
                archive.source,
                archive.warnings_total,
                archive.warnings.first().map_or("", String::as_str)
            ));
        }
    }
    remarks.extend(
        manifest
            .missed
            .iter()
            .map(|m| format!("{} is not in this backup: {}", m.source, m.reason)),
    );

    empty_or_absent(&wish.target)?;
    let free = free_space(&wish.target)?;
    let needs: u64 = archives.iter().map(|a| a.plain_size).sum();
    // A selection, or sparse files, may need far less; then it is for the user to say so.
    if wish.paths.is_empty() && !wish.force && needs > free {
        return Err(RestoreError::Refused(format!(
            "{} has {free} bytes free, and this restore may need {needs}",
            wish.target.display()
        )));
    }
    let parts = archives
        .iter()
        .map(|a| Part {
            source: a.source.clone(),
            kind: a.kind.clone(),
            file: a.file.clone(),
            plain_size: a.plain_size,
            into: wish.target.join(place_of(a)),
        })
        .collect();
    Ok(RestorePlan {
        id: id.clone(),
        created_at: manifest.created_at,
        target: wish.target.clone(),
        parts,
        needs,
        free,
        remarks,
        wish,
        paths,
        archives,
    })
}

/// Does what `plan` says, or nothing.
pub fn carry_out(
    plan: &RestorePlan,
    harbour: Harbour<'_>,
    host: &str,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Restored, RestoreError> {
    let begun = Instant::now();
    let _lease = lease_if_writable(harbour, &plan.id)?;
    let staging = Staging::for_target(&plan.target)?;
    let mut done = Tally::default();
    let options = unseal::Options {
        paths: plan.paths.clone(),
        allow_devices: plan.wish.devices,
        jobs: 0,
    };
    for archive in &plan.archives {
        cancel.check()?;
        listener.hear(&RunEvent::SourceStarted {
            source: archive.source.clone(),
        });
        let stored = harbour
            .store
            .open(&layout::in_tier(plan.id.tier(), &archive.file))?;
        let part = unpack(
            stored,
            archive,
            staging.path(),
            &options,
            harbour,
            cancel,
            listener,
        )?;
        listener.hear(&RunEvent::SourceDone {
            source: archive.source.clone(),
            plain_bytes: archive.plain_size,
            stored_bytes: archive.size,
            entries: archive.entries.map(|_| part.entries),
            took: begun.elapsed(),
        });
        done.add(archive, part);
    }
    if done.entries == 0 && !plan.wish.paths.is_empty() {
        return Err(RestoreError::NothingMatched {
            id: plan.id.clone(),
            paths: plan.wish.paths.clone(),
        });
    }
    cancel.check()?;
    staging.publish()?;

    let mut restored = Restored {
        id: plan.id.clone(),
        target: plan.target.clone(),
        sources: plan.archives.iter().map(|a| a.source.clone()).collect(),
        paths: plan.wish.paths.clone(),
        started_at: now,
        took_seconds: begun.elapsed().as_secs_f64(),
        entries: done.entries,
        bytes: done.bytes,
        host: host.to_owned(),
        remarks: done.remarks,
    };
    if let Err(error) = write_audit(&restored, harbour.store, now) {
        restored
            .remarks
            .push(format!("no audit record was written: {error}"));
    }
    Ok(restored)
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

fn unpack(
    stored: Box<dyn io::Read + Send>,
    archive: &Archive,
    staging: &Path,
    options: &unseal::Options,
    harbour: Harbour<'_>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Extracted, RestoreError> {
    let into = staging.join(place_of(archive));
    if archive.entries.is_some() {
        if into != staging {
            fs::create_dir(&into).map_err(|error| RestoreError::Io {
                action: "make",
                path: into.clone(),
                error,
            })?;
        }
        return Ok(unseal::extract(
            stored,
            archive,
            harbour.keys,
            &into,
            options,
            cancel,
            listener,
        )?);
    }
    let failed = |error| RestoreError::Io {
        action: "write",
        path: into.clone(),
        error,
    };
    let mut passage = Passage::begin(stored, archive, harbour.keys, cancel)?;
    let mut file = fs::File::create_new(&into).map_err(failed)?;
    let bytes = match io::copy(&mut passage, &mut file) {
        Ok(bytes) => bytes,
        // Of the two sides, the passage says best what was the matter with it.
        Err(error) => {
            return Err(passage
                .finish()
                .err()
                .map_or_else(|| failed(error), RestoreError::from));
        }
    };
    passage.finish()?;
    Ok(Extracted {
        entries: 1,
        bytes,
        warnings: Vec::new(),
        warnings_total: 0,
    })
}

/// What has been unpacked so far.
#[derive(Debug, Default)]
struct Tally {
    entries: u64,
    bytes: u64,
    remarks: Vec<String>,
}

impl Tally {
    fn add(&mut self, archive: &Archive, part: Extracted) {
        self.entries += part.entries;
        self.bytes += part.bytes;
        let named = part.warnings.len() as u64;
        self.remarks.extend(
            part.warnings
                .into_iter()
                .map(|w| format!("{}: {w}", archive.source)),
        );
        if part.warnings_total > named {
            self.remarks.push(format!(
                "{}: and {} more",
                archive.source,
                part.warnings_total - named
            ));
        }
    }
}

/// Says why a backup should not be restored from, or what to know when it is nevertheless.
fn may_be_trusted(item: &Item, force: bool) -> Result<Vec<String>, RestoreError> {
    let id = item.id();
    let file = layout::manifest(id).to_string();
    let doubt = match &item.authenticity {
        Authenticity::Verified => None,
        Authenticity::Unsigned => {
            return Ok(vec![
                "its manifest is unsigned: nothing proves who wrote it".to_owned(),
            ]);
        }
        Authenticity::UnknownKey { .. } if !force => {
            return Err(UnsealError::WrongKey { file }.into());
        }
        Authenticity::UnknownKey { key_id } => Some(format!(
            "its manifest was signed with another key ({key_id})"
        )),
        Authenticity::Forged if !force => {
            return Err(UnsealError::Damaged {
                file,
                reason: "it was changed after it was signed".to_owned(),
            }
            .into());
        }
        Authenticity::Forged => Some("its manifest was changed after it was signed".to_owned()),
        Authenticity::Stripped if !force => {
            return Err(UnsealError::Damaged {
                file,
                reason: "it carries no MAC although a key is configured".to_owned(),
            }
            .into());
        }
        Authenticity::Stripped => Some("its manifest carries no MAC".to_owned()),
    };
    if let (Some(reason), false) = (&item.quarantined, force) {
        return Err(UnsealError::Damaged {
            file: id.to_string(),
            reason: reason.clone(),
        }
        .into());
    }
    Ok(doubt.into_iter().chain(item.quarantined.clone()).collect())
}

fn empty_or_absent(target: &Path) -> Result<(), RestoreError> {
    let refused = |why: &str| {
        Err(RestoreError::Refused(format!(
            "{} {why}; nothing is ever restored over what is there",
            target.display()
        )))
    };
    match fs::symlink_metadata(target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RestoreError::Io {
            action: "look at",
            path: target.to_owned(),
            error,
        }),
        Ok(meta) if !meta.is_dir() => refused("is not a folder"),
        Ok(_) => match fs::read_dir(target).map(|entries| {
            entries
                .flatten()
                .all(|entry| is_staging(&entry.file_name()))
        }) {
            Ok(true) => Ok(()),
            Ok(false) => refused("is not empty"),
            Err(error) => Err(RestoreError::Io {
                action: "look into",
                path: target.to_owned(),
                error,
            }),
        },
    }
}

fn free_space(target: &Path) -> Result<u64, RestoreError> {
    let there = target
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let stat = rustix::fs::statvfs(there).map_err(|e| RestoreError::Io {
        action: "measure",
        path: there.to_owned(),
        error: e.into(),
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// `restore_logs/2025/12/restore_20251227_201500.json`: survives what it restored.
fn write_audit(restored: &Restored, store: &dyn Store, now: DateTime<Utc>) -> Result<(), Error> {
    let other =
        |e: String| Error::new(lifeboat_store::ErrorKind::Other, "write", "restore_logs", e);
    let bytes = serde_json::to_vec_pretty(restored).map_err(|e| other(e.to_string()))?;
    for counter in 1..100 {
        let suffix = if counter > 1 {
            format!("_{counter}")
        } else {
            String::new()
        };
        let name = format!(
            "{}{suffix}.json",
            now.format("restore_logs/%Y/%m/restore_%Y%m%d_%H%M%S")
        );
        let key = Key::new(name).map_err(|e| other(e.to_string()))?;
        match lifeboat_store::put(store, &key, &bytes) {
            Err(e) if e.kind() == lifeboat_store::ErrorKind::Exists => continue,
            done => return done.map(|_| ()),
        }
    }
    Err(other("a hundred restores in one second".to_owned()))
}
