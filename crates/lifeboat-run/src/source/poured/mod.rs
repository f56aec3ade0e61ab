//! A folder that somebody else walks, as it comes: this side of a poured stream.
//!
//! As with a [`Dump`](super::Dump), the end of the stream proves nothing. It is believed when its end frame
//! has come and fits to all that came before, *and* whoever poured it says that it succeeded.

pub(crate) mod frame;

use super::{Captured, Fault, Flow, Program, Running, Source, SourceError, Waiting};
use crate::Cancel;
use frame::{DIGEST, End, Failed, HEAD, Kind, MAGIC};
use std::sync::Mutex;
use xxhash_rust::xxh3::Xxh3;

/// What [`pour`](crate::seal::pour) writes, as a source.
#[derive(Debug)]
pub struct Poured {
    pub name: String,
    pub kind: String,
    pub ending: String,
    pub program: Box<dyn Program>,
}

impl Source for Poured {
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
        self.take_all(self.program.start(flow.cancel)?, flow)
    }

    fn ready(&self, cancel: &Cancel) -> Result<Option<Box<dyn Source + '_>>, SourceError> {
        let Some(waiting) = self.program.start_waiting(cancel)? else {
            return Ok(None);
        };
        Ok(Some(Box::new(Ready {
            of: self,
            waiting: Mutex::new(Some(waiting)),
        })))
    }
}

/// The other side waits for a word.
#[derive(Debug)]
struct Ready<'a> {
    of: &'a Poured,
    waiting: Mutex<Option<Box<dyn Waiting>>>,
}

impl Source for Ready<'_> {
    fn name(&self) -> &str {
        &self.of.name
    }

    fn kind(&self) -> &str {
        &self.of.kind
    }

    fn ending(&self) -> &str {
        &self.of.ending
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take();
        match waiting {
            Some(waiting) => self.of.take_all(waiting.go(), flow),
            // It was told already: once more, from the beginning.
            None => self.of.pour(flow),
        }
    }
}

impl Poured {
    fn take_all(
        &self,
        mut running: Box<dyn Running>,
        flow: &mut Flow<'_>,
    ) -> Result<Captured, SourceError> {
        let mut reader = Reader {
            of: self,
            running: running.as_mut(),
            digest: Xxh3::new(),
            bytes: 0,
        };
        let heard = reader.all(flow);
        // The other side says its last word when it has read all; how it ends changes nothing of that.
        flow.all_read();
        match heard {
            Ok(captured) => {
                running.finish()?;
                Ok(captured)
            }
            // How it ended says more than that it ended.
            Err(Cut::Short) => {
                running.finish()?;
                Err(self.error(Fault::NoEndMarker, ""))
            }
            Err(Cut::Garbled(what)) => Err(self.error(Fault::StreamCorrupt, what)),
            Err(Cut::Source(error)) => Err(error),
        }
    }

    fn error(&self, fault: Fault, detail: &str) -> SourceError {
        SourceError::Dump {
            what: self.program.what(),
            fault,
            detail: detail.to_owned(),
        }
    }

    /// What the other side said of its source, which has another name there.
    fn failed(&self, failed: Failed) -> SourceError {
        let what = self.program.what();
        match failed {
            Failed::Missing => SourceError::Missing { what },
            Failed::SuddenlyEmpty { before } => SourceError::SuddenlyEmpty { what, before },
            Failed::Refused { text } => SourceError::Refused(text),
            Failed::Other { text } => SourceError::Damaged { what, reason: text },
        }
    }
}

/// Why a stream is not whole.
enum Cut {
    /// It ends before its end.
    Short,
    Garbled(&'static str),
    Source(SourceError),
}

impl<E: Into<SourceError>> From<E> for Cut {
    fn from(error: E) -> Self {
        Cut::Source(error.into())
    }
}

struct Reader<'r> {
    of: &'r Poured,
    running: &'r mut dyn Running,
    /// Of everything that was read.
    digest: Xxh3,
    /// Of the source's own stream.
    bytes: u64,
}

