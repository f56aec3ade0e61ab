//! The walk: one thread that looks at everything, opens few things, and hands batches on.
//!
//! It holds a stack of folders, of which only the last few are open; the others are found again
//! through `..`, and compared with what they were. So neither the depth of a tree nor the length of a
//! path is limited by descriptors, by the thread's stack or by `PATH_MAX`.

mod descent;
mod links;
mod regular;

use super::{
    Folder, Moment, Root,
    batch::Batch,
    entry::{Meta, Unopened, failed, shown},
    extended::{Attributes, Of},
    file::Shared,
    handle::{Dir, Handles},
    header::{self, Kind},
};
use crate::source::{Captured, Flow, SourceError};
use descent::{Frame, pop};
use links::Links;
use rustix::{
    fs::{self, AtFlags, FileType, RawDir, statat},
    io::Errno,
};
use serde_json::{Map, Value};
use std::{
    ffi::{CStr, OsStr},
    mem::{self, MaybeUninit},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
};

/// One call for directory entries.
const LISTING_BYTES: usize = 64 << 10;

/// How many skipped files and databases are named in the facts.
const KEPT: usize = 100;

pub(super) fn pour(folder: &Folder, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
    let mut walk = Walk::new(folder, flow);
    for root in &folder.roots {
        walk.root(root)?;
    }
    let empty = walk.members <= folder.roots.len() as u64;
    if let Some(before) = folder.options.entries_before
        && empty
        && before > folder.roots.len() as u64
    {
        return Err(SourceError::SuddenlyEmpty {
            what: folder.name.clone(),
            before,
        });
    }
    walk.batch.ready(|out| out.extend_from_slice(&header::END));
    walk.flush()?;
    Ok(Captured {
        entries: Some(0),
        facts: walk.facts(),
    })
}

struct Walk<'w, 'f> {
    folder: &'w Folder,
    flow: &'w mut Flow<'f>,
    shared: Arc<Shared>,
    batch: Batch,
    /// From the root to the folder at hand.
    stack: Vec<Frame>,
    /// Of the folder at hand, in the archive, with a slash at the end.
    path: Vec<u8>,
    /// How much of `path` stands for the root.
    prefix: usize,
    links: Links,
    attributes: Attributes,
    listing: Vec<MaybeUninit<u8>>,
    /// Members so far, as far as the walk can tell.
    members: u64,
    skipped: Vec<Value>,
    skipped_total: u64,
    databases: Vec<Value>,
}

/// A directory entry: what sorts it, what it is, where its name lies.
struct Listed {
    inode: u64,
    kind: FileType,
    start: usize,
}

impl<'w, 'f> Walk<'w, 'f> {
    fn new(folder: &'w Folder, flow: &'w mut Flow<'f>) -> Self {
        let shared = Arc::new(Shared {
            handles: Handles::new(),
            on_changed: folder.options.on_changed,
            watch: folder.options.watch.clone(),
            records_max: AtomicUsize::new(0),
        });
        Walk {
            batch: Batch::new(shared.clone(), flow.piece_size),
            folder,
            flow,
            shared,
            stack: Vec::new(),
            path: Vec::new(),
            prefix: 0,
            links: Links::default(),
            attributes: Attributes::default(),
            listing: vec![MaybeUninit::uninit(); LISTING_BYTES],
            members: 0,
            skipped: Vec::new(),
            skipped_total: 0,
            databases: Vec::new(),
        }
    }

