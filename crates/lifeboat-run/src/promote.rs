//! Longer tiers: a second name for the same bytes, with a manifest of its own.
//!
//! A copy in a longer tier lives by that tier's rules. It costs no space where the store can link, and
//! it survives when the daily backup it came from is pruned.

use crate::{
    backup::{self, Harbour},
    catalog::Catalog,
    layout,
};
use chrono_tz::Tz;
use lifeboat_plan::{BackupId, KeepRules, Manifest, Tier, slot};
use lifeboat_store::{Error, ErrorKind};

/// The tiers whose slot this backup fills, given what is there.
pub fn tiers_for(id: &BackupId, catalog: &Catalog, rules: &KeepRules, zone: Tz) -> Vec<Tier> {
    let standings = catalog.standings();
    let Some(new) = standings.iter().find(|standing| standing.id == *id) else {
        return Vec::new();
    };
    slot::promotions(rules, zone, new, &standings)
        .into_iter()
        .map(|promotion| promotion.tier)
        .collect()
}

/// Links `manifest`'s archives into `tier` and commits a manifest there.
///
/// Killed half-way it leaves links without a manifest: those are nobody's backup, and the next attempt
/// (or `sweep`) takes them away first.
pub fn into_tier(manifest: &Manifest, tier: Tier, harbour: Harbour<'_>) -> Result<BackupId, Error> {
    let store = harbour.store;
    let id = manifest.id.in_tier(tier);
    if store.head(&layout::manifest(&id))?.is_some() {
        return Ok(id);
    }
    crate::leftovers::take_back(store, &id)?;

    let mut copy = Manifest {
        id: id.clone(),
        tier,
        origin: Some(manifest.id.clone()),
        ..manifest.clone()
    };
    for archive in &mut copy.archives {
        let file = layout::renamed(&archive.file, &manifest.id, &id).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                "link",
                archive.file.as_str(),
                format!("its name does not begin with {}", manifest.id),
            )
        })?;
        store.link(
            &layout::archive(manifest.tier, &archive.file)?,
            &layout::archive(tier, &file)?,
        )?;
        let digest = layout::digest_line(&archive.sha256, &file);
        lifeboat_store::put(
            store,
            &layout::in_tier(tier, &layout::digest_file(&file)),
            digest.as_bytes(),
        )?;
        archive.file = file;
    }
    backup::commit(&mut copy, harbour)?;
    Ok(id)
}