impl Reader<'_> {
    fn all(&mut self, flow: &mut Flow<'_>) -> Result<Captured, Cut> {
        let mut text = Vec::new();
        self.take(MAGIC.len(), &mut text, flow)?;
        if text != MAGIC {
            return Err(Cut::Garbled("it does not begin as it should"));
        }
        let (mut entries, mut warnings) = (0, 0);
        let mut piece = flow.buffer()?;
        loop {
            text.clear();
            self.take(HEAD, &mut text, flow)?;
            let head = text[..].try_into().expect("so many bytes were read");
            let (kind, length) =
                Kind::of_head(head).ok_or(Cut::Garbled("a frame of a kind that is not known"))?;
            if kind == Kind::Bytes {
                self.bytes(length, &mut piece, flow)?;
                continue;
            }
            text.clear();
            let body = if kind == Kind::End {
                length.checked_sub(DIGEST)
            } else {
                Some(length)
            };
            let body = body.ok_or(Cut::Garbled("an end without a digest"))?;
            self.take(body, &mut text, flow)?;
            match kind {
                Kind::Bytes => {}
                Kind::Warning => {
                    warnings += 1;
                    flow.notes.warn(String::from_utf8_lossy(&text));
                }
                Kind::Entries => {
                    let told = text[..].try_into().map(u64::from_be_bytes);
                    let told = told.map_err(|_| Cut::Garbled("a number that is none"))?;
                    flow.notes.entered(told.saturating_sub(entries));
                    entries = entries.max(told);
                }
                Kind::Failed => {
                    let failed = serde_json::from_slice(&text)
                        .map_err(|_| Cut::Garbled("a reason that is none"))?;
                    return Err(self.of.failed(failed).into());
                }
                Kind::End => {
                    let end = self.end(&text, flow)?;
                    let more = end.warnings.checked_sub(warnings);
                    flow.notes
                        .warned(more.ok_or(Cut::Garbled("more warnings than there were"))?);
                    if !piece.is_empty() {
                        flow.send_bytes(piece)?;
                    }
                    // Some of them were noted on the way, for those who watch.
                    let left = end.entries.map(|all| all.checked_sub(entries));
                    if left == Some(None) || (left.is_none() && entries > 0) {
                        return Err(Cut::Garbled("more entries than there are"));
                    }
                    return Ok(Captured {
                        entries: left.flatten(),
                        facts: end.facts,
                    });
                }
            }
        }
    }

    /// A stretch of the source's stream, into the seal's own buffers.
    fn bytes(
        &mut self,
        length: usize,
        piece: &mut Vec<u8>,
        flow: &mut Flow<'_>,
    ) -> Result<(), Cut> {
        let mut left = length;
        while left > 0 {
            if piece.len() >= flow.piece_size {
                flow.send_bytes(std::mem::take(piece))?;
                *piece = flow.buffer()?;
            }
            let now = left.min(flow.piece_size - piece.len());
            self.take(now, piece, flow)?;
            left -= now;
        }
        self.bytes += length as u64;
        Ok(())
    }

    /// Appends exactly so many bytes.
    fn take(&mut self, length: usize, to: &mut Vec<u8>, flow: &Flow<'_>) -> Result<(), Cut> {
        let before = to.len();
        let wanted = before + length;
        while to.len() < wanted {
            flow.cancel.check()?;
            let more = self.running.read(to, wanted - to.len(), flow.cancel)?;
            if !more && to.len() < wanted {
                return Err(Cut::Short);
            }
        }
        self.digest.update(&to[before..]);
        Ok(())
    }

    /// Everything is there, and nothing else.
    fn end(&mut self, text: &[u8], flow: &Flow<'_>) -> Result<End, Cut> {
        let digest = self.digest.digest128().to_be_bytes();
        let mut rest = Vec::new();
        self.take(DIGEST, &mut rest, flow)?;
        if rest != digest {
            return Err(Cut::Garbled("its digest does not fit"));
        }
        let end: End =
            serde_json::from_slice(text).map_err(|_| Cut::Garbled("an end that is none"))?;
        if end.bytes != self.bytes {
            return Err(Cut::Garbled("its end tells another number of bytes"));
        }
        rest.clear();
        loop {
            flow.cancel.check()?;
            let more = self.running.read(&mut rest, 1, flow.cancel)?;
            if !rest.is_empty() {
                return Err(Cut::Garbled("something comes behind its end"));
            }
            if !more {
                return Ok(end);
            }
        }
    }
}
