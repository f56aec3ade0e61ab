//! zstd on all cores: a file of many frames is cut at their borders, and each is decoded by itself.
//!
//! ```text
//!  decoder threads (one a core): cut off the next frame, decode it ──▶ Frames, in the order of the file
//! ```
//!
//! That needs frames which say how large they are and are small enough to be held whole, as ours are.
//! From the first frame on that is not (a file of the stock tool is one endless frame), the rest is
//! decoded as a stream by whoever reads.

mod cut;
mod room;

use super::{Trouble, decompress::zstd_stream};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use cut::{Cut, Cutter, broken};
use room::Room;
use std::{
    io::{self, BufRead, Read},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

const DECODERS_MAX: usize = 16;

/// The plain bytes of a zstd file.
pub(super) struct Frames {
    ordered: Receiver<Next>,
    now: Now,
    room: Arc<Room>,
}

enum Now {
    Whole {
        plain: Vec<u8>,
        position: usize,
        cost: usize,
    },
    Stream(Box<dyn BufRead + Send>),
    Ended,
    /// An error was given out: whoever asks again does not get an end instead.
    Broken,
}

/// What comes next in the order of the file.
enum Next {
    Frame {
        plain: Receiver<io::Result<Vec<u8>>>,
        cost: usize,
    },
    Rest(Box<dyn BufRead + Send>),
    Failed(io::Error),
    End,
}

impl Frames {
    pub(super) fn start(packed: Box<dyn BufRead + Send>) -> io::Result<Self> {
        let room = Arc::new(Room::default());
        // How much is under way is bounded by the room, not by the channel.
        let (next, ordered) = unbounded();
        let file = Arc::new(Mutex::new(Some(File {
            cutter: Cutter::new(packed),
            next,
        })));
        for _ in 0..thread::available_parallelism().map_or(2, |n| n.get().min(DECODERS_MAX)) {
            let decoder = Decoder {
                file: Arc::clone(&file),
                room: Arc::clone(&room),
            };
            thread::Builder::new()
                .name("unzstd".to_owned())
                .spawn(move || decoder.run())?;
        }
        Ok(Frames {
            ordered,
            now: Now::Whole {
                plain: Vec::new(),
                position: 0,
                cost: 0,
            },
            room,
        })
    }

    fn advance(&mut self) -> io::Result<()> {
        if let Now::Whole { plain, cost, .. } = &mut self.now {
            self.room.release(std::mem::take(plain), *cost);
        }
        self.now = Now::Broken;
        self.now = match self.ordered.recv() {
            Ok(Next::Frame { plain, cost }) => {
                let plain = plain
                    .recv()
                    .unwrap_or_else(|_| Err(Trouble::died("decoder")));
                Now::Whole {
                    plain: plain?,
                    position: 0,
                    cost,
                }
            }
            Ok(Next::Rest(packed)) => Now::Stream(zstd_stream(packed)),
            Ok(Next::Failed(error)) => return Err(error),
            Ok(Next::End) => Now::Ended,
            Err(_) => return Err(Trouble::died("decoder")),
        };
        Ok(())
    }
}

impl BufRead for Frames {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Now::Whole {
            plain, position, ..
        } = &self.now
            && *position == plain.len()
        {
            self.advance()?;
        }
        match &mut self.now {
            Now::Whole {
                plain, position, ..
            } => Ok(&plain[*position..]),
            Now::Stream(stream) => stream.fill_buf(),
            Now::Ended => Ok(&[]),
            Now::Broken => Err(Trouble::died("decoder")),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.now {
            Now::Whole { position, .. } => *position += amount,
            Now::Stream(stream) => stream.consume(amount),
            Now::Ended | Now::Broken => {}
        }
    }
}

impl Read for Frames {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.room.close();
    }
}

/// The file and the order of its frames: one lock, so that they agree.
struct File {
    cutter: Cutter,
    next: Sender<Next>,
}

/// A frame to be decoded, and where to.
struct Job {
    packed: Vec<u8>,
    plain_size: usize,
    done: Sender<io::Result<Vec<u8>>>,
}

struct Decoder {
    /// `None` when there is nothing more to cut.
    file: Arc<Mutex<Option<File>>>,
    room: Arc<Room>,
}

impl Decoder {
    fn run(self) {
        let mut zstd = zstd::bulk::Decompressor::new();
        while let Some(job) = self.job() {
            let plain = match &mut zstd {
                Ok(zstd) => self.decode(zstd, &job),
                Err(error) => Err(io::Error::other(error.to_string())),
            };
            self.room.take_back(job.packed);
            // Nobody there any more: the reader has given up.
            let _ = job.done.send(plain);
        }
    }

    /// Cuts off the next frame, and says in the order of the file where it will appear.
    fn job(&self) -> Option<Job> {
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, and put back when it went well: whoever fails or panics in between ends the file.
        let mut file = guard.take()?;
        let end = match file.cutter.cut(self.room.packed_buffer()) {
            Ok(Cut::Frame { packed, plain_size }) => {
                let cost = packed.len() + plain_size;
                let (done, plain) = bounded(1);
                let is_wanted =
                    self.room.acquire(cost) && file.next.send(Next::Frame { plain, cost }).is_ok();
                if is_wanted {
                    *guard = Some(file);
                }
                return is_wanted.then_some(Job {
                    packed,
                    plain_size,
                    done,
                });
            }
            Ok(Cut::Rest(packed)) => Next::Rest(packed),
            Ok(Cut::End) => Next::End,
            Err(error) => Next::Failed(error),
        };
        let _ = file.next.send(end);
        None
    }

    fn decode(&self, zstd: &mut zstd::bulk::Decompressor<'_>, job: &Job) -> io::Result<Vec<u8>> {
        let mut plain = self.room.plain_buffer();
        plain.reserve(job.plain_size);
        zstd.decompress_to_buffer(&job.packed, &mut plain)
            .map_err(|error| broken(&error.to_string()))?;
        Ok(plain)
    }
}
