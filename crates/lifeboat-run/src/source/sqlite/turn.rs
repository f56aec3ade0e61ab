use super::SqliteError;
use crate::Cancel;
use std::{
    collections::HashSet,
    sync::{Condvar, Mutex},
    time::Duration,
};

type Identity = (u64, u64);

static UNDER_WAY: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);
static DONE: Condvar = Condvar::new();

/// Keeps captures of one file (whatever its name) one after another: the end of one would drop the
/// other's locks.
pub(super) struct Turn(Identity);

pub(super) fn wait(identity: Identity, cancel: &Cancel) -> Result<Turn, SqliteError> {
    let mut under_way = UNDER_WAY.lock().unwrap_or_else(|e| e.into_inner());
    while !under_way.get_or_insert_default().insert(identity) {
        under_way = DONE
            .wait_timeout(under_way, Duration::from_millis(100))
            .unwrap_or_else(|e| e.into_inner())
            .0;
        cancel.check()?;
    }
    Ok(Turn(identity))
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(|e| e.into_inner());
        under_way.get_or_insert_default().remove(&self.0);
        DONE.notify_all();
    }
}
