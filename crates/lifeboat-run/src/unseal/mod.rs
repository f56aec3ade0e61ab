//! The way back: digest → decrypt → decompress → tar, each stage checked to its very end.
//!
//! ```text
//!  store ─▶ read, SHA-256
//!             └─▶ decrypt, cut, decompress (one thread a core) ─▶ XXH3, tar ─▶ files (jobs threads)
//! ```
//!
//! Nothing that comes out of here is applied to anything before the end was seen: age gives out
//! plain bytes before it can know that the last chunk is missing, and half a zstd file is a valid
//! zstd file when it is cut between two frames. So [`extract()`] fills a private folder, a [`Passage`]
//! says at its end whether what came out may be believed, and [`publish()`] is one rename.

mod check;
mod decompress;
mod decrypt;
mod extract;
mod frames;
mod measured;
mod passage;
mod publish;
mod stored;
pub mod tar;

pub use check::{Depth, check};
pub use extract::{BadPattern, Extracted, Options, Paths, extract, extract_plain};
pub use measured::Promise;
pub use passage::Passage;
pub use publish::{PublishError, publish};

use crate::{Cancelled, Keyring};
use lifeboat_plan::{Compression, Encryption};
use std::io::{self, BufRead, BufReader, Read};

/// Why stored bytes could not be turned back.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// Exit code 12: nothing was touched.
    #[error("{file} cannot be opened with the key at hand")]
    WrongKey { file: String },
    #[error("{file} is encrypted, and no key is configured")]
    NoKey { file: String },
    /// Exit code 13: not what was written.
    #[error("{file} is damaged: {reason}")]
    Damaged { file: String, reason: String },
    /// Exit code 13: an archive that asks for what no archive of ours asks for.
    #[error("{file} is refused: {reason}")]
    Hostile { file: String, reason: String },
    #[error("cannot {action} {what}: {error}")]
    Io {
        action: &'static str,
        what: String,
        error: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] lifeboat_store::Error),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// The plain stream of a sealed one. Ends with an error, never with a short read, when the stored
/// bytes were cut or changed inside of a frame. A cut *between* two frames leaves a file that its
/// format calls whole: only a [`Passage`], which knows the sizes and digests, can tell.
pub fn open(
    file: &str,
    stored: Box<dyn Read + Send>,
    compression: Compression,
    encryption: Encryption,
    keys: &Keyring,
) -> Result<Box<dyn Read + Send>, UnsealError> {
    let stored = BufReader::with_capacity(256 * 1024, stored::Marked(stored));
    let plain = unseal(file, Box::new(stored), compression, encryption, keys)?;
    Ok(Box::new(plain))
}

fn unseal(
    file: &str,
    stored: Box<dyn BufRead + Send>,
    compression: Compression,
    encryption: Encryption,
    keys: &Keyring,
) -> Result<Box<dyn BufRead + Send>, UnsealError> {
    let packed = decrypt::decrypt(file, stored, encryption, keys)?;
    decompress::decompress(compression, packed).map_err(|error| Trouble::tell(file, error))
}

/// What travels inside an [`io::Error`] through readers that know nothing of us, to be told apart from
/// the decoders' own words at the end. Whatever a decoder says by itself is about damage.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// The store could not be read, which says nothing about what it holds.
    #[error("{0}")]
    Reading(io::Error),
    /// A bug of ours in one of the threads.
    #[error("the {0} thread ended too early")]
    Died(&'static str),
    /// The archive asks for what none of ours asks for.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    fn died(thread: &'static str) -> io::Error {
        io::Error::other(Trouble::Died(thread))
    }

    fn tell(file: &str, error: io::Error) -> UnsealError {
        let what = file.to_owned();
        let kind = error.kind();
        let inner = match error.into_inner() {
            None => {
                return UnsealError::Damaged {
                    file: what,
                    reason: match kind {
                        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
                        kind => kind.to_string(),
                    },
                };
            }
            Some(inner) => inner,
        };
        let inner = match inner.downcast::<Cancelled>() {
            Ok(cancelled) => return UnsealError::Cancelled(*cancelled),
            Err(inner) => inner,
        };
        match inner.downcast::<Trouble>() {
            Ok(trouble) => match *trouble {
                Trouble::Reading(error) => UnsealError::Io {
                    action: "read",
                    what,
                    error,
                },
                Trouble::Refused(reason) => UnsealError::Hostile { file: what, reason },
                died @ Trouble::Died(_) => UnsealError::Io {
                    action: "unseal",
                    what,
                    error: io::Error::other(died),
                },
            },
            Err(inner) => UnsealError::Damaged {
                file: what,
                reason: inner.to_string(),
            },
        }
    }
}
