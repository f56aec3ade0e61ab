//! Trees of files of every kind that a backup may meet.

use crate::{folder::Folder, suite::noise};
use rustix::{
    fs::{FileType, makedev},
    io::Errno,
};
use std::{
    ffi::OsStr,
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

/// A tree that was made at [`SampleTree::root`]. It is removed by whoever owns the folder above it.
#[derive(Debug)]
pub struct SampleTree {
    root: PathBuf,
    skipped: Vec<String>,
}

impl SampleTree {
    /// What any user can have: files, folders, symbolic and hard links, odd modes and names, times to
    /// the nanosecond. Nothing in it is larger than 3 MiB.
    pub fn plain(root: impl Into<PathBuf>) -> io::Result<Self> {
        SampleTree::make(root.into(), &[files, symlinks, odd_names, hard_links])
    }

    /// As [`SampleTree::plain`], and sparse files, xattrs, ACLs, capabilities, setuid, FIFOs, sockets,
    /// devices, foreign owners, a path of more than 4,096 bytes and one of times before 1970.
    pub fn everything(root: impl Into<PathBuf>) -> io::Result<Self> {
        let parts: &[Part] = &[
            files, symlinks, odd_names, hard_links, sparse, special, deep, xattrs, owners, rights,
        ];
        SampleTree::make(root.into(), parts)
    }

    /// `files` small files in folders of a hundred, 0 to about 8 KiB each.
    pub fn many(root: impl Into<PathBuf>, files: usize) -> io::Result<Self> {
        let mut tree = SampleTree::begin(root.into())?;
        let root = Folder::open(&tree.root)?;
        for first in (0..files).step_by(100) {
            let folder = root.make(format!("f{:05}", first / 100))?;
            for n in first..files.min(first + 100) {
                let bytes = noise(n * 7919 % 8191, n as u64);
                folder.write(format!("{n:07}.bin"), &bytes)?;
            }
        }
        tree.set_times()?;
        Ok(tree)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What this machine, this user or this file system cannot make. Each was also printed.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn begin(root: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&root)?;
        Ok(SampleTree {
            root,
            skipped: Vec::new(),
        })
    }

    fn make(root: PathBuf, parts: &[Part]) -> io::Result<Self> {
        let mut tree = SampleTree::begin(root)?;
        let root = Folder::open(&tree.root)?;
        for part in parts {
            part(&mut tree, &root)?;
        }
        tree.set_times()?;
        Ok(tree)
    }

    /// Every entry gets a time of its own, folders after what is in them.
    fn set_times(&mut self) -> io::Result<()> {
        let mut count = 0;
        times(&Folder::open(&self.root)?, &mut count)
    }

    /// Passes over what is not possible here, aloud.
    #[allow(clippy::print_stdout)]
    fn try_to(&mut self, what: &str, done: rustix::io::Result<()>) -> io::Result<()> {
        match done {
            Err(
                e @ (Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSPC),
            ) => {
                println!("SKIPPED in the sample tree: {what}: {e}");
                self.skipped.push(format!("{what}: {e}"));
                Ok(())
            }
            done => Ok(done?),
        }
    }
}

type Part = fn(&mut SampleTree, &Folder) -> io::Result<()>;

fn times(folder: &Folder, count: &mut i64) -> io::Result<()> {
    for name in folder.names()? {
        if FileType::from_raw_mode(folder.stat(&name)?.st_mode) == FileType::Directory {
            times(&folder.inner(&name)?, count)?;
        }
        *count += 1;
        let (secs, nanos) = match name.as_bytes() {
            b"before 1970" => (-86_400, 500_000_000),
            b"after 2038" => (4_102_444_800, 1),
            b"whole second" => (1_700_000_000, 0),
            _ => (1_700_000_000 + *count, *count * 7_919_001 % 1_000_000_000),
        };
        folder.set_modified(&name, secs, nanos)?;
    }
    Ok(folder.set_modified(".", 1_699_999_999, 999_999_999)?)
}

fn files(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let files = root.make("files")?;
    files.write("empty", b"")?;
    files.write("one byte", b"1")?;
    files.write(
        "text.txt",
        &b"All work and no play makes Jack a dull boy.\n".repeat(20_000),
    )?;
    for size in [511, 512, 513, 4096, 65_536, 3 << 20] {
        files.write(format!("noise-{size}"), &noise(size, size as u64))?;
    }
    files.write("zeros", &[0; 100_000])?;
    files.write("before 1970", b"old")?;
    files.write("after 2038", b"new")?;
    files.write("whole second", b"even")?;
    for (name, mode) in [
        ("read only", 0o400),
        ("nobody's", 0o000),
        ("program", 0o755),
        ("everybody's", 0o666),
    ] {
        files.write(name, name.as_bytes())?;
        files.chmod(name, mode)?;
    }
    root.make("empty folder")?.make("within another")?;
    let closed = root.make("read only folder")?;
    closed.write("inside", b"inside")?;
    root.chmod("read only folder", 0o500)?;
    root.make("sticky")?;
    root.chmod("sticky", 0o1777)?;
    Ok(())
}

fn symlinks(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let links = root.make("symlinks")?;
    links.symlink("../files/text.txt", "to a file")?;
    links.symlink("../files", "to a folder")?;
    links.symlink("/nowhere/at/all", "dangling")?;
    links.symlink("to itself", "to itself")?;
    links.symlink("../../../../../../../../etc/hostname", "out of the tree")?;
    links.symlink("x".repeat(300), "long")?;
    links.symlink(OsStr::from_bytes(b"gr\xfc\xdfe"), "to what is not UTF-8")?;
    Ok(())
}

fn odd_names(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let odd = root.make("odd names")?;
    let long = [b'n'; 255];
    let long_words = ["日本語"; 28].concat();
    let names: &[&[u8]] = &[
        b"-rf",
        b" ",
        b"new\nline",
        b"tab\tand\x01\x7f",
        b"quote\"'`$(x)\\",
        b"gr\xfc\xdfe",
        b"\xff\xfe",
        "Größe 🚣".as_bytes(),
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
        b"...",
        b".hidden",
        b"*?[a]",
        b"CON",
        b"a:b|c<d>e",
        &long,
        long_words.as_bytes(),
        b"pax 1 x=y\n",
    ];
    for name in names {
        odd.write(OsStr::from_bytes(name), name)?;
    }
    let inner = odd.make(OsStr::from_bytes(b"folder \xfe\n"))?;
    inner.write(OsStr::from_bytes(&[0xfe; 200]), b"deep in")?;
    Ok(())
}

fn hard_links(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let one = root.make("hard links")?;
    let two = root.make("hard links too")?;
    one.write("a", &noise(10_000, 11))?;
    one.link("a", &one, "b")?;
    one.link("a", &two, "c")?;
    one.write("empty", b"")?;
    one.link("empty", &two, "empty too")?;
    one.write("same content, no link", &noise(10_000, 11))?;
    one.symlink("a", "symlink")?;
    one.link("symlink", &two, "symlink too")?;
    Ok(())
}

fn sparse(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    const MIB: u64 = 1 << 20;
    let sparse = root.make("sparse")?;
    sparse.create("only a hole")?.set_len(10 * MIB)?;
    let files: &[(&str, u64, &[u64])] = &[
        ("hole first", 5 * MIB, &[4 * MIB]),
        ("hole last", 5 * MIB, &[0]),
        ("hole between", 5 * MIB, &[0, 5 * MIB - 70_000]),
        ("odd size", 3 * MIB + 12_345, &[MIB]),
        ("far", 64 * MIB, &[60 * MIB]),
    ];
    for (name, size, islands) in files {
        let file = sparse.create(name)?;
        file.set_len(*size)?;
        for at in *islands {
            file.write_all_at(&noise(65_536, *at), *at)?;
        }
    }
    let many = sparse.create("many islands")?;
    many.set_len(200 * 65_536)?;
    for n in 0..100 {
        many.write_all_at(&noise(4096, n), n * 2 * 65_536)?;
    }
    Ok(())
}

fn special(tree: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let special = root.make("special")?;
    special.node("fifo", FileType::Fifo, 0)?;
    special.link("fifo", &special, "fifo too")?;
    tree.try_to("a socket", special.node("socket", FileType::Socket, 0))?;
    let null = makedev(1, 3);
    tree.try_to(
        "a character device",
        special.node("null", FileType::CharacterDevice, null),
    )?;
    let disk = makedev(259, 1_000_000);
    tree.try_to(
        "a block device",
        special.node("disk", FileType::BlockDevice, disk),
    )?;
    Ok(())
}

/// More than 4,096 bytes below the root, with a file at the end and one on the way.
fn deep(_: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let mut folder = root.make("deep")?;
    for n in 0..18 {
        folder = folder.make(format!("{n:02}-{}", "d".repeat(240)))?;
        if n == 9 {
            folder.write("on the way", b"down")?;
        }
    }
    folder.write("at the end", b"of the path")?;
    folder.symlink("at the end", "link at the end")?;
    Ok(())
}

fn xattrs(tree: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let xattrs = root.make("xattrs")?;
    let long_name = format!("user.{}", "n".repeat(200));
    let sets: &[(&str, &str, &[u8])] = &[
        ("text", "user.origin", b"https://example.org/?a=b\n"),
        ("binary", "user.binary", b"\0\xff\0=\n"),
        ("empty value", "user.empty", b""),
        ("long", "user.long", &noise(2000, 4)),
        ("long name", &long_name, b"value"),
        ("several", "user.a", b"1"),
        ("several", "user.b", b"2"),
        ("trusted", "trusted.lifeboat", b"for root only"),
        ("acl", "system.posix_acl_access", &acl()),
        ("capability", "security.capability", &capability()),
    ];
    for (file, xattr, value) in sets {
        if xattrs.stat(file).is_err() {
            xattrs.write(file, file.as_bytes())?;
        }
        tree.try_to(xattr, xattrs.set_xattr(file, xattr, value))?;
    }
    xattrs.make("folder")?;
    tree.try_to(
        "user. on a folder",
        xattrs.set_xattr("folder", "user.folder", b"yes"),
    )?;
    tree.try_to(
        "system.posix_acl_default",
        xattrs.set_xattr("folder", "system.posix_acl_default", &acl()),
    )?;
    xattrs.symlink("text", "symlink")?;
    tree.try_to(
        "trusted. on a symlink",
        xattrs.set_xattr("symlink", "trusted.link", b"own"),
    )?;
    Ok(())
}

/// `u::rw-, u:1000:r--, g::r--, m::r--, o::---`
fn acl() -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (1u16, 6u16, NOBODY),
        (2, 4, 1000),
        (4, 4, NOBODY),
        (16, 4, NOBODY),
        (32, 0, NOBODY),
    ];
    let mut value = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(rights.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

/// `cap_net_bind_service=ep`, revision 2.
fn capability() -> Vec<u8> {
    [0x0200_0001u32, 1 << 10, 0, 0, 0]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect()
}

fn owners(tree: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let owners = root.make("owners")?;
    for (name, user, group) in [
        ("service", 999, 999),
        ("beyond octal", 3_000_000, 2_500_000),
        ("last", u32::MAX - 1, u32::MAX - 1),
    ] {
        owners.write(name, name.as_bytes())?;
        tree.try_to(name, owners.chown(name, user, group))?;
    }
    owners.symlink("service", "symlink")?;
    tree.try_to("a symlink's owner", owners.chown("symlink", 1000, 1000))?;
    owners.make("folder")?;
    tree.try_to("a folder's owner", owners.chown("folder", 1000, 33))?;
    Ok(())
}

/// After everything that takes such bits away again.
fn rights(tree: &mut SampleTree, root: &Folder) -> io::Result<()> {
    let rights = root.make("rights")?;
    for (name, mode) in [
        ("setuid", 0o4755),
        ("setgid", 0o2755),
        ("all", 0o7777),
        ("setuid of another", 0o4750),
    ] {
        rights.write(name, b"#!/bin/false\n")?;
        if name == "setuid of another" {
            tree.try_to(name, rights.chown(name, 1000, 1000))?;
        }
        rights.chmod(name, mode)?;
    }
    rights.make("setgid folder")?;
    rights.chmod("setgid folder", 0o2770)?;
    Ok(())
}
