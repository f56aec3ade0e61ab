//! A helper that looks into a volume, or works on it one step of a restore at a time.
//!
//! What an extraction reads is handed to it while somebody listens to what it says: it may give up before it
//! has read everything, and that must be heard.

use super::{
    Begin, Duty, FILLS, HELPER, Helper, Helpers, What, reading::Reading, removal, rights::TARGET,
};
use crate::{
    docker::wire::{Input, Sent},
    exit::Code,
};
use lifeboat_run::{
    Cancel, Cancelled,
    restore::beside::Seen,
    source::{Running, SourceError},
    target::{Beside, TargetError},
    unseal::{Extracted, Promise},
};
use serde::de::DeserializeOwned;
use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// It may be silent while everything is made durable, or while nothing comes that it could extract.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const PIECE: usize = 256 << 10;
/// Of its answer, with two hundred warnings.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The steps that say nothing of what they did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::docker) enum Step {
    Swap,
    SwapBack,
    Clear,
}

impl Step {
    fn word(self) -> &'static str {
        match self {
            Step::Swap => "swap",
            Step::SwapBack => "swap-back",
            Step::Clear => "clear",
        }
    }
}

impl Helpers {
    pub(in crate::docker) fn look_into(
        &self,
        what: &What,
        cancel: &Cancel,
    ) -> Result<Seen, TargetError> {
        let work = Work::new(self, what, Duty::Look);
        work.answer(None, cancel)
    }

    /// Beside what is there. `plain` is read by this thread.
    pub(in crate::docker) fn extract(
        &self,
        what: &What,
        beside: &Beside,
        promise: &Promise,
        plain: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Extracted, TargetError> {
        let mut words = words("extract", beside);
        words.extend([
            format!("--entries={}", promise.entries),
            format!("--size={}", promise.plain_size),
            format!("--xxh128={}", promise.plain_xxh128),
        ]);
        let is_fed = true;
        let work = Work::new(self, what, Duty::Fill { words, is_fed });
        work.end_others()?;
        let food = Food {
            plain,
            size: promise.plain_size,
        };
        work.answer(Some(food), cancel)
    }

    pub(in crate::docker) fn step<T: DeserializeOwned>(
        &self,
        what: &What,
        beside: &Beside,
        step: Step,
    ) -> Result<T, TargetError> {
        let duty = Duty::Fill {
            words: words(step.word(), beside),
            is_fed: false,
        };
        let work = Work::new(self, what, duty);
        work.end_others()?;
        work.answer(None, &Cancel::default())
    }
}

fn words(step: &str, beside: &Beside) -> Vec<String> {
    let beside = format!("--beside={beside}");
    ["fill", step, &beside, TARGET].map(str::to_owned).to_vec()
}

struct Work(Helper);

/// What an extraction reads.
struct Food<'a> {
    plain: &'a mut dyn Read,
    size: u64,
}

/// Why a helper was not given everything.
enum Unfed {
    /// It does not take any more: it will have said why.
    Refuses,
    Cancelled,
    Reading(io::Error),
}

impl Work {
    fn new(helpers: &Helpers, what: &What, duty: Duty) -> Self {
        Work(Helper {
            helpers: helpers.clone(),
            what: what.clone(),
            duty,
            patience: PATIENCE,
        })
    }

    /// One that a killed sidecar left may still be at work on the same files. For whoever holds the run lock.
    fn end_others(&self) -> Result<(), TargetError> {
        let Helper { helpers, what, .. } = &self.0;
        let labels = [
            format!("{HELPER}={}", helpers.owner),
            format!("{FILLS}={what}"),
        ];
        let ended = helpers.engine.containers(&labels).and_then(|left| {
            left.iter()
                .try_for_each(|id| removal::remove(&helpers.engine, id))
        });
        ended.map_err(|error| self.failed(format!("{error}; {}", error.hint())))
    }

    fn answer<T: DeserializeOwned>(
        &self,
        food: Option<Food<'_>>,
        cancel: &Cancel,
    ) -> Result<T, TargetError> {
        let said = self.work(food, cancel)?;
        serde_json::from_slice(&said)
            .map_err(|error| self.failed(format!("its answer makes no sense: {error}")))
    }

