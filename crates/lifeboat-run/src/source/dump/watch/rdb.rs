//! A snapshot of Redis or Valkey: `REDIS0011`, the data, an end sign, a checksum over all of it.
//!
//! A server that streams it without a file of its own does not know its size beforehand, and closes it
//! with forty letters that it made up for the occasion. `redis-cli --rdb -` writes them too; they are no
//! part of the snapshot.

use super::{EndWatch, Fault, NotWhole, Seen, Watch, crc64::Crc64};

pub(super) struct Rdb {
    head: Vec<u8>,
    /// Over everything but `tail`.
    crc: Crc64,
    /// The byte before `tail`.
    before: u8,
    /// The last bytes, as many as may come after the end sign.
    tail: Vec<u8>,
}

const HEAD: usize = 9;
const CHECKSUM: usize = 8;
const MARK: usize = EndWatch::TAIL;
const TAIL: usize = MARK + CHECKSUM;
const END: u8 = 0xff;
/// Before it there were no checksums.
const VERSION_MIN: u32 = 5;

impl Default for Rdb {
    fn default() -> Self {
        Rdb {
            head: Vec::with_capacity(HEAD),
            crc: Crc64::jones(),
            before: 0,
            tail: Vec::with_capacity(2 * TAIL),
        }
    }
}

impl Rdb {
    fn pass(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.before = bytes.last().copied().unwrap_or(self.before);
    }
}

impl Watch for Rdb {
    fn see(&mut self, bytes: &[u8]) {
        let room = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let (early, late) = bytes.split_at(bytes.len().saturating_sub(TAIL));
        if late.len() == TAIL {
            let tail = std::mem::take(&mut self.tail);
            self.pass(&tail);
            self.tail = tail;
            self.tail.clear();
            self.pass(early);
        }
        self.tail.extend_from_slice(late);
        if let Some(over @ 1..) = self.tail.len().checked_sub(TAIL) {
            let gone: Vec<u8> = self.tail.drain(..over).collect();
            self.pass(&gone);
        }
    }

    fn end(self: Box<Self>) -> Result<Seen, NotWhole> {
        let version = version(&self.head).ok_or_else(|| {
            let why = "it does not begin like a snapshot of Redis";
            (Fault::NoEndMarker, why.to_owned())
        })?;
        if version < VERSION_MIN {
            let why = format!("its version is {version}, which has no checksum");
            return Err((Fault::NoEndMarker, why));
        }
        // The mark is looked for first: were there none, its letters would be the checksum, and that
        // is eight bytes of which none is likely to be a letter.
        let behind_the_end = [MARK, 0]
            .into_iter()
            .find(|mark| self.ends_before(*mark))
            .ok_or_else(|| {
                let why = "no end sign with the right checksum is at its end";
                (Fault::NoEndMarker, why.to_owned())
            })?;
        let checked = self.checksum(behind_the_end) != Some(0);
        let mut seen = Seen {
            behind_the_end,
            ..Seen::default()
        };
        seen.facts.insert("rdb_version".to_owned(), version.into());
        seen.facts.insert("checksum".to_owned(), checked.into());
        Ok(seen)
    }
}

impl Rdb {
    /// Is it whole, if so many bytes more came after it?
    fn ends_before(&self, mark: usize) -> bool {
        let marked = self.tail.iter().rev().take(mark);
        if !marked.clone().all(u8::is_ascii_hexdigit) || marked.len() < mark {
            return false;
        }
        let Some(data) = self.tail.len().checked_sub(mark + CHECKSUM) else {
            return false;
        };
        let data = &self.tail[..data];
        let mut crc = self.crc.clone();
        crc.update(data);
        // Zero: the server was told to take no checksums.
        data.last().unwrap_or(&self.before) == &END
            && matches!(self.checksum(mark), Some(sum) if sum == crc.value() || sum == 0)
    }

    fn checksum(&self, mark: usize) -> Option<u64> {
        let end = self.tail.len().checked_sub(mark)?;
        let sum = self.tail[..end].last_chunk::<CHECKSUM>()?;
        Some(u64::from_le_bytes(*sum))
    }
}

fn version(head: &[u8]) -> Option<u32> {
    let head: &[u8; HEAD] = head.try_into().ok()?;
    let digits = head
        .strip_prefix(b"REDIS")
        .or_else(|| head.strip_prefix(b"VALKEY"))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
