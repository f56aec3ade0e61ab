//! The seal: walk → tar → compress → encrypt → digest, all at once, in one pass, in bounded memory.
//!
//! ```text
//!  source ──pieces──▶ workers (one a core): fill, compress ──frames──▶ writer: order, encrypt, digest ──▶ upload
//! ```
//!
//! Every piece becomes a whole frame (zstd), member (gzip) or stream (bzip2, xz) of its own. Stock
//! tools read such files as one; ours unseals their frames on all cores.

use crate::{
    Cancel, Cancelled, Listener, keys,
    source::{Source, SourceError},
};
use lifeboat_plan::{Compression, Encryption};
use lifeboat_store::{Object, Upload};
use serde_json::{Map, Value};

/// How an archive is made.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub compression: Compression,
    pub level: i32,
    /// Compressor threads; 0 = all cores.
    pub threads: usize,
    pub seal: keys::Seal,
}

/// Proof that a stream was finished: every piece filled, compressed, encrypted, hashed, written and
/// committed. There is no other way to get one, and only one of these becomes an `Archive`.
#[derive(Debug, Clone)]
pub struct Sealed {
    object: Object,
    sha256: String,
    plain_size: u64,
    plain_xxh128: String,
    compression: Compression,
    encryption: Encryption,
    entries: Option<u64>,
    warnings: Vec<String>,
    warnings_total: u64,
    facts: Map<String, Value>,
}

/// Why there is no archive. In every case nothing is left under its name.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The place that is written to: never a matter of a single file.
    #[error(transparent)]
    Sink(#[from] lifeboat_store::Error),
    #[error("cannot {stage}: {reason}")]
    Stage { stage: &'static str, reason: String },
    /// A bug of ours in one of the threads; the run fails, the process lives.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Seals `source` into `upload`.
pub fn seal(
    source: &dyn Source,
    recipe: &Recipe,
    upload: Box<dyn Upload>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Sealed, SealError> {
    let _ = (source, recipe, upload, cancel, listener);
    todo!()
}
