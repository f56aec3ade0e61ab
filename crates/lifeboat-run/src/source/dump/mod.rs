//! The output of a program, as it comes: a database's dump.
//!
//! A stream that ends proves nothing: whatever happens to a program in a container (killed, never
//! found, its engine restarted, a proxy that cut the line), its output ends as if it was whole. So an
//! end of file is only the occasion to ask three questions, all of which must be answered well:
//!
//! 1. Did the program itself say that it succeeded? ([`Running::finish`])
//! 2. Does the stream end as such a dump ends? ([`EndWatch`], which sees every byte pass)
//! 3. Is it about as large as it used to be? ([`Sizes`])

mod fault;
mod sizes;
mod watch;

pub use fault::Fault;
pub(super) use fault::words;
pub use sizes::Sizes;
pub use watch::{EndWatch, Format, Seen};

use super::{Captured, Flow, Source, SourceError};
use crate::Cancel;
use serde_json::{Map, Value};
use sizes::Judgement;
use std::fmt;

/// A program whose output is to be saved, ready to be started. Made anew for every attempt.
pub trait Program: Send + Sync + fmt::Debug {
    /// `pg_dump of "shop" in service db`: for errors.
    fn what(&self) -> String;

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError>;

    /// Started as far as it goes without reading anything. `None`: it cannot wait.
    fn start_waiting(&self, _: &Cancel) -> Result<Option<Box<dyn Waiting>>, SourceError> {
        Ok(None)
    }
}

/// A program that waits for a word before it reads anything. Dropping it ends it.
pub trait Waiting: Send + fmt::Debug {
    /// The word. Whether it was heard shows when the output is read.
    fn go(self: Box<Self>) -> Box<dyn Running>;
}

/// A program at work. Its end is a verdict, not an end of file. Dropping one that was not finished ends
/// the program.
pub trait Running: Send {
    /// Appends the next bytes of its standard output to `out`, at most `limit`; `Ok(false)` when the
    /// stream has ended (which proves nothing).
    ///
    /// Blocks, but looks at `cancel` at least four times a second and fails with
    /// [`SourceError::Cancelled`]. When no byte comes for too long, that is [`Fault::Stalled`].
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError>;

    /// Asked at once after the stream's end: it ended with exit code 0, or why not.
    fn finish(self: Box<Self>) -> Result<Ended, SourceError>;
}

/// What a program that ended well leaves to be said.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// The last of what it wrote to standard error, without secrets.
    pub stderr: String,
    /// For the manifest: versions, say.
    pub facts: Map<String, Value>,
}

/// The output of a program as a source.
#[derive(Debug)]
pub struct Dump {
    /// `db.shop`
    pub name: String,
    /// `postgres`, `mysql`, `redis`, `command` …
    pub kind: String,
    /// `dump`, `sql`, `rdb` …
    pub ending: String,
    pub format: Format,
    pub program: Box<dyn Program>,
    /// How large it was before.
    pub before: Sizes,
    /// A person has said that a much smaller dump is right.
    pub accept_smaller: bool,
    /// For the manifest, beside what the program and the format say of themselves.
    pub facts: Map<String, Value>,
}

/// What of a program's standard error is kept: the last of it, which says how it ended.
const STDERR_BYTES_MAX: usize = 64 << 10;

impl Source for Dump {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn ending(&self) -> &str {
        &self.ending
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        let mut running = self.program.start(flow.cancel)?;
        let mut watch = EndWatch::new(self.format);
        let mut size = 0;
        // The last bytes are kept back: some formats have something behind their end.
        let mut tail = Vec::new();
        let last = loop {
            let mut piece = flow.buffer()?;
            piece.append(&mut tail);
            let more = fill(&mut piece, flow, running.as_mut(), &mut watch, &mut size)?;
            if !more {
                break piece;
            }
            tail = piece.split_off(piece.len().saturating_sub(EndWatch::TAIL));
            flow.send_bytes(piece)?;
        };
        let ended = running.finish()?;
        let (facts, last) = self.judge(watch, size, last, ended, flow)?;
        if !last.is_empty() {
            flow.send_bytes(last)?;
        }
        Ok(Captured {
            entries: None,
            facts,
        })
    }
}

/// Reads until `piece` is full; `false` when the stream has ended.
fn fill(
    piece: &mut Vec<u8>,
    flow: &Flow<'_>,
    running: &mut dyn Running,
    watch: &mut EndWatch,
    size: &mut u64,
) -> Result<bool, SourceError> {
    while piece.len() < flow.piece_size {
        flow.cancel.check()?;
        let before = piece.len();
        let more = running.read(piece, flow.piece_size - before, flow.cancel)?;
        watch.see(&piece[before..]);
        *size += (piece.len() - before) as u64;
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Dump {
    /// The program has ended well. Was that all of it?
    fn judge(
        &self,
        watch: EndWatch,
        size: u64,
        mut last: Vec<u8>,
        ended: Ended,
        flow: &Flow<'_>,
    ) -> Result<(Map<String, Value>, Vec<u8>), SourceError> {
        let stderr = last_bytes(&ended.stderr, STDERR_BYTES_MAX);
        if size == 0 {
            return Err(self.error(Fault::Empty, last_bytes(&ended.stderr, 4 << 10)));
        }
        let seen = watch
            .end()
            .map_err(|(fault, detail)| self.error(fault, detail))?;
        last.truncate(last.len() - seen.behind_the_end);
        let mut facts = self.facts.clone();
        facts.extend(seen.facts);
        facts.extend(ended.facts);
        match self.before.judge(size - seen.behind_the_end as u64) {
            Judgement::Usual => {}
            _ if self.accept_smaller => {
                facts.insert(Sizes::ACCEPTED.to_owned(), true.into());
            }
            Judgement::Small(why) => flow.notes.warn(why),
            Judgement::TooSmall(why) => return Err(self.error(Fault::TooSmall, why)),
        }
        if !stderr.trim().is_empty() {
            facts.insert("stderr".to_owned(), stderr.into());
        }
        Ok((facts, last))
    }

    fn error(&self, fault: Fault, detail: impl Into<String>) -> SourceError {
        SourceError::Dump {
            what: self.program.what(),
            fault,
            detail: detail.into(),
        }
    }
}

fn last_bytes(text: &str, max: usize) -> &str {
    let from = text.len().saturating_sub(max);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[from.unwrap_or(0)..]
}
