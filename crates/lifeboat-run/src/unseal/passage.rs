//! One archive on its way from the store to whoever wants its plain bytes, with a verdict at the end.

use super::{
    Trouble, UnsealError,
    measured::{Measured, Plain},
    stored::{Digesting, feed},
    unseal,
};
use crate::{Cancel, Keyring};
use lifeboat_plan::Archive;
use std::{
    fmt,
    io::{self, BufRead, Read},
};

/// The plain bytes of an archive. What was read may be believed when [`Passage::finish`] says `Ok`,
/// and not before.
pub struct Passage {
    archive: Archive,
    plain: Measured<Box<dyn BufRead + Send>>,
    digesting: Digesting,
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
                plain: Measured::new(
                    plain,
                    file,
                    archive.plain_size,
                    &archive.plain_xxh128,
                    cancel,
                ),
                archive: archive.clone(),
                digesting,
            }),
            Err(error) => Err((error, Some(digesting))),
        }
    }

    /// Reads what is left, and says whether all of it, stored and plain, is what was written.
    pub fn finish(mut self) -> Result<(), UnsealError> {
        let drained = self.plain.drain();
        let judged = self.plain.judge();
        let Passage {
            archive,
            plain,
            digesting,
        } = self;
        drop(plain);
        if let Err(error) = drained {
            let error = Trouble::tell(&archive.file, error);
            return Err(Self::blame(error, digesting, &archive));
        }
        compare_stored(digesting, &archive)?;
        judged
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

impl Plain for Passage {
    fn finish(self) -> Result<(), UnsealError> {
        Passage::finish(self)
    }

    fn fail(self, error: UnsealError) -> UnsealError {
        Passage::fail(self, error)
    }
}

impl BufRead for Passage {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.plain.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.plain.consume(amount);
    }
}

impl Read for Passage {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.plain.read(out)
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage")
            .field("file", &self.archive.file)
            .field("read", &self.plain.bytes_read())
            .finish_non_exhaustive()
    }
}
