//! Whether two trees are the same in all that a backup should keep.

use crate::folder::Folder;
use rustix::{
    fs::{FileType, SeekFrom, Stat, major, minor, seek},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    hash::{DefaultHasher, Hasher},
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Below the root of both trees; empty for the roots themselves.
    pub path: PathBuf,
    pub field: Field,
    pub a: String,
    pub b: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// There in one tree only.
    Presence,
    Type,
    /// With setuid, setgid and sticky.
    Mode,
    Owner,
    /// In nanoseconds.
    Modified,
    Size,
    Content,
    /// Bytes that take no space.
    Holes,
    Device,
    /// Of a symbolic link.
    Target,
    /// With ACLs and capabilities.
    Xattrs,
    /// Which other names the file has in this tree.
    Links,
}

/// Everything that differs, by path. Access and change times, inode numbers and the sizes of folders
/// are nobody's business.
pub fn compare_trees(a: &Path, b: &Path) -> io::Result<Vec<Difference>> {
    let (a, b) = (Tree::scan(a)?, Tree::scan(b)?);
    let mut paths: Vec<&PathBuf> = a.entries.keys().chain(b.entries.keys()).collect();
    paths.sort();
    paths.dedup();

    let mut differences = Vec::new();
    for path in paths {
        let facts = |tree: &Tree| tree.entries.get(path).map(|e| e.facts(path, tree));
        let (a, b) = match (facts(&a), facts(&b)) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => {
                let say = |there: bool| if there { "there" } else { "missing" }.to_owned();
                differences.push(Difference {
                    path: path.clone(),
                    field: Field::Presence,
                    a: say(a.is_some()),
                    b: say(b.is_some()),
                });
                continue;
            }
        };
        for (field, a) in &a {
            // A field that the other type does not have is told by the type.
            if let Some(b) = b.get(field)
                && a != b
            {
                differences.push(Difference {
                    path: path.clone(),
                    field: *field,
                    a: a.clone(),
                    b: b.clone(),
                });
            }
        }
    }
    Ok(differences)
}

#[derive(Default)]
struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
    /// Names of files that have several, by device and inode.
    links: BTreeMap<(u64, u64), Vec<PathBuf>>,
}

struct Entry {
    stat: Stat,
    target: Vec<u8>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    content: u64,
    holes: u64,
}

impl Tree {
    fn scan(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        let folder = Folder::open(root)?;
        tree.add(&folder, OsStr::new("."), PathBuf::new())?;
        tree.folder(&folder, Path::new(""))?;
        for names in tree.links.values_mut() {
            names.sort();
        }
        Ok(tree)
    }

    fn folder(&mut self, folder: &Folder, path: &Path) -> io::Result<()> {
        for name in folder.names()? {
            let inner = path.join(&name);
            if self.add(folder, &name, inner.clone())? == FileType::Directory {
                self.folder(&folder.inner(&name)?, &inner)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, folder: &Folder, name: &OsStr, path: PathBuf) -> io::Result<FileType> {
        let stat = folder.stat(name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut entry = Entry {
            stat,
            target: Vec::new(),
            xattrs: folder.xattrs(name)?,
            content: 0,
            holes: 0,
        };
        match kind {
            FileType::Symlink => entry.target = folder.target(name)?,
            FileType::RegularFile => {
                (entry.content, entry.holes) = content(&folder.open_file(name)?)?;
            }
            _ => {}
        }
        if kind != FileType::Directory && stat.st_nlink > 1 {
            let names = self.links.entry((stat.st_dev, stat.st_ino)).or_default();
            names.push(path.clone());
        }
        self.entries.insert(path, entry);
        Ok(kind)
    }
}

impl Entry {
    fn facts(&self, path: &Path, tree: &Tree) -> BTreeMap<Field, String> {
        let stat = &self.stat;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let mut facts = BTreeMap::from([
            (Field::Type, format!("{kind:?}")),
            (Field::Mode, format!("{:04o}", stat.st_mode & 0o7777)),
            (Field::Owner, format!("{}:{}", stat.st_uid, stat.st_gid)),
            (
                Field::Modified,
                format!("{}.{:09}", stat.st_mtime, stat.st_mtime_nsec),
            ),
            (Field::Xattrs, self.say_xattrs()),
        ]);
        match kind {
            FileType::RegularFile => {
                facts.insert(Field::Size, stat.st_size.to_string());
                facts.insert(Field::Content, format!("{:016x}", self.content));
                facts.insert(Field::Holes, self.holes.to_string());
            }
            FileType::Symlink => {
                let target = OsStr::from_bytes(&self.target);
                facts.insert(Field::Target, format!("{target:?}"));
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let device = format!("{}:{}", major(stat.st_rdev), minor(stat.st_rdev));
                facts.insert(Field::Device, device);
            }
            _ => {}
        }
        if kind != FileType::Directory {
            let names = tree.links.get(&(stat.st_dev, stat.st_ino));
            let others = names.into_iter().flatten().filter(|name| *name != path);
            facts.insert(Field::Links, format!("{:?}", others.collect::<Vec<_>>()));
        }
        facts
    }

    fn say_xattrs(&self) -> String {
        let say = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}={}", name.escape_ascii(), value.escape_ascii())
        };
        self.xattrs.iter().map(say).collect::<Vec<_>>().join(" ")
    }
}

const BLOCK: usize = 4096;

/// A hash of all blocks that are not zeros, with their places; and how many bytes are holes.
fn content(file: &File) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let mut hash = DefaultHasher::new();
    let mut block = [0; BLOCK];
    let (mut at, mut data_bytes) = (0, 0);
    while at < size {
        let data = match seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            found => found?,
        };
        let hole = seek(file, SeekFrom::Hole(data))?;
        data_bytes += hole.min(size) - data;
        at = data / BLOCK as u64 * BLOCK as u64;
        while at < hole {
            let n = read_block(file, &mut block, at)?;
            if n == 0 {
                break;
            }
            if block[..n] != [0; BLOCK][..n] {
                hash.write_u64(at);
                hash.write(&block[..n]);
            }
            at += n as u64;
        }
        at = at.max(hole);
    }
    Ok((hash.finish(), size.saturating_sub(data_bytes)))
}

fn read_block(file: &File, block: &mut [u8; BLOCK], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < BLOCK {
        match file.read_at(&mut block[filled..], at + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path may be thousands of bytes long.
        let short: OsString = match self.path.as_os_str().as_bytes() {
            bytes @ [_, .., _] if bytes.len() > 120 => {
                let (head, tail) = (&bytes[..50], &bytes[bytes.len() - 50..]);
                OsStr::from_bytes(&[head, b"...", tail].concat()).to_owned()
            }
            bytes => OsStr::from_bytes(bytes).to_owned(),
        };
        write!(
            f,
            "{short:?}: {:?} was {}, is {}",
            self.field, self.a, self.b
        )
    }
}
