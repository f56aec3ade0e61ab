//! A stretch of the tar stream, as the walk hands it to whichever worker is free: headers that are
//! written already, small files to open and read, stretches of files that are open.

use super::{
    entry::Meta,
    extended::Attributes,
    file::{Opened, Shared, Small},
    handle::Dir,
    header,
};
use crate::source::{Notes, Piece, SourceError};
use std::{
    ffi::CStr,
    ops::Range,
    sync::{Arc, atomic::Ordering},
};

#[derive(Debug)]
pub(super) struct Batch {
    shared: Arc<Shared>,
    items: Vec<Item>,
    /// The bytes of all [`Item::Ready`], one behind the other.
    ready: Vec<u8>,
    /// The names of all [`Item::Small`], each with its NUL.
    names: Vec<u8>,
    dirs: Vec<Arc<Dir>>,
    /// Bytes that it will have when filled.
    size: usize,
    limit: usize,
}

#[derive(Debug)]
enum Item {
    Ready {
        len: usize,
    },
    Small {
        dir: usize,
        name: Range<usize>,
        meta: Meta,
    },
    Stretch {
        file: Arc<Opened>,
        start: u64,
        len: u64,
    },
}

impl Batch {
    pub(super) fn new(shared: Arc<Shared>, limit: usize) -> Self {
        Batch {
            shared,
            items: Vec::new(),
            ready: Vec::new(),
            names: Vec::new(),
            dirs: Vec::new(),
            size: 0,
            limit,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many bytes more it should take.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.size)
    }

    /// What a small file will take.
    pub(super) fn small_size(&self, path_len: usize, size: u64) -> usize {
        let records = self.shared.records_max.load(Ordering::Relaxed);
        header::size_max(path_len, 0, 0, records) + header::padded(size as usize)
    }

    /// Appends what `write` appends.
    pub(super) fn ready(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.ready.len();
        write(&mut self.ready);
        let more = self.ready.len() - before;
        self.size += more;
        match self.items.last_mut() {
            Some(Item::Ready { len }) => *len += more,
            _ => self.items.push(Item::Ready { len: more }),
        }
    }

    pub(super) fn small(&mut self, dir: &Arc<Dir>, name: &CStr, meta: Meta) {
        self.size += self.small_size(dir.path.len() + name.count_bytes(), meta.size);
        if !self.dirs.last().is_some_and(|last| Arc::ptr_eq(last, dir)) {
            self.dirs.push(dir.clone());
        }
        let start = self.names.len();
        self.names.extend_from_slice(name.to_bytes_with_nul());
        self.items.push(Item::Small {
            dir: self.dirs.len() - 1,
            name: start..self.names.len(),
            meta,
        });
    }

    pub(super) fn stretch(&mut self, file: &Arc<Opened>, start: u64, len: u64) {
        file.expect();
        self.size += len as usize;
        self.items.push(Item::Stretch {
            file: file.clone(),
            start,
            len,
        });
    }
}

impl Piece for Batch {
    fn fill(self: Box<Self>, out: &mut Vec<u8>, notes: &Notes<'_>) -> Result<(), SourceError> {
        let mut attributes = Attributes::default();
        let mut path = Vec::new();
        let mut ready = &self.ready[..];
        let size_max = self.limit as u64;
        for item in &self.items {
            match item {
                Item::Ready { len } => {
                    let (now, later) = ready.split_at(*len);
                    out.extend_from_slice(now);
                    ready = later;
                }
                Item::Small { dir, name, meta } => {
                    let dir = &self.dirs[*dir];
                    let name = CStr::from_bytes_with_nul(&self.names[name.clone()])
                        .expect("names are kept with their NUL");
                    path.clear();
                    path.extend_from_slice(&dir.path);
                    path.extend_from_slice(name.to_bytes());
                    let small = Small {
                        dir,
                        name,
                        path: &path,
                        meta: *meta,
                        size_max,
                    };
                    small.append(out, &mut attributes, &self.shared, notes)?;
                }
                Item::Stretch { file, start, len } => {
                    file.append(*start, *len, out, &self.shared, notes)?;
                }
            }
        }
        Ok(())
    }
}
