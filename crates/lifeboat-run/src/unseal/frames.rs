//! zstd on all cores: a file of many frames is cut at their borders, and each is decoded by itself.
//!
//! ```text
//!  cutter thread ──frames──▶ decoder threads (one a core) ──▶ Frames, in the order of the file
//! ```
//!
//! That needs frames which say how large they are and are small enough to be held whole, as ours are.
//! From the first frame on that is not (a file of the stock tool is one endless frame), the rest is
//! decoded as a stream by whoever reads.

use super::{
    Trouble,
    decompress::{WINDOW_LOG_MAX, zstd_stream},
};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::{
    io::{self, BufRead, Cursor, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The largest frame that is decoded whole.
const FRAME_MAX: u64 = 8 << 20;

/// Bytes, packed and plain, of all frames that are between the cutter and the reader.
const BUDGET: usize = 20 << 20;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BLOCK_MAX: usize = 128 * 1024;

/// The plain bytes of a zstd file.
pub(super) struct Frames {
    ordered: Receiver<Next>,
    now: Now,
    shared: Arc<Shared>,
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

struct Job {
    packed: Vec<u8>,
    plain_size: usize,
    done: Sender<io::Result<Vec<u8>>>,
}

impl Frames {
    pub(super) fn start(packed: Box<dyn BufRead + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let workers = thread::available_parallelism().map_or(2, |n| n.get().min(16));
        // The budget is what bounds them; channels without a bound of their own cannot deadlock with it.
        let (jobs, taken) = unbounded::<Job>();
        let (next, ordered) = unbounded();
        for _ in 0..workers {
            let (taken, shared) = (taken.clone(), Arc::clone(&shared));
            thread::Builder::new()
                .name("unzstd".to_owned())
                .spawn(move || decode(&taken, &shared))?;
        }
        let cutter = Cutter {
            input: packed,
            jobs,
            next,
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("cut".to_owned())
            .spawn(move || cutter.run())?;
        Ok(Frames {
            ordered,
            now: Now::Whole {
                plain: Vec::new(),
                position: 0,
                cost: 0,
            },
            shared,
        })
    }

    fn advance(&mut self) -> io::Result<()> {
        if let Now::Whole { plain, cost, .. } = &mut self.now {
            self.shared.release(std::mem::take(plain), *cost);
        }
        self.now = Now::Broken;
        self.now = match self.ordered.recv() {
            Ok(Next::Frame { plain, cost }) => {
                let plain = plain
                    .recv()
                    .unwrap_or_else(|_| Err(Trouble::died("decoder")));
                if plain.is_err() {
                    self.shared.release(Vec::new(), cost);
                }
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
        self.shared.close();
    }
}

fn decode(jobs: &Receiver<Job>, shared: &Shared) {
    let mut zstd = zstd::bulk::Decompressor::new();
    for job in jobs {
        let plain = zstd
            .as_mut()
            .map_err(|e| io::Error::other(e.to_string()))
            .and_then(|zstd| {
                let mut plain = shared.plain_buffer();
                plain.reserve(job.plain_size);
                zstd.decompress_to_buffer(&job.packed, &mut plain)
                    .map_err(|error| broken(&error.to_string()))?;
                Ok(plain)
            });
        shared.take_back(job.packed);
        // Nobody there any more: the reader has given up.
        let _ = job.done.send(plain);
    }
}

/// Reads the file once, and cuts it.
struct Cutter {
    input: Box<dyn BufRead + Send>,
    jobs: Sender<Job>,
    next: Sender<Next>,
    shared: Arc<Shared>,
}

/// What a frame says of itself.
struct FrameHeader {
    window: u64,
    plain_size: Option<u64>,
    has_checksum: bool,
}

impl Cutter {
    fn run(mut self) {
        let end = loop {
            match self.frame() {
                Ok(None) => {}
                Ok(Some(end)) => break end,
                Err(error) => break Next::Failed(error),
            }
        };
        let _ = self.next.send(end);
    }

    /// Sends one frame on its way; or says how it ends.
    fn frame(&mut self) -> io::Result<Option<Next>> {
        let mut packed = self.shared.packed_buffer();
        if self.input.fill_buf()?.is_empty() {
            return Ok(Some(Next::End));
        }
        let magic: [u8; 4] = self.take(4, &mut packed)?.try_into().unwrap_or_default();
        if magic[0] & 0xf0 == 0x50 && magic[1..] == [0x2a, 0x4d, 0x18] {
            return self.skip().map(|()| None);
        }
        if magic != MAGIC {
            return Err(broken("what follows is not a zstd frame"));
        }
        let header = self.header(&mut packed)?;
        if header.window > 1 << WINDOW_LOG_MAX {
            return Err(broken(&format!(
                "a frame needs a window of {} MiB (made with --long or --ultra), more than the {} MiB that are allowed",
                header.window >> 20,
                (1u64 << WINDOW_LOG_MAX) >> 20,
            )));
        }
        let plain_size = match header.plain_size {
            Some(size) if size <= FRAME_MAX => size as usize,
            _ => {
                let input = std::mem::replace(&mut self.input, Box::new(io::empty()));
                return Ok(Some(Next::Rest(Box::new(Cursor::new(packed).chain(input)))));
            }
        };
        self.blocks(&header, plain_size, &mut packed)?;

        let cost = packed.len() + plain_size;
        if !self.shared.acquire(cost) {
            return Ok(Some(Next::End));
        }
        let (done, plain) = bounded(1);
        let sent = self.next.send(Next::Frame { plain, cost }).is_ok()
            && self
                .jobs
                .send(Job {
                    packed,
                    plain_size,
                    done,
                })
                .is_ok();
        Ok((!sent).then_some(Next::End))
    }

    fn skip(&mut self) -> io::Result<()> {
        let mut size = [0; 4];
        self.input.read_exact(&mut size)?;
        let size = u64::from(u32::from_le_bytes(size));
        let skipped = io::copy(&mut self.input.by_ref().take(size), &mut io::sink())?;
        if skipped < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// RFC 8878, 3.1.1.1.
    fn header(&mut self, packed: &mut Vec<u8>) -> io::Result<FrameHeader> {
        let descriptor = self.take(1, packed)?[0];
        if descriptor & 0b1000 != 0 {
            return Err(broken("a frame header has its reserved bit set"));
        }
        let is_single = descriptor & 0b10_0000 != 0;
        let window = if is_single {
            0
        } else {
            let byte = u64::from(self.take(1, packed)?[0]);
            let base = 1u64 << (10 + (byte >> 3));
            base + base / 8 * (byte & 7)
        };
        self.take([0, 1, 2, 4][usize::from(descriptor & 0b11)], packed)?;
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(is_single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let mut size = [0; 8];
        size[..size_bytes].copy_from_slice(self.take(size_bytes, packed)?);
        let plain_size = match size_bytes {
            0 => None,
            2 => Some(u64::from_le_bytes(size) + 256),
            _ => Some(u64::from_le_bytes(size)),
        };
        Ok(FrameHeader {
            window: if is_single {
                plain_size.unwrap_or(0)
            } else {
                window
            },
            plain_size,
            has_checksum: descriptor & 0b100 != 0,
        })
    }

    fn blocks(
        &mut self,
        header: &FrameHeader,
        plain_size: usize,
        packed: &mut Vec<u8>,
    ) -> io::Result<()> {
        // Room for blocks that do not compress; a frame of endless empty blocks is not followed.
        let packed_max = zstd::zstd_safe::compress_bound(plain_size) + BLOCK_MAX;
        loop {
            let block = self.take(3, packed)?;
            let block = u32::from_le_bytes([block[0], block[1], block[2], 0]);
            let size = match (block >> 1) & 3 {
                1 => 1,
                0 | 2 => (block >> 3) as usize,
                _ => return Err(broken("a block of a kind that does not exist")),
            };
            if size > BLOCK_MAX || packed.len() + size > packed_max {
                return Err(broken("a block is larger than blocks can be"));
            }
            self.take(size, packed)?;
            if block & 1 == 1 {
                break;
            }
        }
        if header.has_checksum {
            self.take(4, packed)?;
        }
        Ok(())
    }

    /// Moves exactly `count` bytes to the end of `packed`, and shows them.
    fn take<'a>(&mut self, count: usize, packed: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        let start = packed.len();
        while packed.len() < start + count {
            let bytes = self.input.fill_buf()?;
            if bytes.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "it ends in the middle of a zstd frame",
                ));
            }
            let n = bytes.len().min(start + count - packed.len());
            packed.extend_from_slice(&bytes[..n]);
            self.input.consume(n);
        }
        Ok(&packed[start..])
    }
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Memory: how much of it is out, and buffers to be used again.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    used: usize,
    closed: bool,
    packed: Vec<Vec<u8>>,
    plain: Vec<Vec<u8>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room; always gives it to a frame that is alone. `false`: the reader is gone.
    fn acquire(&self, cost: usize) -> bool {
        let mut state = self.lock();
        while !state.closed && state.used > 0 && state.used + cost > BUDGET {
            state = self
                .freed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.used += cost;
        !state.closed
    }

    fn release(&self, mut plain: Vec<u8>, cost: usize) {
        let mut state = self.lock();
        state.used = state.used.saturating_sub(cost);
        if plain.capacity() > 0 {
            plain.clear();
            state.plain.push(plain);
        }
        drop(state);
        self.freed.notify_one();
    }

    fn take_back(&self, mut packed: Vec<u8>) {
        packed.clear();
        self.lock().packed.push(packed);
    }

    fn plain_buffer(&self) -> Vec<u8> {
        self.lock().plain.pop().unwrap_or_default()
    }

    fn packed_buffer(&self) -> Vec<u8> {
        self.lock().packed.pop().unwrap_or_default()
    }

    fn close(&self) {
        self.lock().closed = true;
        self.freed.notify_all();
    }
}
