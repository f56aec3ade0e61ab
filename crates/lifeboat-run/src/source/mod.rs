//! What is to be saved, opened as a stream.
//!
//! A source does not hand over bytes: it hands over *pieces* in the order of the stream, and each
//! piece fills itself on whichever thread is free. So a hundred thousand small files are opened, read
//! and framed on all cores at once, and still end up in walk order; the next thing that happens to a
//! filled piece, on the same thread and still in its cache, is compression.

mod dump;
mod folder;
mod poured;
pub mod sqlite;

pub use dump::{Dump, EndWatch, Ended, Fault, Format, Program, Running, Seen, Sizes, Waiting};
pub use folder::{Folder, Moment, OnChanged, Options, Watch};
pub use poured::Poured;
pub(crate) use poured::frame;

use crate::{Cancel, Listener};
use lifeboat_plan::event::RunEvent;
use serde_json::{Map, Value};
use std::{
    fmt, io,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Opens what is to be saved, once, and describes it.
pub trait Source: Send + Sync + fmt::Debug {
    /// As the user knows it: `storage`, `db.shop`.
    fn name(&self) -> &str;

    /// `files`, `postgres` …: goes into the manifest.
    fn kind(&self) -> &str;

    /// The kind's part of the file name, without dots around it: `tar`, `dump`, `sql`.
    fn ending(&self) -> &str;

    /// Hands the stream's pieces to `flow`, in order, and describes what they held.
    ///
    /// A file that changed, vanished or cannot be read is a [`Notes::warn`], not an error: an error
    /// means that this stream is worth nothing.
    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError>;

    /// What takes time before the first byte is read: done before anybody has to hold still for it. What comes
    /// back is poured in place of this one; dropped, it takes back what was begun. `None`: there is nothing to
    /// do before.
    fn ready(&self, _: &Cancel) -> Result<Option<Box<dyn Source + '_>>, SourceError> {
        Ok(None)
    }
}

/// A stretch of the stream that can make itself, once, on any thread.
pub trait Piece: Send {
    /// Appends this piece's bytes to `out` (which arrives empty, with capacity to spare).
    fn fill(self: Box<Self>, out: &mut Vec<u8>, notes: &Notes<'_>) -> Result<(), SourceError>;
}

/// Bytes that are there already.
impl Piece for Vec<u8> {
    fn fill(self: Box<Self>, out: &mut Vec<u8>, _: &Notes<'_>) -> Result<(), SourceError> {
        out.extend_from_slice(&self);
        Ok(())
    }
}

/// What a source says of itself when its stream has ended well.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// Members of a tar stream; `None` for a dump. [`Notes::entry`] counts further ones, which are known
    /// only when a piece is filled.
    pub entries: Option<u64>,
    pub facts: Map<String, Value>,
}

impl Captured {
    /// All members, when every piece is filled.
    pub(crate) fn entries_with(&self, notes: &Notes<'_>) -> Option<u64> {
        match (self.entries, notes.entries()) {
            (None, 0) => None,
            (known, noted) => Some(known.unwrap_or(0).saturating_add(noted)),
        }
    }
}

/// The way into the seal.
pub struct Flow<'a> {
    pub(crate) intake: &'a mut dyn Intake,
    pub notes: &'a Notes<'a>,
    pub cancel: &'a Cancel,
    /// How many bytes a piece should have: enough to compress well, few enough to bound memory.
    pub piece_size: usize,
}

/// The seal's side of a [`Flow`].
pub(crate) trait Intake {
    fn piece(&mut self, piece: Box<dyn Piece>) -> Result<(), SourceError>;
    fn buffer(&mut self) -> Result<Vec<u8>, SourceError>;
    fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SourceError>;
    /// See [`Flow::all_read`].
    fn all_read(&mut self) {}
}

impl fmt::Debug for Flow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("piece_size", &self.piece_size)
            .finish_non_exhaustive()
    }
}

