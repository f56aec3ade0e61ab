//! PostgreSQL's custom format, as `pg_dump -Fc` writes it into a pipe: a header, a table of contents, and
//! then one block of data for each entry that has data.
//!
//! There is no mark at the end. But the table says which blocks there must be, and every block says
//! where it ends: the dump is whole when each has come and the stream ends with the last of them.
//! (`pg_restore --list` reads no further than the table, and is content with one per cent of a dump.)
//!
//! After PostgreSQL's own `pg_backup_archiver.c` and `pg_backup_custom.c`, versions 1.12 (PostgreSQL 9)
//! to 1.16 (17, 18).

use super::{
    Fault, NotWhole, Seen, Watch,
    tokens::{Got, Grammar, Need, Tokens},
};
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Custom(Tokens<Archive>);

impl Watch for Custom {
    fn see(&mut self, bytes: &[u8]) {
        self.0.see(bytes);
    }

    fn end(self: Box<Self>) -> Result<Seen, NotWhole> {
        let (archive, at_boundary) = self.0.end().map_err(|why| (Fault::NoEndMarker, why))?;
        archive.whole(at_boundary)
    }
}

/// What has been understood so far.
#[derive(Default)]
struct Archive {
    place: Place,
    version: (u8, u8),
    int_size: u64,
    offset_size: u64,
    server: String,
    tool: String,
    fields: Vec<Field>,
    entries: i64,
    entries_left: i64,
    entry: i64,
    tables: u64,
    /// Entries whose data has not come yet.
    owed: BTreeSet<i64>,
}

#[derive(Default, Clone, Copy)]
enum Place {
    #[default]
    Magic,
    Header(Head),
    Count,
    Entry(usize),
    /// Between two blocks: the only place where a dump may end.
    BlockType,
    BlockId {
        large_objects: bool,
    },
    ObjectId,
    Length {
        large_object: bool,
    },
    Chunk {
        large_object: bool,
    },
}

#[derive(Clone, Copy)]
enum Head {
    Algorithm,
    Level,
    Created(u8),
    Database,
    Server,
    Tool,
}

/// One member of an entry of the table of contents.
#[derive(Clone, Copy)]
enum Field {
    Id,
    HasData,
    Kind,
    Text,
    Number,
    /// Any number of texts, up to one that is none.
    Needed,
    Offset,
}

const MAGIC: &[u8] = b"PGDMP";
const CUSTOM_FORMAT: u8 = 1;
const DATA: u8 = 1;
const LARGE_OBJECTS: u8 = 3;
/// So much of a text is looked at.
const TEXT: usize = 128;

impl Grammar for Archive {
    fn first(&self) -> Need {
        // Magic, version of three parts, size of integers, size of offsets, format.
        Need::Bytes(MAGIC.len() as u64 + 6)
    }

    fn int_size(&self) -> u64 {
        self.int_size
    }

    fn got(&mut self, got: Got<'_>) -> Result<Need, String> {
        match (self.place, got) {
            (Place::Magic, Got::Bytes(head)) => self.magic(head),
            (Place::Header(head), got) => self.header(head, got),
            (Place::Count, Got::Int(count)) => {
                if count < 0 {
                    return Err("its table of contents has no length".to_owned());
                }
                (self.entries, self.entries_left) = (count, count);
                self.next_entry()
            }
            (Place::Entry(at), got) => self.field(at, got),
            (Place::BlockType, Got::Bytes(&[kind])) => {
                let large_objects = match kind {
                    DATA => false,
                    LARGE_OBJECTS => true,
                    _ => return Err("something that is no block of data is in it".to_owned()),
                };
                self.place = Place::BlockId { large_objects };
                Ok(Need::Int)
            }
            (Place::BlockId { large_objects }, Got::Int(id)) => {
                if !self.owed.remove(&id) {
                    return Err("a block of data is in it that no entry speaks of".to_owned());
                }
                self.place = match large_objects {
                    true => Place::ObjectId,
                    false => Place::Length {
                        large_object: false,
                    },
                };
                Ok(Need::Int)
            }
            (Place::ObjectId, Got::Int(0)) => self.block_ended(),
            (Place::ObjectId, Got::Int(_)) => {
                self.place = Place::Length { large_object: true };
                Ok(Need::Int)
            }
            (Place::Length { large_object }, Got::Int(0)) => match large_object {
                true => {
                    self.place = Place::ObjectId;
                    Ok(Need::Int)
                }
                false => self.block_ended(),
            },
            (Place::Length { large_object }, Got::Int(length)) => {
                let Ok(length) = u64::try_from(length) else {
                    return Err("a block of data has no length".to_owned());
                };
                self.place = Place::Chunk { large_object };
                Ok(Need::Skip(length))
            }
            (Place::Chunk { large_object }, Got::Skipped) => {
                self.place = Place::Length { large_object };
                Ok(Need::Int)
            }
            _ => Err("it is not built like a dump".to_owned()),
        }
    }
}

