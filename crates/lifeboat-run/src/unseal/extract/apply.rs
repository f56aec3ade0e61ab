//! Owners, modes, attributes and times, in the order in which one does not undo the other: a change of
//! owner clears setuid and capabilities, so it comes first; times come last.

use super::{acl, failed};
use crate::{
    source::Notes,
    unseal::{
        UnsealError,
        tar::{Meta, shown},
    },
};
use rustix::{
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const SET_IDS: u32 = 0o6000;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

pub(super) struct Apply<'a> {
    notes: &'a Notes<'a>,
    /// Whom new files belong to by themselves, where that is known.
    own: Option<(u32, u32)>,
    owners_lost: AtomicU64,
    accounts: acl::Accounts,
}

impl<'a> Apply<'a> {
    pub(super) fn new(staging: Arc<OwnedFd>, notes: &'a Notes<'a>) -> Result<Self, UnsealError> {
        let stat = rustix::fs::fstat(&staging).map_err(|e| failed("read", b"", e))?;
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        // Some file systems give new files the group of their folder.
        let own = (stat.st_gid == gid.as_raw()).then_some((uid.as_raw(), gid.as_raw()));
        Ok(Apply {
            notes,
            own,
            owners_lost: AtomicU64::new(0),
            accounts: acl::Accounts::default(),
        })
    }

    /// For a new file or folder of ours that is open.
    pub(super) fn to_file(
        &self,
        fd: &OwnedFd,
        path: &[u8],
        meta: &Meta,
    ) -> Result<(), UnsealError> {
        let mut mode = meta.mode;
        if self.own != Some((meta.uid, meta.gid)) {
            let (uid, gid) = owner(meta);
            let owned = rustix::fs::fchown(fd, Some(uid), Some(gid));
            self.judge_owner(owned, path, &mut mode)?;
        }
        let is_list = |name: &[u8]| name == ACCESS.as_bytes() || name == DEFAULT.as_bytes();
        for (name, value) in meta.xattrs.iter().filter(|(name, _)| !is_list(name)) {
            let set = rustix::fs::fsetxattr(fd, &name[..], value, XattrFlags::empty());
            self.judge_attribute(set, path, name)?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
            .map_err(|e| failed("set the mode of", path, e))?;
        // After the mode, which would change their masks.
        for (name, value) in meta.xattrs.iter().filter(|(name, _)| is_list(name)) {
            let set = rustix::fs::fsetxattr(fd, &name[..], value, XattrFlags::empty());
            self.judge_attribute(set, path, name)?;
        }
        for (name, text) in [(ACCESS, &meta.acl_access), (DEFAULT, &meta.acl_default)] {
            let is_there = |(other, _): &(Vec<u8>, Vec<u8>)| other == name.as_bytes();
            if let Some(text) = text
                && !meta.xattrs.iter().any(is_there)
            {
                self.access_list(fd, path, name, text)?;
            }
        }
        rustix::fs::futimens(fd, &times(meta)).map_err(|e| failed("set the time of", path, e))
    }

    fn access_list(
        &self,
        fd: &OwnedFd,
        path: &[u8],
        name: &str,
        text: &[u8],
    ) -> Result<(), UnsealError> {
        match acl::encode(text, &self.accounts) {
            Ok(value) => {
                let set = rustix::fs::fsetxattr(fd, name, &value, XattrFlags::empty());
                self.judge_attribute(set, path, name.as_bytes())
            }
            Err(reason) => {
                self.notes.warn(format!(
                    "{}: its access list was not restored: {reason}",
                    shown(path)
                ));
                Ok(())
            }
        }
    }

    /// For a new symbolic link, pipe or device: nothing that one would open.
    pub(super) fn to_node(
        &self,
        parent: &OwnedFd,
        path: &[u8],
        name: &[u8],
        meta: &Meta,
        has_mode: bool,
    ) -> Result<(), UnsealError> {
        let mut mode = meta.mode;
        if self.own != Some((meta.uid, meta.gid)) {
            let (uid, gid) = owner(meta);
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let owned = rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags);
            self.judge_owner(owned, path, &mut mode)?;
        }
        for (attribute, value) in &meta.xattrs {
            let here = format!("/proc/self/fd/{}/", parent.as_raw_fd());
            let node = [here.as_bytes(), name].concat();
            let set = rustix::fs::lsetxattr(&node[..], &attribute[..], value, XattrFlags::empty());
            self.judge_attribute(set, path, attribute)?;
        }
        if has_mode {
            // Made a moment ago by us, in a folder of ours: it is no link.
            rustix::fs::chmodat(parent, name, Mode::from_raw_mode(mode), AtFlags::empty())
                .map_err(|e| failed("set the mode of", path, e))?;
        }
        rustix::fs::utimensat(parent, name, &times(meta), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| failed("set the time of", path, e))
    }

    /// Says once what happened many times.
    pub(super) fn sum_up(&self) {
        let lost = self.owners_lost.load(Ordering::Relaxed);
        if lost > 0 {
            self.notes.warn(format!(
                "{lost} entries belong to this user now: only root can give files to others"
            ));
        }
    }

    fn judge_owner(
        &self,
        owned: rustix::io::Result<()>,
        path: &[u8],
        mode: &mut u32,
    ) -> Result<(), UnsealError> {
        match owned {
            Ok(()) => Ok(()),
            // INVAL: an owner that does not exist in this user namespace.
            Err(Errno::PERM | Errno::INVAL) => {
                self.owners_lost.fetch_add(1, Ordering::Relaxed);
                // A program that runs as its owner must not run as another one.
                *mode &= !SET_IDS;
                Ok(())
            }
            Err(errno) => Err(failed("set the owner of", path, errno)),
        }
    }

    fn judge_attribute(
        &self,
        set: rustix::io::Result<()>,
        path: &[u8],
        name: &[u8],
    ) -> Result<(), UnsealError> {
        match set {
            Ok(()) => Ok(()),
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => {
                Err(failed("set an attribute of", path, errno))
            }
            Err(errno) => {
                self.notes.warn(format!(
                    "{}: the attribute {} was not restored: {}",
                    shown(path),
                    shown(name),
                    std::io::Error::from(errno)
                ));
                Ok(())
            }
        }
    }
}

fn owner(meta: &Meta) -> (Uid, Gid) {
    (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid))
}

fn times(meta: &Meta) -> Timestamps {
    let time = Timespec {
        tv_sec: meta.mtime_seconds,
        tv_nsec: i64::from(meta.mtime_nanos),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
