//! Reading regular files that others may be writing to, so that what follows a header always has
//! exactly the size that the header says.

use super::{
    Moment, OnChanged, Watch,
    entry::{Meta, Unopened, failed, shown},
    extended::{Attributes, Of},
    handle::{Dir, Handles, Permit},
    header::{self, Kind},
};
use crate::source::{Notes, SourceError};
use rustix::{
    buffer::spare_capacity,
    fs::{Advice, FileType, fadvise, fstat},
    io::{Errno, ReadWriteFlags, pread, preadv2},
};
use std::{
    ffi::CStr,
    io::IoSliceMut,
    num::NonZeroU64,
    ops::Range,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// A small file that changes under the reader is read again; one that never rests is kept as it was the
/// last time.
const ATTEMPTS: usize = 3;

/// What reading does to the page cache is undone for files from this size on.
const DROP_BEHIND_SIZE: u64 = 8 << 20;

/// What all pieces of a walk share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) handles: Arc<Handles>,
    pub(super) on_changed: OnChanged,
    pub(super) watch: Watch,
    /// The longest records of attributes so far: the walk leaves as much room for each file.
    pub(super) records_max: AtomicUsize,
}

impl Shared {
    pub(super) fn changed(
        &self,
        path: &[u8],
        how: &str,
        notes: &Notes<'_>,
    ) -> Result<(), SourceError> {
        let what = format!("{}: {how}", shown(path));
        match self.on_changed {
            OnChanged::Warn => notes.warn(what),
            OnChanged::Fail => return Err(SourceError::Refused(what)),
        }
        Ok(())
    }

    /// The PAX records of a file's attributes; those that cannot be read are noted.
    pub(super) fn records<'a>(
        &self,
        attributes: &'a mut Attributes,
        of: Of<'_>,
        path: &[u8],
        notes: &Notes<'_>,
    ) -> &'a [u8] {
        let records = attributes.records(of, |name, error| {
            notes.warn(format!("{}: without its {name} ({error})", shown(path)));
        });
        if !records.is_empty() {
            self.records_max.fetch_max(records.len(), Ordering::Relaxed);
        }
        records
    }
}

/// A file small enough to be read whole by one worker, as the walk saw it.
pub(super) struct Small<'a> {
    pub(super) dir: &'a Dir,
    pub(super) name: &'a CStr,
    pub(super) path: &'a [u8],
    pub(super) meta: Meta,
    /// A file that has grown beyond this since the walk is cut: memory was promised to the last byte.
    pub(super) size_max: u64,
}

impl Small<'_> {
    /// Appends header and content, or notes why there is neither.
    ///
    /// The first attempt trusts what the walk saw and asks only afterwards whether it still holds: one
    /// question for the many files that nobody touches.
    pub(super) fn append(
        &self,
        out: &mut Vec<u8>,
        attributes: &mut Attributes,
        shared: &Shared,
        notes: &Notes<'_>,
    ) -> Result<(), SourceError> {
        let start = out.len();
        for attempt in 1..=ATTEMPTS {
            out.truncate(start);
            let file = match shared.handles.open_file(&self.dir.fd, self.name) {
                Ok(file) => file,
                Err(error) => return self.note(Unopened::of(error, self.path), notes),
            };
            let meta = if attempt == 1 {
                self.meta
            } else {
                self.look(&file)?
            };
            if meta.kind() != FileType::RegularFile {
                return self.note(Unopened::of(Errno::LOOP, self.path), notes);
            }
            let size = meta.size.min(self.size_max.max(self.meta.size));
            let records = shared.records(attributes, Of::open(&file), self.path, notes);
            header::encode(out, self.path, Kind::File { size }, &meta, records);
            shared.watch.at(Moment::Opened, self.path);

            let content = out.len();
            let got = match read(&file, 0..size, Bound::File, out) {
                Ok(got) => got,
                Err(_) if self.look(&file)?.kind() != FileType::RegularFile => {
                    out.truncate(start);
                    return self.note(Unopened::of(Errno::LOOP, self.path), notes);
                }
                Err(error) => return Err(failed("read", self.path, error)),
            };
            let steady = got == size && size == meta.size && meta.same_content(&self.look(&file)?);
            if !steady && attempt < ATTEMPTS {
                continue;
            }
            out.resize(content + size as usize, 0);
            header::pad(out, size);
            notes.entry();
            if !steady {
                shared.changed(self.path, &change(size - got), notes)?;
            }
            break;
        }
        Ok(())
    }

    fn look(&self, file: &OwnedFd) -> Result<Meta, SourceError> {
        fstat(file)
            .map(Meta::from)
            .map_err(|error| failed("look at", self.path, error))
    }

    fn note(&self, why: Unopened, notes: &Notes<'_>) -> Result<(), SourceError> {
        match why {
            Unopened::Noted(why) => {
                notes.warn(format!("{}: {why}", shown(self.path)));
                Ok(())
            }
            Unopened::Fatal(error) => Err(error),
        }
    }
}

