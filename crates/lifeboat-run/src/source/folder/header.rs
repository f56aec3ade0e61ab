//! Tar headers, written by hand: a hundred thousand small files are mostly headers.
//!
//! The format is POSIX ustar, with a PAX record for what ustar cannot hold (nanoseconds, attributes),
//! and GNU's ways where they are understood more widely or byte for byte: `L` and `K` members for long
//! names (no tool recodes those), base-256 for large numbers, `S` members for files with holes.

use super::entry::{Meta, Time};
use std::io::Write;

pub(super) const BLOCK: usize = 512;

/// Two empty blocks.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What follows a header.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    File {
        size: u64,
    },
    /// Only `extents` follow, one behind the other, of a file of `size` bytes.
    Sparse {
        size: u64,
        extents: &'a [Extent],
    },
    Folder,
    Symlink(&'a [u8]),
    /// Another name of a member that came before.
    Link(&'a [u8]),
    Fifo,
    CharDevice,
    BlockDevice,
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) len: u64,
}

/// Appends all blocks of the member's header. `records` are PAX records.
pub(super) fn encode(out: &mut Vec<u8>, path: &[u8], kind: Kind<'_>, meta: &Meta, records: &[u8]) {
    let link = match kind {
        Kind::Symlink(target) | Kind::Link(target) => target,
        _ => b"",
    };
    if link.len() > 100 {
        long_name(out, b'K', link);
    }
    if path.len() > 100 {
        long_name(out, b'L', path);
    }
    pax(out, meta.modified, records);

    let stored = match kind {
        Kind::File { size } => size,
        Kind::Sparse { extents, .. } => extents.iter().map(|extent| extent.len).sum(),
        _ => 0,
    };
    let mut block = [0; BLOCK];
    text(&mut block[0..100], path);
    number(&mut block[100..108], u64::from(meta.mode & 0o7777));
    number(&mut block[108..116], u64::from(meta.uid));
    number(&mut block[116..124], u64::from(meta.gid));
    number(&mut block[124..136], stored);
    // Before 1970 only the PAX record tells.
    number(&mut block[136..148], meta.modified.seconds.max(0) as u64);
    block[156] = match kind {
        Kind::File { .. } => b'0',
        Kind::Sparse { .. } => b'S',
        Kind::Folder => b'5',
        Kind::Symlink(_) => b'2',
        Kind::Link(_) => b'1',
        Kind::Fifo => b'6',
        Kind::CharDevice => b'3',
        Kind::BlockDevice => b'4',
    };
    text(&mut block[157..257], link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let (major, minor) = match kind {
        Kind::CharDevice | Kind::BlockDevice => {
            (rustix::fs::major(meta.rdev), rustix::fs::minor(meta.rdev))
        }
        _ => (0, 0),
    };
    number(&mut block[329..337], u64::from(major));
    number(&mut block[337..345], u64::from(minor));
    if let Kind::Sparse { size, extents } = kind {
        return sparse(out, block, size, extents);
    }
    seal(&mut block);
    out.extend_from_slice(&block);
}

/// At most how many bytes [`encode`] appends.
pub(super) fn size_max(path: usize, link: usize, extents: usize, records: usize) -> usize {
    let long = |len: usize| {
        if len > 100 {
            BLOCK + padded(len + 1)
        } else {
            0
        }
    };
    let map = extents.saturating_sub(SPARSE_FIRST).div_ceil(SPARSE_MORE) * BLOCK;
    long(path) + long(link) + BLOCK + padded(records + 64) + BLOCK + map
}

/// Rounded up to whole blocks.
pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

/// Fills the last block of a member's content.
pub(super) fn pad(out: &mut Vec<u8>, size: u64) {
    let rest = (size % BLOCK as u64) as usize;
    if rest > 0 {
        out.resize(out.len() + BLOCK - rest, 0);
    }
}

/// Appends the PAX record `key=value`, whose length counts itself.
pub(super) fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut digits = decimal_digits(rest);
    if decimal_digits(rest + digits) > digits {
        digits += 1;
    }
    let _ = write!(records, "{} ", rest + digits);
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn decimal_digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn pax(out: &mut Vec<u8>, modified: Time, records: &[u8]) {
    let fits = modified.nanos == 0 && (0..1 << 33).contains(&modified.seconds);
    if fits && records.is_empty() {
        return;
    }
    let start = out.len();
    out.extend_from_slice(&PAX_HEADER[..]);
    if !fits {
        mtime(out, modified);
    }
    out.extend_from_slice(records);
    let size = out.len() - start - BLOCK;
    if size != MTIME_LEN {
        let block = &mut out[start..start + BLOCK];
        number(&mut block[124..136], size as u64);
        seal(block);
    }
    pad(out, size as u64);
}

/// The header of a PAX member that holds one [`mtime`] of our days and nothing else.
static PAX_HEADER: std::sync::LazyLock<[u8; BLOCK]> = std::sync::LazyLock::new(|| {
    let mut block = member(b'x', b"./PaxHeader", MTIME_LEN);
    seal(&mut block);
    block
});

const MTIME_LEN: usize = "30 mtime=1763717915.123456789\n".len();

fn mtime(out: &mut Vec<u8>, time: Time) {
    if (1_000_000_000..10_000_000_000).contains(&time.seconds) {
        let mut record = *b"30 mtime=0000000000.000000000\n";
        decimal(&mut record[9..19], time.seconds as u64);
        decimal(&mut record[20..29], u64::from(time.nanos));
        out.extend_from_slice(&record);
        return;
    }
    // The kernel counts nanoseconds forwards from the second below; decimals count away from zero.
    let value = if time.seconds < 0 && time.nanos > 0 {
        let (whole, part) = (-(time.seconds + 1), 1_000_000_000 - time.nanos);
        format!("-{whole}.{part:09}")
    } else {
        format!("{}.{:09}", time.seconds, time.nanos)
    };
    record(out, b"mtime", value.as_bytes());
}

fn decimal(field: &mut [u8], mut value: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn long_name(out: &mut Vec<u8>, flag: u8, name: &[u8]) {
    let mut block = member(flag, b"././@LongLink", name.len() + 1);
    block[257..265].copy_from_slice(b"ustar  \0");
    seal(&mut block);
    out.extend_from_slice(&block);
    out.extend_from_slice(name);
    out.push(0);
    pad(out, name.len() as u64 + 1);
}

/// The header of a member that describes the next one.
fn member(flag: u8, name: &[u8], size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    text(&mut block[0..100], name);
    number(&mut block[100..108], 0o644);
    number(&mut block[108..116], 0);
    number(&mut block[116..124], 0);
    number(&mut block[124..136], size as u64);
    number(&mut block[136..148], 0);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

const SPARSE_FIRST: usize = 4;
const SPARSE_MORE: usize = 21;

/// Old GNU format: the map starts in the header and goes on in blocks of its own.
fn sparse(out: &mut Vec<u8>, mut block: [u8; BLOCK], size: u64, extents: &[Extent]) {
    let (first, more) = extents.split_at(extents.len().min(SPARSE_FIRST));
    block[257..265].copy_from_slice(b"ustar  \0");
    block[345..].fill(0);
    map(&mut block[386..482], first);
    block[482] = u8::from(!more.is_empty());
    number(&mut block[483..495], size);
    seal(&mut block);
    out.extend_from_slice(&block);

    let mut more = more.chunks(SPARSE_MORE).peekable();
    while let Some(extents) = more.next() {
        let mut block = [0; BLOCK];
        map(&mut block[..504], extents);
        block[504] = u8::from(more.peek().is_some());
        out.extend_from_slice(&block);
    }
}

fn map(field: &mut [u8], extents: &[Extent]) {
    for (field, extent) in field.chunks_exact_mut(24).zip(extents) {
        number(&mut field[..12], extent.start);
        number(&mut field[12..], extent.len);
    }
}

fn text(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
}

/// Octal digits and a NUL; what does not fit, in base 256.
fn number(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    if digits * 3 < 64 && value >> (digits * 3) > 0 {
        let bytes = value.to_be_bytes();
        let take = bytes.len().min(digits);
        field.fill(0);
        field[0] = 0x80;
        let end = field.len();
        field[end - take..].copy_from_slice(&bytes[bytes.len() - take..]);
        return;
    }
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

/// Writes the checksum: the sum of all bytes, itself counted as blanks.
fn seal(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    number(&mut block[148..155], u64::from(sum));
    block[155] = b' ';
}
