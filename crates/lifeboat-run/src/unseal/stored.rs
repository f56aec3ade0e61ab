//! The stored bytes on their way in: read once, and shared with the thread that takes their digest.
//!
//! ```text
//!  store ──▶ reader thread ──chunks──▶ Feed (decrypt, decompress …)
//!                          └─chunks──▶ digest thread (SHA-256, size)
//! ```

use super::Trouble;
use crate::{Cancel, Cancelled};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

const CHUNK: usize = 256 * 1024;
/// Chunks that may wait on either way.
const AHEAD: usize = 4;

/// The stored bytes as the rest of the way back reads them.
pub(super) struct Feed {
    chunks: Receiver<Chunk>,
    now: Arc<Vec<u8>>,
    position: usize,
    ended: bool,
}

enum Chunk {
    Bytes(Arc<Vec<u8>>),
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

/// The thread that takes the digest. It goes on to the end also when nobody reads the [`Feed`] any more,
/// unless this is dropped.
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
    let (to_feed, chunks) = bounded(AHEAD);
    let (to_digest, digested) = bounded(AHEAD);
    let abandoned = Arc::new(AtomicBool::new(false));
    let reading = Reading {
        stored: stored.take(limit),
        to_feed: Some(to_feed),
        to_digest,
        buffers: VecDeque::new(),
        abandoned: Arc::clone(&abandoned),
        cancel: cancel.clone(),
    };
    thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || reading.run())?;
    let thread = thread::Builder::new()
        .name("digest".to_owned())
        .spawn(move || digest(&digested))?;
    let feed = Feed {
        chunks,
        now: Arc::default(),
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
    to_feed: Option<Sender<Chunk>>,
    to_digest: Sender<Chunk>,
    buffers: VecDeque<Arc<Vec<u8>>>,
    abandoned: Arc<AtomicBool>,
    cancel: Cancel,
}

impl Reading {
    fn run(mut self) {
        loop {
            if self.abandoned.load(Ordering::Relaxed) {
                return;
            }
            let next = match self.cancel.check() {
                Ok(()) => self.next(),
                Err(cancelled) => Err(io::Error::other(cancelled)),
            };
            match next {
                Ok(bytes) if bytes.is_empty() => return self.say(|| Chunk::End),
                Ok(bytes) => {
                    self.say(|| Chunk::Bytes(Arc::clone(&bytes)));
                    self.buffers.push_back(bytes);
                }
                Err(error) => {
                    let cancelled = error.get_ref().is_some_and(|inner| inner.is::<Cancelled>());
                    let (kind, text) = (error.kind(), error.to_string());
                    return self.say(|| {
                        Chunk::Failed(if cancelled {
                            io::Error::other(Cancelled)
                        } else {
                            io::Error::new(
                                kind,
                                Trouble::Reading(io::Error::new(kind, text.clone())),
                            )
                        })
                    });
                }
            }
        }
    }

    fn say(&mut self, chunk: impl Fn() -> Chunk) {
        // The digest first: it must know all that anybody was given.
        let _ = self.to_digest.send(chunk());
        if let Some(to_feed) = &self.to_feed
            && to_feed.send(chunk()).is_err()
        {
            self.to_feed = None;
        }
    }

    /// A buffer is used again when both sides are done with it.
    fn next(&mut self) -> io::Result<Arc<Vec<u8>>> {
        let mut buffer = match self.buffers.pop_front() {
            Some(old) if Arc::strong_count(&old) == 1 => old,
            Some(busy) => {
                // Bounded by what the channels hold.
                self.buffers.push_front(busy);
                Arc::default()
            }
            None => Arc::default(),
        };
        let bytes = Arc::make_mut(&mut buffer);
        bytes.clear();
        self.stored.by_ref().take(CHUNK as u64).read_to_end(bytes)?;
        Ok(buffer)
    }
}

fn digest(chunks: &Receiver<Chunk>) -> io::Result<Stored> {
    let mut sha256 = ring::digest::Context::new(&ring::digest::SHA256);
    let mut size = 0;
    loop {
        match chunks.recv() {
            Ok(Chunk::Bytes(bytes)) => {
                sha256.update(&bytes);
                size += bytes.len() as u64;
            }
            Ok(Chunk::End) => {
                return Ok(Stored {
                    size,
                    sha256: crate::authenticity::hex(sha256.finish().as_ref()),
                });
            }
            Ok(Chunk::Failed(error)) => return Err(error),
            Err(_) => return Err(Trouble::died("reader")),
        }
    }
}

impl Digesting {
    /// Waits until the stored bytes were read to their end.
    pub(super) fn finish(mut self) -> io::Result<Stored> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(stored)) => stored,
            _ => Err(Trouble::died("digest")),
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
                    self.now = bytes;
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
