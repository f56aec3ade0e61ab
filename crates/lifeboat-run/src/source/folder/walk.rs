//! The walk: one thread that looks at everything, opens few things, and hands batches on.
//!
//! It holds a stack of folders, of which only the last few are open; the others are found again
//! through `..`, and compared with what they were. So neither the depth of a tree nor the length of a
//! path is limited by descriptors, by the thread's stack or by `PATH_MAX`.

mod links;
mod regular;

use super::{
    Folder, Moment, Root,
    batch::Batch,
    entry::{Meta, Unopened, failed, shown},
    extended::{Attributes, Of},
    file::Shared,
    handle::{Dir, Handles, Permit},
    header::{self, Kind},
};
use crate::source::{Captured, Flow, SourceError};
use links::Links;
use rustix::{
    fs::{self, AtFlags, FileType, RawDir, fstat, statat},
    io::Errno,
};
use serde_json::{Map, Value};
use std::{
    ffi::{CStr, OsStr},
    mem::{self, MaybeUninit},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
};

/// One call for directory entries.
const LISTING_BYTES: usize = 64 << 10;

/// Names of subfolders that may wait while the rest of their folder is read.
const SUBFOLDERS_BYTES: usize = 256 << 10;

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

struct Frame {
    /// `None` while a folder further down is at hand.
    dir: Option<Arc<Dir>>,
    meta: Meta,
    path_len: usize,
    /// Still to be walked, each name with its NUL.
    subfolders: Vec<u8>,
    /// Everything in it has been listed.
    listed: bool,
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

