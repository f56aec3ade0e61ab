//! The open handle on a store's folder, and the few steps that make a change to it last.
//!
//! Every path is resolved from this handle, so a store that was opened on a mounted disk stays on that
//! disk: when it is unmounted meanwhile, nothing ends up in the empty folder below.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, StatxFlags, fsync, linkat, mkdirat,
        openat, renameat, renameat_with, statat, statx, unlinkat,
    },
    io::{Errno, Result},
};
use std::path::Path;

pub(super) const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
pub(super) const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// What keeps two paths apart for rename and link: the file system and the mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mounted(u32, u32, u64);

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self> {
        open_folder(CWD, path).map(Root)
    }

    /// Makes the folder itself and what is missing above it, each durable before the next.
    pub(super) fn make(path: &Path) -> Result<Self> {
        match Root::open(path) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT);
        };
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        let above = Root::make(above)?;
        make_folder(above.fd(), name)?;
        sync_folder(above.fd())?;
        open_folder(above.fd(), name).map(Root)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub(super) fn open_folder(&self, folder: &str) -> Result<OwnedFd> {
        open_folder(self.fd(), at(folder))
    }

    /// Makes `folder` with all that is missing above it. Not durable before [`Root::sync_up`].
    pub(super) fn make_folders(&self, folder: &str) -> Result<()> {
        for end in word_ends(folder) {
            make_folder(self.fd(), &folder[..end])?;
        }
        Ok(())
    }

    /// Makes the names in `folder` last, and the names of all folders that lead to it: whoever made
    /// one of those may have been killed before it was written down.
    pub(super) fn sync_up(&self, folder: &str) -> Result<()> {
        let mut folder = folder;
        loop {
            sync_folder(self.open_folder(folder)?)?;
            if folder.is_empty() {
                return Ok(());
            }
            folder = folder_of(folder);
        }
    }

    /// Gives the file a name that nothing has. Never overwrites, in no interleaving.
    pub(super) fn rename_new(&self, from: &str, to: &str) -> Result<()> {
        match renameat_with(self.fd(), from, self.fd(), to, RenameFlags::NOREPLACE) {
            // Not known to this kernel, or (NFS, some FUSE) to this file system.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            done => return done,
        }
        match linkat(self.fd(), from, self.fd(), to, AtFlags::empty()) {
            // NFS: the link was made, its answer was lost, and the second request met the first one's
            // work. An unfinished file has no second name but this one.
            Err(Errno::EXIST) if self.has_second_name(from) => {}
            done => done?,
        }
        // The object is there. A name that stays behind is swept later.
        let _ = self.unlink(from);
        Ok(())
    }

    fn has_second_name(&self, path: &str) -> bool {
        statat(self.fd(), path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| stat.st_nlink > 1)
    }

    pub(super) fn rename_over(&self, from: &str, to: &str) -> Result<()> {
        renameat(self.fd(), from, self.fd(), to)
    }

    pub(super) fn unlink(&self, path: &str) -> Result<()> {
        unlinkat(self.fd(), path, AtFlags::empty())
    }

    /// Where unfinished files lie so that a rename takes them to `folder` in one step: at the top of
    /// the store, or at the top of the file system that is mounted within it.
    pub(super) fn work_folder(&self, folder: &str) -> Result<String> {
        let there = self.mounted(folder)?;
        if there == self.mounted("")? {
            return Ok(WORK_FOLDER.to_owned());
        }
        for end in word_ends(folder) {
            if self.mounted(&folder[..end])? == there {
                return Ok(format!("{}/{INNER_WORK_FOLDER}", &folder[..end]));
            }
        }
        Err(Errno::XDEV)
    }

    fn mounted(&self, folder: &str) -> Result<Mounted> {
        match statx(
            self.fd(),
            at(folder),
            AtFlags::empty(),
            StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
        ) {
            Ok(s) => Ok(Mounted(s.stx_dev_major, s.stx_dev_minor, s.stx_mnt_id)),
            Err(Errno::NOSYS | Errno::PERM) => {
                let stat = statat(self.fd(), at(folder), AtFlags::empty())?;
                let dev = stat.st_dev;
                Ok(Mounted(rustix::fs::major(dev), rustix::fs::minor(dev), 0))
            }
            Err(error) => Err(error),
        }
    }
}

pub(super) const WORK_FOLDER: &str = ".lifeboat/work";
pub(super) const INNER_WORK_FOLDER: &str = ".lifeboat-work";

/// The folder part of a path; empty for the root.
pub(super) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn at(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

fn word_ends(path: &str) -> impl Iterator<Item = usize> {
    let whole = (!path.is_empty()).then_some(path.len());
    path.match_indices('/').map(|(i, _)| i).chain(whole)
}

fn open_folder(from: impl AsFd, path: impl rustix::path::Arg) -> Result<OwnedFd> {
    openat(
        from,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn make_folder(from: impl AsFd, path: impl rustix::path::Arg + Copy) -> Result<()> {
    match mkdirat(&from, path, FOLDER_MODE) {
        Err(Errno::EXIST) => {
            // A file in the place of a folder is better named here than by what comes next.
            let stat = statat(&from, path, AtFlags::empty())?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Ok(()),
                _ => Err(Errno::NOTDIR),
            }
        }
        done => done,
    }
}

/// Some file systems cannot sync a folder and say so; they are [`super::Weakness::FolderSync`].
fn sync_folder(folder: impl AsFd) -> Result<()> {
    match fsync(folder) {
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        done => done,
    }
}
