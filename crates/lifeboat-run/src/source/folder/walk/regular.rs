//! Regular files on the walk: which of them are opened here, and which are left to the workers.

use super::{KEPT, Walk};
use crate::source::{
    SourceError,
    folder::{
        Moment,
        entry::{Meta, Unopened, failed, shown},
        extended::Of,
        file::Opened,
        handle::Dir,
        header::{self, Extent, Kind},
    },
    sqlite::{self, CapturedDb, Check, SqliteError},
};
use rustix::{
    fs::{self, FileType, SeekFrom, fstat},
    io::{Errno, pread},
};
use std::{
    ffi::{CStr, CString, OsStr},
    mem,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::Arc,
};

/// A map of holes longer than this is made coarser.
const EXTENTS_MAX: usize = 4096;

impl Walk<'_, '_> {
    pub(super) fn regular(
        &mut self,
        dir: &Arc<Dir>,
        name: &CStr,
        meta: Meta,
    ) -> Result<(), SourceError> {
        if let Some(scratch) = &self.folder.options.scratch
            && (self.belongs_to_database(dir, name) || self.database(dir, name, &meta, scratch)?)
        {
            return Ok(());
        }
        // A link must never point to a member that turned out to be missing: what has several names is
        // opened here and now.
        let small = meta.size <= self.flow.piece_size as u64 / 4;
        if !small || meta.links > 1 || meta.may_have_holes() {
            return self.open(dir, name);
        }
        let path_len = self.path.len() + name.count_bytes();
        self.make_room(self.batch.small_size(path_len, meta.size))?;
        self.batch.small(dir, name, meta);
        self.members += 1;
        Ok(())
    }

    fn open(&mut self, dir: &Arc<Dir>, name: &CStr) -> Result<(), SourceError> {
        let path = self.path_of(name);
        let permit = self.permit()?;
        let file = match self.shared.handles.open_file(&dir.fd, name) {
            Ok(file) => file,
            Err(error) => return self.note(name, Unopened::of(error, &path)),
        };
        // What is archived is what was opened, whatever it was a moment ago.
        let meta = look(&file, &path)?;
        if meta.kind() != FileType::RegularFile {
            return self.note(name, Unopened::of(Errno::LOOP, &path));
        }
        let holes = meta
            .may_have_holes()
            .then(|| extents(&file, meta.size))
            .flatten();
        let opened = Opened::new(file, &path, meta, false, permit);
        let mut attributes = mem::take(&mut self.attributes);
        let of = Of::open(&opened.file);
        let records = self
            .shared
            .records(&mut attributes, of, &path, self.flow.notes);
        self.content(&opened, holes, records)?;
        self.attributes = attributes;
        self.links.add(&meta, &path, self.flow.notes);
        Ok(())
    }

    /// Header and content of a file that is open.
    fn content(
        &mut self,
        opened: &Arc<Opened>,
        holes: Option<Vec<Extent>>,
        records: &[u8],
    ) -> Result<(), SourceError> {
        let size = opened.meta.size;
        let whole = [Extent {
            start: 0,
            len: size,
        }];
        let (kind, extents) = match &holes {
            Some(extents) => (Kind::Sparse { size, extents }, &extents[..]),
            None => (Kind::File { size }, &whole[..]),
        };
        self.member(&opened.path, kind, &opened.meta, records)?;
        self.shared.watch.at(Moment::Opened, &opened.path);
        let mut stored = 0;
        for extent in extents {
            let mut at = extent.start;
            let end = extent.start + extent.len;
            while at < end {
                let left = end - at;
                let room = self.batch.room() as u64;
                if left > room && room < 64 << 10 {
                    self.flush()?;
                    continue;
                }
                // Pages are read whole.
                let len = if left <= room { left } else { room & !4095 };
                self.batch.stretch(opened, at, len);
                at += len;
            }
            stored += extent.len;
        }
        self.batch.ready(|out| header::pad(out, stored));
        opened.done(&self.shared, self.flow.notes)
    }

    /// Archives a consistent copy under the database's name. `false` when it is none, or when there can
    /// be no copy; then the file is archived as it lies.
    fn database(
        &mut self,
        dir: &Arc<Dir>,
        name: &CStr,
        meta: &Meta,
        scratch: &Path,
    ) -> Result<bool, SourceError> {
        let Some(file) = self.peek(dir, name, meta) else {
            return Ok(false);
        };
        let path = self.path_of(name);
        let mut attributes = mem::take(&mut self.attributes);
        let records = self
            .shared
            .records(&mut attributes, Of::open(&file), &path, self.flow.notes);
        // Nobody in this process may have it open while SQLite holds locks on it.
        drop(file);
        let Some(copy) = self.capture(dir, name, scratch)? else {
            self.companions(dir, name)?;
            return Ok(false);
        };
        let meta = Meta {
            size: copy.size,
            ..*meta
        };
        let permit = self.permit()?;
        let opened = Opened::new(copy.file.into(), &path, meta, true, permit);
        self.content(&opened, None, records)?;
        self.attributes = attributes;
        self.links.add(&meta, &path, self.flow.notes);
        if self.databases.len() < KEPT {
            self.databases.push(shown(&path).into());
        }
        Ok(true)
    }

