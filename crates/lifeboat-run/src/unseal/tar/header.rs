//! One header block of 512 bytes, ustar or GNU.

use super::refuse;
use std::io;

pub(super) const BLOCK: usize = 512;

/// The largest number that eleven octal digits hold: 8 GiB - 1.
pub(super) const NUMBER_MAX: u64 = 0o777_7777_7777;

pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
}

impl<'a> Header<'a> {
    /// Checks what a header must have: its checksum, and the mark of POSIX or of GNU.
    pub(super) fn new(block: &'a [u8; BLOCK]) -> io::Result<Self> {
        let header = Header { block };
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte })
            .map(u64::from)
            .sum();
        if header.unsigned(148..156)? != sum {
            return Err(refuse("a header with a wrong checksum"));
        }
        if &block[257..262] != b"ustar" {
            return Err(refuse("a header that is neither of POSIX nor of GNU"));
        }
        Ok(header)
    }

    pub(super) fn kind(&self) -> u8 {
        self.block[156]
    }

    fn is_gnu(&self) -> bool {
        &self.block[257..265] == b"ustar  \0"
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[..100]);
        // GNU keeps other things where POSIX keeps the first part of a name.
        let prefix = if self.is_gnu() || self.kind() == b'S' {
            &[][..]
        } else {
            text(&self.block[345..500])
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> io::Result<u32> {
        Ok((self.unsigned(100..108)? & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> io::Result<u64> {
        self.unsigned(108..116)
    }

    pub(super) fn gid(&self) -> io::Result<u64> {
        self.unsigned(116..124)
    }

    pub(super) fn size(&self) -> io::Result<u64> {
        self.unsigned(124..136)
    }

    pub(super) fn mtime(&self) -> io::Result<i64> {
        number(&self.block[136..148])
    }

    pub(super) fn device_major(&self) -> io::Result<u32> {
        self.small(329..337)
    }

    pub(super) fn device_minor(&self) -> io::Result<u32> {
        self.small(337..345)
    }

    /// Old GNU sparse files: four places in the header, and whether more blocks of them follow.
    pub(super) fn sparse_places(&self) -> (&'a [u8], bool) {
        (&self.block[386..482], self.block[482] != 0)
    }

    pub(super) fn sparse_size(&self) -> io::Result<u64> {
        self.unsigned(483..495)
    }

    fn small(&self, field: std::ops::Range<usize>) -> io::Result<u32> {
        u32::try_from(self.unsigned(field)?).map_err(|_| refuse("a device number out of range"))
    }

    fn unsigned(&self, field: std::ops::Range<usize>) -> io::Result<u64> {
        unsigned(&self.block[field])
    }
}

pub(super) fn unsigned(field: &[u8]) -> io::Result<u64> {
    u64::try_from(number(field)?).map_err(|_| refuse("a number below zero in a header"))
}

/// Octal digits between spaces and NULs; or, with the highest bit set, a number in base 256 with a sign.
fn number(field: &[u8]) -> io::Result<i64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // The sign bit is the one below the mark.
        let sign = if first & 0x40 != 0 { -64 } else { 0 };
        let mut value = i64::from(first & 0x3f) | sign;
        for &byte in rest {
            value = value
                .checked_mul(256)
                .and_then(|value| value.checked_add(i64::from(byte)))
                .ok_or_else(|| refuse("a number out of range in a header"))?;
        }
        return Ok(value);
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| matches!(byte, b' ' | 0))
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if rest.iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return Err(refuse("a number with something after it in a header"));
    }
    digits.iter().try_fold(0i64, |value, &digit| match digit {
        b'0'..=b'7' if value < 1 << 59 => Ok(value << 3 | i64::from(digit - b'0')),
        _ => Err(refuse("a number with other than octal digits in a header")),
    })
}

fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    &field[..end.unwrap_or(field.len())]
}

#[cfg(test)]
mod tests {
    use super::{number, unsigned};

    #[test]
    fn numbers_are_read_in_octal_and_in_base_256() {
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b"   644 \0").unwrap(), 0o644);
        assert_eq!(number(&[0; 8]).unwrap(), 0);
        assert_eq!(number(b"77777777777\0").unwrap(), 0o777_7777_7777);
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0").unwrap(), 256);
        assert_eq!(number(&[0xff; 12]).unwrap(), -1);
        assert_eq!(
            number(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff").unwrap(),
            i64::MAX
        );
        assert_eq!(
            number(b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0").unwrap(),
            i64::MIN
        );
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for field in [
            &b"0000648\0"[..],
            b"64 4\0\0\0\0",
            b"-1\0\0\0\0\0\0",
            b"+1\0\0\0\0\0\0",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(number(field).is_err(), "{field:x?}");
        }
        assert!(unsigned(&[0xff; 8]).is_err());
    }
}
