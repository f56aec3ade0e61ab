//! The folder in which a copy is made, and what becomes of it if we are killed.
//!
//! Every capture works in a folder of its own, `sqlite-<pid>-<n>`, which goes away with everything in
//! it when the capture ends, well or not. After a `kill -9` it stays; it is known as stale by its
//! lock, which a process of any container holds only as long as it lives.

use super::{SqliteError, place::Part};
use rustix::{
    fs::{self, FlockOperation, Mode, OFlags},
    io::Errno,
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

const PREFIX: &str = "sqlite-";

static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(super) struct Folder {
    scratch: PathBuf,
    path: PathBuf,
    _lock: File,
}

/// Removes what captures that were killed have left behind; says how many.
pub fn sweep(scratch: &Path) -> io::Result<usize> {
    let entries = match scratch.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        if !is_ours(&entry.file_name().to_string_lossy()) || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = entry.path();
        if let Ok(_lock) = lock(&path) {
            std::fs::remove_dir_all(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_ours(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(pid, n)| is_number(pid) && is_number(n))
}

fn lock(folder: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::open(folder, flags, Mode::empty())?;
    fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
    Ok(fd.into())
}

impl Folder {
    pub(super) fn make(scratch: &Path) -> Result<Self, SqliteError> {
        let trouble = |action: &'static str, error: io::Error| SqliteError::Scratch {
            action,
            scratch: scratch.to_owned(),
            reason: error.to_string(),
        };
        let scratch = scratch
            .canonicalize()
            .map_err(|error| trouble("work", error))?;
        loop {
            let n = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = scratch.join(format!("{PREFIX}{}-{n}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                // Left by a process of this number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(trouble("make a folder", error)),
            }
            // A sweep may take the folder in the instant before it is locked.
            if let Ok(lock) = lock(&path)
                && path.exists()
            {
                return Ok(Folder {
                    scratch,
                    path,
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.part(Part::Database)
    }

    pub(super) fn part(&self, part: Part) -> PathBuf {
        self.path.join(part.of("copy".as_ref()))
    }

    /// A new file in here, for nobody else's eyes.
    pub(super) fn create(&self, path: &Path) -> Result<File, SqliteError> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| self.trouble("create a file", error))
    }

    /// What is full later is better known now.
    pub(super) fn demand_room(&self, need: u64) -> Result<(), SqliteError> {
        let free = self.free()?;
        if need > free {
            return Err(self.no_room(need, free));
        }
        Ok(())
    }

    /// There was room, but somebody else took it.
    pub(super) fn full(&self, need: u64) -> SqliteError {
        let free = self.free().unwrap_or(0);
        self.no_room(need, free)
    }

    fn free(&self) -> Result<u64, SqliteError> {
        let stat = fs::statvfs(&self.path).map_err(|errno| self.trouble("look for room", errno))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn no_room(&self, need: u64, free: u64) -> SqliteError {
        SqliteError::NoRoom {
            scratch: self.scratch.clone(),
            need,
            free,
        }
    }

    pub(super) fn trouble(&self, action: &'static str, reason: impl ToString) -> SqliteError {
        SqliteError::Scratch {
            action,
            scratch: self.scratch.clone(),
            reason: reason.to_string(),
        }
    }

    /// Gives a backup the schema cookie of its original: the backup API counts from one again.
    pub(super) fn restore_schema_cookie(&self, cookie: u32) -> Result<(), SqliteError> {
        OpenOptions::new()
            .write(true)
            .open(self.database())
            .and_then(|file| file.write_all_at(&cookie.to_be_bytes(), 40))
            .map_err(|error| self.trouble("finish the copy", error))
    }

    pub(super) fn open_copy(&self) -> Result<(File, u64), SqliteError> {
        let file =
            File::open(self.database()).map_err(|error| self.trouble("open the copy", error))?;
        let size = file
            .metadata()
            .map_err(|error| self.trouble("open the copy", error))?
            .size();
        Ok((file, size))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is swept: its lock goes with us.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
