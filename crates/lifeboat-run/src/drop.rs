//! How one backup goes away: in two steps, so that being killed between them loses nothing but time.
//!
//! ```text
//! tombstone (the manifest, under .lifeboat/dropped/) → manifest gone → [grace] → archives gone → tombstone gone
//! ```
//!
//! Never is there a manifest that promises archives which are not there. During the grace the archives
//! lie where they always lay, and [`revive`] brings the backup back.

use crate::{backup::Harbour, catalog::Item, layout, state::State};
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{BackupId, Manifest};
use lifeboat_store::{Error, ErrorKind, Store};
use serde::{Deserialize, Serialize};

const TOMBSTONE_BYTES_MAX: u64 = 32 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Tombstone {
    dropped_at: DateTime<Utc>,
    /// The archives go when this is over.
    until: DateTime<Utc>,
    reason: String,
    /// As it was stored, byte for byte.
    manifest: String,
}

/// Whether it could be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    Gone,
    /// A restore, a drill or a verification is reading it: next time.
    InUse,
}

/// Drops `item`; its archives go when `grace` is over, at once when it is zero.
pub fn drop_backup(
    item: &Item,
    reason: &str,
    grace: TimeDelta,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
) -> Result<Dropped, Error> {
    let store = harbour.store;
    let id = item.id();
    let Some(_eviction) = harbour.state.evict(id)? else {
        return Ok(Dropped::InUse);
    };
    let key = layout::manifest(id);
    let manifest = lifeboat_store::get(store, &key, TOMBSTONE_BYTES_MAX)?;
    let tombstone = Tombstone {
        dropped_at: now,
        until: now + grace,
        reason: reason.to_owned(),
        manifest: String::from_utf8_lossy(&manifest).into_owned(),
    };
    let bytes = serde_json::to_vec_pretty(&tombstone)
        .map_err(|e| Error::new(ErrorKind::Other, "drop", id.to_string(), e.to_string()))?;
    store.replace(&layout::dropped(id), &bytes)?;
    store.delete(&key)?;
    if grace <= TimeDelta::zero() {
        bury(store, id)?;
    }
    Ok(Dropped::Gone)
}

/// Finishes what earlier drops began: those whose grace is over, and those that were killed half-way.
pub fn finish_drops(
    store: &dyn Store,
    state: &State,
    now: DateTime<Utc>,
) -> Result<Vec<BackupId>, Error> {
    let mut buried = Vec::new();
    for (id, tombstone) in tombstones(store)? {
        // One that cannot be read stays, and so do its archives: nothing is deleted on a doubt.
        let Some(tombstone) = tombstone else { continue };
        // Killed between its first two steps. The second is done now and not when the grace is over: until
        // then this backup would be counted on, and nobody would be asked again before it goes.
        let manifest = layout::manifest(&id);
        if store.head(&manifest)?.is_some() {
            store.delete(&manifest)?;
        }
        if tombstone.until <= now
            && let Some(_eviction) = state.evict(&id)?
        {
            bury(store, &id)?;
            buried.push(id);
        }
    }
    Ok(buried)
}

/// Backups whose archives wait out their grace.
pub fn in_grace(store: &dyn Store) -> Result<Vec<BackupId>, Error> {
    Ok(tombstones(store)?.into_iter().map(|(id, _)| id).collect())
}

/// Brings back a backup that was dropped and whose grace is not over.
pub fn revive(store: &dyn Store, id: &BackupId) -> Result<(), Error> {
    let key = layout::dropped(id);
    let bytes = lifeboat_store::get(store, &key, TOMBSTONE_BYTES_MAX)?;
    let damaged = |e: String| Error::new(ErrorKind::Corrupt, "read", key.as_str(), e);
    let tombstone: Tombstone =
        serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    Manifest::parse(tombstone.manifest.as_bytes()).map_err(|e| damaged(e.to_string()))?;
    store.replace(&layout::manifest(id), tombstone.manifest.as_bytes())?;
    store.delete(&key)
}

fn bury(store: &dyn Store, id: &BackupId) -> Result<(), Error> {
    crate::leftovers::take_back(store, id)?;
    store.delete(&layout::quarantined(id))?;
    store.delete(&layout::dropped(id))
}

/// A tombstone that cannot be read is kept as `None`: it says by its name that this backup was to go.
fn tombstones(store: &dyn Store) -> Result<Vec<(BackupId, Option<Tombstone>)>, Error> {
    let mut found = Vec::new();
    for object in store.list(layout::DROPPED)? {
        let Some(id) = layout::recorded(&object.key) else {
            continue;
        };
        let bytes = lifeboat_store::get(store, &object.key, TOMBSTONE_BYTES_MAX)?;
        found.push((id, serde_json::from_slice(&bytes).ok()));
    }
    Ok(found)
}
