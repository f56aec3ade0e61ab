//! Are two folders the same? Names, kinds, rights, times, contents, links.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What an entry is, as far as a backup must bring it back.
#[derive(Debug, PartialEq, Eq)]
enum Thing {
    Folder { mode: u32 },
    File(File),
    Link { to: PathBuf },
    Other { mode: u32 },
}

#[derive(Debug, PartialEq, Eq)]
struct File {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
    /// Has a hole of a MiB or more somewhere.
    sparse: bool,
    content: Vec<u8>,
}

/// How many entries the same two folders have; or the first difference, in words. What `leave_out` says
/// yes to is looked at elsewhere.
pub(super) fn compare(
    before: &Path,
    after: &Path,
    leave_out: &dyn Fn(&Path) -> bool,
) -> Result<usize, String> {
    let read = |root: &Path| {
        let mut things = BTreeMap::new();
        list(root, root, leave_out, &mut things)
            .map_err(|error| format!("cannot read {}: {error}", root.display()))?;
        Ok::<_, String>(things)
    };
    let (before, after) = (read(before)?, read(after)?);
    for (path, thing) in &before {
        match after.get(path) {
            None => return Err(format!("{} did not come back", path.display())),
            Some(restored) if restored != thing => {
                return Err(format!("{} came back different", path.display()));
            }
            Some(_) => {}
        }
    }
    match after.keys().find(|path| !before.contains_key(*path)) {
        Some(path) => Err(format!("{} was not there before", path.display())),
        None => Ok(before.len()),
    }
}

fn list(
    root: &Path,
    folder: &Path,
    leave_out: &dyn Fn(&Path) -> bool,
    things: &mut BTreeMap<PathBuf, Thing>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
        if leave_out(&name) {
            continue;
        }
        let meta = fs::symlink_metadata(&path)?;
        let kind = meta.file_type();
        let thing = if kind.is_dir() {
            list(root, &path, leave_out, things)?;
            Thing::Folder { mode: meta.mode() }
        } else if kind.is_symlink() {
            Thing::Link {
                to: fs::read_link(&path)?,
            }
        } else if kind.is_file() {
            Thing::File(File {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                modified: (meta.mtime(), meta.mtime_nsec()),
                links: meta.nlink(),
                sparse: meta.blocks() * 512 + (1 << 20) <= meta.size(),
                content: fs::read(&path)?,
            })
        } else {
            Thing::Other { mode: meta.mode() }
        };
        things.insert(name, thing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let everything = |_: &Path| false;
        for root in [&a, &b] {
            fs::create_dir(root).unwrap();
            fs::write(root.join("file"), "same").unwrap();
        }
        let at = fs::metadata(a.join("file")).unwrap().modified().unwrap();
        let same_time = || {
            let file = fs::File::options().write(true).open(b.join("file"));
            file.unwrap().set_modified(at).unwrap();
        };
        same_time();
        assert_eq!(compare(&a, &b, &everything), Ok(1));

        fs::write(b.join("file"), "sane").unwrap();
        same_time();
        assert_eq!(
            compare(&a, &b, &everything),
            Err("file came back different".to_owned())
        );
        fs::write(b.join("more"), "").unwrap();
        fs::write(b.join("file"), "same").unwrap();
        same_time();
        assert_eq!(
            compare(&a, &b, &everything),
            Err("more was not there before".to_owned())
        );
        fs::remove_file(b.join("file")).unwrap();
        assert_eq!(
            compare(&a, &b, &everything),
            Err("file did not come back".to_owned())
        );
    }
}
