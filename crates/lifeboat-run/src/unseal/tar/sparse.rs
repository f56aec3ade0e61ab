//! Maps of sparse files: where in the file the stored bytes belong.

use super::{
    header::{BLOCK, Header, unsigned},
    pax, refuse,
};
use std::io;

/// 16 MiB of them.
const SEGMENTS_MAX: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

/// Segments in order, none over another, none beyond the end, as many bytes as are stored.
pub(super) fn judge(segments: &[Segment], size: u64, stored: u64) -> io::Result<()> {
    let sound = i64::try_from(size).is_ok()
        && segments
            .iter()
            .try_fold((0u64, 0u64), |(end, sum), segment| {
                let next = segment.offset.checked_add(segment.length)?;
                (segment.offset >= end && next <= size)
                    .then_some((next, sum.checked_add(segment.length)?))
            })
            .is_some_and(|(_, sum)| sum == stored);
    if sound {
        Ok(())
    } else {
        Err(refuse("a sparse map that does not fit its file"))
    }
}

/// The map of GNU's old format: four places in the header, 21 in each block that follows.
pub(super) fn old_gnu(
    header: &Header<'_>,
    stored: u64,
    mut next_block: impl FnMut() -> io::Result<[u8; BLOCK]>,
) -> io::Result<(u64, Vec<Segment>)> {
    let size = header.sparse_size()?;
    let (places, mut is_continued) = header.sparse_places();
    let mut segments = Vec::new();
    old_places(places, &mut segments)?;
    while is_continued {
        let block = next_block()?;
        old_places(&block[..504], &mut segments)?;
        is_continued = block[504] != 0;
    }
    judge(&segments, size, stored)?;
    Ok((size, segments))
}

fn old_places(places: &[u8], segments: &mut Vec<Segment>) -> io::Result<()> {
    for place in places.chunks_exact(24).take_while(|place| place[0] != 0) {
        push(segments, unsigned(&place[..12])?, unsigned(&place[12..])?)?;
    }
    Ok(())
}

/// The map of PAX 1.0: decimal lines, padded to whole blocks; first how many, then offsets and lengths.
#[derive(Default)]
pub(super) struct MapText {
    line: Vec<u8>,
    count: Option<u64>,
    offset: Option<u64>,
    segments: Vec<Segment>,
}

impl MapText {
    /// The segments, when the map ends in this block.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> io::Result<Option<Vec<Segment>>> {
        for &byte in block {
            if byte != b'\n' {
                if self.line.len() > 20 {
                    return Err(refuse("a sparse map with a line that is no number"));
                }
                self.line.push(byte);
                continue;
            }
            let number = pax::decimal(b"place in a sparse map", &self.line)?;
            self.line.clear();
            match (self.count, self.offset.take()) {
                (None, _) => self.count = Some(number),
                (Some(_), None) => self.offset = Some(number),
                (Some(_), Some(offset)) => push(&mut self.segments, offset, number)?,
            }
            if self.count == Some(self.segments.len() as u64) && self.offset.is_none() {
                return Ok(Some(std::mem::take(&mut self.segments)));
            }
        }
        Ok(None)
    }
}

fn push(segments: &mut Vec<Segment>, offset: u64, length: u64) -> io::Result<()> {
    if segments.len() == SEGMENTS_MAX {
        return Err(refuse("a sparse file of more than a million pieces"));
    }
    segments.push(Segment { offset, length });
    Ok(())
}
