//! What a poured stream is made of, for both of its ends.
//!
//! ```text
//! MAGIC, then frames:  kind (1 byte) · length of the payload (4 bytes, big end first) · payload
//!
//!   bytes      the source's stream goes on
//!   warning    one remark, as text
//!   entries    so many members are certain by now (8 bytes); also says that somebody is alive
//!   failed     why there will be no more of it (JSON)
//!   end        what all of it was (JSON), and the XXH3-128 of everything in front of these 16 bytes
//! ```
//!
//! One digest over all of it, so that no byte can be another one: a stream without its end, or with an end
//! that does not fit, is none.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) const MAGIC: [u8; 8] = *b"lb-pour1";
pub(crate) const HEAD: usize = 5;
pub(crate) const DIGEST: usize = 16;

/// A stretch of the stream is cut to frames of this size.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// Facts name a hundred files at most, each by a path of any length.
const TEXT_MAX: usize = 16 << 20;
const WARNING_MAX: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bytes,
    Warning,
    Entries,
    Failed,
    End,
}

/// What is to be said of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    /// Of the source's stream.
    pub(crate) bytes: u64,
    pub(crate) entries: Option<u64>,
    /// Also those that were not sent word for word.
    pub(crate) warnings: u64,
    pub(crate) facts: Map<String, Value>,
}

/// Why a source could not be captured, as far as the other side can tell it apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub(crate) enum Failed {
    Missing,
    SuddenlyEmpty { before: u64 },
    Refused { text: String },
    Other { text: String },
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Bytes,
        Kind::Warning,
        Kind::Entries,
        Kind::Failed,
        Kind::End,
    ];

    fn letter(self) -> u8 {
        match self {
            Kind::Bytes => b'B',
            Kind::Warning => b'W',
            Kind::Entries => b'N',
            Kind::Failed => b'F',
            Kind::End => b'E',
        }
    }

    pub(crate) fn length_max(self) -> usize {
        match self {
            Kind::Bytes => BYTES_MAX,
            Kind::Warning => WARNING_MAX,
            Kind::Entries => 8,
            Kind::Failed | Kind::End => TEXT_MAX,
        }
    }

    /// In front of a payload of `length`, which is at most [`Kind::length_max`].
    pub(crate) fn head(self, length: usize) -> [u8; HEAD] {
        let [a, b, c, d] = (length as u32).to_be_bytes();
        [self.letter(), a, b, c, d]
    }

    /// The other way round; `None` for what nobody wrote.
    pub(crate) fn of_head(head: [u8; HEAD]) -> Option<(Kind, usize)> {
        let [letter, a, b, c, d] = head;
        let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        (length <= kind.length_max()).then_some((kind, length))
    }
}
