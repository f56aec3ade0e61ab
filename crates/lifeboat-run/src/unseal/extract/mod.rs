//! A tar stream back into files, inside a private folder.
//!
//! ```text
//!  Passage ─▶ tar reader ─┬─ folders, links, devices, large files ─▶ the calling thread
//!                         └─ small files, in batches ──────────────▶ `jobs` writer threads
//! ```
//!
//! Every name is walked from the staging folder down, part by part, without following links; everything
//! is created anew and nothing is ever opened that was there before. So an archive can say what it
//! wants: not a byte leaves the staging folder. Folders get their owners, modes and times last.

mod acl;
mod apply;
mod folders;
mod paths;
mod progress;
mod writers;

pub use paths::{BadPattern, Paths};

use super::{
    Passage, Promise, Trouble, UnsealError,
    measured::{Measured, Plain},
    tar::{Entry, Kind, Meta, Reader, Segment, shown},
};
use crate::{Cancel, Keyring, Listener, source::Notes};
use apply::Apply;
use folders::Folders;
use lifeboat_plan::Archive;
use paths::Picked;
use progress::Progress;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    io::{BufRead, Read},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
    thread,
};
use writers::{Small, Writers};

/// How an archive is extracted.
#[derive(Debug, Clone)]
pub struct Options {
    /// What of it.
    pub paths: Paths,
    /// Device nodes are made only when somebody asked for them.
    pub allow_devices: bool,
    /// Threads that write small files; 0 = all cores, at least two.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            paths: Paths::all(),
            allow_devices: false,
            jobs: 0,
        }
    }
}

/// What is in the staging folder now, all of it compared with the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// Entries that were asked for and are there.
    pub entries: u64,
    /// Bytes of file contents.
    pub bytes: u64,
    /// What could not be restored as it was, the first of them by name.
    pub warnings: Vec<String>,
    pub warnings_total: u64,
    /// The archive said what the folder itself should be like, and it is.
    pub has_root: bool,
}

/// Files up to this size travel in batches.
const SMALL_MAX: u64 = 512 * 1024;

/// Hard links that may wait for the files that they link to.
const LINKS_WAITING: usize = 1024;

