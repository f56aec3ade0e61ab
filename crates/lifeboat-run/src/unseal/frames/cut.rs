//! Where one zstd frame ends and the next begins (RFC 8878), without decoding any.

use crate::unseal::decompress::WINDOW_LOG_MAX;
use std::io::{self, BufRead, Cursor, Read};

/// The largest frame that is decoded whole.
const FRAME_MAX: u64 = 8 << 20;

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BLOCK_MAX: usize = 128 * 1024;

pub(super) enum Cut {
    /// All of a frame that unpacks to `plain_size` bytes.
    Frame {
        packed: Vec<u8>,
        plain_size: usize,
    },
    /// From here on the file cannot be cut: a frame is too large, or does not say how large it is.
    Rest(Box<dyn BufRead + Send>),
    End,
}

/// Reads a file once, and cuts it.
pub(super) struct Cutter {
    input: Box<dyn BufRead + Send>,
}

/// What a frame says of itself.
struct FrameHeader {
    window: u64,
    plain_size: Option<u64>,
    has_checksum: bool,
}

impl Cutter {
    pub(super) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Cutter { input }
    }

    /// The next frame, in the buffer `packed`.
    pub(super) fn cut(&mut self, mut packed: Vec<u8>) -> io::Result<Cut> {
        loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(Cut::End);
            }
            packed.clear();
            let magic = self.take(4, &mut packed)?;
            if magic[0] & 0xf0 == 0x50 && magic[1..] == [0x2a, 0x4d, 0x18] {
                self.skip()?;
                continue;
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
            return match header.plain_size {
                Some(size) if size <= FRAME_MAX => {
                    let plain_size = size as usize;
                    self.blocks(&header, plain_size, &mut packed)?;
                    Ok(Cut::Frame { packed, plain_size })
                }
                _ => {
                    let input = std::mem::replace(&mut self.input, Box::new(io::empty()));
                    Ok(Cut::Rest(Box::new(Cursor::new(packed).chain(input))))
                }
            };
        }
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

    /// Section 3.1.1.1.
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

pub(super) fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}
