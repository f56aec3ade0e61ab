//! All objects in a folder, or an error: never some of them.

use super::root::{INNER_WORK_FOLDER, Root, at};
use crate::{Error, Key, Object, Result, key::is_listed};
use rustix::{
    fs::{AtFlags, Dir, FileType, Stat, fstat, statat},
    io::Errno,
};
use std::time::{Duration, UNIX_EPOCH};

/// Every object whose key starts with `prefix`, sorted. Only what is returned is looked at closely.
pub(super) fn list(root: &Root, prefix: &str) -> Result<Vec<Object>> {
    let leads_there = |path: &str| {
        path.starts_with(prefix)
            || (prefix.starts_with(path) && prefix.as_bytes().get(path.len()) == Some(&b'/'))
    };
    let mut objects = Vec::new();
    let mut walk = Walk {
        root,
        enter: &mut |path| {
            leads_there(path) && is_listed(path, prefix) && file_name(path) != INNER_WORK_FOLDER
        },
        wanted: &|path| path.starts_with(prefix) && is_listed(path, prefix),
        see: &mut |path, stat| {
            // What cannot be a key was not put there by us.
            if let Ok(key) = Key::new(path) {
                objects.push(object(key, stat));
            }
        },
        above: Vec::new(),
    };
    walk.folder("")?;
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    // A folder that changes while it is read may name a file twice.
    objects.dedup_by(|a, b| a.key == b.key);
    Ok(objects)
}

/// The folders for unfinished files on the file systems that are mounted within the store.
pub(super) fn inner_work_folders(root: &Root) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut walk = Walk {
        root,
        enter: &mut |path| {
            let work = file_name(path) == INNER_WORK_FOLDER;
            if work {
                found.push(path.to_owned());
            }
            !work
        },
        wanted: &|_| false,
        see: &mut |_, _| {},
        above: Vec::new(),
    };
    walk.folder("")?;
    Ok(found)
}

pub(super) fn object(key: Key, stat: &Stat) -> Object {
    let modified = |secs: u64| UNIX_EPOCH + Duration::new(secs, stat.st_mtime_nsec as u32);
    Object {
        key,
        size: stat.st_size as u64,
        modified: u64::try_from(stat.st_mtime).ok().map(modified),
    }
}

struct Walk<'a> {
    root: &'a Root,
    enter: &'a mut dyn FnMut(&str) -> bool,
    wanted: &'a dyn Fn(&str) -> bool,
    see: &'a mut dyn FnMut(&str, &Stat),
    /// The folders that are open above this one: a symbolic link may lead back to one of them.
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn folder(&mut self, path: &str) -> Result<()> {
        let failed = |e: Errno| Error::io("list", at(path), e.into());
        let folder = match self.root.open_folder(path) {
            // Removed since its name was read.
            Err(Errno::NOENT) if !path.is_empty() => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let stat = fstat(&folder).map_err(failed)?;
        let here = (stat.st_dev, stat.st_ino);
        if self.above.contains(&here) {
            return Ok(());
        }

        let mut folders = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | ".." | "lost+found") {
                continue;
            }
            let inner = join(path, name);
            match self
                .kind(&folder, name, entry.file_type())
                .map_err(failed)?
            {
                FileType::Directory if (self.enter)(&inner) => folders.push(inner),
                FileType::RegularFile if (self.wanted)(&inner) => {
                    match statat(&folder, name, AtFlags::empty()) {
                        Ok(stat) => (self.see)(&inner, &stat),
                        Err(Errno::NOENT) => {}
                        Err(error) => return Err(Error::io("list", inner, error.into())),
                    }
                }
                _ => {}
            }
        }
        drop(folder);

        self.above.push(here);
        for inner in folders {
            self.folder(&inner)?;
        }
        self.above.pop();
        Ok(())
    }

    /// Symbolic links count as what they lead to: a tier may have been moved to another disk.
    fn kind(
        &self,
        folder: impl std::os::fd::AsFd,
        name: &str,
        told: FileType,
    ) -> rustix::io::Result<FileType> {
        match told {
            FileType::Symlink | FileType::Unknown => match statat(folder, name, AtFlags::empty()) {
                Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
                Err(Errno::NOENT | Errno::LOOP) => Ok(FileType::Unknown),
                Err(error) => Err(error),
            },
            told => Ok(told),
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
