//! The folders of a staging folder: made on the way, finished at the end.

use super::{Apply, failed, refused, split};
use crate::unseal::{
    UnsealError,
    tar::{Meta, shown},
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{collections::HashMap, os::fd::OwnedFd, path::Path, sync::Arc};

/// Folders that are held open on the way to the last one. Deeper trees are walked again from the top
/// now and then.
const OPEN_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Folders {
    root: Arc<OwnedFd>,
    /// The folder that was opened last, and those above it, as long as they are held.
    path: Vec<u8>,
    open: Vec<Held>,
    /// Made because something lies in them, before (or without) an entry of their own.
    implied: HashMap<Vec<u8>, ()>,
    unfinished: Unfinished,
}

#[derive(Debug)]
struct Held {
    /// How much of `path` names it.
    end: usize,
    fd: Arc<OwnedFd>,
}

impl Folders {
    /// Takes an empty folder, and makes it private.
    pub(super) fn start(staging: &Path) -> Result<Self, UnsealError> {
        let io = |action: &'static str| {
            move |errno: Errno| UnsealError::Io {
                action,
                what: staging.display().to_string(),
                error: errno.into(),
            }
        };
        let root = rustix::fs::open(staging, FOLDER, Mode::empty()).map_err(io("open"))?;
        for entry in rustix::fs::Dir::read_from(&root).map_err(io("list"))? {
            if !matches!(
                entry.map_err(io("list"))?.file_name().to_bytes(),
                b"." | b".."
            ) {
                return Err(io("extract into")(Errno::NOTEMPTY));
            }
        }
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o700)).map_err(io("close to others"))?;
        // Else every file would be born with the access list of whatever folder this is in.
        match rustix::fs::fremovexattr(&root, "system.posix_acl_default") {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(io("close to others")(errno)),
        }
        Ok(Folders {
            root: Arc::new(root),
            path: Vec::new(),
            open: Vec::new(),
            implied: HashMap::new(),
            unfinished: Unfinished::default(),
        })
    }

    pub(super) fn root(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.root)
    }

    /// The folder that all of it is in has an entry of its own.
    pub(super) fn has_root(&self) -> bool {
        self.unfinished.has_root
    }

    /// An entry of its own for a folder.
    pub(super) fn make(&mut self, file: &str, path: &[u8], meta: &Meta) -> Result<(), UnsealError> {
        if !path.is_empty() {
            let (parent, name) = split(path);
            let parent = self.open(file, parent)?;
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(Errno::EXIST) if self.implied.remove(path).is_some() => {}
                Err(errno) => return Err(refused(file, "create", path, errno)),
            }
        } else if self.unfinished.has_root {
            return Err(refused(file, "create", path, Errno::EXIST));
        }
        self.unfinished.push(path, meta);
        Ok(())
    }

    /// The folder `path`, made if it is not there.
    pub(super) fn open(&mut self, file: &str, path: &[u8]) -> Result<Arc<OwnedFd>, UnsealError> {
        self.walk(path, true).map_err(|(at, errno)| match errno {
            Errno::NOTDIR | Errno::LOOP => UnsealError::Hostile {
                file: file.to_owned(),
                reason: format!(
                    "an entry lies below {}, which is no folder",
                    shown(&path[..at])
                ),
            },
            errno => failed("open", &path[..at], errno),
        })
    }

    /// The folder `path`, if there is such a folder.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<Option<Arc<OwnedFd>>, UnsealError> {
        match self.walk(path, false) {
            Ok(fd) => Ok(Some(fd)),
            Err((_, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => Ok(None),
            Err((at, errno)) => Err(failed("open", &path[..at], errno)),
        }
    }

    /// Down from the deepest folder on the way that is still held. An error says how far it came.
    fn walk(&mut self, path: &[u8], make: bool) -> Result<Arc<OwnedFd>, (usize, Errno)> {
        while let Some(held) = self.open.last() {
            let is_above = path.get(..held.end) == Some(&self.path[..held.end])
                && matches!(path.get(held.end), None | Some(b'/'));
            if is_above {
                break;
            }
            self.open.pop();
        }
        let (mut end, mut fd) = match self.open.last() {
            Some(held) => (held.end, Arc::clone(&held.fd)),
            None => (0, Arc::clone(&self.root)),
        };
        self.path.truncate(end);
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            let length = path[start..].iter().position(|&byte| byte == b'/');
            end = length.map_or(path.len(), |length| start + length);
            let name = &path[start..end];
            let next = match rustix::fs::openat(&fd, name, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) if make => {
                    rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(0o755))
                        .map_err(|errno| (end, errno))?;
                    self.implied.insert(path[..end].to_vec(), ());
                    rustix::fs::openat(&fd, name, FOLDER, Mode::empty())
                }
                opened => opened,
            };
            fd = Arc::new(next.map_err(|errno| (end, errno))?);
            self.path.extend_from_slice(&path[self.path.len()..end]);
            if self.open.len() == OPEN_MAX {
                self.open.remove(0);
            }
            self.open.push(Held {
                end,
                fd: Arc::clone(&fd),
            });
        }
        Ok(fd)
    }

    /// Gives all folders what their entries said. A folder that would shut us out comes last.
    pub(super) fn finish(mut self, apply: &Apply<'_>) -> Result<(), UnsealError> {
        let unfinished = std::mem::take(&mut self.unfinished);
        let mut shut = Vec::new();
        let mut records = unfinished.records();
        while let Some((path, meta)) = records.next() {
            if meta.mode & 0o500 != 0o500 {
                shut.push((path.to_vec(), meta));
                continue;
            }
            let fd = self
                .walk(path, false)
                .map_err(|(_, errno)| failed("open", path, errno))?;
            apply.to_file(&fd, path, &meta)?;
        }
        for (path, meta) in shut.into_iter().rev() {
            let fd = self
                .walk(&path, false)
                .map_err(|(_, errno)| failed("open", &path, errno))?;
            apply.to_file(&fd, &path, &meta)?;
        }
        Ok(())
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The folders that wait for their owners, modes and times: some 40 bytes each, so that a million of
/// them can wait. A path is kept as what it shares with the one before, and the rest.
#[derive(Debug, Default)]
struct Unfinished {
    bytes: Vec<u8>,
    last: Vec<u8>,
    has_root: bool,
    /// The few that have attributes or access lists, by their place in the order.
    extras: HashMap<u32, Meta>,
    count: u32,
}

/// Six numbers of 32 bits, and one of 64.
const FIXED: usize = 6 * 4 + 8;

impl Unfinished {
    fn push(&mut self, path: &[u8], meta: &Meta) {
        self.has_root |= path.is_empty();
        let shared = self
            .last
            .iter()
            .zip(path)
            .take_while(|(one, other)| one == other)
            .count();
        let rest = &path[shared..];
        for number in [
            shared as u32,
            rest.len() as u32,
            meta.mode,
            meta.uid,
            meta.gid,
            meta.mtime_nanos,
        ] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.bytes
            .extend_from_slice(&meta.mtime_seconds.to_le_bytes());
        self.bytes.extend_from_slice(rest);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        if !meta.xattrs.is_empty() || meta.acl_access.is_some() || meta.acl_default.is_some() {
            self.extras.insert(self.count, meta.clone());
        }
        self.count += 1;
    }

    fn records(self) -> Records {
        Records {
            unfinished: self,
            at: 0,
            index: 0,
            path: Vec::new(),
        }
    }
}

struct Records {
    unfinished: Unfinished,
    at: usize,
    index: u32,
    path: Vec<u8>,
}

impl Records {
    fn next(&mut self) -> Option<(&[u8], Meta)> {
        let record = self.unfinished.bytes.get(self.at..)?;
        let (fixed, rest) = record.split_at_checked(FIXED)?;
        let (numbers, seconds) = fixed.split_at(24);
        let number = |at: usize| {
            let bytes = numbers[at * 4..at * 4 + 4].try_into();
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let (shared, length) = (number(0) as usize, number(1) as usize);
        self.path.truncate(shared);
        self.path.extend_from_slice(&rest[..length]);
        let meta = self.unfinished.extras.remove(&self.index);
        let meta = meta.unwrap_or_else(|| Meta {
            mode: number(2),
            uid: number(3),
            gid: number(4),
            mtime_nanos: number(5),
            mtime_seconds: i64::from_le_bytes(seconds.try_into().unwrap_or_default()),
            ..Meta::default()
        });
        self.at += FIXED + length;
        self.index += 1;
        Some((&self.path, meta))
    }
}
