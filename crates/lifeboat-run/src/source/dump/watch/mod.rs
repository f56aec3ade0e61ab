//! Does the stream end as such a dump ends?
//!
//! Each format has a watch that sees every byte pass, in whatever stretches they come, keeps a bounded
//! memory of them, and says at the end whether that was the end.

mod bson;
mod crc64;
mod mongo;
mod postgres;
mod rdb;
mod text;
mod tokens;

use super::Fault;
use serde_json::{Map, Value};
use std::fmt;

/// What a stream should be, and so how its end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `pg_dump -Fc`
    PostgresCustom,
    /// `pg_dumpall --globals-only`, plain `pg_dump`
    PostgresSql,
    /// `mysqldump`, `mariadb-dump`
    MysqlSql,
    /// `redis-cli --rdb -`, a `dump.rdb`
    Rdb,
    /// `mongodump --archive`
    MongoArchive,
    /// Nothing is known of it: whatever comes is believed.
    Unknown,
}

/// Judges a stream that passes by.
pub struct EndWatch(Box<dyn Watch>);

/// What was seen of a stream that is whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// For the manifest.
    pub facts: Map<String, Value>,
    /// So many of the last bytes do not belong to the dump. At most [`EndWatch::TAIL`].
    pub behind_the_end: usize,
}

/// Why it is not whole.
type NotWhole = (Fault, String);

trait Watch: Send {
    /// Every byte, once, in order.
    fn see(&mut self, bytes: &[u8]);

    fn end(self: Box<Self>) -> Result<Seen, NotWhole>;
}

impl EndWatch {
    /// Bytes that may turn out, at the end, not to belong to the dump.
    pub const TAIL: usize = 40;

    pub fn new(format: Format) -> Self {
        EndWatch(match format {
            Format::PostgresSql => Box::new(text::Text::postgres()),
            Format::MysqlSql => Box::new(text::Text::mysql()),
            Format::PostgresCustom => Box::<postgres::Custom>::default(),
            Format::Rdb => Box::<rdb::Rdb>::default(),
            Format::MongoArchive => Box::<mongo::Archive>::default(),
            Format::Unknown => Box::new(Anything),
        })
    }

    /// Every byte, once, in order.
    pub fn see(&mut self, bytes: &[u8]) {
        self.0.see(bytes);
    }

    /// That was all: was it whole?
    pub fn end(self) -> Result<Seen, (Fault, String)> {
        self.0.end()
    }
}

impl fmt::Debug for EndWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndWatch")
    }
}

struct Anything;

impl Watch for Anything {
    fn see(&mut self, _: &[u8]) {}

    fn end(self: Box<Self>) -> Result<Seen, NotWhole> {
        Ok(Seen::default())
    }
}
