//! Journals that a crash left behind, and whether they still count.
//!
//! A transaction over several databases (`ATTACH`) names a super-journal at the end of each one's
//! journal. As long as that file is there, the transaction is to be rolled back; once it is gone, it
//! was committed. SQLite looks for it under the path as the application knew it, which in our
//! container is another place or none, and *deletes it* when done. So we look for it ourselves, beside
//! the live database, and give SQLite a copy of the journal with the question already answered.

use super::{
    SqliteError,
    place::{Part, Place},
    scratch::Folder,
};
use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
/// Length, checksum and magic after the name.
const TRAILER: u64 = 16;

/// Whether it has a header; a journal that was done with is empty, or its header is zeroed.
pub(super) fn is_hot(journal: &File) -> bool {
    let mut magic = [0; 8];
    journal.read_exact_at(&mut magic, 0).is_ok() && magic == MAGIC
}

pub(super) fn decide(place: &Place, folder: &Folder) -> Result<(), SqliteError> {
    let path = folder.part(Part::Journal);
    answer(place, &path).map_err(|error| folder.trouble("read the journal's copy", error))
}

fn answer(place: &Place, path: &Path) -> io::Result<()> {
    let journal = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(journal) => journal,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(name) = super_journal_of(&journal)? else {
        return Ok(());
    };
    let beside = name.file_name().is_some_and(|n| place.has_neighbour(n));
    if beside || name.symlink_metadata().is_ok() {
        let end = journal.metadata()?.len();
        journal.write_all_at(&[0; MAGIC.len()], end - MAGIC.len() as u64)
    } else {
        fs::remove_file(path)
    }
}

fn super_journal_of(journal: &File) -> io::Result<Option<PathBuf>> {
    let size = journal.metadata()?.len();
    if !is_hot(journal) || size < TRAILER {
        return Ok(None);
    }
    let mut trailer = [0; TRAILER as usize];
    journal.read_exact_at(&mut trailer, size - TRAILER)?;
    let [len, checksum] = [0, 4].map(|at| {
        let bytes = [0, 1, 2, 3].map(|n| trailer[at + n]);
        u32::from_be_bytes(bytes)
    });
    let fits = (1..=4096).contains(&len) && u64::from(len) <= size - TRAILER;
    if trailer[8..] != MAGIC || !fits {
        return Ok(None);
    }
    let mut name = vec![0; len as usize];
    journal.read_exact_at(&mut name, size - TRAILER - u64::from(len))?;
    let sum = name.iter().fold(0_u32, |sum, &byte| {
        sum.wrapping_add_signed((byte as i8).into())
    });
    Ok((sum == checksum).then(|| PathBuf::from(OsStr::from_bytes(&name))))
}
