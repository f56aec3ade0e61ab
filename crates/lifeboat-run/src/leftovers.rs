//! What a run that was killed left behind, and how it goes away.
//!
//! The journal names the run; its id names its objects, and no other's. A backup whose manifest is there
//! was committed: then only the journal entry is stale. Everything here is done again without harm.

use crate::{Listener, drop, layout, state::State};
use chrono::{DateTime, Utc};
use lifeboat_plan::{BackupId, Tier, event::RunEvent};
use lifeboat_store::{Error, Store};

/// Cleans up after runs that never ended. The caller holds the run lock, so none of them is alive.
pub fn recover(
    store: &dyn Store,
    state: &State,
    now: DateTime<Utc>,
    listener: &dyn Listener,
) -> Result<Vec<BackupId>, Error> {
    let mut recovered = Vec::new();
    for run in state.open_runs()? {
        let mut removed = Vec::new();
        // Its copies in longer tiers are commits of their own.
        for id in Tier::ALL.map(|tier| run.id.in_tier(tier)) {
            if !is_committed(store, &id)? {
                removed.extend(take_back(store, &id)?);
            }
        }
        state.end_run(&run.id)?;
        listener.hear(&RunEvent::Recovered {
            run: run.id.to_string(),
            removed,
        });
        recovered.push(run.id);
    }
    let swept = store.sweep(false)?;
    let scratch = state.scratch();
    crate::source::sqlite::sweep(&scratch)
        .map_err(|e| Error::io("sweep", scratch.display().to_string(), e))?;
    drop::finish_drops(store, state, now)?;
    if recovered.is_empty() && !swept.is_empty() {
        listener.hear(&RunEvent::Recovered {
            run: "an upload that never ended".to_owned(),
            removed: swept,
        });
    }
    Ok(recovered)
}

/// Two questions, because the answer "no" is followed by deletions.
fn is_committed(store: &dyn Store, id: &BackupId) -> Result<bool, Error> {
    let manifest = layout::manifest(id);
    let listed = store.list(manifest.as_str())?;
    Ok(listed.iter().any(|o| o.key == manifest) || store.head(&manifest)?.is_some())
}

/// Removes every object of a backup that is none. Its manifest goes first, should it have come to be after
/// all (a commit whose answer was lost): a manifest never promises archives that are gone.
pub fn take_back(store: &dyn Store, id: &BackupId) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let manifest = layout::manifest(id);
    let mut objects = store.list(&layout::objects_of(id))?;
    objects.sort_by_key(|object| object.key != manifest);
    for object in objects {
        store.delete(&object.key)?;
        removed.push(object.key.to_string());
    }
    Ok(removed)
}
