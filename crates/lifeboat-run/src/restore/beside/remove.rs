//! A folder and all that is in it, removed, however deep it is.

use super::{
    Result, Watch,
    entries::{exists, names, open_folder},
    io, step,
};
use crate::unseal::tar::shown;
use rustix::{fs::AtFlags, io::Errno};
use std::{ffi::CStr, os::fd::OwnedFd};

/// Inner folders are moved up to the top before they are emptied: neither the depth of a tree nor the limit
/// on open files matters, and a removal that was killed goes on.
pub(super) fn tree(parent: &OwnedFd, name: &str, watch: &Watch<'_>) -> Result<()> {
    if !exists(parent, name)? {
        return Ok(());
    }
    let top = open_folder(parent, name)?;
    let mut count = 0;
    loop {
        let there = names(&top)?;
        if there.is_empty() {
            step(watch)?;
            return remove_folder(parent, name.as_bytes());
        }
        for name in &there {
            if !is_file_removed(&top, name, watch)? {
                flatten(&top, name, &mut count, watch)?;
                step(watch)?;
                remove_folder(&top, name.to_bytes())?;
            }
        }
    }
}

/// Removes the files of an inner folder, and moves its folders up.
fn flatten(top: &OwnedFd, name: &CStr, count: &mut u64, watch: &Watch<'_>) -> Result<()> {
    let folder = open_folder(top, name)?;
    for inner in names(&folder)? {
        if is_file_removed(&folder, &inner, watch)? {
            continue;
        }
        loop {
            *count += 1;
            let new_name = format!("lifeboat-{count}");
            match rustix::fs::renameat(&folder, &*inner, top, &new_name) {
                Ok(()) => break,
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                Err(errno) => return Err(io("remove", &shown(inner.to_bytes()))(errno)),
            }
        }
    }
    Ok(())
}

/// `false`: it is a folder.
fn is_file_removed(parent: &OwnedFd, name: &CStr, watch: &Watch<'_>) -> Result<bool> {
    step(watch)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        Err(errno) => Err(io("remove", &shown(name.to_bytes()))(errno)),
    }
}

fn remove_folder(parent: &OwnedFd, name: &[u8]) -> Result<()> {
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(io("remove", &shown(name)))
}
