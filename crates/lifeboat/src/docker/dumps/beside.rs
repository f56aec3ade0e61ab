//! A program that works beside a dump, and says what it found out when both are done.
//!
//! Nothing that goes wrong with it harms the dump.

use super::{ANSWER_SECONDS_MAX, At, Refusal, program::Tool};
use crate::docker::{Container, Exec, wire::Part};
use lifeboat_run::{Cancel, source::Fault};
use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Dropped, it stops.
#[derive(Debug)]
pub(super) struct Beside {
    cancel: Cancel,
    reading: Option<JoinHandle<Result<Vec<u8>, Refusal>>>,
}

/// For all that it does beside what is timed.
const SLACK: Duration = Duration::from_secs(180);
const BYTES_MAX: usize = 16 << 20;

impl Beside {
    /// Comes back with its first word, which ends with `end`: then it is ready, and works on. It keeps `time`
    /// itself, as long as its server is not frozen.
    pub(super) fn begin(
        at: &At,
        container: &Container,
        tool: Tool,
        end: u8,
        time: Duration,
        cancel: &Cancel,
    ) -> Result<(String, Self), Refusal> {
        let mut exec = at.engine.exec(&container.id, &tool.command)?;
        let cancel = cancel.below();
        let mut said = Vec::new();
        let begun = Instant::now();
        let first = loop {
            if let Some(at) = said.iter().position(|byte| *byte == end) {
                break at;
            }
            if exec.read(&mut said, BYTES_MAX, &cancel)? == Part::End {
                ended(&mut exec, &tool, container)?;
                return Err(Refusal::tool("it ended without a word"));
            }
            if begun.elapsed() > Duration::from_secs(ANSWER_SECONDS_MAX) {
                return Err(Refusal::new(Fault::Stalled, "it was not ready in time"));
            }
        };
        let rest = said.split_off(first + 1);
        said.truncate(first);
        let (stop, container) = (cancel.clone(), container.clone());
        let reading = thread::Builder::new()
            .name("beside".to_owned())
            .spawn(move || to_the_end(exec, rest, &tool, &container, time, &stop))
            .map_err(|error| Refusal::tool(error.to_string()))?;
        let beside = Beside {
            cancel,
            reading: Some(reading),
        };
        Ok((String::from_utf8_lossy(&said).into_owned(), beside))
    }

    /// All that it said after its first word, once it has ended well.
    pub(super) fn told(mut self) -> Result<Vec<u8>, Refusal> {
        match self.reading.take().map(JoinHandle::join) {
            Some(Ok(said)) => said,
            Some(Err(_)) | None => Err(Refusal::tool("its thread panicked")),
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.cancel.cancel();
            // It has ended its program when it is gone.
            let _panicked = reading.join();
        }
    }
}

fn to_the_end(
    mut exec: Exec,
    mut said: Vec<u8>,
    tool: &Tool,
    container: &Container,
    time: Duration,
    cancel: &Cancel,
) -> Result<Vec<u8>, Refusal> {
    let begun = Instant::now();
    while exec.read(&mut said, BYTES_MAX, cancel)? != Part::End {
        if said.len() > BYTES_MAX {
            return Err(Refusal::tool("it said too much"));
        }
        if begun.elapsed() > time + SLACK {
            return Err(Refusal::new(Fault::Stalled, "it did not keep its time"));
        }
    }
    ended(&mut exec, tool, container)?;
    Ok(said)
}

fn ended(exec: &mut Exec, tool: &Tool, container: &Container) -> Result<(), Refusal> {
    let verdict = exec.verdict()?;
    let stderr = tool.scrub.text(&exec.stderr());
    let program = tool.command.program();
    Refusal::of_end(verdict, &stderr, program, &container.image, tool.understand)
}
