//! Open folders and files, counted: a process may have few descriptors, and the walk runs ahead of
//! the threads that read.

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
    path::Arg,
    process::{Resource, getrlimit},
};
use std::{
    ffi::CStr,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Descriptors that the walk holds or has handed on, all in all.
#[derive(Debug)]
pub(super) struct Handles {
    free: Mutex<usize>,
    returned: Condvar,
    most: usize,
    /// Whether files may be opened without touching their access time (owner or `CAP_FOWNER`).
    noatime: AtomicBool,
}

/// The right to one descriptor.
#[derive(Debug)]
pub(super) struct Permit(Arc<Handles>);

impl Handles {
    /// A quarter of what the process may open: the rest is for reading, for the store, and for
    /// whatever else it does meanwhile.
    pub(super) fn new() -> Arc<Self> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(4096);
        let most = (limit / 4).clamp(8, 1024) as usize;
        Arc::new(Handles {
            free: Mutex::new(most),
            returned: Condvar::new(),
            most,
            noatime: AtomicBool::new(true),
        })
    }

    /// How many folders of the current path are kept open.
    pub(super) fn path_most(&self) -> usize {
        (self.most / 2).min(16)
    }

    pub(super) fn try_take(self: &Arc<Self>) -> Option<Permit> {
        let mut free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        *free = free.checked_sub(1)?;
        Some(Permit(self.clone()))
    }

    /// Waits a moment for one to come back.
    pub(super) fn wait(&self) {
        let free = self.free.lock().unwrap_or_else(|e| e.into_inner());
        if *free == 0 {
            let _ = self.returned.wait_timeout(free, Duration::from_millis(50));
        }
    }

    /// Follows symbolic links: whoever configured the path knows where it leads.
    pub(super) fn open_root(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.open(fs::CWD, path, OFlags::DIRECTORY)
    }

    pub(super) fn open_file(&self, dir: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        // O_NONBLOCK: what was a file a moment ago may be a FIFO now.
        self.open(
            dir,
            name,
            OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY,
        )
    }

    pub(super) fn open_dir(&self, dir: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
        self.open(dir, name, OFlags::NOFOLLOW | OFlags::DIRECTORY)
    }

    fn open(&self, dir: impl AsFd, name: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
        if self.noatime.load(Ordering::Relaxed) {
            match fs::openat(&dir, name, flags | OFlags::NOATIME, Mode::empty()) {
                Err(Errno::PERM) => self.noatime.store(false, Ordering::Relaxed),
                result => return result,
            }
        }
        fs::openat(dir, name, flags, Mode::empty())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(|e| e.into_inner()) += 1;
        self.0.returned.notify_one();
    }
}

/// An open folder, shared by the walk and by the files below it that have not been read yet.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) fd: OwnedFd,
    /// As in the archive, with a slash at the end.
    pub(super) path: Box<[u8]>,
    pub(super) _permit: Permit,
}
