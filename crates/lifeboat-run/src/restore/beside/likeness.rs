//! One folder made to look like another: owner, mode, attributes with access lists, times.

use super::{Result, io};
use rustix::{
    buffer::spare_capacity,
    fs::{self, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    os::fd::OwnedFd,
};

/// The kernel's own limits for the list of names and for one value.
const LIST_MAX: usize = 64 << 10;
const VALUE_MAX: usize = 64 << 10;

/// `one` like `model`, whose times are taken from `stat`.
pub(super) fn liken(one: &OwnedFd, model: &OwnedFd, stat: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::fchown(one, Some(uid), Some(gid)).map_err(io("set the owner of", "a folder"))?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    fs::fchmod(one, mode).map_err(io("set the mode of", "a folder"))?;
    // After the mode, which changes the masks of access lists.
    let (wanted, there) = (attributes(model)?, attributes(one)?);
    for name in there.keys().filter(|name| !wanted.contains_key(*name)) {
        let removed = fs::fremovexattr(one, &**name);
        removed.map_err(io("remove an attribute of", "a folder"))?;
    }
    for (name, value) in &wanted {
        if there.get(name) != Some(value) {
            let set = fs::fsetxattr(one, &**name, value, XattrFlags::empty());
            set.map_err(io("set an attribute of", "a folder"))?;
        }
    }
    fs::futimens(one, &times(stat)).map_err(io("set the time of", "a folder"))
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    let time = |tv_sec, nanos: u64| Timespec {
        tv_sec,
        tv_nsec: i64::try_from(nanos).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// But for the labels that belong to the host's policy or to the inode.
fn attributes(folder: &OwnedFd) -> Result<BTreeMap<CString, Vec<u8>>> {
    let mut names = Vec::with_capacity(LIST_MAX);
    match fs::flistxattr(folder, spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(BTreeMap::new()),
        Err(errno) => return Err(io("list the attributes of", "a folder")(errno)),
    }
    let mut all = BTreeMap::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if matches!(name.to_bytes(), b"security.selinux" | b"security.evm") {
            continue;
        }
        let mut value = Vec::with_capacity(VALUE_MAX);
        match fs::fgetxattr(folder, name, spare_capacity(&mut value)) {
            Ok(_) => {
                all.insert(name.to_owned(), value);
            }
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(io("read an attribute of", "a folder")(errno)),
        }
    }
    Ok(all)
}