    /// What it said, when it ended well.
    fn work(&self, food: Option<Food<'_>>, cancel: &Cancel) -> Result<Vec<u8>, TargetError> {
        let told = |error| self.told(error);
        let (mut reading, door) = self.0.launch(Begin::AtOnce, cancel).map_err(told)?;
        let mut way = None;
        if food.is_some() {
            let knocked = match door {
                Some(door) if reading.has_knocked(cancel).map_err(told)? => Some(door),
                _ => None,
            };
            way = Some(match knocked {
                Some(door) => {
                    let out = door.hand_out();
                    Way::Short(out.map_err(|error| self.failed(error.to_string()))?)
                }
                None => Way::Long(reading.take_input().map_err(told)?),
            });
        }

        let stop = cancel.below();
        let silent = AtomicBool::new(false);
        let (fed, heard) = thread::scope(|scope| {
            let listener = scope.spawn(|| {
                let heard = listen(&mut reading, &stop);
                silent.store(true, Ordering::SeqCst);
                heard
            });
            let fed = match (food, &mut way) {
                (Some(food), Some(way)) => feed(food, way, &stop, &silent),
                _ => Ok(()),
            };
            if let Err(Unfed::Cancelled | Unfed::Reading(_)) = fed {
                stop.cancel();
            }
            (fed, listener.join())
        });
        drop(way);

        let is_fed = fed.is_ok();
        match fed {
            _ if cancel.is_cancelled() => return Err(Cancelled.into()),
            Err(Unfed::Reading(error)) => {
                let what = self.0.what.to_string();
                return Err(TargetError::Reading { what, error });
            }
            Ok(()) | Err(Unfed::Refuses | Unfed::Cancelled) => {}
        }
        let heard = heard.map_err(|_| self.failed("a thread of it fell over".to_owned()))?;
        let said = heard.map_err(told)?;
        let (code, why) = reading.ending().map_err(told)?;
        match code {
            0 if is_fed => Ok(said),
            0 => {
                Err(self.failed("it says that it is done, and did not read everything".to_owned()))
            }
            code if code == i64::from(Code::Refused as u8) => {
                Err(TargetError::Refused(format!("{}: {why}", self.0.what)))
            }
            code if code == i64::from(Code::Integrity as u8) => Err(TargetError::Disproved {
                what: self.0.what.to_string(),
                detail: why,
            }),
            code => Err(self.failed(format!("exit code {code}: {why}"))),
        }
    }

    fn told(&self, error: SourceError) -> TargetError {
        match error {
            SourceError::Cancelled => Cancelled.into(),
            SourceError::Missing { what } => TargetError::Refused(format!(
                "{what} is not there; make the project's containers first (docker compose create)"
            )),
            error => {
                let text = error.to_string();
                let what = format!("{}: ", self.0.what);
                let detail = text.strip_prefix(&what).unwrap_or(&text);
                self.failed(detail.to_owned())
            }
        }
    }

    fn failed(&self, detail: String) -> TargetError {
        let what = self.0.what.to_string();
        TargetError::Failed { what, detail }
    }
}

fn listen(reading: &mut Reading, stop: &Cancel) -> Result<Vec<u8>, SourceError> {
    let mut said = Vec::new();
    while reading.read(&mut said, PIECE, stop)? {
        if said.iter().all(u8::is_ascii_whitespace) || said.len() > ANSWER_BYTES_MAX {
            said.clear();
        }
    }
    Ok(said)
}

fn feed(food: Food<'_>, way: &mut Way, stop: &Cancel, silent: &AtomicBool) -> Result<(), Unfed> {
    let mut piece = vec![0; PIECE];
    let mut sent = 0;
    loop {
        let got = match food.plain.read(&mut piece) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Unfed::Reading(error)),
        };
        sent += got as u64;
        let mut rest = &piece[..got];
        while !rest.is_empty() {
            if stop.is_cancelled() {
                return Err(Unfed::Cancelled);
            }
            if silent.load(Ordering::SeqCst) {
                return Err(Unfed::Refuses);
            }
            match way.send(rest) {
                Some(taken) => rest = &rest[taken..],
                None => return Err(Unfed::Refuses),
            }
        }
    }
    match sent == food.size {
        true => Ok(()),
        false => Err(Unfed::Reading(io::Error::new(
            ErrorKind::UnexpectedEof,
            format!("it holds {sent} bytes instead of {}", food.size),
        ))),
    }
}

/// Where the bytes go in.
enum Way {
    Short(UnixStream),
    Long(Input),
}

impl Way {
    /// So many were taken, maybe none for a moment; `None`: nobody takes any more, and will have said why.
    fn send(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Way::Short(stream) => match stream.write(bytes) {
                Ok(0) => None,
                Ok(taken) => Some(taken),
                Err(error) => is_busy(&error).then_some(0),
            },
            Way::Long(input) => match input.send(bytes) {
                Ok(Sent::Some(taken)) => Some(taken),
                Ok(Sent::Quiet) => Some(0),
                Ok(Sent::Closed) | Err(_) => None,
            },
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
