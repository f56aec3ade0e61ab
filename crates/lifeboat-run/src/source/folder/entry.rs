//! What the kernel says of a file, and how a file is called when talking to a person.

use crate::source::SourceError;
use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};
use std::fmt::Write;

/// The part of `stat` that is archived or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) mode: u32,
    pub(super) links: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) rdev: u64,
    pub(super) size: u64,
    pub(super) blocks: u64,
    pub(super) modified: Time,
    pub(super) changed: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
}

impl From<Stat> for Meta {
    // The widths of these fields differ between machines.
    #[allow(clippy::unnecessary_cast)]
    fn from(stat: Stat) -> Self {
        Meta {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            links: stat.st_nlink as u64,
            uid: stat.st_uid as u32,
            gid: stat.st_gid as u32,
            rdev: stat.st_rdev as u64,
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            modified: Time {
                seconds: stat.st_mtime as i64,
                nanos: stat.st_mtime_nsec as u32,
            },
            changed: Time {
                seconds: stat.st_ctime as i64,
                nanos: stat.st_ctime_nsec as u32,
            },
        }
    }
}

impl Meta {
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    pub(super) fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// The same file, with the same content as far as its times can tell. Link count and access time
    /// may differ: neither touches the content.
    pub(super) fn same_content(&self, later: &Meta) -> bool {
        self.id() == later.id()
            && self.mode == later.mode
            && self.size == later.size
            && self.modified == later.modified
            && (self.changed == later.changed || self.links != later.links)
    }

    /// Fewer blocks than bytes: it may have holes. Small files are not worth the question.
    pub(super) fn may_have_holes(&self) -> bool {
        self.size >= 16 << 10 && self.blocks.saturating_mul(512) < self.size
    }
}

/// A path for a person, or for JSON: what is not printable UTF-8 is escaped, and nothing gets lost.
pub(super) fn shown(path: &[u8]) -> String {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let mut shown = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() || char == '\\' {
                shown.extend(char.escape_default());
            } else {
                shown.push(char);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    if shown.is_empty() {
        ".".to_owned()
    } else {
        shown
    }
}

/// Why a file that the walk has met cannot be opened.
pub(super) enum Unopened {
    /// It concerns this file only: said in a note, and the walk goes on.
    Noted(&'static str),
    /// Nothing that one file is to blame for: the source ends.
    Fatal(SourceError),
}

impl Unopened {
    pub(super) fn of(error: Errno, path: &[u8]) -> Self {
        match error {
            Errno::NOENT | Errno::STALE => Unopened::Noted("vanished before it was read"),
            Errno::ACCESS | Errno::PERM => Unopened::Noted("unreadable: permission denied"),
            Errno::LOOP | Errno::NOTDIR | Errno::NXIO => {
                Unopened::Noted("replaced by something else while it was looked at")
            }
            error => Unopened::Fatal(failed("open", path, error)),
        }
    }
}

pub(super) fn failed(action: &'static str, path: &[u8], error: Errno) -> SourceError {
    SourceError::Io {
        action,
        what: shown(path),
        error: error.into(),
    }
}