    fn capture(
        &mut self,
        dir: &Dir,
        name: &CStr,
        scratch: &Path,
    ) -> Result<Option<CapturedDb>, SourceError> {
        let live = Path::new("/proc/self/fd")
            .join(dir.fd.as_raw_fd().to_string())
            .join(OsStr::from_bytes(name.to_bytes()));
        let path = shown(&self.path_of(name));
        match sqlite::capture(&live, scratch, self.flow.cancel) {
            Ok(copy) => {
                if let Check::Failed(findings) = &copy.check {
                    self.flow.notes.warn(format!(
                        "{path}: is damaged, and so is its copy here: {findings}"
                    ));
                }
                Ok(Some(copy))
            }
            Err(SqliteError::Cancelled) => Err(SourceError::Cancelled),
            Err(error) if error.is_of_the_file() => {
                self.flow.notes.warn(format!(
                    "{path}: archived as it lies, and may be torn: {error}"
                ));
                Ok(None)
            }
            Err(error) => Err(SourceError::Damaged {
                what: path,
                reason: format!("no consistent copy of it can be made: {error}"),
            }),
        }
    }

    /// Archives what belongs to a database of which there is no copy: with all of it, SQLite may recover
    /// the state of that moment.
    fn companions(&mut self, dir: &Arc<Dir>, name: &CStr) -> Result<(), SourceError> {
        for ending in ["-wal", "-shm", "-journal"] {
            let name = [name.to_bytes(), ending.as_bytes()].concat();
            let Ok(name) = CString::new(name) else {
                continue;
            };
            if let Ok(meta) = self.look(dir, &name)
                && meta.kind() == FileType::RegularFile
            {
                self.open(dir, &name)?;
            }
        }
        Ok(())
    }

    /// The open file, if it starts as a database does.
    fn peek(&self, dir: &Dir, name: &CStr, meta: &Meta) -> Option<OwnedFd> {
        if !may_be_database(meta) {
            return None;
        }
        let file = self.shared.handles.open_file(&dir.fd, name).ok()?;
        let mut start = [0; sqlite::HEADER];
        let got = pread(&file, &mut start, 0).ok()?;
        sqlite::is_database(&start[..got], meta.size).then_some(file)
    }

    /// Companions of a database are left to it.
    fn belongs_to_database(&self, dir: &Dir, name: &CStr) -> bool {
        sqlite::companion_of(OsStr::from_bytes(name.to_bytes()))
            .and_then(|database| CString::new(database.as_bytes()).ok())
            .is_some_and(|database| {
                self.look(dir, &database)
                    .is_ok_and(|meta| self.peek(dir, &database, &meta).is_some())
            })
    }
}

/// Spares most files the look inside: databases consist of whole pages.
fn may_be_database(meta: &Meta) -> bool {
    meta.kind() == FileType::RegularFile && meta.size > 0 && meta.size.is_multiple_of(512)
}

fn look(file: &OwnedFd, path: &[u8]) -> Result<Meta, SourceError> {
    fstat(file)
        .map(Meta::from)
        .map_err(|error| failed("look at", path, error))
}

/// Where the file has data; `None` when it has no holes, or the file system does not tell.
fn extents(file: &OwnedFd, size: u64) -> Option<Vec<Extent>> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut gap = 0;
    let mut at = 0;
    while at < size {
        let data = match fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) if data < size => data,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        at = match fs::seek(file, SeekFrom::Hole(data)) {
            Ok(hole) if hole > data => hole.min(size),
            _ => return None,
        };
        let start = data & !511;
        let end = at.next_multiple_of(512).min(size);
        join(
            &mut extents,
            Extent {
                start,
                len: end - start,
            },
            gap,
        );
        if extents.len() > EXTENTS_MAX {
            gap = (gap * 2).max(64 << 10);
            let fine = mem::take(&mut extents);
            for extent in fine {
                join(&mut extents, extent, gap);
            }
        }
    }
    match extents.last() {
        Some(only) if only.start == 0 && only.len == size => return None,
        Some(last) if last.start + last.len == size => {}
        // The size of a file that ends with a hole is told by an empty extent.
        _ => extents.push(Extent {
            start: size,
            len: 0,
        }),
    }
    Some(extents)
}

/// Appends an extent, to the one before it where no more than `gap` lies between them.
fn join(extents: &mut Vec<Extent>, extent: Extent, gap: u64) {
    match extents.last_mut() {
        Some(last) if last.start + last.len + gap >= extent.start => {
            last.len = extent.start + extent.len - last.start;
        }
        _ => extents.push(extent),
    }
}
