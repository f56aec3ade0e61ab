//! A strict reader of tar streams: what our seal writes and what GNU tar, bsdtar and Python write of the
//! same kind (ustar, PAX and GNU headers, sparse files), and nothing that two programs could read in two
//! ways. It holds one entry at a time.
//!
//! Refused are: names that lead out (`..`, absolute, empty, NUL), long names given twice in two dialects,
//! sizes that disagree, extensions that would change the meaning of what follows and are not known,
//! a stream without its end blocks or with anything after them, and more or fewer entries than were sealed.

mod entry;
mod header;
mod names;
mod pax;
mod sparse;

pub use entry::{Entry, Kind, Meta};
pub(super) use names::Names;
pub use sparse::Segment;

use super::Trouble;
use header::{BLOCK, Header, NUMBER_MAX};
use std::io::{self, BufRead, Read};

/// Of one extended header or long name: room for 10,000 folders in one another, and for xattrs of the
/// largest size that Linux keeps.
const EXTENSION_MAX: u64 = 4 << 20;

/// What may follow the two end blocks: zeros up to the end of a record, whatever its blocking factor.
const PADDING_MAX: u64 = 1 << 20;

/// Reads entries one after the other. The data of a file that nobody reads is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    entries: u64,
    entries_expected: u64,
    /// Of the entry in hand: data that was not read, and the zeros after it.
    data_left: u64,
    padding_left: u64,
}

/// What extension headers said of the entry that follows.
#[derive(Default)]
struct Extension {
    pax: Option<pax::Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl Extension {
    fn is_none(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R, entries_expected: u64) -> Self {
        Reader {
            input,
            entries: 0,
            entries_expected,
            data_left: 0,
            padding_left: 0,
        }
    }

    /// The next entry; `None` when the stream has ended as it should.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        self.skip()?;
        let mut extension = Extension::default();
        loop {
            let block = self.block("it ends without the two zero blocks that end an archive")?;
            if block.iter().all(|&byte| byte == 0) {
                if !extension.is_none() {
                    return Err(refuse("an extended header that no entry follows"));
                }
                self.end()?;
                return Ok(None);
            }
            let header = Header::new(&block)?;
            match header.kind() {
                b'x' if extension.pax.is_none() => {
                    extension.pax = Some(pax::parse(&self.extension(&header)?)?);
                }
                b'L' if extension.long_name.is_none() => {
                    extension.long_name = Some(long_name(self.extension(&header)?)?);
                }
                b'K' if extension.long_link.is_none() => {
                    extension.long_link = Some(long_name(self.extension(&header)?)?);
                }
                b'x' | b'L' | b'K' => {
                    return Err(refuse("two extended headers of one kind for one entry"));
                }
                b'g' => {
                    return Err(refuse(
                        "a global PAX header, which would change every entry",
                    ));
                }
                _ => return self.member(&header, extension).map(Some),
            }
        }
    }

    /// What there is of the data of the file in hand; empty at its end.
    pub fn data(&mut self) -> io::Result<&[u8]> {
        if self.data_left == 0 {
            return Ok(&[]);
        }
        let data = self.input.fill_buf()?;
        if data.is_empty() {
            return Err(ends_early("it ends in the middle of a file"));
        }
        let n = usize::try_from(self.data_left).map_or(data.len(), |left| left.min(data.len()));
        Ok(&data[..n])
    }

    /// Goes on by `amount` bytes of what [`Reader::data`] has shown.
    pub fn consume(&mut self, amount: usize) {
        self.data_left -= amount as u64;
        self.input.consume(amount);
    }

    pub fn into_inner(self) -> R {
        self.input
    }

