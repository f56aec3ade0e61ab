//! Tries out what a folder's file system really does, before a backup depends on it.

use super::{Local, root::folder_of, work::Work};
use crate::{Error, ErrorKind, Result};
use rustix::{
    fs::{
        AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, linkat, openat,
        renameat_with, statat,
    },
    io::Errno,
};
use std::{fmt, io::Write};

/// What a folder can be trusted with. Empty `weaknesses` mean: everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probe {
    pub weaknesses: Vec<Weakness>,
}

/// A promise that this file system does not keep, and that is worked around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// No rename that refuses to overwrite: a hard link and an unlink do the same.
    RenameNew,
    /// No hard links: a backup in several tiers takes its space several times.
    Links,
    /// Folders cannot be synced: a backup may be lost in a power cut shortly after it.
    FolderSync,
    /// No locks: what dead runs left behind is not swept.
    Locks,
}

impl Local {
    /// Creates, syncs, renames, links and deletes two small files. An error means that this store
    /// cannot be written at all, or that it lies.
    pub fn probe(&self) -> Result<Probe> {
        let failed = |action| move |e: Errno| Error::io(action, &self.place, e.into());
        let root = &self.root;
        let mut weaknesses = Vec::new();

        let one = Work::create(root, "").map_err(failed("create a file in"))?;
        let two = Work::create(root, "").map_err(failed("create a file in"))?;
        one.file()
            .write_all(b"probe")
            .and_then(|()| one.file().sync_all())
            .map_err(|e| Error::io("write to", &self.place, e))?;

        let fd = root.fd();
        let renames = match renameat_with(fd, one.path(), fd, two.path(), RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => true,
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                weaknesses.push(Weakness::RenameNew);
                false
            }
            Ok(()) => {
                return Err(self.lies("it renames over a file although it was told not to"));
            }
            Err(error) => return Err(failed("rename in")(error)),
        };

        let linked = format!("{}.link", one.path());
        match linkat(fd, one.path(), fd, &linked, AtFlags::empty()) {
            Ok(()) => {
                let _ = root.unlink(&linked);
            }
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV | Errno::MLINK) => {
                weaknesses.push(Weakness::Links);
                if !renames {
                    return Err(self
                        .lies("it has neither hard links nor a rename that refuses to overwrite"));
                }
            }
            Err(error) => return Err(failed("link in")(error)),
        }

        let folder = root
            .open_folder(folder_of(one.path()))
            .map_err(failed("open a folder of"))?;
        match fsync(&folder) {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => weaknesses.push(Weakness::FolderSync),
            done => done.map_err(failed("sync a folder of"))?,
        }

        if !self.locks(&one)? {
            weaknesses.push(Weakness::Locks);
        }

        let gone = one.path().to_owned();
        drop((one, two));
        match statat(fd, &gone, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(Probe { weaknesses }),
            Ok(_) => Err(self.lies("a file that was deleted is still there")),
            Err(error) => Err(failed("delete from")(error)),
        }
    }

    /// Whether a second handle on a file is kept out by the lock of the first.
    fn locks(&self, work: &Work) -> Result<bool> {
        let failed = |e: Errno| Error::io("lock a file in", &self.place, e.into());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let second = openat(self.root.fd(), work.path(), flags, Mode::empty()).map_err(failed)?;
        let got = flock(second, FlockOperation::NonBlockingLockExclusive);
        Ok(got == Err(Errno::WOULDBLOCK))
    }

    fn lies(&self, how: &str) -> Error {
        Error::new(ErrorKind::Other, "use", &self.place, how)
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weakness::RenameNew => {
                "no rename that refuses to overwrite; a hard link is used instead"
            }
            Weakness::Links => {
                "no hard links; a backup in several tiers takes its space several times"
            }
            Weakness::FolderSync => {
                "folders cannot be synced; a power cut can take a backup that was just made"
            }
            Weakness::Locks => "no file locks; what dead runs leave behind is not swept by itself",
        })
    }
}
