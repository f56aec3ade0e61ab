//! Files that are not finished: where they lie, who is still at them, and how they become objects.

use super::root::{FILE_MODE, INNER_WORK_FOLDER, Root, WORK_FOLDER, folder_of};
use crate::{Error, Key, Result};
use rustix::{
    fs::{AtFlags, Dir, FlockOperation, OFlags, flock, fstat, openat, statat},
    io::Errno,
};
use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

const ENDING: &str = ".unfinished";

/// A file under a name that no backup has, locked as long as somebody is at it. Dropping it before it
/// is published removes it.
#[derive(Debug)]
pub(super) struct Work {
    root: Arc<Root>,
    path: String,
    file: File,
    published: bool,
}

impl Work {
    /// A new file that one rename can take into `folder`, which is made when it is missing.
    pub(super) fn create(root: &Arc<Root>, folder: &str) -> rustix::io::Result<Self> {
        root.make_folders(folder)?;
        let work_folder = root.work_folder(folder)?;
        root.make_folders(&work_folder)?;
        loop {
            let path = format!("{work_folder}/{}", new_name());
            let file = openat(
                root.fd(),
                &path,
                OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC,
                FILE_MODE,
            )?;
            let work = Work {
                root: Arc::clone(root),
                path,
                file: file.into(),
                published: false,
            };
            match flock(&work.file, FlockOperation::NonBlockingLockExclusive) {
                // A sweep has found the file before it could be locked; it is the sweep's now.
                Err(Errno::WOULDBLOCK) => continue,
                Ok(()) if fstat(&work.file)?.st_nlink == 0 => continue,
                Ok(()) => return Ok(work),
                // No locks here: a sweep finds out the same and keeps its hands off.
                Err(error) if no_locks(error) => return Ok(work),
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Syncs the file and makes it the object `key`, durably. After an error there is no such object,
    /// and the bytes are never tried again: what a failed fsync has dropped it does not write later.
    pub(super) fn publish(mut self, key: &Key) -> Result<()> {
        let key = key.as_str();
        self.file
            .sync_all()
            .map_err(|e| Error::io("write", key, e))?;
        self.root
            .rename_new(&self.path, key)
            .map_err(|e| Error::io("publish", key, e.into()))?;
        self.published = true;
        self.root.sync_up(folder_of(key)).map_err(|e| {
            let _ = self.root.unlink(key);
            Error::io("publish", key, e.into())
        })
    }

    /// As [`Work::publish`], in the place of whatever has the key now.
    pub(super) fn publish_over(mut self, key: &Key) -> Result<()> {
        let key = key.as_str();
        self.file
            .sync_all()
            .map_err(|e| Error::io("write", key, e))?;
        self.root
            .rename_over(&self.path, key)
            .map_err(|e| Error::io("replace", key, e.into()))?;
        self.published = true;
        self.root
            .sync_up(folder_of(key))
            .map_err(|e| Error::io("replace", key, e.into()))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept later.
            let _ = self.root.unlink(&self.path);
        }
    }
}

/// Removes the files in `work_folder` that nobody is at, and adds their paths to `swept`.
pub(super) fn sweep(
    root: &Root,
    work_folder: &str,
    dry_run: bool,
    swept: &mut Vec<String>,
) -> Result<()> {
    let failed = |e: Errno| Error::io("sweep", work_folder, e.into());
    let folder = match root.open_folder(work_folder) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    for entry in Dir::read_from(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().ok().filter(|n| is_ours(n)) else {
            continue;
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&folder, name, flags, rustix::fs::Mode::empty()) {
            Err(Errno::NOENT | Errno::LOOP) => continue,
            opened => opened.map_err(failed)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => continue,
            Err(error) if no_locks(error) => continue,
            done => done.map_err(failed)?,
        }
        // Published while we looked: the name is gone, and the file is an object.
        if statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            continue;
        }
        if !dry_run {
            match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
                Err(Errno::NOENT) => continue,
                done => done.map_err(failed)?,
            }
        }
        swept.push(format!("{work_folder}/{name}"));
    }
    Ok(())
}

/// Whether `path` lies where unfinished files lie: no object may.
pub(super) fn is_work_path(path: &str) -> bool {
    path.strip_prefix(WORK_FOLDER)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        || path.split('/').any(|word| word == INNER_WORK_FOLDER)
}

fn is_ours(name: &str) -> bool {
    let words = name
        .strip_suffix(ENDING)
        .and_then(|name| name.split_once('-'));
    words.is_some_and(|(nonce, count)| {
        nonce.len() == 16
            && nonce.bytes().all(|b| b.is_ascii_hexdigit())
            && !count.is_empty()
            && count.bytes().all(|b| b.is_ascii_digit())
    })
}

fn new_name() -> String {
    static NONCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{count}{ENDING}", *NONCE)
}

fn no_locks(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL
    )
}