impl Flow<'_> {
    /// Waits while the seal has as many pieces in hand as it may.
    pub fn send(&mut self, piece: Box<dyn Piece>) -> Result<(), SourceError> {
        self.intake.piece(piece)
    }

    /// One of the seal's own buffers, empty, for a source that has bytes and nothing to make of them:
    /// filled and handed back with [`Flow::send_bytes`] they are copied nowhere. Waits like
    /// [`Flow::send`].
    pub fn buffer(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut buffer = self.intake.buffer()?;
        buffer.reserve(self.piece_size);
        Ok(buffer)
    }

    pub fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), SourceError> {
        self.intake.bytes(bytes)
    }

    /// Nothing is read any more but the pieces that were sent: whoever holds still for it may go on, whatever
    /// is left to be said.
    pub fn all_read(&mut self) {
        self.intake.all_read();
    }
}

/// Remarks on what was not captured as one would wish. The first [`Notes::KEPT`] are kept word for
/// word, all are counted.
pub struct Notes<'a> {
    source: &'a str,
    listener: &'a dyn Listener,
    entries: AtomicU64,
    total: AtomicU64,
    kept: Mutex<Vec<String>>,
}

impl<'a> Notes<'a> {
    pub const KEPT: usize = 200;

    pub fn new(source: &'a str, listener: &'a dyn Listener) -> Self {
        Notes {
            source,
            listener,
            entries: AtomicU64::new(0),
            total: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// `what` names the file and what is the matter: `"inv/7.pdf: changed while it was read"`.
    pub fn warn(&self, what: impl Into<String>) {
        if self.total.fetch_add(1, Ordering::Relaxed) < Self::KEPT as u64 {
            let what = what.into();
            self.listener.hear(&RunEvent::Warning {
                source: self.source.to_owned(),
                what: what.clone(),
            });
            self.kept
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .push(what);
        }
    }

    /// So many more remarks there were, in words that did not come this far.
    pub(crate) fn warned(&self, more: u64) {
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// One more member of the stream is certain.
    pub fn entry(&self) {
        self.entered(1);
    }

    pub(crate) fn entered(&self, more: u64) {
        self.entries.fetch_add(more, Ordering::Relaxed);
    }

    pub fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// How many remarks there were, also those that were not kept.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub fn into_kept(self) -> Vec<String> {
        self.kept.into_inner().unwrap_or_else(|e| e.into_inner())
    }
}

impl fmt::Debug for Notes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes")
            .field("source", &self.source)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

/// Why a source could not be captured. Never made of an error of the place that is written to: a full
/// disk over there must not look like an unreadable file over here.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{what} is not there")]
    Missing { what: String },
    /// There, but with nothing in it although the last backup held `before` entries.
    #[error("{what} is empty, and held {before} entries at the last backup")]
    SuddenlyEmpty { what: String, before: u64 },
    #[error("cannot {action} {what}: {error}")]
    Io {
        action: &'static str,
        what: String,
        error: io::Error,
    },
    /// A rule of the configuration makes a failure of what would be a warning.
    #[error("{0}")]
    Refused(String),
    #[error("{what}: {reason}")]
    Damaged { what: String, reason: String },
    /// A program's output that is worth nothing.
    #[error("{}", dump::words(what, *fault, detail))]
    Dump {
        what: String,
        fault: Fault,
        detail: String,
    },
    /// Whoever writes to it did not hold still.
    #[error("{0}")]
    NotHeld(String),
    /// There should be such a source, and it could not even be looked for. `code` is for machines.
    #[error("{reason}")]
    Unopened { reason: String, code: &'static str },
    /// The seal ended before the source did, for a reason of its own.
    #[error("stopped")]
    Stopped,
    #[error("cancelled")]
    Cancelled,
}

impl From<crate::Cancelled> for SourceError {
    fn from(_: crate::Cancelled) -> Self {
        SourceError::Cancelled
    }
}

impl SourceError {
    /// For machines: one of a closed set of words.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            SourceError::Dump { fault, .. } => Some(fault.as_str()),
            SourceError::NotHeld(_) => Some("not_held"),
            SourceError::Unopened { code, .. } => Some(code),
            SourceError::Missing { .. } | SourceError::SuddenlyEmpty { .. } => {
                Some("source_missing")
            }
            _ => None,
        }
    }

    /// Whether it makes sense to try once more a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, SourceError::Dump { fault, .. } if fault.may_pass())
    }
}
