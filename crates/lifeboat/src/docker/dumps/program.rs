//! One program in a service's container, as the core knows programs.

use super::{ANSWER_SECONDS_MAX, At, Refusal, refusal::Understand, scrub::Scrub};
use crate::docker::{Command, Container, Exec, ExecError, wire::Part};
use lifeboat_run::{
    Cancel,
    source::{Ended, Fault, Program, Running, SourceError},
};
use serde_json::{Map, Value};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// What is run, and how its words are taken.
#[derive(Debug, Clone)]
pub(super) struct Tool {
    pub command: Command,
    pub scrub: Scrub,
    pub understand: Understand,
}

impl Tool {
    pub(super) fn owned_by(mut self, owner: &str) -> Self {
        self.command = self.command.owned_by(owner);
        self
    }

    /// A program may show any of its environment.
    fn wary_of(mut self, container: &Container) -> Self {
        const WORDS: [&str; 4] = ["PASS", "SECRET", "TOKEN", "KEY"];
        let secret = |name: &str| {
            WORDS
                .iter()
                .any(|word| name.to_ascii_uppercase().contains(word))
        };
        let env = container.env.iter().filter(|(name, _)| secret(name));
        self.scrub = self.scrub.and(env.map(|(_, value)| value.clone()));
        self
    }

    /// The output of a short one that must end well.
    pub(super) fn ask(
        &self,
        at: &At,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, Refusal> {
        let seconds = Duration::from_secs(ANSWER_SECONDS_MAX);
        let output = at
            .engine
            .run(&container.id, &self.command, seconds, cancel)?;
        // A program that is not there is told on its standard output.
        let said = match output.stderr.trim() {
            "" => String::from_utf8_lossy(&output.stdout).into_owned(),
            _ => output.stderr,
        };
        let said = self.scrub.text(&said);
        let program = self.command.program();
        Refusal::of_end(
            output.verdict,
            &said,
            program,
            &container.image,
            self.understand,
        )?;
        Ok(output.stdout)
    }
}

/// A tool whose output is a dump.
#[derive(Debug, Clone)]
pub(super) struct InContainer {
    pub what: String,
    pub at: At,
    pub tool: Tool,
    /// Of the attempt before: where the engine went away, it may still be there.
    earlier: Arc<Mutex<Option<String>>>,
}

impl InContainer {
    pub(super) fn new(what: String, at: At, tool: Tool) -> Self {
        InContainer {
            what,
            at,
            tool,
            earlier: Arc::default(),
        }
    }

    /// The container that the service has right now.
    pub(super) fn container(&self) -> Result<Container, SourceError> {
        self.at
            .container()
            .map_err(|refusal| refusal.of(&self.what))
    }

    pub(super) fn exec_in(
        &self,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<AtWork, SourceError> {
        cancel.check()?;
        let mut earlier = self.earlier.lock().unwrap_or_else(|e| e.into_inner());
        let engine = &self.at.engine;
        // Kept until another takes its place: where it could not be ended now, it can be the next time.
        if let Some(mark) = earlier.as_deref() {
            let user = self.tool.command.user.as_deref();
            let ended = engine.end_marked(&container.id, user, mark);
            tracing::debug!(?ended, "looked for a program of the attempt before");
        }
        let exec = engine
            .exec(&container.id, &self.tool.command)
            .map_err(|error| Refusal::from(error).of(&self.what))?;
        *earlier = Some(exec.mark().to_owned());
        Ok(AtWork {
            exec,
            what: self.what.clone(),
            image: container.image.clone(),
            tool: self.tool.clone().wary_of(container),
            patience: self.at.patience,
            silent: Duration::ZERO,
            facts: Map::new(),
        })
    }
}

impl Program for InContainer {
    fn what(&self) -> String {
        self.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let container = self.container()?;
        Ok(Box::new(self.exec_in(&container, cancel)?))
    }
}

/// Dropped before its end, it is ended.
#[derive(Debug)]
pub(super) struct AtWork {
    exec: Exec,
    what: String,
    image: String,
    tool: Tool,
    patience: Duration,
    /// Waited for the next byte so far; not while nobody asked for one.
    silent: Duration,
    facts: Map<String, Value>,
}

impl Running for AtWork {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        let asked = Instant::now();
        let part = self.exec.read(out, limit, cancel);
        self.silent += asked.elapsed();
        match part {
            Ok(Part::End) => Ok(false),
            Ok(Part::Out) => {
                self.silent = Duration::ZERO;
                Ok(true)
            }
            Ok(Part::Quiet | Part::Err) if self.silent < self.patience => Ok(true),
            Ok(Part::Quiet | Part::Err) => Err(self.stalled()),
            Err(ExecError::Cancelled) => Err(SourceError::Cancelled),
            Err(error) => Err(Refusal::of_exec(&error).of(&self.what)),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Ended, SourceError> {
        let verdict = self
            .exec
            .verdict()
            .map_err(|error| Refusal::from(error).of(&self.what))?;
        let stderr = self.tool.scrub.text(&self.exec.stderr());
        let program = self.tool.command.program();
        Refusal::of_end(verdict, &stderr, program, &self.image, self.tool.understand)
            .map_err(|refusal| refusal.of(&self.what))?;
        Ok(Ended {
            stderr,
            facts: self.facts,
        })
    }
}

impl AtWork {
    /// What is known of the dump already.
    pub(super) fn with_facts(self, facts: Map<String, Value>) -> Self {
        AtWork { facts, ..self }
    }

    fn stalled(&self) -> SourceError {
        let seconds = self.patience.as_secs();
        let said = self.tool.scrub.text(&self.exec.stderr());
        let said = match said.trim() {
            "" => String::new(),
            said => format!("; it said: {}", said.lines().next_back().unwrap_or(said)),
        };
        Refusal::new(Fault::Stalled, format!("no byte in {seconds} s{said}")).of(&self.what)
    }
}
