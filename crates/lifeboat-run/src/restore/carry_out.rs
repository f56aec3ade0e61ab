//! A restore is done: unpacked beside the target, published in one step, written down.

use super::{RestoreError, RestorePlan, Restored, audit, place_of};
use crate::{
    Cancel, Listener,
    backup::Harbour,
    layout,
    staging::Staging,
    unseal::{self, Extracted, Passage},
    verify::lease_if_writable,
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, event::RunEvent};
use std::{fs, io, path::Path, time::Instant};

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
            .open(&layout::archive(plan.id.tier(), &archive.file)?)?;
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
    if let Err(error) = audit::write(&restored, harbour.store, now) {
        restored
            .remarks
            .push(format!("no audit record was written: {error}"));
    }
    Ok(restored)
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
        has_root: false,
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