/// A file that the walk has opened, because it is read in several stretches, has holes or several names,
/// or stands in for another one. Its header is written already.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    pub(super) path: Box<[u8]>,
    pub(super) meta: Meta,
    /// Ours alone: it cannot change.
    pub(super) steady: bool,
    drop_behind: bool,
    /// Stretches that are not read yet, and one for the walk while it still adds some.
    left: AtomicUsize,
    /// Bytes that were not there any more.
    short: AtomicU64,
    _permit: Permit,
}

impl Opened {
    pub(super) fn new(
        file: OwnedFd,
        path: &[u8],
        meta: Meta,
        steady: bool,
        permit: Permit,
    ) -> Arc<Self> {
        let large = meta.size >= DROP_BEHIND_SIZE;
        if large {
            let _ = fadvise(&file, 0, None, Advice::Sequential);
        }
        Arc::new(Opened {
            drop_behind: large && !is_cached(&file, meta.size),
            file,
            path: path.into(),
            meta,
            steady,
            left: AtomicUsize::new(1),
            short: AtomicU64::new(0),
            _permit: permit,
        })
    }

    /// One more stretch will be read.
    pub(super) fn expect(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends `len` bytes from `start` on, whatever is left of them.
    pub(super) fn append(
        &self,
        start: u64,
        len: u64,
        out: &mut Vec<u8>,
        shared: &Shared,
        notes: &Notes<'_>,
    ) -> Result<(), SourceError> {
        let before = out.len();
        let got = read(&self.file, start..start + len, Bound::Range, out)
            .map_err(|error| failed("read", &self.path, error))?;
        if got < len {
            out.resize(before + len as usize, 0);
            self.short.fetch_add(len - got, Ordering::Relaxed);
        }
        if self.drop_behind {
            let _ = fadvise(&self.file, start, NonZeroU64::new(len), Advice::DontNeed);
        }
        self.done(shared, notes)
    }

    /// One stretch, or the walk, is done. Whoever comes last looks whether the file has changed.
    pub(super) fn done(&self, shared: &Shared, notes: &Notes<'_>) -> Result<(), SourceError> {
        if self.left.fetch_sub(1, Ordering::AcqRel) > 1 || self.steady {
            return Ok(());
        }
        let short = self.short.load(Ordering::Relaxed);
        let now = fstat(&self.file).map_err(|error| failed("look at", &self.path, error))?;
        if short > 0 || !self.meta.same_content(&Meta::from(now)) {
            shared.changed(&self.path, &change(short), notes)?;
        }
        Ok(())
    }
}

fn change(short: u64) -> String {
    if short > 0 {
        format!("shrank while it was read: its last {short} bytes are zeros")
    } else {
        "changed while it was read".to_owned()
    }
}

/// What keeps a read from running on past the range that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// The end of the file, which is most likely there.
    File,
    /// Nothing but the room it is given.
    Range,
}

/// Appends a range of a file; less of it only where the file ends before.
fn read(file: &OwnedFd, range: Range<u64>, bound: Bound, out: &mut Vec<u8>) -> Result<u64, Errno> {
    let before = out.len();
    let len = (range.end - range.start) as usize;
    let end = before + len;
    out.reserve(len);
    while out.len() < end {
        let at = range.start + (out.len() - before) as u64;
        // The kernel fills all the room it is given. Using what the buffer has to spare saves clearing
        // it first, and costs little where there is not much too much of it.
        let spare_is_fine = bound == Bound::File || out.capacity() - end <= len.max(64 << 10);
        let got = if spare_is_fine {
            retry(|| pread(file, spare_capacity(out), at))?
        } else {
            let here = out.len();
            out.resize(end, 0);
            let got = retry(|| pread(file, &mut out[here..], at));
            out.truncate(here + got.unwrap_or(0));
            got?
        };
        if got == 0 {
            break;
        }
    }
    out.truncate(end);
    Ok((out.len() - before) as u64)
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Whether the page cache holds the file already, by a few samples: then somebody works with it, and it
/// must stay there.
fn is_cached(file: &impl AsFd, size: u64) -> bool {
    let mut byte = [0];
    [size / 4, size / 2, size / 4 * 3].into_iter().all(|at| {
        let mut room = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut room, at, ReadWriteFlags::NOWAIT).is_ok()
    })
}
