//! Files with several names: stored at the first, linked at the others.

use crate::source::{Notes, folder::entry::Meta};
use std::collections::HashMap;

/// Names waiting for their other names may take so much memory; a tree that needs more (a store of
/// hard-linked snapshots) has its further files stored once for each name.
const BYTES: usize = 12 << 20;

/// A map's entry, roughly.
const ENTRY_BYTES: usize = 96;

#[derive(Debug, Default)]
pub(super) struct Links {
    first: HashMap<(u64, u64), First>,
    bytes: usize,
    full: bool,
}

#[derive(Debug)]
struct First {
    path: Box<[u8]>,
    /// Names that have not been met.
    left: u64,
}

impl Links {
    /// The member that holds this file already.
    pub(super) fn take(&mut self, meta: &Meta) -> Option<Box<[u8]>> {
        let first = self.first.get_mut(&meta.id())?;
        first.left -= 1;
        if first.left > 0 {
            return Some(first.path.clone());
        }
        let path = self.first.remove(&meta.id())?.path;
        self.bytes -= path.len() + ENTRY_BYTES;
        Some(path)
    }

    /// `path` is in the archive now.
    pub(super) fn add(&mut self, meta: &Meta, path: &[u8], notes: &Notes<'_>) {
        if meta.links < 2 {
            return;
        }
        if self.bytes + path.len() + ENTRY_BYTES > BYTES {
            if !self.full {
                self.full = true;
                notes.warn("so many hard links that some are stored as files of their own");
            }
            return;
        }
        self.bytes += path.len() + ENTRY_BYTES;
        let first = First {
            path: path.into(),
            left: meta.links - 1,
        };
        self.first.insert(meta.id(), first);
    }
}
