//! Whether an archive is still what its manifest says.

use super::{
    Passage, Trouble, UnsealError,
    passage::compare_stored,
    stored::feed,
    tar::{Names, Reader},
};
use crate::{Cancel, Keyring};
use lifeboat_plan::Archive;
use std::io::Read;

/// What [`check`] looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Size and SHA-256 of the stored bytes.
    Digest,
    /// Also unseals to the end, compares the plain size and digest, and walks the tar stream.
    Deep,
}

/// Reads `stored` to its end, once, and compares it with what the manifest says of it.
///
/// Damage of the stored bytes is told before anything else: a flipped bit in the header of an encrypted
/// file is damage, although it looks like a wrong key. Without a key, `Deep` is `NoKey` and never `Ok`.
pub fn check(
    stored: Box<dyn Read + Send>,
    archive: &Archive,
    depth: Depth,
    keys: &Keyring,
    cancel: &Cancel,
) -> Result<(), UnsealError> {
    let file = &archive.file;
    if depth == Depth::Digest {
        let (unread, digesting) = feed(stored, archive.size.saturating_add(1), cancel)
            .map_err(|error| Trouble::tell(file, error))?;
        drop(unread);
        return compare_stored(digesting, archive);
    }
    let mut passage = match Passage::begin_or_digest(stored, archive, keys, cancel) {
        Ok(passage) => passage,
        Err((error, None)) => return Err(error),
        Err((error, Some(digesting))) => return Err(Passage::blame(error, digesting, archive)),
    };
    if let Some(entries) = archive.entries
        && let Err(error) = walk(&mut passage, entries)
    {
        return Err(passage.fail(Trouble::tell(file, error)));
    }
    passage.finish()
}

/// The whole tar stream under the rules of [`Reader`], without writing anything.
fn walk(passage: &mut Passage, entries: u64) -> std::io::Result<()> {
    let mut reader = Reader::new(passage, entries);
    let mut names = Names::default();
    while let Some(entry) = reader.entry()? {
        names.add(&entry);
    }
    names.judge()
}
