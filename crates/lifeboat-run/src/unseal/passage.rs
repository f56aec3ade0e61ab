//! One archive on its way from the store to whoever wants its plain bytes, with a verdict at the end.

use super::{
    Trouble, UnsealError,
    stored::{Digesting, feed},
    unseal,
};
use crate::{Cancel, Keyring, authenticity::hex};
use lifeboat_plan::Archive;
use std::{
    fmt,
    io::{self, BufRead, Read},
};
use xxhash_rust::xxh3::Xxh3;

/// The plain bytes of an archive. What was read may be believed when [`Passage::finish`] says `Ok`,
/// and not before.
pub struct Passage {
    archive: Archive,
    plain: Box<dyn BufRead + Send>,
    digesting: Digesting,
    cancel: Cancel,
    xxh3: Xxh3,
    read: u64,
}

impl Passage {
    /// Starts to read. Fails at once when the key is missing or wrong.
    pub fn begin(
        stored: Box<dyn Read + Send>,
        archive: &Archive,
        keys: &Keyring,
        cancel: &Cancel,
    ) -> Result<Self, UnsealError> {
        Self::begin_or_digest(stored, archive, keys, cancel).map_err(|(error, _)| error)
    }

    /// Gives the digesting thread back when the stored bytes could not be opened, so that a damaged
    /// header can still be told from a wrong key.
    pub(super) fn begin_or_digest(
        stored: Box<dyn Read + Send>,
        archive: &Archive,
        keys: &Keyring,
        cancel: &Cancel,
    ) -> Result<Self, (UnsealError, Option<Digesting>)> {
        let file = &archive.file;
        // One byte more than there should be is enough to know.
        let limit = archive.size.saturating_add(1);
        let (stored, digesting) =
            feed(stored, limit, cancel).map_err(|e| (Trouble::tell(file, e), None))?;
        let opened = unseal(
            file,
            Box::new(stored),
            archive.compression,
            archive.encryption,
            keys,
        );
        match opened {
            Ok(plain) => Ok(Passage {
                archive: archive.clone(),
                plain,
                digesting,
                cancel: cancel.clone(),
                xxh3: Xxh3::new(),
                read: 0,
            }),
            Err(error) => Err((error, Some(digesting))),
        }
    }

    /// Reads what is left, and says whether all of it, stored and plain, is what was written.
    pub fn finish(mut self) -> Result<(), UnsealError> {
        let file = self.archive.file.clone();
        let drained = self.drain();
        let Passage {
            archive,
            plain,
            digesting,
            xxh3,
            read,
            ..
        } = self;
        drop(plain);
        if let Err(error) = drained {
            return Err(Self::blame(
                Trouble::tell(&file, error),
                digesting,
                &archive,
            ));
        }
        compare_stored(digesting, &archive)?;

        let damaged = |reason| Err(UnsealError::Damaged { file, reason });
        if read != archive.plain_size {
            return damaged(format!(
                "it holds {read} bytes instead of {}",
                archive.plain_size
            ));
        }
        let found = hex(&xxh3.digest128().to_be_bytes());
        if found != archive.plain_xxh128 {
            return damaged(format!(
                "what it holds has the XXH3 {found} instead of {}",
                archive.plain_xxh128
            ));
        }
        Ok(())
    }

    /// Ends a passage on which `error` was met. Damage of the stored bytes explains every other
    /// trouble, so it is looked for first: the rest of them is read, but not unsealed.
    pub(super) fn fail(self, error: UnsealError) -> UnsealError {
        drop(self.plain);
        Self::blame(error, self.digesting, &self.archive)
    }

    pub(super) fn blame(
        error: UnsealError,
        digesting: Digesting,
        archive: &Archive,
    ) -> UnsealError {
        match error {
            error @ (UnsealError::Damaged { .. }
            | UnsealError::Hostile { .. }
            | UnsealError::WrongKey { .. }
            | UnsealError::NoKey { .. }) => match compare_stored(digesting, archive) {
                Err(damaged @ UnsealError::Damaged { .. }) => damaged,
                _ => error,
            },
            error => error,
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        loop {
            let n = self.fill_buf()?.len();
            if n == 0 {
                return Ok(());
            }
            self.consume(n);
        }
    }
}

pub(super) fn compare_stored(digesting: Digesting, archive: &Archive) -> Result<(), UnsealError> {
    let file = &archive.file;
    let stored = digesting
        .finish()
        .map_err(|error| Trouble::tell(file, error))?;
    let reason = if stored.size > archive.size {
        format!(
            "it is larger than the {} bytes that were written",
            archive.size
        )
    } else if stored.size < archive.size {
        format!("it has {} bytes instead of {}", stored.size, archive.size)
    } else if stored.sha256 != archive.sha256 {
        format!(
            "its SHA-256 is {} instead of {}",
            stored.sha256, archive.sha256
        )
    } else {
        return Ok(());
    };
    Err(UnsealError::Damaged {
        file: file.clone(),
        reason,
    })
}

impl BufRead for Passage {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.cancel.check().map_err(io::Error::other)?;
        let plain = self.plain.fill_buf()?;
        if self.read + plain.len() as u64 > self.archive.plain_size {
            return Err(io::Error::other(Trouble::Refused(format!(
                "it holds more than the {} bytes that were sealed",
                self.archive.plain_size
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

impl Read for Passage {
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

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage")
            .field("file", &self.archive.file)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}
