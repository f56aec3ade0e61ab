//! The entries of a folder, and how they move to another one of the same file system.

use super::{BesideError, Result, Watch, io, step};
use crate::unseal::tar::shown;
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, RenameFlags},
    io::Errno,
    path::Arg,
};
use std::{ffi::CString, os::fd::OwnedFd};

/// Somebody who makes new ones all the time is not outrun.
const ROUNDS_MAX: usize = 3;

pub(super) fn open_folder(parent: &OwnedFd, name: impl Arg + Copy) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(|e| io("open", &word(name))(e))
}

pub(super) fn exists(parent: &OwnedFd, name: impl Arg + Copy) -> Result<bool> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(io("look at", &word(name))(errno)),
    }
}

/// In order, so that what happens twice happens alike.
pub(super) fn names(folder: &OwnedFd) -> Result<Vec<CString>> {
    let list = || -> rustix::io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        Ok(names)
    };
    list().map_err(io("list", "a folder"))
}

/// Everything that is in `from`, but `keep`, is in `to`.
pub(super) fn move_all(
    from: &OwnedFd,
    to: &OwnedFd,
    keep: Option<&str>,
    watch: &Watch<'_>,
) -> Result<()> {
    for _ in 0..ROUNDS_MAX {
        let mut names = names(from)?;
        names.retain(|name| keep.is_none_or(|keep| keep.as_bytes() != name.as_bytes()));
        if names.is_empty() {
            return Ok(());
        }
        for name in &names {
            step(watch)?;
            rename(from, &**name, to, &**name)?;
        }
    }
    Err(BesideError::Refused(
        "somebody writes to it meanwhile".to_owned(),
    ))
}

/// Never over anything.
pub(super) fn rename(
    from: &OwnedFd,
    name: impl Arg + Copy,
    to: &OwnedFd,
    new_name: impl Arg + Copy,
) -> Result<()> {
    let flags = RenameFlags::NOREPLACE;
    let done = match rustix::fs::renameat_with(from, name, to, new_name, flags) {
        // Not known to this file system (NFS, some FUSE): then look first.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match exists(to, new_name)? {
            true => Err(Errno::EXIST),
            false => rustix::fs::renameat(from, name, to, new_name),
        },
        done => done,
    };
    done.map_err(|e| io("move", &word(name))(e))
}

fn word(name: impl Arg) -> String {
    name.into_c_str()
        .map_or_else(|_| "it".to_owned(), |name| shown(name.to_bytes()))
}
