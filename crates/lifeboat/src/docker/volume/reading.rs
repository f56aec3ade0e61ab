//! A helper at work: its output as it comes, and what the engine says of its end.

use super::{
    exchange::{Came, Door, Hall},
    fault_of, removal,
};
use crate::cli::pour::{GO, KNOCKED, NOBODY_HOME};
use crate::docker::{
    Call, DockerError, Engine, State,
    exec::Tail,
    wire::{FrameError, Frames, Input, Part, Wire},
};
use lifeboat_run::{
    Cancel,
    source::{Ended, Fault, Running, SourceError, Waiting},
};
use std::{
    io, thread,
    time::{Duration, Instant},
};

/// Between the end of its output and its own.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// However this is dropped, the container goes with it.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) id: String,
    engine: Engine,
    what: String,
    frames: Option<Frames>,
    /// The long way for what it is to read, where there is one.
    input: Option<Result<Input, DockerError>>,
    /// The short way, where the helper has taken it.
    hall: Option<Hall>,
    stderr: Tail,
    /// When something came last, and how long it may be silent.
    heard: Instant,
    patience: Duration,
}

impl Reading {
    pub(super) fn of_new(engine: &Engine, id: String, what: String, patience: Duration) -> Self {
        Reading {
            id,
            engine: engine.clone(),
            what,
            frames: None,
            input: None,
            hall: None,
            stderr: Tail::default(),
            heard: Instant::now(),
            patience,
        }
    }

    /// Before it is started: what it said before somebody listens is lost.
    pub(super) fn attach(&mut self, is_fed: bool) -> Result<(), DockerError> {
        let path = format!("/containers/{}/attach", self.id);
        let query = match is_fed {
            true => "?stream=1&stdin=1&stdout=1&stderr=1",
            false => "?stream=1&stdout=1&stderr=1",
        };
        let versioned = format!("{}{path}{query}", self.engine.version_path());
        let wire = Wire::open(self.engine.place(), &versioned, Call::post(path), b"")?;
        self.input = is_fed.then(|| wire.input());
        self.frames = Some(Frames::new(wire));
        self.heard = Instant::now();
        Ok(())
    }

    /// Whether it has taken the short way.
    pub(super) fn is_inside(&self) -> bool {
        self.hall.is_some()
    }

    /// For one that did not take the short way.
    pub(super) fn take_input(&mut self) -> Result<Input, SourceError> {
        match self.input.take() {
            Some(Ok(input)) => Ok(input),
            Some(Err(error)) => {
                let detail = format!("{error}; {}", error.hint());
                Err(self.fault(fault_of(&error), detail))
            }
            None => Err(self.fault(Fault::StreamLost, "it is not fed")),
        }
    }

    pub(super) fn let_in(&mut self, door: Door, cancel: &Cancel) -> Result<(), SourceError> {
        if self.has_knocked(cancel)? {
            let hall = door.let_in();
            let lost = |error: io::Error| self.fault(Fault::StreamLost, error.to_string());
            self.hall = Some(hall.map_err(lost)?);
        }
        Ok(())
    }

    /// The first that a helper says is which way it takes.
    pub(super) fn has_knocked(&mut self, cancel: &Cancel) -> Result<bool, SourceError> {
        let mut word = Vec::new();
        while word.is_empty() {
            // One that has ended without a word will have said why.
            if !self.read(&mut word, 1, cancel)? && word.is_empty() {
                return Ok(false);
            }
        }
        match word[0] {
            KNOCKED => Ok(true),
            NOBODY_HOME => {
                tracing::debug!("a helper did not reach the socket: the bytes take the long way");
                Ok(false)
            }
            _ => Err(self.fault(Fault::StreamCorrupt, "it does not begin as it should")),
        }
    }

    fn quiet(&self) -> Result<bool, SourceError> {
        if self.heard.elapsed() > self.patience {
            let detail = format!("for {} s", self.patience.as_secs());
            return Err(self.fault(Fault::Stalled, detail));
        }
        Ok(true)
    }

