//! A folder as a store: on a disk, a USB stick, a NAS.
//!
//! An object is written under a name in `.lifeboat/work/` that no backup has, synced, renamed to its
//! key (never over another), and then the folders on the way to it are synced. Only after the last of
//! these steps does anybody hear "ok". Files are made for their owner only: 0600, folders 0700.

mod behind;
mod probe;
mod root;
mod upload;
mod walk;
mod work;

pub use probe::{Probe, Weakness};

use crate::{Error, ErrorKind, Key, Object, Result, Space, Store, Upload, key::OWN_FOLDER};
use root::{Root, folder_of};
use rustix::{
    fd::OwnedFd,
    fs::{
        Advice, AtFlags, Dir, FileType, Mode, OFlags, Stat, fadvise, fstat, fstatfs, fstatvfs,
        linkat, openat, statat,
    },
    io::Errno,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};
use work::Work;

/// A folder that is held open: open it for a run, not for a life, so that it can be unmounted between.
#[derive(Debug, Clone)]
pub struct Local {
    root: Arc<Root>,
    path: PathBuf,
    place: String,
}

impl Local {
    /// Opens a store that was used before. Creates nothing, writes nothing.
    ///
    /// A folder that is missing or has nothing in it is refused with [`ErrorKind::NotFound`]: that is
    /// what the mount point of a NAS looks like while the NAS is away. A store that was ever opened
    /// with [`Local::open_or_create`] holds at least `.lifeboat/`; one that was copied there by hand
    /// holds backups.
    pub fn existing(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let root = Root::open(&path).map_err(|e| opening(&path, e))?;
        let mut names = Dir::read_from(root.fd()).map_err(|e| opening(&path, e))?;
        let is_name = |entry: rustix::io::Result<rustix::fs::DirEntry>| {
            entry.map_or(true, |e| !matches!(e.file_name().to_bytes(), b"." | b".."))
        };
        if !names.any(is_name) {
            return Err(Error::new(
                ErrorKind::NotFound,
                "open the store",
                path.to_string_lossy(),
                "the folder is empty, as a mount point is while nothing is mounted there",
            ));
        }
        Ok(Local::new(root, path))
    }

    /// Opens a store, or begins one: makes the folder, and `.lifeboat/` in it as the sign that this is
    /// a store. For a place that the user has named for the first time.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let root = Root::make(&path).map_err(|e| opening(&path, e))?;
        root.make_folders(OWN_FOLDER)
            .and_then(|()| root.sync_up(OWN_FOLDER))
            .map_err(|e| opening(&path, e))?;
        Ok(Local::new(root, path))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a server keeps the files, and its clock and its locks are not this machine's.
    pub(crate) fn is_served(&self) -> io::Result<bool> {
        Ok(is_served(fstatfs(self.root.fd())?.f_type as u64))
    }

    /// One of our own files below `.lifeboat/`, made when it is missing.
    pub(crate) fn open_own(&self, path: &str) -> io::Result<File> {
        self.root.make_folders(folder_of(path))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(self.root.fd(), path, flags, root::FILE_MODE)?.into())
    }

    pub(crate) fn find_own(&self, path: &str) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(self.root.fd(), path, flags, Mode::empty()) {
            Err(error) if is_absent(error) => Ok(None),
            opened => Ok(Some(opened?.into())),
        }
    }

    pub(crate) fn remove_own(&self, path: &str) -> io::Result<()> {
        Ok(self.root.unlink(path)?)
    }

    /// Whether the open file still has this name.
    pub(crate) fn is_at(&self, file: &File, path: &str) -> io::Result<bool> {
        let open = fstat(file)?;
        match statat(self.root.fd(), path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(error) if is_absent(error) => Ok(false),
            stat => stat
                .map(|s| (s.st_dev, s.st_ino) == (open.st_dev, open.st_ino))
                .map_err(Into::into),
        }
    }

    fn new(root: Root, path: PathBuf) -> Self {
        Local {
            root: Arc::new(root),
            place: path.to_string_lossy().into_owned(),
            path,
        }
    }

    fn stat(&self, key: &Key) -> rustix::io::Result<Option<Stat>> {
        match statat(self.root.fd(), key.as_str(), AtFlags::empty()) {
            Err(error) if is_absent(error) => Ok(None),
            stat => stat.map(Some),
        }
    }

    fn open_file(&self, key: &Key) -> Result<File> {
        // A FIFO of that name would make us wait for its writer, was it not for NONBLOCK.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: OwnedFd = match openat(self.root.fd(), key.as_str(), flags, Mode::empty()) {
            Err(error) if is_absent(error) => return Err(no_object("open", key)),
            opened => opened.map_err(|e| Error::io("open", key.as_str(), e.into()))?,
        };
        let stat = fstat(&file).map_err(|e| Error::io("open", key.as_str(), e.into()))?;
        if !is_file(&stat) {
            return Err(no_object("open", key));
        }
        // Only advice: no error of it says anything about the bytes.
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        Ok(file.into())
    }

    fn work_for(&self, action: &'static str, key: &Key) -> Result<Work> {
        refuse_work_path(action, key)?;
        Work::create(&self.root, folder_of(key.as_str()))
            .map_err(|e| Error::io(action, key.as_str(), e.into()))
    }

    /// For a link that the file system cannot make: bytes of its own, as durable as those of `begin`.
    fn copy(&self, from: &Key, to: &Key) -> Result<()> {
        let mut bytes = self.open_file(from)?;
        let mut upload = self.begin(to)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return upload.commit().map(drop),
                Ok(n) => upload
                    .write_all(&buffer[..n])
                    .map_err(|e| Error::io("write", to.as_str(), e))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io("read", from.as_str(), e)),
            }
        }
    }
}