    fn member(&mut self, header: &Header<'_>, extension: Extension) -> io::Result<Entry> {
        self.entries += 1;
        if self.entries > self.entries_expected {
            return Err(refuse(&format!(
                "it holds more than the {} entries that were sealed",
                self.entries_expected
            )));
        }
        let pax = extension.pax.unwrap_or_default();
        let stored = self.size(header, &pax)?;
        // With a sparse name, the path is the one that programs see which know no sparse files.
        let pax_name = pax.sparse_name.or(pax.path);
        let name = only_one(extension.long_name, pax_name)?.unwrap_or_else(|| header.name());
        let link = only_one(extension.long_link, pax.link_path)?.unwrap_or_else(|| header.link());

        let type_byte = header.kind();
        // The oldest archives mark folders by a final slash only.
        let is_folder = type_byte == b'5' || (type_byte == 0 && name.ends_with(b"/"));
        self.data_left = stored;
        self.padding_left = stored.next_multiple_of(BLOCK as u64) - stored;

        let path = names::sound(&name, is_folder)?;
        let kind = match type_byte {
            b'0' | b'7' | 0 if !is_folder => match pax.sparse_size {
                Some(size) => self.sparse_file(size)?,
                None => Kind::File { stored },
            },
            b'S' if pax.size.is_none() && pax.sparse_size.is_none() => {
                let (size, segments) = sparse::old_gnu(header, stored, || {
                    self.block("it ends in the middle of a sparse map")
                })?;
                Kind::Sparse {
                    size,
                    segments,
                    stored,
                }
            }
            _ if stored > 0 => {
                return Err(refuse(&format!("{} has data but is no file", shown(&path))));
            }
            _ if is_folder => Kind::Folder,
            b'2' => {
                if link.is_empty() || link.contains(&0) {
                    return Err(refuse(&format!("{} links to no name", shown(&path))));
                }
                Kind::Symlink { target: link }
            }
            b'1' => Kind::HardLink {
                target: names::sound(&link, false)?,
            },
            b'6' => Kind::Fifo,
            b'3' => Kind::CharDevice {
                major: header.device_major()?,
                minor: header.device_minor()?,
            },
            b'4' => Kind::BlockDevice {
                major: header.device_major()?,
                minor: header.device_minor()?,
            },
            other => {
                return Err(refuse(&format!(
                    "{} is of the unknown type {:?}",
                    shown(&path),
                    char::from(other)
                )));
            }
        };
        if pax.sparse_size.is_some() && !matches!(kind, Kind::Sparse { .. }) {
            return Err(refuse(&format!("{} is sparse but no file", shown(&path))));
        }
        let (mtime_seconds, mtime_nanos) = match pax.mtime {
            Some(mtime) => mtime,
            None => (header.mtime()?, 0),
        };
        Ok(Entry {
            path,
            kind,
            meta: Meta {
                mode: header.mode()?,
                uid: owner(pax.uid.map_or_else(|| header.uid(), Ok)?)?,
                gid: owner(pax.gid.map_or_else(|| header.gid(), Ok)?)?,
                mtime_seconds,
                mtime_nanos,
                xattrs: pax.xattrs,
                acl_access: pax.acl_access,
                acl_default: pax.acl_default,
            },
        })
    }

    /// A PAX size stands in for a header field that cannot hold it, and otherwise must say the same:
    /// where they differ, two readers would find the next header in two places.
    fn size(&self, header: &Header<'_>, pax: &pax::Records) -> io::Result<u64> {
        let in_header = header.size()?;
        if pax.size.is_some_and(|size| i64::try_from(size).is_err()) {
            return Err(refuse("an entry larger than files can be"));
        }
        match pax.size {
            None => Ok(in_header),
            Some(size) if size == in_header => Ok(size),
            Some(size) if size > NUMBER_MAX && (in_header == 0 || in_header == NUMBER_MAX) => {
                Ok(size)
            }
            Some(size) => Err(refuse(&format!(
                "an entry has {size} bytes in its extended header, and {in_header} in its header"
            ))),
        }
    }

