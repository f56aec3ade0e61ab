//! `lifeboat fill`: the helper's side of a volume that is restored in place.
//!
//! It runs in a container of its own, reads no settings and speaks to nobody: a tar stream comes on stdin, or
//! through a socket where one waits; what was done goes to stdout as one line of JSON. Line ends before that
//! say that it is still at work. What goes wrong is told on stderr and by the exit code.

use super::{
    args::{self, Extract, Fill, FillStep},
    pour::{KNOCKED, NOBODY_HOME},
    signals::Signals,
};
use crate::exit::{Code, Failure, Result};
use lifeboat_plan::event::RunEvent;
use lifeboat_run::{
    Cancel, Cancelled, Listener,
    restore::beside::{self, BesideError, LiveFolder, Swapped},
    target::Beside,
    unseal::{self, Extracted, Options, Promise, UnsealError},
};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const BUFFER: usize = 256 << 10;

pub fn run(args: &args::Fill, signals: &Signals) -> Result {
    let cancel = signals.cancel();
    let voice = Voice::new().map_err(|error| lost(&error))?;
    let watch = || {
        cancel.check().map_err(io::Error::other)?;
        voice.breathe();
        Ok(())
    };
    let live = |step: &FillStep| {
        let beside = Beside::new(&*step.beside);
        LiveFolder::open(&step.folder, &beside, &watch)
    };
    let done = match args {
        Fill::Look { folder } => beside::look(folder, &watch).map(|seen| json!(seen)),
        Fill::Extract(args) => {
            let input = open(args, &voice).map_err(|error| lost(&error))?;
            let filled = live(&args.step)
                .and_then(|live| live.fill(|into| extract(args, input, into, cancel, &voice)));
            filled.map(|extracted| json!(extracted))
        }
        Fill::Swap(step) => live(step)
            .and_then(|live| live.swap())
            .map(|swapped| json!({ "there": swapped == Swapped::There })),
        Fill::SwapBack(step) => live(step).and_then(|live| live.swap_back()).map(nothing),
        Fill::Clear(step) => live(step).and_then(|live| live.clear()).map(nothing),
    };
    match done {
        Ok(answer) => voice.answer(&answer).map_err(|error| lost(&error))?,
        Err(_) if cancel.is_cancelled() => return Err(Cancelled.into()),
        Err(error) => return Err(failure(error)),
    }
    Ok(Code::Done)
}

fn nothing((): ()) -> Value {
    json!({})
}

fn extract(
    args: &Extract,
    input: Box<dyn Read>,
    into: &std::path::Path,
    cancel: &Cancel,
    voice: &Voice,
) -> std::result::Result<Extracted, UnsealError> {
    let promise = Promise {
        source: "volume".to_owned(),
        file: "the archive".to_owned(),
        entries: args.entries,
        plain_size: args.size,
        plain_xxh128: args.xxh128.clone(),
    };
    let input = BufReader::with_capacity(BUFFER, input);
    unseal::extract_plain(input, &promise, into, &Options::default(), cancel, voice)
}

fn open(args: &Extract, voice: &Voice) -> io::Result<Box<dyn Read>> {
    let Some(socket) = &args.socket else {
        return stdin();
    };
    match UnixStream::connect(socket) {
        Ok(stream) => {
            voice.write(&[KNOCKED])?;
            Ok(Box::new(stream))
        }
        Err(_) => {
            voice.write(&[NOBODY_HOME])?;
            stdin()
        }
    }
}

/// Not through the library's own handle, which has a buffer of its own.
fn stdin() -> io::Result<Box<dyn Read>> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(Box::new(File::from(stdin)))
}

/// What is said on stdout.
struct Voice {
    stdout: File,
    last: Mutex<Instant>,
}

impl Voice {
    const EVERY: Duration = Duration::from_secs(1);

    fn new() -> io::Result<Self> {
        Ok(Voice {
            stdout: File::from(io::stdout().as_fd().try_clone_to_owned()?),
            last: Mutex::new(Instant::now()),
        })
    }

    /// Still at work.
    fn breathe(&self) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= Self::EVERY {
            *last = Instant::now();
            // Nobody hears it: then nobody will hear the answer either, and that is told.
            let _ = self.write(b"\n");
        }
    }

    fn answer(&self, answer: &Value) -> io::Result<()> {
        self.write(format!("\n{answer}\n").as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.stdout).write_all(bytes)
    }
}

impl Listener for Voice {
    fn hear(&self, _: &RunEvent) {
        self.breathe();
    }
}

const HINT: &str = "this verb is for Lifeboat itself; `lifeboat restore` brings a backup back";

fn lost(error: &io::Error) -> Failure {
    Failure::io("speak to", "whoever started this", error, HINT)
}

fn failure(error: BesideError) -> Failure {
    match error {
        BesideError::Unseal(error) => error.into(),
        BesideError::Refused(_) => Failure::new(Code::Refused, error.to_string(), HINT),
        BesideError::Io { .. } => Failure::new(Code::Failed, error.to_string(), HINT),
    }
}
