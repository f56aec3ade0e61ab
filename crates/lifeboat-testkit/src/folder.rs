//! A folder that is held open, so that nothing in it needs a path: paths end at 4,096 bytes, trees do not.

use rustix::{
    fd::{AsRawFd, OwnedFd},
    fs::{
        AtFlags, CWD, Dir, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chownat,
        lsetxattr, mkdirat, mknodat, openat, statat, symlinkat, utimensat,
    },
    io::Result,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        openat(CWD, path, FLAGS, Mode::empty()).map(Folder)
    }

    pub(crate) fn inner(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        let flags = FLAGS | OFlags::NOFOLLOW;
        openat(&self.0, name.as_ref(), flags, Mode::empty()).map(Folder)
    }

    pub(crate) fn make(&self, name: impl AsRef<OsStr>) -> Result<Folder> {
        mkdirat(&self.0, name.as_ref(), Mode::from_raw_mode(0o755))?;
        self.inner(name)
    }

    /// Names without `.` and `..`, sorted.
    pub(crate) fn names(&self) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if !matches!(&name[..], b"." | b"..") {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        Ok(names)
    }

    pub(crate) fn stat(&self, name: impl AsRef<OsStr>) -> Result<Stat> {
        statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(crate) fn target(&self, name: impl AsRef<OsStr>) -> Result<Vec<u8>> {
        let target = rustix::fs::readlinkat(&self.0, name.as_ref(), Vec::new())?;
        Ok(target.into_bytes())
    }

    pub(crate) fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name.as_ref(), flags, Mode::empty()).map(File::from)
    }

    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(&self.0, name.as_ref(), flags, Mode::from_raw_mode(0o644)).map(File::from)
    }

    pub(crate) fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) -> std::io::Result<()> {
        self.create(name)?.write_all(bytes)
    }

    pub(crate) fn symlink(&self, target: impl AsRef<OsStr>, name: impl AsRef<OsStr>) -> Result<()> {
        symlinkat(target.as_ref(), &self.0, name.as_ref())
    }

    pub(crate) fn link(&self, from: impl AsRef<OsStr>, folder: &Folder, to: &str) -> Result<()> {
        rustix::fs::linkat(&self.0, from.as_ref(), &folder.0, to, AtFlags::empty())
    }

    pub(crate) fn node(&self, name: &str, kind: rustix::fs::FileType, device: u64) -> Result<()> {
        mknodat(&self.0, name, kind, Mode::from_raw_mode(0o640), device)
    }

    pub(crate) fn chmod(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<()> {
        rustix::fs::chmodat(
            &self.0,
            name.as_ref(),
            Mode::from_raw_mode(mode),
            AtFlags::empty(),
        )
    }

    pub(crate) fn chown(&self, name: impl AsRef<OsStr>, user: u32, group: u32) -> Result<()> {
        chownat(
            &self.0,
            name.as_ref(),
            Some(Uid::from_raw(user)),
            Some(Gid::from_raw(group)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
    }

    pub(crate) fn set_modified(
        &self,
        name: impl AsRef<OsStr>,
        secs: i64,
        nanos: i64,
    ) -> Result<()> {
        let omit = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        let times = Timestamps {
            last_access: omit,
            last_modification: Timespec {
                tv_sec: secs,
                tv_nsec: nanos,
            },
        };
        utimensat(&self.0, name.as_ref(), &times, AtFlags::SYMLINK_NOFOLLOW)
    }

    pub(crate) fn set_xattr(
        &self,
        name: impl AsRef<OsStr>,
        xattr: &str,
        value: &[u8],
    ) -> Result<()> {
        lsetxattr(
            self.short_path(name),
            xattr,
            value,
            rustix::fs::XattrFlags::empty(),
        )
    }

    pub(crate) fn xattrs(&self, name: impl AsRef<OsStr>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let path = self.short_path(name);
        let mut list = vec![0u8; 64 << 10];
        let n = match rustix::fs::llistxattr(&path, &mut list[..]) {
            Err(rustix::io::Errno::OPNOTSUPP) => 0,
            done => done?,
        };
        let mut found = Vec::new();
        for xattr in list[..n].split(|b| *b == 0).filter(|x| !x.is_empty()) {
            let mut value = vec![0u8; 64 << 10];
            let n = rustix::fs::lgetxattr(&path, xattr, &mut value[..])?;
            value.truncate(n);
            found.push((xattr.to_vec(), value));
        }
        found.sort();
        Ok(found)
    }

    /// There are no xattr calls that take a folder's handle and a name.
    fn short_path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.0.as_raw_fd().to_string())
            .join(OsStr::from_bytes(name.as_ref().as_bytes()))
    }
}

const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
