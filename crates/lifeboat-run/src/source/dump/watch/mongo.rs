//! What `mongodump --archive` writes: a prelude that names every collection, then stretches of
//! documents, each under the name of its collection; and for each collection an end with a checksum.
//!
//! After `common/archive` of MongoDB's own tools. There are no documents outside of a stretch, and every
//! stretch ends with the same four bytes, which no document can begin with.

use super::{Fault, NotWhole, Seen, Watch, bson::Document, crc64::Crc64};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Archive {
    place: Place,
    /// A length, or a document that is looked into.
    kept: Vec<u8>,
    /// Bytes still to come of what is kept or passed over.
    left: usize,
    stretch: Option<Namespace>,
    server: String,
    tool: String,
    /// What the prelude names and has not ended yet.
    owed: BTreeSet<Namespace>,
    collections: u64,
    open: BTreeMap<Namespace, Crc64>,
    ended: BTreeSet<Namespace>,
    wrong: Option<String>,
}

/// Database and collection.
type Namespace = (String, String);

#[derive(Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Magic,
    /// A document's length, or the end of the stretch.
    Length(What),
    Document(What),
    /// Its zero at the end.
    LastByte,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Header,
    Collection,
    /// The head of a stretch; the only place where an archive may end.
    Head,
    Data,
}

const MAGIC: u32 = 0x8199_e26d;
const TERMINATOR: u32 = u32::MAX;
const DOCUMENT_BYTES_MIN: u32 = 5;
/// What MongoDB's own tools allow.
const DOCUMENT_BYTES_MAX: u32 = (16 << 20) + (16 << 10);

impl Watch for Archive {
    fn see(&mut self, mut bytes: &[u8]) {
        while self.wrong.is_none() && !bytes.is_empty() {
            match self.step(bytes) {
                Ok(rest) => bytes = rest,
                Err(why) => self.wrong = Some(why),
            }
        }
    }

    fn end(self: Box<Self>) -> Result<Seen, NotWhole> {
        let not_whole = |why: String| Err((Fault::NoEndMarker, why));
        if let Some(why) = self.wrong {
            return not_whole(why);
        }
        if self.place != Place::Length(What::Head) || !self.kept.is_empty() {
            return not_whole("it ends in the middle".to_owned());
        }
        if !self.open.is_empty() {
            return not_whole(format!("{} collections have no end", self.open.len()));
        }
        if !self.owed.is_empty() {
            return not_whole(format!("{} collections are missing", self.owed.len()));
        }
        let mut seen = Seen::default();
        let facts = [
            ("server_version", self.server.into()),
            ("dump_version", self.tool.into()),
            ("collections", self.collections.into()),
        ];
        let facts = facts.map(|(name, value)| (name.to_owned(), value));
        seen.facts.extend(facts);
        Ok(seen)
    }
}

impl Archive {
    /// Takes some of `bytes`, at least one, and gives back the others.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        match self.place {
            Place::Magic => self.number(bytes, |archive, magic| {
                if magic != MAGIC {
                    return Err("it does not begin like an archive of mongodump".to_owned());
                }
                archive.kept.clear();
                archive.place = Place::Length(What::Header);
                Ok(())
            }),
            Place::Length(what) => {
                self.number(bytes, |archive, length| archive.length(what, length))
            }
            Place::Document(What::Data) => {
                let (now, later) = bytes.split_at(bytes.len().min(self.left));
                self.data(now)?;
                self.left -= now.len();
                if self.left == 0 {
                    self.place = Place::LastByte;
                }
                Ok(later)
            }
            Place::LastByte => {
                self.data(&bytes[..1])?;
                if bytes[0] != 0 {
                    return Err("a document in it does not end like one".to_owned());
                }
                self.place = Place::Length(What::Data);
                Ok(&bytes[1..])
            }
            Place::Document(what) => {
                let (now, later) = bytes.split_at(bytes.len().min(self.left));
                self.kept.extend_from_slice(now);
                self.left -= now.len();
                if self.left == 0 {
                    let kept = std::mem::take(&mut self.kept);
                    let document = Document::of(&kept)
                        .ok_or_else(|| "a document in it is not built like one".to_owned())?;
                    self.document(what, &document)?;
                }
                Ok(later)
            }
        }
    }

    fn number<'b>(
        &mut self,
        bytes: &'b [u8],
        whole: impl FnOnce(&mut Self, u32) -> Result<(), String>,
    ) -> Result<&'b [u8], String> {
        let (now, later) = bytes.split_at(bytes.len().min(4 - self.kept.len()));
        self.kept.extend_from_slice(now);
        if let Some(number) = self.kept.first_chunk::<4>() {
            let number = u32::from_le_bytes(*number);
            whole(self, number)?;
        }
        Ok(later)
    }

    fn length(&mut self, what: What, length: u32) -> Result<(), String> {
        if length == TERMINATOR {
            self.kept.clear();
            self.stretch = None;
            self.place = match what {
                What::Collection | What::Data => Place::Length(What::Head),
                What::Header | What::Head => {
                    return Err("a stretch in it has no head".to_owned());
                }
            };
            return Ok(());
        }
        if !(DOCUMENT_BYTES_MIN..=DOCUMENT_BYTES_MAX).contains(&length) {
            return Err("a document in it has an impossible length".to_owned());
        }
        self.left = length as usize - 4;
        self.place = Place::Document(what);
        if what == What::Data {
            let kept = std::mem::take(&mut self.kept);
            self.data(&kept)?;
            self.left -= 1;
            if self.left == 0 {
                self.place = Place::LastByte;
            }
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), String> {
        let open = self
            .stretch
            .as_ref()
            .and_then(|name| self.open.get_mut(name));
        let crc = open.ok_or_else(|| "documents in it belong to no collection".to_owned())?;
        crc.update(bytes);
        Ok(())
    }

    fn document(&mut self, what: What, document: &Document<'_>) -> Result<(), String> {
        let text = |name| document.text(name).unwrap_or_default();
        let name = (text("db"), text("collection"));
        self.place = Place::Length(match what {
            What::Header => {
                self.server = text("server_version");
                self.tool = text("tool_version");
                What::Collection
            }
            What::Collection => {
                self.collections += 1;
                self.owed.insert(name);
                What::Collection
            }
            What::Head | What::Data => {
                self.head(name, document)?;
                What::Data
            }
        });
        Ok(())
    }

    fn head(&mut self, name: Namespace, document: &Document<'_>) -> Result<(), String> {
        if name.1.is_empty() {
            return Err("a stretch in it has no name".to_owned());
        }
        if self.ended.contains(&name) {
            return Err("a collection goes on after its end".to_owned());
        }
        let is_end = document
            .boolean("EOF")
            .ok_or_else(|| "the head of a stretch is not built like one".to_owned())?;
        if !is_end {
            self.open.entry(name.clone()).or_insert_with(Crc64::ecma);
            self.stretch = Some(name);
            return Ok(());
        }
        // One without documents ends without having begun.
        let crc = self.open.remove(&name).unwrap_or_else(Crc64::ecma);
        if document.int("CRC").map(i64::cast_unsigned) != Some(crc.value()) {
            return Err("a collection has another checksum than was written down".to_owned());
        }
        self.owed.remove(&name);
        // The data of a time series goes by another name, before server 8.3.
        if let Some(series) = name.1.strip_prefix("system.buckets.") {
            self.owed.remove(&(name.0.clone(), series.to_owned()));
        }
        self.ended.insert(name);
        Ok(())
    }
}