    fn root(&mut self, root: &Root) -> Result<(), SourceError> {
        let opened = self.shared.handles.open_root(&root.path);
        let fd = opened.map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR => SourceError::Missing {
                what: root.path.display().to_string(),
            },
            error => SourceError::Io {
                action: "open",
                what: root.path.display().to_string(),
                error: error.into(),
            },
        })?;
        self.path.clear();
        self.path.extend_from_slice(&root.prefix);
        self.path.push(b'/');
        self.prefix = self.path.len();
        self.push(fd)?;
        while let Some(frame) = self.stack.last_mut() {
            self.flow.cancel.check()?;
            if frame.wants_listing() {
                self.list()?;
            } else if let Some(name) = pop(&mut frame.subfolders) {
                self.enter(&name)?;
            } else if frame.listed {
                self.leave()?;
            } else {
                self.list()?;
            }
        }
        Ok(())
    }

    /// Reads one stretch of the folder at hand and archives its files.
    fn list(&mut self) -> Result<(), SourceError> {
        let dir = self.here()?;
        let mut names = Vec::new();
        let mut entries = Vec::new();
        let mut at_end = false;
        let mut raw = RawDir::new(&dir.fd, &mut self.listing);
        loop {
            match raw.next() {
                // A folder that was removed has no entries any more.
                None | Some(Err(Errno::NOENT)) => at_end = true,
                Some(Err(error)) => return Err(failed("list", &dir.path, error)),
                Some(Ok(entry)) => {
                    let name = entry.file_name();
                    if !matches!(name.to_bytes(), b"." | b"..") {
                        entries.push(Listed {
                            inode: entry.ino(),
                            kind: entry.file_type(),
                            start: names.len(),
                        });
                        names.extend_from_slice(name.to_bytes_with_nul());
                    }
                }
            }
            if at_end || raw.is_buffer_empty() {
                break;
            }
        }
        if at_end && let Some(frame) = self.stack.last_mut() {
            frame.listed = true;
        }
        entries.sort_unstable_by_key(|entry| entry.inode);
        for entry in entries {
            self.flow.cancel.check()?;
            let Ok(name) = CStr::from_bytes_until_nul(&names[entry.start..]) else {
                continue;
            };
            self.entry(&dir, name, entry.kind)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &Arc<Dir>, name: &CStr, kind: FileType) -> Result<(), SourceError> {
        if kind == FileType::Directory {
            if !self.is_excluded(name, true) {
                self.later(name);
            }
            return Ok(());
        }
        let meta = match self.look(dir, name) {
            Ok(meta) => meta,
            Err(error) => return self.note(name, Unopened::of(error, name.to_bytes())),
        };
        if meta.kind() == FileType::Directory {
            if !self.is_excluded(name, true) {
                self.later(name);
            }
            return Ok(());
        }
        if self.is_excluded(name, false) {
            return Ok(());
        }
        self.shared.watch.at(Moment::Walked, &self.path_of(name));
        if meta.links > 1
            && let Some(first) = self.links.take(&meta)
        {
            let path = self.path_of(name);
            self.member(&path, Kind::Link(&first), &meta, &[])?;
            return Ok(());
        }
        match meta.kind() {
            FileType::RegularFile => return self.regular(dir, name, meta),
            FileType::Symlink => match fs::readlinkat(&dir.fd, name, Vec::new()) {
                Ok(target) => self.special(dir, name, Kind::Symlink(target.to_bytes()), &meta)?,
                Err(error) => {
                    // No symbolic link any more, as EINVAL says.
                    let error = if error == Errno::INVAL {
                        Errno::LOOP
                    } else {
                        error
                    };
                    return self.note(name, Unopened::of(error, name.to_bytes()));
                }
            },
            FileType::Fifo => self.special(dir, name, Kind::Fifo, &meta)?,
            FileType::CharacterDevice => self.special(dir, name, Kind::CharDevice, &meta)?,
            FileType::BlockDevice => self.special(dir, name, Kind::BlockDevice, &meta)?,
            FileType::Socket => self.skip(name, "a socket"),
            _ => self.skip(name, "of no known kind"),
        }
        Ok(())
    }

    fn look(&self, dir: &Dir, name: &CStr) -> Result<Meta, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        statat(&dir.fd, name, flags).map(Meta::from)
    }

    /// A member that is all header, of a file that is never opened.
    fn special(
        &mut self,
        dir: &Dir,
        name: &CStr,
        kind: Kind<'_>,
        meta: &Meta,
    ) -> Result<(), SourceError> {
        let path = self.path_of(name);
        let mut attributes = mem::take(&mut self.attributes);
        let of = Of::Named(dir.fd.as_fd(), name);
        let records = self
            .shared
            .records(&mut attributes, of, &path, self.flow.notes);
        self.member(&path, kind, meta, records)?;
        self.attributes = attributes;
        self.links.add(meta, &path, self.flow.notes);
        Ok(())
    }

    /// Appends a header.
    fn member(
        &mut self,
        path: &[u8],
        kind: Kind<'_>,
        meta: &Meta,
        records: &[u8],
    ) -> Result<(), SourceError> {
        let size = header::size_max(path.len(), 0, 0, records.len());
        self.make_room(size)?;
        self.batch
            .ready(|out| header::encode(out, path, kind, meta, records));
        self.flow.notes.entry();
        self.members += 1;
        Ok(())
    }

    fn make_room(&mut self, size: usize) -> Result<(), SourceError> {
        if self.batch.room() < size {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let next = Batch::new(self.shared.clone(), self.flow.piece_size);
        let batch = mem::replace(&mut self.batch, next);
        self.flow.send(Box::new(batch))
    }

    fn is_excluded(&self, name: &CStr, is_folder: bool) -> bool {
        if self.folder.exclude.is_empty() {
            return false;
        }
        let path = self.path_of(name);
        let path = Path::new(OsStr::from_bytes(&path[self.prefix..]));
        self.folder.exclude.matched(path, is_folder).is_ignore()
    }

    fn path_of(&self, name: &CStr) -> Vec<u8> {
        [&self.path, name.to_bytes()].concat()
    }

    fn note(&self, name: &CStr, why: Unopened) -> Result<(), SourceError> {
        match why {
            Unopened::Noted(why) => {
                let path = self.path_of(name);
                self.flow.notes.warn(format!("{}: {why}", shown(&path)));
                Ok(())
            }
            Unopened::Fatal(error) => Err(error),
        }
    }

    fn skip(&mut self, name: &CStr, what: &str) {
        let path = self.path_of(name);
        self.skip_path(&path, what);
    }

    fn skip_path(&mut self, path: &[u8], what: &str) {
        self.skipped_total += 1;
        if self.skipped.len() < KEPT {
            self.skipped.push(format!("{}: {what}", shown(path)).into());
        }
    }

    /// What is left out as it should be is a fact, not a warning.
    fn facts(self) -> Map<String, Value> {
        let mut facts = Map::new();
        if self.skipped_total > 0 {
            facts.insert("skipped".to_owned(), self.skipped.into());
            facts.insert("skipped_total".to_owned(), self.skipped_total.into());
        }
        if !self.databases.is_empty() {
            facts.insert("sqlite".to_owned(), self.databases.into());
        }
        facts
    }
}