    /// What it said on its way out.
    fn last_words(&mut self) {
        let begun = Instant::now();
        let (mut out, stderr) = (Vec::new(), &mut self.stderr);
        while let Some(frames) = &mut self.frames
            && begun.elapsed() < END_TIME_MAX
        {
            let mut keep = |bytes: &[u8]| stderr.push(bytes);
            match frames.next(&mut out, 4096, &mut keep, &Cancel::default()) {
                Ok(Part::End) | Err(_) => return,
                Ok(_) => out.clear(),
            }
        }
    }

    fn fault(&self, fault: Fault, detail: impl Into<String>) -> SourceError {
        SourceError::Dump {
            what: self.what.clone(),
            fault,
            detail: detail.into(),
        }
    }

    /// After the end of its output: its exit code, and what it said of its failure.
    pub(super) fn ending(&mut self) -> Result<(i64, String), SourceError> {
        self.last_words();
        let code = self.exit_code()?;
        let said = self.stderr.text();
        let said = said.lines().next().unwrap_or_default();
        match code {
            137 => Err(self.fault(
                Fault::ExecLost,
                "it was killed: by somebody, or for want of memory",
            )),
            143 => Err(self.fault(Fault::ExecLost, "it was asked to stop")),
            code => Ok((code, said.trim_start_matches("lifeboat: ").to_owned())),
        }
    }

    /// The output may end a moment before the container does.
    fn exit_code(&self) -> Result<i64, SourceError> {
        let begun = Instant::now();
        loop {
            let container = self
                .engine
                .container(&self.id)
                .map_err(|error| self.fault(fault_of(&error), error.to_string()))?;
            match (container.state, container.exit_code) {
                (State::Exited, Some(code)) => return Ok(code),
                (State::Running, _) if begun.elapsed() < END_TIME_MAX => {
                    thread::sleep(Duration::from_millis(20));
                }
                (State::Running, _) => return Err(self.fault(Fault::StreamLost, "")),
                (state, _) => {
                    return Err(self.fault(Fault::ExecLost, format!("it is {state:?}")));
                }
            }
        }
    }
}

impl Waiting for Reading {
    fn go(mut self: Box<Self>) -> Box<dyn Running> {
        if let Some(hall) = &mut self.hall {
            hall.say(GO);
        }
        self.heard = Instant::now();
        self
    }
}

impl Running for Reading {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        if let Some(hall) = &mut self.hall {
            cancel.check()?;
            return match hall.read(out, limit, cancel) {
                Ok(Came::Some) => {
                    self.heard = Instant::now();
                    Ok(true)
                }
                Ok(Came::Nothing) => self.quiet(),
                Ok(Came::End) => Ok(false),
                Err(error) => Err(self.fault(Fault::StreamLost, error.to_string())),
            };
        }
        let Some(frames) = &mut self.frames else {
            return Ok(false);
        };
        let stderr = &mut self.stderr;
        let part = frames.next(out, limit, &mut |bytes| stderr.push(bytes), cancel);
        match part {
            Ok(Part::Out | Part::Err) => {
                self.heard = Instant::now();
                Ok(true)
            }
            Ok(Part::Quiet) => self.quiet(),
            Ok(Part::End) => Ok(false),
            Err(FrameError::Cancelled) => Err(SourceError::Cancelled),
            Err(FrameError::Docker(error)) => Err(self.fault(fault_of(&error), error.to_string())),
            Err(error @ (FrameError::Half | FrameError::NotAFrame(_))) => {
                Err(self.fault(Fault::StreamCorrupt, error.to_string()))
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Ended, SourceError> {
        let (code, said) = self.ending()?;
        match code {
            0 => Ok(Ended::default()),
            code => Err(self.fault(Fault::ToolExit, format!("exit code {code}: {said}"))),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // The engine cannot end a container whose output nobody takes: it waits for whoever is attached.
        self.frames = None;
        removal::tell(removal::remove(&self.engine, &self.id), &self.id);
    }
}
