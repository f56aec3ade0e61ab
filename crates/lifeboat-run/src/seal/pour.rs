//! A source poured out for another process to seal: the front half of the pipeline, and at its end, in
//! place of an archive, a stream that says of itself whether it is whole.

use super::{
    Recipe, SealError,
    budget::Budget,
    pipeline::{self, Outlet},
};
use crate::{
    Cancel, Listener, keys,
    source::{Notes, Source, SourceError, frame::*},
};
use lifeboat_plan::{Compression, event::RunEvent};
use std::{
    io::{self, Write},
    sync::Mutex,
};
use xxhash_rust::xxh3::Xxh3;

/// Pours `source` into `to`. [`Poured`](crate::source::Poured) reads it.
///
/// A source that cannot be captured is told to the other side too; whatever else goes wrong shows there as
/// a stream without an end.
pub fn pour(
    source: &dyn Source,
    to: &mut (dyn Write + Send),
    cancel: &Cancel,
) -> Result<(), SealError> {
    let spout = Spout::open(to)?;
    // Compressed is on the other side: there it is known how.
    let recipe = Recipe {
        compression: Compression::None,
        level: 0,
        threads: 0,
        seal: keys::Seal::Open,
    };
    let notes = Notes::new(source.name(), &spout);
    let budget = Budget::of(&recipe, 1);
    match pipeline::run(source, &recipe, budget, &spout, &notes, cancel, &spout) {
        Ok(done) => spout.close(&End {
            bytes: done.plain_size,
            entries: done.captured.entries_with(&notes),
            warnings: notes.total(),
            facts: done.captured.facts,
        }),
        Err(error) => {
            if let SealError::Source(error) = &error {
                spout.frame(Kind::Failed, &json(&failed(error))?)?;
            }
            Err(error)
        }
    }
}

fn failed(error: &SourceError) -> Failed {
    match error {
        SourceError::Missing { .. } => Failed::Missing,
        SourceError::SuddenlyEmpty { before, .. } => Failed::SuddenlyEmpty { before: *before },
        SourceError::Refused(text) => Failed::Refused { text: text.clone() },
        error => Failed::Other {
            text: error.to_string(),
        },
    }
}

/// Where frames go, from whichever thread has one.
struct Spout<'w>(Mutex<Jet<'w>>);

struct Jet<'w> {
    to: &'w mut (dyn Write + Send),
    digest: Xxh3,
    /// Half a frame was written, or none any more: nothing may follow.
    broken: bool,
}

impl<'w> Spout<'w> {
    fn open(to: &'w mut (dyn Write + Send)) -> Result<Self, SealError> {
        let mut jet = Jet {
            to,
            digest: Xxh3::new(),
            broken: false,
        };
        jet.write(&[&MAGIC]).map_err(cannot_pass_on)?;
        Ok(Spout(Mutex::new(jet)))
    }

    fn frame(&self, kind: Kind, payload: &[u8]) -> Result<(), SealError> {
        let head = kind.head(payload.len());
        let mut jet = self.0.lock().unwrap_or_else(|e| e.into_inner());
        jet.write(&[&head, payload]).map_err(cannot_pass_on)
    }

    fn close(&self, end: &End) -> Result<(), SealError> {
        let text = json(end)?;
        let head = Kind::End.head(text.len() + DIGEST);
        let mut jet = self.0.lock().unwrap_or_else(|e| e.into_inner());
        jet.write(&[&head, &text]).map_err(cannot_pass_on)?;
        let digest = jet.digest.digest128().to_be_bytes();
        jet.write(&[&digest]).map_err(cannot_pass_on)?;
        jet.to.flush().map_err(cannot_pass_on)
    }
}

impl Jet<'_> {
    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.broken = true;
        for part in parts {
            self.digest.update(part);
            self.to.write_all(part)?;
        }
        self.broken = false;
        Ok(())
    }
}

impl Outlet for &Spout<'_> {
    type End = ();

    fn write(&mut self, frame: &[u8]) -> Result<(), SealError> {
        frame
            .chunks(BYTES_MAX)
            .try_for_each(|part| self.frame(Kind::Bytes, part))
    }

    fn commit(self) -> Result<(), SealError> {
        Ok(())
    }
}

impl Listener for Spout<'_> {
    /// What cannot be told here is known as broken when the stream itself goes on.
    fn hear(&self, event: &RunEvent) {
        let _ = match event {
            RunEvent::Warning { what, .. } => {
                let mut end = what.len().min(Kind::Warning.length_max());
                while !what.is_char_boundary(end) {
                    end -= 1;
                }
                self.frame(Kind::Warning, &what.as_bytes()[..end])
            }
            RunEvent::Progress { entries, .. } => self.frame(Kind::Entries, &entries.to_be_bytes()),
            _ => Ok(()),
        };
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, SealError> {
    let text = serde_json::to_vec(value).map_err(|error| SealError::Stage {
        stage: "describe the stream",
        reason: error.to_string(),
    })?;
    if text.len() + DIGEST > Kind::End.length_max() {
        return Err(SealError::Stage {
            stage: "describe the stream",
            reason: format!("{} bytes are too many", text.len()),
        });
    }
    Ok(text)
}

fn cannot_pass_on(error: io::Error) -> SealError {
    SealError::Stage {
        stage: "pass on the stream",
        reason: error.to_string(),
    }
}