/// Extracts the archive `stored` into `staging`: a folder that the caller made for this and nothing
/// else, on the file system of the target, and removes when this fails. `Ok` means that the stored
/// bytes, the plain bytes and the entries are all what the manifest says.
pub fn extract(
    stored: Box<dyn Read + Send>,
    archive: &Archive,
    keys: &Keyring,
    staging: &Path,
    options: &Options,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Extracted, UnsealError> {
    let Some(promise) = Promise::of(archive) else {
        return Err(UnsealError::Hostile {
            file: archive.file.clone(),
            reason: "its manifest knows of no files in it (it is a dump)".to_owned(),
        });
    };
    let folders = Folders::start(staging)?;
    let passage = Passage::begin(stored, archive, keys, cancel)?;
    extract_from(passage, &promise, folders, options, listener)
}

/// The same, of plain bytes that somebody else unseals. Not a byte more than was promised is read; `Ok`
/// means that they and the entries are what the manifest says. The stored ones are that somebody's business.
pub fn extract_plain(
    plain: impl BufRead,
    promise: &Promise,
    staging: &Path,
    options: &Options,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Extracted, UnsealError> {
    let folders = Folders::start(staging)?;
    let Promise {
        file,
        plain_size,
        plain_xxh128,
        ..
    } = promise;
    let plain = plain.take(*plain_size);
    let plain = Measured::new(plain, file, *plain_size, plain_xxh128, cancel);
    extract_from(plain, promise, folders, options, listener)
}

fn extract_from<P: Plain>(
    plain: P,
    promise: &Promise,
    folders: Folders,
    options: &Options,
    listener: &dyn Listener,
) -> Result<Extracted, UnsealError> {
    let notes = Notes::new(&promise.source, listener);
    let apply = Apply::new(folders.root(), &notes)?;
    let jobs = match options.jobs {
        0 => thread::available_parallelism().map_or(2, |n| n.get().max(2)),
        jobs => jobs,
    };

    let done = thread::scope(|scope| {
        let writers = Writers::start(scope, jobs, &apply)?;
        let extraction = Extraction {
            file: &promise.file,
            reader: Reader::new(plain, promise.entries),
            picked: options.paths.start(),
            allow_devices: options.allow_devices,
            folders,
            apply: &apply,
            notes: &notes,
            writers,
            links: Links::default(),
            left_out: HashSet::new(),
            progress: Progress::new(&promise.source, listener),
        };
        extraction.run()
    })?;
    apply.sum_up();
    let warnings_total = notes.total();
    Ok(Extracted {
        warnings: notes.into_kept(),
        warnings_total,
        ..done
    })
}

struct Extraction<'a, P> {
    file: &'a str,
    reader: Reader<P>,
    picked: Picked<'a>,
    allow_devices: bool,
    folders: Folders,
    apply: &'a Apply<'a>,
    notes: &'a Notes<'a>,
    writers: Writers,
    links: Links,
    /// Devices that were not made, and hard links to nothing.
    left_out: HashSet<Vec<u8>>,
    progress: Progress<'a>,
}

/// Hard links to files that may not be written yet.
#[derive(Default)]
struct Links {
    /// Path and target.
    waiting: Vec<(Vec<u8>, Vec<u8>)>,
    targets: HashSet<Vec<u8>>,
}

impl<P: Plain> Extraction<'_, P> {
    /// All but the warnings.
    fn run(mut self) -> Result<Extracted, UnsealError> {
        let poured = self.pour().and_then(|()| self.flush());
        let plain = self.reader.into_inner();
        match poured {
            Ok(()) => plain.finish()?,
            Err(error) => return Err(plain.fail(error)),
        }
        for pattern in self.picked.without_a_match() {
            self.notes.warn(format!("nothing matches {pattern:?}"));
        }
        let has_root = self.folders.has_root();
        self.folders.finish(self.apply)?;
        self.progress.tell();
        Ok(Extracted {
            entries: self.progress.entries - self.left_out.len() as u64,
            bytes: self.progress.bytes,
            warnings: Vec::new(),
            warnings_total: 0,
            has_root,
        })
    }

    fn pour(&mut self) -> Result<(), UnsealError> {
        while let Some(entry) = self
            .reader
            .entry()
            .map_err(|error| Trouble::tell(self.file, error))?
        {
            self.writers.check()?;
            if self.picked.picks(&entry) {
                for (path, meta) in self.picked.take_ancestors() {
                    self.folders.make(self.file, &path, &meta)?;
                }
                self.put(entry)?;
                self.progress.step();
            }
        }
        Ok(())
    }

    fn put(&mut self, entry: Entry) -> Result<(), UnsealError> {
        let Entry { path, kind, meta } = entry;
        if self.links.targets.contains(&path) {
            return Err(UnsealError::Hostile {
                file: self.file.to_owned(),
                reason: format!("a hard link to {} comes before it", shown(&path)),
            });
        }
        match kind {
            Kind::File { stored } if stored <= SMALL_MAX => self.small(path, meta, stored),
            Kind::File { stored } => {
                let whole = [Segment {
                    offset: 0,
                    length: stored,
                }];
                self.large(&path, &meta, stored, &whole)
            }
            Kind::Sparse { size, segments, .. } => self.large(&path, &meta, size, &segments),
            Kind::Folder => self.folders.make(self.file, &path, &meta),
            Kind::HardLink { target } => {
                self.links.targets.insert(target.clone());
                self.links.waiting.push((path, target));
                if self.links.waiting.len() >= LINKS_WAITING {
                    self.flush()?;
                }
                Ok(())
            }
            Kind::Symlink { target } => {
                let (parent, name) = self.place(&path)?;
                rustix::fs::symlinkat(&target[..], &parent, name)
                    .map_err(|e| self.refused("link", &path, e))?;
                self.apply.to_node(&parent, &path, name, &meta, false)
            }
            Kind::Fifo => self.node(&path, &meta, FileType::Fifo, (0, 0)),
            Kind::CharDevice { major, minor } => {
                self.node(&path, &meta, FileType::CharacterDevice, (major, minor))
            }
            Kind::BlockDevice { major, minor } => {
                self.node(&path, &meta, FileType::BlockDevice, (major, minor))
            }
        }
    }

    fn small(&mut self, path: Vec<u8>, meta: Meta, size: u64) -> Result<(), UnsealError> {
        let (parent, _) = self.place(&path)?;
        let mut data = self.writers.room(size as usize)?;
        loop {
            let bytes = self
                .reader
                .data()
                .map_err(|error| Trouble::tell(self.file, error))?;
            if bytes.is_empty() {
                break;
            }
            data.extend_from_slice(bytes);
            let n = bytes.len();
            self.reader.consume(n);
        }
        self.progress.bytes += size;
        self.writers.add(data, Small { parent, path, meta })
    }

    /// Written by this thread, straight out of the decompressor's buffers.
    fn large(
        &mut self,
        path: &[u8],
        meta: &Meta,
        size: u64,
        segments: &[Segment],
    ) -> Result<(), UnsealError> {
        let (parent, name) = self.place(path)?;
        let file = create(&parent, name).map_err(|e| self.refused("create", path, e))?;
        let mut written = 0;
        for segment in segments {
            let mut offset = segment.offset;
            let end = segment.offset + segment.length;
            while offset < end {
                let bytes = self
                    .reader
                    .data()
                    .map_err(|error| Trouble::tell(self.file, error))?;
                let n = usize::try_from(end - offset).map_or(bytes.len(), |n| n.min(bytes.len()));
                let n = rustix::io::pwrite(&file, &bytes[..n], offset)
                    .map_err(|e| failed("write", path, e))?;
                self.reader.consume(n);
                self.progress.add(n as u64);
                self.writers.check()?;
                offset += n as u64;
                written = offset;
            }
        }
        if written < size {
            rustix::fs::ftruncate(&file, size).map_err(|e| failed("write", path, e))?;
        }
        self.apply.to_file(&file, path, meta)
    }

    fn node(
        &mut self,
        path: &[u8],
        meta: &Meta,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Result<(), UnsealError> {
        if kind != FileType::Fifo && !self.allow_devices {
            self.notes
                .warn(format!("{}: a device, left out", shown(path)));
            self.left_out.insert(path.to_vec());
            return Ok(());
        }
        let (parent, name) = self.place(path)?;
        let device = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(&parent, name, kind, Mode::from_raw_mode(0o600), device) {
            Ok(()) => self.apply.to_node(&parent, path, name, meta, true),
            Err(rustix::io::Errno::PERM) => {
                self.notes.warn(format!(
                    "{}: a device or pipe that may not be made here, left out",
                    shown(path)
                ));
                self.left_out.insert(path.to_vec());
                Ok(())
            }
            Err(errno) => Err(self.refused("create", path, errno)),
        }
    }

    /// Writes all that waits: small files, then the hard links to them.
    fn flush(&mut self) -> Result<(), UnsealError> {
        self.writers.flush()?;
        for (path, target) in std::mem::take(&mut self.links).waiting {
            self.link(&path, &target)?;
        }
        Ok(())
    }

    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(), UnsealError> {
        let no_file = |extraction: &mut Self| {
            if extraction.picked.is_all() && !extraction.left_out.contains(target) {
                return Err(UnsealError::Hostile {
                    file: extraction.file.to_owned(),
                    reason: format!(
                        "{} is a hard link to {}, which is nothing that came before it",
                        shown(path),
                        shown(target)
                    ),
                });
            }
            extraction.notes.warn(format!(
                "{}: a hard link to {}, which was left out: left out as well",
                shown(path),
                shown(target)
            ));
            extraction.left_out.insert(path.to_vec());
            Ok(())
        };
        let (target_parent, target_name) = split(target);
        let Some(from) = self.folders.find(target_parent)? else {
            return no_file(self);
        };
        match rustix::fs::statat(&from, target_name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {}
            Ok(_) | Err(rustix::io::Errno::NOENT) => return no_file(self),
            Err(errno) => return Err(failed("read", target, errno)),
        }
        let (parent, name) = self.place(path)?;
        // Never follows a link.
        rustix::fs::linkat(&from, target_name, &parent, name, AtFlags::empty())
            .map_err(|e| self.refused("link", path, e))
    }

    /// The folder in which `path` will lie, and its name there.
    fn place<'p>(&mut self, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p [u8]), UnsealError> {
        let (parent, name) = split(path);
        Ok((self.folders.open(self.file, parent)?, name))
    }

    fn refused(&self, action: &'static str, path: &[u8], errno: rustix::io::Errno) -> UnsealError {
        refused(self.file, action, path, errno)
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

fn create(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(
        parent,
        name,
        OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o600),
    )
}

fn failed(action: &'static str, path: &[u8], errno: rustix::io::Errno) -> UnsealError {
    UnsealError::Io {
        action,
        what: shown(path),
        error: errno.into(),
    }
}

/// What is there already was made by this archive: the folder was empty.
fn refused(file: &str, action: &'static str, path: &[u8], errno: rustix::io::Errno) -> UnsealError {
    match errno {
        rustix::io::Errno::EXIST => UnsealError::Hostile {
            file: file.to_owned(),
            reason: format!("two entries have the name {}", shown(path)),
        },
        errno => failed(action, path, errno),
    }
}