impl Store for Local {
    fn place(&self) -> &str {
        &self.place
    }

    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let taken = self
            .stat(key)
            .map_err(|e| Error::io("begin", key.as_str(), e.into()))?;
        if taken.is_some() {
            return Err(Error::io("begin", key.as_str(), Errno::EXIST.into()));
        }
        let work = self.work_for("begin", key)?;
        Ok(Box::new(upload::LocalUpload::new(work, key.clone())?))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.open_file(key)?))
    }

    /// Takes the object's pages out of the cache first. A commit has synced them, so all of them can
    /// go, and what is read comes from the disk.
    fn open_cold(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        let file = self.open_file(key)?;
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        Ok(Box::new(file))
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        let stat = self
            .stat(key)
            .map_err(|e| Error::io("look at", key.as_str(), e.into()))?;
        Ok(stat
            .filter(is_file)
            .map(|stat| walk::object(key.clone(), &stat)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        walk::list(&self.root, prefix)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let failed = |e: Errno| Error::io("delete", key.as_str(), e.into());
        match self.root.unlink(key.as_str()) {
            // Somebody may have unlinked it and been killed before that was made to last.
            Err(error) if is_absent(error) => {}
            done => done.map_err(failed)?,
        }
        match self.root.sync_up(folder_of(key.as_str())) {
            Err(error) if is_absent(error) => Ok(()),
            done => done.map_err(failed),
        }
    }

    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        let failed = |e: Errno| Error::io("link", to.as_str(), e.into());
        refuse_work_path("link", to)?;
        if !self
            .stat(from)
            .map_err(failed)?
            .is_some_and(|s| is_file(&s))
        {
            return Err(no_object("link", from));
        }
        let folder = folder_of(to.as_str());
        self.root.make_folders(folder).map_err(failed)?;
        let fd = self.root.fd();
        match linkat(fd, from.as_str(), fd, to.as_str(), AtFlags::SYMLINK_FOLLOW) {
            // Another file system, or one without hard links, or no more links to this file.
            Err(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                return self.copy(from, to);
            }
            done => done.map_err(failed)?,
        }
        self.root.sync_up(folder).map_err(|e| {
            let _ = self.root.unlink(to.as_str());
            failed(e)
        })
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let work = self.work_for("replace", key)?;
        work.file()
            .write_all(bytes)
            .map_err(|e| Error::io("replace", key.as_str(), e))?;
        work.publish_over(key)
    }

    fn space(&self) -> Result<Option<Space>> {
        let stat = fstatvfs(self.root.fd())
            .map_err(|e| Error::io("measure the space of", &self.place, e.into()))?;
        // Some network file systems answer with zeros instead of an error.
        Ok((stat.f_blocks > 0).then(|| Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
        }))
    }

    /// The time that a server gives to a new file. A file system of this machine takes its times from
    /// this machine's clock, so there it is no second opinion, and nothing is written to get it.
    fn clock(&self) -> Result<Option<SystemTime>> {
        let failed = |e: io::Error| Error::io("ask the clock of", &self.place, e);
        if !self.is_served().map_err(failed)? {
            return Ok(None);
        }
        let work = Work::create(&self.root, "").map_err(|e| failed(e.into()))?;
        work.file().write_all(b"?").map_err(failed)?;
        work.file().sync_all().map_err(failed)?;
        let modified = work.file().metadata().and_then(|m| m.modified());
        modified.map(Some).map_err(failed)
    }

    fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        work::sweep(&self.root, root::WORK_FOLDER, dry_run, &mut swept)?;
        for folder in walk::inner_work_folders(&self.root)? {
            work::sweep(&self.root, &folder, dry_run, &mut swept)?;
        }
        swept.sort();
        Ok(swept)
    }
}

fn opening(path: &Path, error: Errno) -> Error {
    Error::io("open the store", path.to_string_lossy(), error.into())
}

fn no_object(action: &'static str, key: &Key) -> Error {
    Error::new(
        ErrorKind::NotFound,
        action,
        key.as_str(),
        "there is no such object",
    )
}

fn refuse_work_path(action: &'static str, key: &Key) -> Result<()> {
    if work::is_work_path(key.as_str()) {
        return Err(Error::new(
            ErrorKind::Denied,
            action,
            key.as_str(),
            "only unfinished files live there",
        ));
    }
    Ok(())
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Nothing has that name, or a file is in the place of one of its folders.
fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR)
}

/// File systems whose times are another machine's: NFS, SMB (three numbers), FUSE (sshfs, rclone),
/// Ceph, 9P, AFS.
fn is_served(kind: u64) -> bool {
    matches!(
        kind & 0xffff_ffff,
        0x6969
            | 0x517b
            | 0xff53_4d42
            | 0xfe53_4d42
            | 0x6573_5546
            | 0x00c3_6400
            | 0x0102_1997
            | 0x5346_414f
    )
}
