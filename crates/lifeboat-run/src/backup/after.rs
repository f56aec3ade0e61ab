//! The commit, and what is done with a backup that exists.

use super::{Harbour, Order, Report};
use crate::{
    Listener,
    catalog::{self, Catalog},
    layout, leftovers, promote,
    prune::{self, Occasion, PruneError},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Manifest, Name, event::RunEvent};
use lifeboat_store::Error;

/// From the moment this returns the backup exists.
pub(crate) fn commit(manifest: &mut Manifest, harbour: Harbour<'_>) -> Result<(), Error> {
    harbour.authenticator.sign(manifest);
    lifeboat_store::put(
        harbour.store,
        &layout::manifest(&manifest.id),
        &manifest.to_bytes(),
    )?;
    Ok(())
}

/// Longer tiers, the catalogue, pruning. Whatever fails here is a remark on a backup that is safe.
pub(super) fn afterwards(
    order: &Order<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    report: &mut Report,
    listener: &dyn Listener,
) {
    let Harbour { store, state, .. } = harbour;
    let manifest = &report.manifest;
    let mut remark =
        |what: &str, error: String| report.afterthoughts.push(format!("{what}: {error}"));

    if let Err(error) = state.set_head(&catalog::head_of(manifest)) {
        remark("the chain's head was not noted", error.to_string());
    }
    let catalog = match Catalog::read(harbour) {
        Ok(catalog) => catalog,
        Err(error) => {
            return remark(
                "the store could not be read after the backup",
                error.to_string(),
            );
        }
    };
    let mut clean = true;
    if manifest.is_full() {
        for tier in promote::tiers_for(&manifest.id, &catalog, order.keep, order.zone) {
            match promote::into_tier(manifest, tier, harbour) {
                Ok(id) => {
                    listener.hear(&RunEvent::Promoted {
                        id: manifest.id.clone(),
                        tier,
                    });
                    report.promoted.push(id);
                }
                Err(error) => {
                    remark(&format!("not kept as {tier}"), error.to_string());
                    clean &= leftovers::take_back(store, &manifest.id.in_tier(tier)).is_ok();
                }
            }
        }
    }
    // Not before: if this is killed in a longer tier, the next run takes away the links that no manifest
    // speaks of.
    if clean && let Err(error) = state.end_run(&manifest.id) {
        remark("the journal was not closed", error.to_string());
    }
    match Catalog::read(harbour).and_then(|catalog| {
        // A loss is remembered until a person says that it is none (`rebuild`): written down as it is, it
        // would be the truth for the next run, which would prune by what is left.
        if !catalog.is_short() {
            catalog.remember(store)?;
        }
        Ok(catalog)
    }) {
        Err(error) => remark("the catalogue was not written", error.to_string()),
        Ok(catalog) => {
            if let (Some(rules), true) = (order.prune, manifest.is_full()) {
                match after_backup(&catalog, rules, order.name, harbour, now, listener) {
                    Ok(done) => report.pruned = Some(done),
                    Err(PruneError::Refused(reason)) => listener.hear(&RunEvent::PruneRefused {
                        reason: reason.to_string(),
                    }),
                    Err(error) => remark("old backups were not pruned", error.to_string()),
                }
            }
        }
    }
}

fn after_backup(
    catalog: &Catalog,
    rules: &prune::Rules,
    name: &Name,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<prune::Done, PruneError> {
    let plan = prune::plan(
        catalog,
        name,
        rules,
        Occasion::AfterGoodBackup,
        harbour,
        now,
    )?;
    prune::carry_out(&plan, catalog, rules.grace, harbour, now, listener)
}
