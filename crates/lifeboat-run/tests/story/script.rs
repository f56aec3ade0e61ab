//! A program that does as it is told: what it writes, where it fails, how it ends, attempt by attempt.

use lifeboat_run::{
    Cancel,
    source::{Dump, Ended, Fault, Format, Program, Running, Sizes, Source, SourceError},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Clones are the same program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    attempts: Mutex<VecDeque<Attempt>>,
    started: AtomicUsize,
    finished: AtomicUsize,
    /// Ended by being dropped.
    abandoned: AtomicUsize,
}

/// One run of the program. Whatever it writes, it writes in pieces that fit nothing.
#[derive(Debug)]
pub(crate) struct Attempt {
    output: Vec<u8>,
    then: Then,
}

#[derive(Debug)]
pub(crate) enum Then {
    /// The stream ends, and so the program says.
    End(Ended),
    EndWith(Fault),
    /// The stream itself fails.
    FailWith(Fault),
    /// Nothing comes any more, until somebody wishes to stop.
    Silence,
}

impl Attempt {
    pub(crate) fn good(output: impl Into<Vec<u8>>) -> Self {
        Self::new(output, Then::End(Ended::default()))
    }

    pub(crate) fn new(output: impl Into<Vec<u8>>, then: Then) -> Self {
        Attempt {
            output: output.into(),
            then,
        }
    }
}

impl Script {
    pub(crate) fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Script(Arc::new(Told {
            attempts: Mutex::new(attempts.into_iter().collect()),
            ..Told::default()
        }))
    }

    /// The database `shop` of the service `db`.
    pub(crate) fn dump(&self, format: Format) -> Dump {
        Dump {
            name: "db.shop".to_owned(),
            kind: "postgres".to_owned(),
            ending: "dump".to_owned(),
            format,
            program: Box::new(self.clone()),
            before: Sizes::default(),
            accept_smaller: false,
            facts: serde_json::Map::new(),
        }
    }

    pub(crate) fn source(&self, format: Format) -> Box<dyn Source> {
        Box::new(self.dump(format))
    }

    /// Every attempt that was written down was made, and whatever was started was finished or ended.
    pub(crate) fn assert_played(&self) {
        let told = &self.0;
        assert!(told.attempts.lock().unwrap().is_empty(), "{told:?}");
        let over = told.finished.load(Ordering::SeqCst) + told.abandoned.load(Ordering::SeqCst);
        assert_eq!(told.started.load(Ordering::SeqCst), over, "{told:?}");
    }
}

impl Program for Script {
    fn what(&self) -> String {
        "pg_dump of \"shop\" in service db".to_owned()
    }

    fn start(&self, _: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let attempt = self.0.attempts.lock().unwrap().pop_front();
        self.0.started.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Play {
            attempt: attempt.expect("an attempt more than was written down"),
            at: 0,
            finished: false,
            script: self.clone(),
        }))
    }
}

struct Play {
    attempt: Attempt,
    at: usize,
    finished: bool,
    script: Script,
}

impl Play {
    fn error(&self, fault: Fault) -> SourceError {
        SourceError::Dump {
            what: self.script.what(),
            fault,
            detail: "as it was told".to_owned(),
        }
    }
}

impl Running for Play {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        let left = &self.attempt.output[self.at..];
        let piece = &left[..left.len().min(limit).min(40_009)];
        if !piece.is_empty() {
            out.extend_from_slice(piece);
            self.at += piece.len();
            return Ok(true);
        }
        match self.attempt.then {
            Then::FailWith(fault) => Err(self.error(fault)),
            Then::End(_) | Then::EndWith(_) => Ok(false),
            Then::Silence => loop {
                cancel.check()?;
                thread::yield_now();
            },
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Ended, SourceError> {
        self.finished = true;
        self.script.0.finished.fetch_add(1, Ordering::SeqCst);
        match &self.attempt.then {
            Then::End(ended) => Ok(ended.clone()),
            Then::EndWith(fault) => Err(self.error(*fault)),
            then => panic!("asked for its end in the middle of {then:?}"),
        }
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        if !self.finished {
            self.script.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}
