//! Any program, by a label: a line of shell whose output is the source.
//!
//! Nothing is known of what it writes, so its end cannot be told from a cut. Therefore the shell puts a mark
//! behind it, which is taken away again here: without the mark it was not all.

use super::{
    At, How, Refusal,
    program::{AtWork, InContainer, Tool},
    scrub::Scrub,
};
use crate::docker::{Command, Engine, cover::CommandSource, exec::fresh_mark};
use lifeboat_run::{
    Cancel,
    source::{Dump, Ended, Fault, Format, Program, Running, Source, SourceError},
};
use serde_json::Map;

/// `exit` and `exec` in the line end the line and not this.
const MARKED: &str = r#"(eval "$1"); code=$?; [ $code -ne 0 ] || printf %s "$2"; exit $code"#;

/// The source that the labels `lifeboat.command` and `lifeboat.extension` ask for.
pub fn open_command(engine: &Engine, source: &CommandSource, how: &How<'_>) -> Box<dyn Source> {
    const KIND: &str = "command";
    let at = At {
        engine: engine.clone(),
        address: source.address.clone(),
        patience: how.patience,
    };
    Box::new(Dump {
        name: source.source.clone(),
        kind: KIND.to_owned(),
        ending: source.extension.clone(),
        format: Format::Unknown,
        program: Box::new(Line::new(at, &source.command, how.owner)),
        before: (how.before)(&source.source, KIND),
        accept_smaller: (how.accept_smaller)(&source.source),
        facts: Map::new(),
    })
}

#[derive(Debug)]
struct Line(InContainer);

impl Line {
    fn new(at: At, line: &str, owner: &str) -> Self {
        let tool = Tool {
            command: Command::new(["sh", "-c", MARKED, "sh", line]),
            scrub: Scrub::default(),
            understand: |_| None,
        };
        let what = format!("the command of service {}", at.address);
        Line(InContainer::new(what, at, tool.owned_by(owner)))
    }
}

impl Program for Line {
    fn what(&self) -> String {
        self.0.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let mark = fresh_mark();
        let mut program = self.0.clone();
        program.tool.command.argv.push(mark.clone());
        let container = program.container()?;
        Ok(Box::new(Marked {
            work: program.exec_in(&container, cancel)?,
            what: program.what,
            mark: mark.into_bytes(),
            held: Vec::new(),
            ended: false,
        }))
    }
}

struct Marked {
    work: AtWork,
    what: String,
    mark: Vec<u8>,
    /// The last bytes so far: they may be the mark.
    held: Vec<u8>,
    ended: bool,
}

impl Running for Marked {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        let more = self.work.read(&mut self.held, limit, cancel)?;
        let sure = self.held.len().saturating_sub(self.mark.len()).min(limit);
        out.extend(self.held.drain(..sure));
        self.ended = !more;
        Ok(more)
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        let ended = Box::new(self.work).finish()?;
        match self.ended && self.held == self.mark {
            true => Ok(ended),
            false => {
                let why = "what it wrote last did not arrive";
                Err(Refusal::new(Fault::NoEndMarker, why).of(&self.what))
            }
        }
    }
}
