//! What a name in an archive may be, one by one and all together.

use super::{Entry, Kind, refuse, shown};
use std::{
    hash::{BuildHasher, RandomState},
    io,
};

/// Longer than any path that can be reached step by step in a sane archive: 10,000 folders deep.
const PATH_MAX: usize = 1 << 20;

/// The path of an entry, relative and clean. Only a folder may be the root itself (`./`).
pub(super) fn sound(name: &[u8], is_folder: bool) -> io::Result<Vec<u8>> {
    let wrong = |what: &str| Err(refuse(&format!("the name {} {what}", shown(name))));
    if name.is_empty() {
        return Err(refuse("an entry without a name"));
    }
    if name.contains(&0) || name.len() > PATH_MAX {
        return wrong("cannot be the name of a file");
    }
    if name[0] == b'/' {
        return wrong("is absolute");
    }
    let mut path = name;
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    if is_folder {
        if path == b"." {
            path = b"";
        }
        path = path.strip_suffix(b"/").unwrap_or(path);
    }
    if path.is_empty() && is_folder {
        return Ok(Vec::new());
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b".." => return wrong("leads out of its folder"),
            b"" | b"." => return wrong("has an empty part"),
            _ => {}
        }
    }
    Ok(path.to_vec())
}

/// All names of an archive, eight bytes each, to be judged together at the end. An extraction does not
/// need it: there the file system knows every name.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    /// Keyed anew each time, so that nobody can prepare two names that look the same.
    state: RandomState,
    /// A hash with the kind in its lowest bit.
    names: Vec<u64>,
    parents: Vec<u64>,
    /// The target, and how many names came before the link.
    links: Vec<(u64, usize)>,
    last_parent: Vec<u8>,
}

const OTHER: u64 = 0;
const FOLDER: u64 = 1;
const KIND: u64 = 1;

impl Names {
    pub(in super::super) fn add(&mut self, entry: &Entry) {
        let kind = match &entry.kind {
            Kind::Folder => FOLDER,
            Kind::HardLink { target } => {
                let target = self.hash(target);
                self.links.push((target, self.names.len()));
                OTHER
            }
            _ => OTHER,
        };
        let name = self.hash(&entry.path);
        self.names.push(name | kind);

        let parent = match entry.path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => &entry.path[..slash],
            None => &[],
        };
        if parent != self.last_parent {
            for (at, &byte) in parent.iter().enumerate() {
                let is_known = self.last_parent.starts_with(&parent[..at])
                    && matches!(self.last_parent.get(at), None | Some(b'/'));
                if byte == b'/' && !is_known {
                    let folder = self.hash(&parent[..at]);
                    self.parents.push(folder);
                }
            }
            let folder = self.hash(parent);
            self.parents.push(folder);
            self.last_parent.clear();
            self.last_parent.extend_from_slice(parent);
        }
    }

    /// Refuses two entries of one name, entries below something that is no folder, and hard links to
    /// a folder, to nothing, or to what comes only after them.
    pub(in super::super) fn judge(mut self) -> io::Result<()> {
        self.links.sort_unstable();
        for (at, name) in self.names.iter().enumerate() {
            let first = self.links.partition_point(|link| link.0 < name & !KIND);
            if let Some((target, before)) = self.links.get(first)
                && *target == name & !KIND
                && *before <= at
            {
                return Err(refuse("a hard link to something that comes after it"));
            }
        }
        self.names.sort_unstable();
        if self
            .names
            .windows(2)
            .any(|pair| pair[0] & !KIND == pair[1] & !KIND)
        {
            return Err(refuse("two entries have the same name"));
        }
        let kind_of = |hash: u64| {
            let at = self.names.partition_point(|&name| name < hash);
            let name = *self.names.get(at)?;
            (name & !KIND == hash).then_some(name & KIND)
        };
        if self
            .parents
            .iter()
            .any(|&parent| kind_of(parent).is_some_and(|kind| kind != FOLDER))
        {
            return Err(refuse("an entry lies below something that is no folder"));
        }
        if self
            .links
            .iter()
            .any(|&(target, _)| kind_of(target) != Some(OTHER))
        {
            return Err(refuse("a hard link to a folder, or to nothing"));
        }
        Ok(())
    }

    fn hash(&self, path: &[u8]) -> u64 {
        self.state.hash_one(path) & !KIND
    }
}
