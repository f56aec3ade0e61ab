//! The seal: walk → tar → compress → encrypt → digest, all at once, in one pass, in bounded memory.
//!
//! ```text
//!  source ──pieces──▶ workers (one a core): fill, compress ──frames──▶ writer: order, encrypt, digest ──▶ upload
//! ```
//!
//! Every piece becomes a whole frame (zstd), member (gzip) or stream (bzip2, xz) of its own. Stock
//! tools read such files as one; ours unseals their frames on all cores.

mod budget;
mod compress;
mod encrypt;
mod output;
mod pipeline;
mod pour;

pub use pour::pour;

use crate::{
    Cancel, Cancelled, Listener, keys,
    source::{Notes, Source, SourceError},
};
use budget::Budget;
use encrypt::Cipher;
use lifeboat_plan::{Archive, Compression, Encryption};
use lifeboat_store::{Object, Upload};
use output::Output;
use serde_json::{Map, Value};

/// How an archive is made.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub compression: Compression,
    pub level: i32,
    /// Compressor threads; 0 = all cores. Fewer are used where so many would not fit into memory (the
    /// highest levels of xz and zstd).
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

/// Seals `source` into `upload`. On any error the upload is dropped, and so abandoned.
pub fn seal(
    source: &dyn Source,
    recipe: &Recipe,
    upload: Box<dyn Upload>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Sealed, SealError> {
    seal_beside(1, source, recipe, upload, cancel, listener)
}

/// [`seal`], as one of `seals` that may be under way at once: the memory of a run is divided between them.
pub fn seal_beside(
    seals: usize,
    source: &dyn Source,
    recipe: &Recipe,
    upload: Box<dyn Upload>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Sealed, SealError> {
    let notes = Notes::new(source.name(), listener);
    let cipher = Cipher::new(&recipe.seal)?;
    let encryption = cipher.encryption();
    let output = Output::new(cipher, upload)?;
    let budget = Budget::of(recipe, seals);
    let done = pipeline::run(source, recipe, budget, output, &notes, cancel, listener)?;
    let entries = done.captured.entries_with(&notes);
    let (object, sha256) = done.end;
    Ok(Sealed {
        object,
        sha256,
        plain_size: done.plain_size,
        plain_xxh128: done.plain_xxh128,
        compression: recipe.compression,
        encryption,
        entries,
        warnings_total: notes.total(),
        warnings: notes.into_kept(),
        facts: done.captured.facts,
    })
}

impl Sealed {
    /// Where it lies, and how large it is there.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// Of the stored bytes, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    pub fn plain_size(&self) -> u64 {
        self.plain_size
    }

    /// XXH3-128 of the plain stream, as `xxh128sum` prints it.
    pub fn plain_xxh128(&self) -> &str {
        &self.plain_xxh128
    }

    pub fn compression(&self) -> Compression {
        self.compression
    }

    pub fn encryption(&self) -> Encryption {
        self.encryption
    }

    pub fn entries(&self) -> Option<u64> {
        self.entries
    }

    /// The first [`Notes::KEPT`] of them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn warnings_total(&self) -> u64 {
        self.warnings_total
    }

    pub fn facts(&self) -> &Map<String, Value> {
        &self.facts
    }

    /// Its line in the manifest. `file` is the file's name inside the tier's folder.
    pub fn into_archive(self, source: &dyn Source, file: impl Into<String>) -> Archive {
        Archive {
            source: source.name().to_owned(),
            kind: source.kind().to_owned(),
            file: file.into(),
            size: self.object.size,
            sha256: self.sha256,
            plain_size: self.plain_size,
            plain_xxh128: self.plain_xxh128,
            compression: self.compression,
            encryption: self.encryption,
            entries: self.entries,
            warnings: self.warnings,
            warnings_total: self.warnings_total,
            facts: self.facts,
            more: Map::new(),
        }
    }
}