impl Archive {
    fn magic(&mut self, head: &[u8]) -> Result<Need, String> {
        let Some(&[major, minor, _, int_size, offset_size, format]) = head.strip_prefix(MAGIC)
        else {
            return Err("it does not begin like a dump in PostgreSQL's custom format".to_owned());
        };
        self.version = (major, minor);
        if !((1, 12)..=(1, 16)).contains(&self.version) {
            return Err(format!(
                "its version is {major}.{minor}, and only 1.12 to 1.16 can be judged"
            ));
        }
        if !(1..=8).contains(&int_size) || !(1..=8).contains(&offset_size) {
            return Err("its numbers have an impossible size".to_owned());
        }
        if format != CUSTOM_FORMAT {
            return Err("it is not in the custom format".to_owned());
        }
        self.int_size = int_size.into();
        self.offset_size = offset_size.into();
        self.fields = fields(self.version);
        if self.version >= (1, 15) {
            self.place = Place::Header(Head::Algorithm);
            Ok(Need::Bytes(1))
        } else {
            self.place = Place::Header(Head::Level);
            Ok(Need::Int)
        }
    }

    fn header(&mut self, head: Head, got: Got<'_>) -> Result<Need, String> {
        let (next, need) = match (head, got) {
            (Head::Algorithm, Got::Bytes(_)) => (Head::Created(0), Need::Int),
            (Head::Level, Got::Int(_)) => (Head::Created(0), Need::Int),
            // Second, minute, hour, day, month, year, summer time.
            (Head::Created(n), Got::Int(_)) if n < 6 => (Head::Created(n + 1), Need::Int),
            (Head::Created(_), Got::Int(_)) => (Head::Database, Need::Text(0)),
            (Head::Database, Got::Text(_)) => (Head::Server, Need::Text(TEXT)),
            (Head::Server, Got::Text(text)) => {
                self.server = lossy(text);
                (Head::Tool, Need::Text(TEXT))
            }
            (Head::Tool, Got::Text(text)) => {
                self.tool = lossy(text);
                self.place = Place::Count;
                return Ok(Need::Int);
            }
            _ => return Err("its header is not built like one".to_owned()),
        };
        self.place = Place::Header(next);
        Ok(need)
    }

    fn next_entry(&mut self) -> Result<Need, String> {
        if self.entries_left == 0 {
            self.place = Place::BlockType;
            return Ok(Need::Bytes(1));
        }
        self.entries_left -= 1;
        self.at_field(0)
    }

    fn at_field(&mut self, at: usize) -> Result<Need, String> {
        self.place = Place::Entry(at);
        Ok(match self.fields.get(at) {
            None => return self.next_entry(),
            Some(Field::Id | Field::HasData | Field::Number) => Need::Int,
            Some(Field::Kind) => Need::Text(TEXT),
            Some(Field::Text | Field::Needed) => Need::Text(0),
            // A byte that tells what the offset is worth comes before it.
            Some(Field::Offset) => Need::Skip(self.offset_size + 1),
        })
    }

    fn field(&mut self, at: usize, got: Got<'_>) -> Result<Need, String> {
        match (self.fields[at], got) {
            (Field::Id, Got::Int(id)) => self.entry = id,
            (Field::HasData, Got::Int(has_data)) => {
                if has_data != 0 && !self.owed.insert(self.entry) {
                    return Err("two entries of its table of contents are the same".to_owned());
                }
            }
            (Field::Kind, Got::Text(kind)) => self.tables += u64::from(kind == Some(b"TABLE")),
            (Field::Needed, Got::Text(Some(_))) => return Ok(Need::Text(0)),
            (Field::Needed, Got::Text(None))
            | (Field::Text, Got::Text(_))
            | (Field::Number, Got::Int(_))
            | (Field::Offset, Got::Skipped) => {}
            _ => return Err("its table of contents is not built like one".to_owned()),
        }
        self.at_field(at + 1)
    }

    fn block_ended(&mut self) -> Result<Need, String> {
        self.place = Place::BlockType;
        Ok(Need::Bytes(1))
    }

    fn whole(self, at_boundary: bool) -> Result<Seen, NotWhole> {
        let why = match self.place {
            Place::BlockType if at_boundary && self.owed.is_empty() => {
                let mut seen = Seen::default();
                let mut fact = |name: &str, value: serde_json::Value| {
                    seen.facts.insert(name.to_owned(), value);
                };
                let (major, minor) = self.version;
                fact("archive_version", format!("{major}.{minor}").into());
                fact("server_version", self.server.into());
                fact("dump_version", self.tool.into());
                fact("toc_entries", self.entries.into());
                fact("tables", self.tables.into());
                return Ok(seen);
            }
            Place::Magic | Place::Header(_) => "it ends in its header".to_owned(),
            Place::Count | Place::Entry(_) => "it ends in its table of contents".to_owned(),
            Place::BlockType => format!("the data of {} entries is missing", self.owed.len()),
            _ => format!(
                "it ends in the middle of its data, and that of {} more entries is missing",
                self.owed.len()
            ),
        };
        Err((Fault::NoEndMarker, why))
    }
}

/// An entry of the table of contents, as that version writes it.
fn fields(version: (u8, u8)) -> Vec<Field> {
    let mut fields = vec![
        Field::Id,
        Field::HasData,
        Field::Text, // oid of the catalogue's table
        Field::Text, // oid
        Field::Text, // name
        Field::Kind,
        Field::Number, // section
        Field::Text,   // definition
        Field::Text,   // how to drop it
        Field::Text,   // how to copy into it
        Field::Text,   // schema
        Field::Text,   // tablespace
    ];
    if version >= (1, 14) {
        fields.push(Field::Text); // access method
    }
    if version >= (1, 16) {
        fields.push(Field::Number); // what kind of relation
    }
    fields.extend([
        Field::Text, // owner
        Field::Text, // whether it has oids
        Field::Needed,
        Field::Offset,
    ]);
    fields
}

fn lossy(text: Option<&[u8]>) -> String {
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}
