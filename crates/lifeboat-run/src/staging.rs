//! A private folder in which a restore takes shape, and the step by which it becomes the target.
//!
//! It lies beside the target, so that one rename makes all of it appear at once. Where the target is the
//! root of a mounted volume no rename can replace it: then it lies inside, and each top-level entry is
//! moved up when everything is there and has been found right.

use crate::{restore::RestoreError, unseal};
use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

const PREFIX: &str = ".lifeboat-restore";

/// Gone when dropped, unless it became the target.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    target: PathBuf,
    inside: bool,
    /// Held while it is in use: what nobody holds was left by a restore that was killed.
    _held: OwnedFd,
}

impl Staging {
    pub(crate) fn for_target(target: &Path) -> Result<Self, RestoreError> {
        let Some(name) = target.file_name() else {
            return Err(RestoreError::Refused(format!(
                "{} has no name to restore to",
                target.display()
            )));
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
        let inside = is_mount_point(target, parent)?;
        let path = match inside {
            true => target.join(PREFIX),
            false => parent.join(format!("{PREFIX}.{}", name.to_string_lossy())),
        };
        if path.exists() {
            remove_if_left_behind(&path)?;
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(failed("make", &path))?;
        let held = hold(&path)?.ok_or_else(|| busy(target))?;
        Ok(Staging {
            path,
            target: target.to_owned(),
            inside,
            _held: held,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes everything in it durable, and then visible under the target's name.
    pub(crate) fn publish(self) -> Result<(), RestoreError> {
        match self.inside {
            false => self.take_the_targets_place(),
            true => self.move_up(),
        }
    }

    fn take_the_targets_place(self) -> Result<(), RestoreError> {
        if let Ok(meta) = fs::metadata(&self.target) {
            // Whoever made the folder chose its owner and mode.
            let mode = Mode::from_raw_mode(meta.mode() & 0o7777);
            rustix::fs::chmod(&self.path, mode)
                .map_err(|e| failed("set the mode of", &self.path)(e.into()))?;
            let _ = std::os::unix::fs::chown(&self.path, Some(meta.uid()), Some(meta.gid()));
        }
        Ok(unseal::publish(&self.path, &self.target)?)
    }

    fn move_up(self) -> Result<(), RestoreError> {
        let folder = open_folder(&self.path).map_err(failed("open", &self.path))?;
        rustix::fs::syncfs(&folder).map_err(|e| failed("make durable", &self.path)(e.into()))?;
        let entries: io::Result<Vec<_>> = fs::read_dir(&self.path)
            .and_then(|entries| entries.map(|e| Ok(e?.file_name())).collect());
        let entries = entries.map_err(failed("list", &self.path))?;
        for (moved, name) in entries.iter().enumerate() {
            if let Err(error) = rename(&self.path.join(name), &self.target.join(name)) {
                for name in &entries[..moved] {
                    // One that cannot go back stays where it was wanted, whole.
                    let _ = rename(&self.target.join(name), &self.path.join(name));
                }
                return Err(error);
            }
        }
        fs::remove_dir(&self.path).map_err(failed("remove", &self.path))?;
        sync_parent(&self.path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a publication it is not there any more.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Is an empty folder at `target` as far as a restore is concerned?
pub(crate) fn is_staging(name: &std::ffi::OsStr) -> bool {
    name == PREFIX
}

fn is_mount_point(target: &Path, parent: &Path) -> Result<bool, RestoreError> {
    let Ok(meta) = fs::symlink_metadata(target) else {
        return Ok(false);
    };
    let above = fs::metadata(parent).map_err(failed("look at", parent))?;
    if meta.dev() != above.dev() {
        return Ok(true);
    }
    // A bind mount of the same file system has the same device; only the mount table tells.
    let real = fs::canonicalize(target).map_err(failed("look at", target))?;
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(table.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|point| Path::new(point) == real)
    }))
}

fn remove_if_left_behind(path: &Path) -> Result<(), RestoreError> {
    match hold(path)? {
        Some(_held) => {
            fs::remove_dir_all(path).map_err(failed("remove what an earlier restore left,", path))
        }
        None => Err(busy(path)),
    }
}

/// `None` when somebody else holds it.
fn hold(path: &Path) -> Result<Option<OwnedFd>, RestoreError> {
    let folder = open_folder(path).map_err(failed("open", path))?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(folder)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed("lock", path)(error.into())),
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn rename(from: &Path, to: &Path) -> Result<(), RestoreError> {
    use rustix::{fs::CWD, io::Errno};
    let done = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not known to this file system (NFS, some FUSE): then look first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(Errno::EXIST),
            Err(_) => rustix::fs::rename(from, to),
        },
        done => done,
    };
    done.map_err(|e| failed("make", to)(e.into()))
}

fn sync_parent(path: &Path) -> Result<(), RestoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = open_folder(parent).map_err(failed("open", parent))?;
    rustix::fs::fsync(folder).map_err(|e| failed("make durable", parent)(e.into()))
}

fn busy(target: &Path) -> RestoreError {
    RestoreError::Refused(format!(
        "another restore to {} is under way",
        target.display()
    ))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |error| RestoreError::Io {
        action,
        path,
        error,
    }
}
