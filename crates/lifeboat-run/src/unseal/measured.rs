//! Plain bytes that are measured while they are read, with a verdict at the end.

use super::{Trouble, UnsealError};
use crate::{Cancel, authenticity::hex};
use lifeboat_plan::Archive;
use std::io::{self, BufRead, Read};
use xxhash_rust::xxh3::Xxh3;

/// What a manifest says of an archive's plain bytes: enough to judge them without the stored ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    pub source: String,
    pub file: String,
    pub entries: u64,
    pub plain_size: u64,
    pub plain_xxh128: String,
}

impl Promise {
    /// `None`: it holds no files.
    pub fn of(archive: &Archive) -> Option<Self> {
        Some(Promise {
            source: archive.source.clone(),
            file: archive.file.clone(),
            entries: archive.entries?,
            plain_size: archive.plain_size,
            plain_xxh128: archive.plain_xxh128.clone(),
        })
    }
}

/// Where an extraction takes its bytes from, and who says at the end whether they may be believed.
pub(super) trait Plain: BufRead {
    fn finish(self) -> Result<(), UnsealError>;

    /// Ends it because of `error`, or of what explains that.
    fn fail(self, error: UnsealError) -> UnsealError;
}

pub(super) struct Measured<R> {
    plain: R,
    file: String,
    size: u64,
    xxh128: String,
    cancel: Cancel,
    xxh3: Xxh3,
    read: u64,
}

impl<R: BufRead> Measured<R> {
    pub(super) fn new(
        plain: R,
        file: &str,
        size: u64,
        xxh128: &str,
        cancel: &Cancel,
    ) -> Measured<R> {
        Measured {
            plain,
            file: file.to_owned(),
            size,
            xxh128: xxh128.to_owned(),
            cancel: cancel.clone(),
            xxh3: Xxh3::new(),
            read: 0,
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Reads what is left.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        loop {
            let n = self.fill_buf()?.len();
            if n == 0 {
                return Ok(());
            }
            self.consume(n);
        }
    }

    /// After its end: is that what was sealed?
    pub(super) fn judge(&self) -> Result<(), UnsealError> {
        let damaged = |reason| {
            let file = self.file.clone();
            Err(UnsealError::Damaged { file, reason })
        };
        if self.read != self.size {
            return damaged(format!(
                "it holds {} bytes instead of {}",
                self.read, self.size
            ));
        }
        let found = hex(&self.xxh3.digest128().to_be_bytes());
        if found != self.xxh128 {
            return damaged(format!(
                "what it holds has the XXH3 {found} instead of {}",
                self.xxh128
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Plain for Measured<R> {
    fn finish(mut self) -> Result<(), UnsealError> {
        if let Err(error) = self.drain() {
            return Err(Trouble::tell(&self.file, error));
        }
        self.judge()
    }

    fn fail(self, error: UnsealError) -> UnsealError {
        error
    }
}

impl<R: BufRead> BufRead for Measured<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.cancel.check().map_err(io::Error::other)?;
        let plain = self.plain.fill_buf()?;
        if self.read + plain.len() as u64 > self.size {
            return Err(io::Error::other(Trouble::Refused(format!(
                "it holds more than the {} bytes that were sealed",
                self.size
            ))));
        }
        Ok(plain)
    }

    fn consume(&mut self, amount: usize) {
        // Asking again for what is there costs nothing and cannot fail.
        if let Ok(plain) = self.plain.fill_buf() {
            self.xxh3.update(&plain[..amount]);
        }
        self.plain.consume(amount);
        self.read += amount as u64;
    }
}

impl<R: BufRead> Read for Measured<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = {
            let bytes = self.fill_buf()?;
            let n = bytes.len().min(out.len());
            out[..n].copy_from_slice(&bytes[..n]);
            n
        };
        self.consume(n);
        Ok(n)
    }
}
