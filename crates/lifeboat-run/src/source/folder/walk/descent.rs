//! The way down and up again: a stack of folders, of which only the last few are open.

use super::Walk;
use crate::source::{
    SourceError,
    folder::{
        entry::{Meta, Unopened, failed, shown},
        extended::Of,
        handle::{Dir, Permit},
        header::Kind,
    },
};
use rustix::{
    fs::{self, fstat},
    io::Errno,
};
use std::{
    ffi::{CStr, CString},
    mem,
    os::fd::OwnedFd,
    sync::Arc,
};

/// Names of subfolders that may wait while the rest of their folder is read.
const SUBFOLDERS_BYTES: usize = 256 << 10;

/// A folder between the root and the one at hand, or that one itself.
pub(super) struct Frame {
    /// `None` while a folder further down is at hand.
    dir: Option<Arc<Dir>>,
    meta: Meta,
    path_len: usize,
    /// Still to be walked, each name with its NUL.
    pub(super) subfolders: Vec<u8>,
    /// Everything in it has been listed.
    pub(super) listed: bool,
}

impl Walk<'_, '_> {
    /// The folder at hand.
    pub(super) fn here(&self) -> Result<Arc<Dir>, SourceError> {
        self.stack
            .last()
            .and_then(|frame| frame.dir.clone())
            .ok_or(SourceError::Stopped)
    }

    pub(super) fn later(&mut self, name: &CStr) {
        if let Some(frame) = self.stack.last_mut() {
            frame.subfolders.extend_from_slice(name.to_bytes_with_nul());
        }
    }

    pub(super) fn enter(&mut self, name: &CStr) -> Result<(), SourceError> {
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
    pub(super) fn push(&mut self, fd: OwnedFd) -> Result<bool, SourceError> {
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

    pub(super) fn leave(&mut self) -> Result<(), SourceError> {
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
            let name = CString::new(name).ok()?;
            let from = at.as_ref().unwrap_or(&root.fd);
            at = Some(self.shared.handles.open_dir(from, &name).ok()?);
        }
        at
    }

    /// The right to hold one more descriptor; hands on what is in hand while there is none.
    pub(super) fn permit(&mut self) -> Result<Permit, SourceError> {
        loop {
            if let Some(permit) = self.shared.handles.try_take() {
                return Ok(permit);
            }
            self.flush()?;
            self.flow.cancel.check()?;
            self.shared.handles.wait();
        }
    }
}

impl Frame {
    /// Files come before subfolders, unless there are very many subfolders.
    pub(super) fn wants_listing(&self) -> bool {
        !self.listed && self.subfolders.len() < SUBFOLDERS_BYTES
    }
}

/// Takes the last name off.
pub(super) fn pop(names: &mut Vec<u8>) -> Option<CString> {
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
