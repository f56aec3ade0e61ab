//! A program that is given more than fits into memory, while it speaks.
//!
//! Whoever only sends waits for ever for a program that waits until somebody takes what it says: so one
//! thread takes, while this one sends.

use super::{Command, Exec, ExecError, Fed, Output};
use crate::docker::{
    DockerError, Engine,
    wire::{Input, Part, Sent},
};
use lifeboat_run::Cancel;
use std::{
    io::{self, Read},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Of what it says on its standard output: it was given something, and has little to tell.
const STDOUT_BYTES_MAX: usize = 1 << 20;
const PIECE_BYTES: usize = 128 << 10;

/// What is given to a program.
pub struct Feed<'a> {
    pub plain: &'a mut dyn Read,
    /// For so long it may take nothing and say nothing.
    pub patience: Duration,
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for Feed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed({:?})", self.patience)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// It could not be given what there was not.
    #[error("{0}")]
    Reading(io::Error),
}

impl From<DockerError> for FeedError {
    fn from(error: DockerError) -> Self {
        FeedError::Exec(error.into())
    }
}

impl Engine {
    /// Gives all of `feed` to a program, and says how it ended. One that ends without having taken everything
    /// is no error here: its verdict tells. Where `feed` ends with an error, the program is ended before it
    /// can take that for the end.
    pub fn feed(
        &self,
        container: &str,
        command: &Command,
        feed: Feed<'_>,
    ) -> Result<Output, FeedError> {
        let mut exec = self.begin(container, command, Fed::Meanwhile, true)?;
        let input = exec.input.take();
        let over = AtomicBool::new(false);
        let taken = AtomicU64::new(0);
        let cancel = feed.cancel.below();
        let (said, sent) = thread::scope(|scope| {
            let listening = scope.spawn(|| {
                let said = exec.listen(&taken, feed.patience, &cancel);
                over.store(true, Ordering::SeqCst);
                said
            });
            let sent = match input {
                Some(input) => send(input, feed.plain, &taken, &over, &cancel),
                None => Ok(()),
            };
            if sent.is_err() {
                cancel.cancel();
            }
            (listening.join(), sent)
        });
        // Dropped with `exec` where it is still at work, and ended.
        sent.map_err(FeedError::Reading)?;
        let stdout =
            said.map_err(|_| ExecError::Corrupt("a thread of ours fell over".to_owned()))??;
        let verdict = exec.verdict()?;
        Ok(Output {
            stdout,
            stderr: exec.stderr(),
            verdict,
        })
    }
}

impl Exec {
    /// To the end of what it says. `taken` grows while it takes what it is given.
    fn listen(
        &mut self,
        taken: &AtomicU64,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Vec<u8>, ExecError> {
        let mut stdout = Vec::new();
        let mut heard = Instant::now();
        let mut taken_before = 0;
        loop {
            let taken = taken.load(Ordering::Relaxed);
            if taken != taken_before {
                (taken_before, heard) = (taken, Instant::now());
            }
            match self.read(&mut stdout, STDOUT_BYTES_MAX, cancel)? {
                Part::End => return Ok(stdout),
                Part::Out | Part::Err => heard = Instant::now(),
                Part::Quiet if heard.elapsed() > patience => {
                    return Err(ExecError::TooSlow(patience));
                }
                Part::Quiet => {}
            }
            if stdout.len() > STDOUT_BYTES_MAX {
                return Err(ExecError::TooMuch(STDOUT_BYTES_MAX));
            }
        }
    }
}

/// Only an error of `plain` is one.
fn send(
    mut input: Input,
    plain: &mut dyn Read,
    taken: &AtomicU64,
    over: &AtomicBool,
    cancel: &Cancel,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = match plain.read(&mut piece) {
            Ok(0) => return input.end(),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut left = &piece[..length];
        while !left.is_empty() {
            if over.load(Ordering::SeqCst) || cancel.is_cancelled() {
                return Ok(());
            }
            match input.send(left)? {
                Sent::Some(sent) => {
                    taken.fetch_add(sent as u64, Ordering::Relaxed);
                    left = &left[sent..];
                }
                Sent::Quiet => {}
                Sent::Closed => return Ok(()),
            }
        }
    }
}
