//! What is in a folder now. Changes nothing.

use super::{
    BesideError, PREFIX, Result, Watch,
    entries::{names, open_folder},
    io, mounts, step,
};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, os::fd::OwnedFd, path::Path};

/// Deeper folders are not counted: each one on the way is held open.
const DEPTH_MAX: usize = 200;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// All that is in it, however deep.
    pub entries: u64,
    /// That they take on the disk.
    pub bytes: u64,
    /// Of its file system, for whoever is not the whole root.
    pub free: u64,
    /// What earlier restores left.
    pub left: Vec<String>,
}

pub fn look(path: &Path, watch: &Watch<'_>) -> Result<Seen> {
    let shown = path.display().to_string();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, flags, Mode::empty()).map_err(io("open", &shown))?;
    mounts::refuse_inner(path)?;
    let disk = rustix::fs::fstatvfs(&root).map_err(io("look at", &shown))?;
    let mut seen = Seen {
        free: disk.f_bavail.saturating_mul(disk.f_frsize),
        ..Seen::default()
    };
    for name in names(&root)? {
        if name.as_bytes().starts_with(PREFIX.as_bytes()) {
            seen.left.push(name.to_string_lossy().into_owned());
        }
    }
    let mut count = Count {
        seen: &mut seen,
        linked: HashSet::new(),
        watch,
    };
    count.folder(&root, 0)?;
    Ok(seen)
}

struct Count<'a> {
    seen: &'a mut Seen,
    linked: HashSet<u64>,
    watch: &'a Watch<'a>,
}

impl Count<'_> {
    fn folder(&mut self, folder: &OwnedFd, depth: usize) -> Result<()> {
        step(self.watch)?;
        for name in names(folder)? {
            let stat = match rustix::fs::statat(folder, &*name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Whoever uses it is not held yet.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(errno) => return Err(io("look at", &name.to_string_lossy())(errno)),
            };
            self.seen.entries += 1;
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if is_folder || stat.st_nlink == 1 || self.linked.insert(stat.st_ino) {
                self.seen.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            }
            if !is_folder || depth == DEPTH_MAX {
                continue;
            }
            match open_folder(folder, &*name) {
                Ok(inner) => self.folder(&inner, depth + 1)?,
                Err(BesideError::Io { error, .. })
                    if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