    /// The folder at hand.
    fn here(&self) -> Result<Arc<Dir>, SourceError> {
        self.stack
            .last()
            .and_then(|frame| frame.dir.clone())
            .ok_or(SourceError::Stopped)
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

    fn enter(&mut self, name: &CStr) -> Result<(), SourceError> {
        let parent = self.here()?;
        let fd = match self.shared.handles.open_dir(&parent.fd, name) {
            Ok(fd) => fd,
            Err(error) => return self.closed(&parent, name, error),
        };
        let len = self.path.len();
        self.path.extend_from_slice(name.to_bytes());
        self.path.push(b'/');
        if !self.push(fd)? {
            self.path.truncate(len);
        }
        Ok(())
    }

    /// A folder that cannot be opened is in the archive all the same, without what is in it.
    fn closed(&mut self, parent: &Dir, name: &CStr, error: Errno) -> Result<(), SourceError> {
        if let (Errno::ACCESS | Errno::PERM, Ok(meta)) = (error, self.look(parent, name)) {
            let mut path = self.path_of(name);
            path.push(b'/');
            self.member(&path, Kind::Folder, &meta, &[])?;
        }
        self.note(name, Unopened::of(error, name.to_bytes()))
    }

    /// Archives the folder `fd`, whose path is `self.path`, and makes it the one at hand. `false` when
    /// it is left out.
    fn push(&mut self, fd: OwnedFd) -> Result<bool, SourceError> {
        let meta = fstat(&fd)
            .map(Meta::from)
            .map_err(|error| failed("look at", &self.path, error))?;
        let crosses = self
            .stack
            .last()
            .is_some_and(|above| above.meta.dev != meta.dev);
        if crosses && is_pseudo(&fd) {
            let path = self.path.clone();
            self.skip_path(&path, "a pseudo file system");
            return Ok(false);
        }
        let path = self.path.clone();
        let mut attributes = mem::take(&mut self.attributes);
        let records = self
            .shared
            .records(&mut attributes, Of::open(&fd), &path, self.flow.notes);
        self.member(&path, Kind::Folder, &meta, records)?;
        self.attributes = attributes;
        let permit = self.permit()?;
        self.stack.push(Frame {
            dir: Some(Arc::new(Dir {
                fd,
                path: path.into(),
                _permit: permit,
            })),
            meta,
            path_len: self.path.len(),
            subfolders: Vec::new(),
            listed: false,
        });
        self.close_distant();
        Ok(true)
    }

    /// Closes folders far up the path. Their listing must be done: its place is lost with the descriptor.
    fn close_distant(&mut self) {
        let most = self.shared.handles.path_most();
        let open = self.stack.len().saturating_sub(most);
        // The root stays open, to find a way back by.
        if let Some(frame) = self.stack[..open].last_mut()
            && open > 1
            && frame.listed
        {
            frame.dir = None;
        }
    }

    fn leave(&mut self) -> Result<(), SourceError> {
        let left = self.stack.pop();
        let Some(frame) = self.stack.last() else {
            return Ok(());
        };
        self.path.truncate(frame.path_len);
        if frame.dir.is_some() {
            return Ok(());
        }
        let left = left.and_then(|frame| frame.dir);
        self.reopen(left.as_deref())
    }

    /// Opens the folder at hand again, through the one that was left or else from the root.
    fn reopen(&mut self, left: Option<&Dir>) -> Result<(), SourceError> {
        let permit = self.permit()?;
        let Some(frame) = self.stack.last() else {
            return Ok(());
        };
        let wanted = frame.meta.id();
        let is_it = |fd: &OwnedFd| fstat(fd).is_ok_and(|stat| Meta::from(stat).id() == wanted);
        let found = left
            .and_then(|left| self.shared.handles.open_dir(&left.fd, c"..").ok())
            .filter(is_it)
            .or_else(|| self.down_from_root().filter(is_it));
        let path = self.path.clone();
        let Some(frame) = self.stack.last_mut() else {
            return Ok(());
        };
        match found {
            Some(fd) => {
                frame.dir = Some(Arc::new(Dir {
                    fd,
                    path: path.into(),
                    _permit: permit,
                }));
            }
            None => {
                if !mem::take(&mut frame.subfolders).is_empty() {
                    self.flow.notes.warn(format!(
                        "{}: moved away while it was read: not all of its folders are here",
                        shown(&path)
                    ));
                }
            }
        }
        Ok(())
    }

    fn down_from_root(&self) -> Option<OwnedFd> {
        let root = self.stack.first()?.dir.as_ref()?;
        let mut at = None;
        for name in self.path[self.prefix..].split(|byte| *byte == b'/') {
            if name.is_empty() {
                continue;
            }
            let name = std::ffi::CString::new(name).ok()?;
            let from = at.as_ref().unwrap_or(&root.fd);
            at = Some(self.shared.handles.open_dir(from, &name).ok()?);
        }
        at
    }

    /// The right to hold one more descriptor; hands on what is in hand while there is none.
    fn permit(&mut self) -> Result<Permit, SourceError> {
        loop {
            if let Some(permit) = self.shared.handles.try_take() {
                return Ok(permit);
            }
            self.flush()?;
            self.flow.cancel.check()?;
            self.shared.handles.wait();
        }
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

    fn later(&mut self, name: &CStr) {
        if let Some(frame) = self.stack.last_mut() {
            frame.subfolders.extend_from_slice(name.to_bytes_with_nul());
        }
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

impl Frame {
    /// Files come before subfolders, unless there are very many subfolders.
    fn wants_listing(&self) -> bool {
        !self.listed && self.subfolders.len() < SUBFOLDERS_BYTES
    }
}

/// Takes the last name off.
fn pop(names: &mut Vec<u8>) -> Option<std::ffi::CString> {
    let end = names.len().checked_sub(1)?;
    let start = names[..end]
        .iter()
        .rposition(|byte| *byte == 0)
        .map_or(0, |nul| nul + 1);
    let name = CStr::from_bytes_with_nul(&names[start..]).ok()?.to_owned();
    names.truncate(start);
    Some(name)
}

/// File systems that show the kernel's state and keep nothing.
fn is_pseudo(fd: &OwnedFd) -> bool {
    const PSEUDO: [u64; 18] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x1cd1,      // devpts
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0xcafe_4a11, // bpf
        0x6165_676c, // pstore
        0x1980_0202, // mqueue
        0xde5e_81e4, // efivarfs
        0x6265_6570, // configfs
        0x6573_5543, // fusectl
        0x4249_4e4d, // binfmt_misc
        0x6759_6969, // rpc_pipefs
        0x6e73_6673, // nsfs
        0x9584_58f6, // hugetlbfs
    ];
    // The magic number's width and sign differ between machines; its low 32 bits do not.
    #[allow(clippy::unnecessary_cast)]
    fs::fstatfs(fd).is_ok_and(|stat| PSEUDO.contains(&(stat.f_type as u64 & 0xffff_ffff)))
}
