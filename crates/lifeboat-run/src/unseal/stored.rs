//! The stored bytes on their way in: read once, digested, and passed on.
//!
//! ```text
//!  store ──▶ reader thread (SHA-256, size) ──chunks──▶ Feed (decrypt, decompress …)
//! ```
//!
//! Chunks are large and few: where many others want the cores, it is the waking up that costs time.

use super::Trouble;
use crate::{Cancel, Cancelled, authenticity::hex};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    io::{self, BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

const CHUNK: usize = 1 << 20;
/// Chunks that may wait to be read.
const AHEAD: usize = 6;

/// The stored bytes as the rest of the way back reads them.
pub(super) struct Feed {
    chunks: Receiver<Chunk>,
    /// Buffers on their way back to the reader.
    spare: Sender<Vec<u8>>,
    now: Vec<u8>,
    position: usize,
    ended: bool,
}

enum Chunk {
    Bytes(Vec<u8>),
    Failed(io::Error),
    /// Said aloud, so that a reader that died is not taken for the end.
    End,
}

/// What the stored bytes turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// The thread that reads and takes the digest. It goes on to the end also when nobody reads the [`Feed`]
/// any more, unless this is dropped.
pub(super) struct Digesting {
    thread: Option<JoinHandle<io::Result<Stored>>>,
    abandoned: Arc<AtomicBool>,
}

/// Starts to read `stored`: at most `limit` bytes of it.
pub(super) fn feed(
    stored: Box<dyn Read + Send>,
    limit: u64,
    cancel: &Cancel,
) -> io::Result<(Feed, Digesting)> {
    let (send, chunks) = bounded(AHEAD);
    let (spare, spared) = bounded(AHEAD + 2);
    let abandoned = Arc::new(AtomicBool::new(false));
    let reading = Reading {
        stored: stored.take(limit),
        feed: Some(send),
        spared,
        abandoned: Arc::clone(&abandoned),
        cancel: cancel.clone(),
    };
    let thread = thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || reading.run())?;
    let feed = Feed {
        chunks,
        spare,
        now: Vec::new(),
        position: 0,
        ended: false,
    };
    let digesting = Digesting {
        thread: Some(thread),
        abandoned,
    };
    Ok((feed, digesting))
}

struct Reading {
    stored: io::Take<Box<dyn Read + Send>>,
    /// `None` once nobody listens there.
    feed: Option<Sender<Chunk>>,
    spared: Receiver<Vec<u8>>,
    abandoned: Arc<AtomicBool>,
    cancel: Cancel,
}

impl Reading {
    fn run(mut self) -> io::Result<Stored> {
        let mut sha256 = ring::digest::Context::new(&ring::digest::SHA256);
        let mut size = 0;
        while !self.abandoned.load(Ordering::Relaxed) {
            match self.next() {
                Ok(bytes) if bytes.is_empty() => {
                    self.pass_on(Chunk::End);
                    return Ok(Stored {
                        size,
                        sha256: hex(sha256.finish().as_ref()),
                    });
                }
                Ok(bytes) => {
                    sha256.update(&bytes);
                    size += bytes.len() as u64;
                    self.pass_on(Chunk::Bytes(bytes));
                }
                Err(error) => {
                    self.pass_on(Chunk::Failed(same(&error)));
                    return Err(error);
                }
            }
        }
        Err(io::Error::other(Cancelled))
    }

    fn pass_on(&mut self, chunk: Chunk) {
        if let Some(feed) = &self.feed
            && feed.send(chunk).is_err()
        {
            self.feed = None;
        }
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        self.cancel.check().map_err(io::Error::other)?;
        let mut bytes = self.spared.try_recv().unwrap_or_default();
        bytes.clear();
        self.stored
            .by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| io::Error::new(error.kind(), Trouble::Reading(error)))?;
        Ok(bytes)
    }
}

/// An error once more, for the second one who must hear it.
fn same(error: &io::Error) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) {
        return io::Error::other(Cancelled);
    }
    let words = io::Error::new(error.kind(), error.to_string());
    io::Error::new(error.kind(), Trouble::Reading(words))
}

impl Digesting {
    /// Waits until the stored bytes were read to their end.
    pub(super) fn finish(mut self) -> io::Result<Stored> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(stored)) => stored,
            _ => Err(Trouble::died("reader")),
        }
    }
}

impl Drop for Digesting {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position == self.now.len() && !self.ended {
            match self.chunks.recv() {
                Ok(Chunk::Bytes(bytes)) => {
                    let used = std::mem::replace(&mut self.now, bytes);
                    // The reader may be done already, and want nothing back.
                    let _ = self.spare.try_send(used);
                    self.position = 0;
                }
                Ok(Chunk::End) => self.ended = true,
                Ok(Chunk::Failed(error)) => return Err(error),
                Err(_) => return Err(Trouble::died("reader")),
            }
        }
        Ok(&self.now[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// Marks the errors of the store itself, for readers that no [`Feed`] stands before.
pub(super) struct Marked<R>(pub(super) R);

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(out) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io::Error::new(error.kind(), Trouble::Reading(error))),
                Ok(n) => return Ok(n),
            }
        }
    }
}
