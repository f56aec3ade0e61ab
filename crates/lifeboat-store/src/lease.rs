//! Who reads a backup keeps it from being deleted meanwhile.
//!
//! A reader (a restore, a drill, a copy to a far store) takes a [`Lease`]: a shared flock on
//! `.lifeboat/leases/NAME`. Whoever deletes asks for an [`Eviction`] first: the same lock, exclusive,
//! held until the deletion is done, so that no reader can begin in between. The kernel ends the leases
//! of processes that die.

use crate::{Error, ErrorKind, Key, Local, Result, lock::lock};
use rustix::fs::FlockOperation;
use std::{fs::File, io};

const LEASES: &str = ".lifeboat/leases";

/// The right to find a backup whole until this is dropped.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

/// The right to delete a backup: nobody reads it, and nobody can begin to.
#[derive(Debug)]
pub struct Eviction {
    store: Local,
    path: String,
    _file: File,
}

impl Lease {
    /// `name` is one word, a backup's id. Fails with [`ErrorKind::Busy`] while it is being deleted.
    pub fn take(store: &Local, name: &str) -> Result<Self> {
        match hold(store, name, FlockOperation::NonBlockingLockShared)? {
            Some((file, _)) => Ok(Lease { _file: file }),
            None => Err(Error::new(
                ErrorKind::Busy,
                "read",
                name,
                "it is being deleted",
            )),
        }
    }
}

impl Eviction {
    /// `None` when somebody reads it.
    pub fn try_begin(store: &Local, name: &str) -> Result<Option<Self>> {
        let locked = hold(store, name, FlockOperation::NonBlockingLockExclusive)?;
        Ok(locked.map(|(file, path)| Eviction {
            store: store.clone(),
            path,
            _file: file,
        }))
    }
}

impl Drop for Eviction {
    fn drop(&mut self) {
        // While it is still locked: whoever has opened it sees, once it has the lock, that it is gone.
        let _ = self.store.remove_own(&self.path);
    }
}

/// Whether somebody reads it now. For a plan; who deletes asks for an [`Eviction`].
pub fn is_leased(store: &Local, name: &str) -> Result<bool> {
    let path = path_of(name)?;
    let failed = |e: io::Error| Error::io("look at the lease of", name, e);
    let Some(file) = store.find_own(&path).map_err(failed)? else {
        return Ok(false);
    };
    let free = lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(failed)?;
    Ok(!free)
}

fn hold(store: &Local, name: &str, how: FlockOperation) -> Result<Option<(File, String)>> {
    let path = path_of(name)?;
    let failed = |e: io::Error| Error::io("lease", name, e);
    loop {
        let file = store.open_own(&path).map_err(failed)?;
        if !lock(&file, how).map_err(failed)? {
            return Ok(None);
        }
        if store.is_at(&file, &path).map_err(failed)? {
            return Ok(Some((file, path)));
        }
    }
}

fn path_of(name: &str) -> Result<String> {
    match Key::new(name) {
        Ok(key) if !name.contains('/') => Ok(format!("{LEASES}/{key}")),
        _ => Err(Error::new(
            ErrorKind::Other,
            "lease",
            name,
            "it is not one word",
        )),
    }
}