    /// PAX sparse 1.0: the map comes before the data.
    fn sparse_file(&mut self, size: u64) -> io::Result<Kind> {
        let mut map = sparse::MapText::default();
        let segments = loop {
            if self.data_left < BLOCK as u64 {
                return Err(refuse("a sparse map that is longer than its file"));
            }
            let block = self.block("it ends in the middle of a sparse map")?;
            self.data_left -= BLOCK as u64;
            if let Some(segments) = map.block(&block)? {
                break segments;
            }
        };
        sparse::judge(&segments, size, self.data_left)?;
        Ok(Kind::Sparse {
            size,
            segments,
            stored: self.data_left,
        })
    }

    /// The content of an extended header or long name.
    fn extension(&mut self, header: &Header<'_>) -> io::Result<Vec<u8>> {
        let size = header.size()?;
        if size > EXTENSION_MAX {
            return Err(refuse(&format!("an extended header of {size} bytes")));
        }
        let mut content = Vec::new();
        self.input.by_ref().take(size).read_to_end(&mut content)?;
        if (content.len() as u64) < size {
            return Err(ends_early("it ends in the middle of an extended header"));
        }
        self.padding_left = size.next_multiple_of(BLOCK as u64) - size;
        self.skip()?;
        Ok(content)
    }

    fn skip(&mut self) -> io::Result<()> {
        while self.data_left > 0 {
            let n = self.data()?.len();
            self.consume(n);
        }
        while self.padding_left > 0 {
            let padding = self.input.fill_buf()?;
            if padding.is_empty() {
                return Err(ends_early("it ends in the middle of a file"));
            }
            let n = padding.len().min(self.padding_left as usize);
            self.input.consume(n);
            self.padding_left -= n as u64;
        }
        Ok(())
    }

    /// After the first zero block: a second one, zeros up to the end of the record, and the end.
    fn end(&mut self) -> io::Result<()> {
        let second = self.block("it has only one of the two zero blocks that end an archive")?;
        if second.iter().any(|&byte| byte != 0) {
            return Err(refuse("an entry follows after a zero block"));
        }
        let mut zeros = 0;
        loop {
            let rest = self.input.fill_buf()?;
            if rest.is_empty() {
                break;
            }
            let n = rest.len();
            zeros += n as u64;
            if zeros > PADDING_MAX || rest.iter().any(|&byte| byte != 0) {
                return Err(refuse("something follows after the end of the archive"));
            }
            self.input.consume(n);
        }
        if self.entries != self.entries_expected {
            return Err(refuse(&format!(
                "it holds {} entries instead of the {} that were sealed",
                self.entries, self.entries_expected
            )));
        }
        Ok(())
    }

    fn block(&mut self, at_end: &'static str) -> io::Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        match self.input.read_exact(&mut block) {
            Err(error)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && error.get_ref().is_none_or(|inner| !inner.is::<Trouble>()) =>
            {
                Err(ends_early(at_end))
            }
            Err(error) => Err(error),
            Ok(()) => Ok(block),
        }
    }
}

/// A name may come in the dialect of GNU or in that of PAX: with both, two programs see two files.
fn only_one(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(refuse("a long name in two dialects for one entry")),
        (gnu, pax) => Ok(gnu.or(pax)),
    }
}

/// GNU's `L` and `K`: the name, ended by NUL.
fn long_name(mut name: Vec<u8>) -> io::Result<Vec<u8>> {
    if name.pop() != Some(0) || name.is_empty() || name.contains(&0) {
        return Err(refuse("a long name that does not end as long names do"));
    }
    Ok(name)
}

/// `u32::MAX` would mean "leave the owner as it is".
fn owner(id: u64) -> io::Result<u32> {
    match u32::try_from(id) {
        Ok(id) if id < u32::MAX => Ok(id),
        _ => Err(refuse(&format!("{id} cannot be the owner of a file"))),
    }
}

/// A name as a person may see it: quoted, and without control characters.
pub(crate) fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        return "the folder itself".to_owned();
    }
    let text = String::from_utf8_lossy(path);
    let short: String = text.chars().take(200).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{dots}")
}

fn refuse(reason: &str) -> io::Error {
    io::Error::other(Trouble::Refused(reason.to_owned()))
}

fn ends_early(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, reason)
}
