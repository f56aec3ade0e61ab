//! A program in a container, from its start to its verdict.
//!
//! The end of its output proves nothing: the stream ends alike for a program that is done, one that was
//! killed, a container that was removed and an engine that fell over. What counts is what the engine says of
//! the program right afterwards, and only one answer is a good one.
//!
//! Every program bears a word in its environment by which it is found again: one that writes nothing lives
//! on when its reader goes, and has to be ended.

mod ending;
mod feed;

pub use feed::{Feed, FeedError};

use super::{
    Call, DockerError, Engine, Trouble,
    wire::{FrameError, Frames, Input, Part, Wire},
};
use bollard::models::ExecConfig;
use lifeboat_run::{Cancel, Secret};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Of what it says on its standard error, the end is kept.
const STDERR_BYTES_MAX: usize = 64 << 10;

/// By this name in its environment a program of ours is known, and by its value whose it is.
pub const MARK: &str = "LIFEBOAT_RUN";

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// Seen by everybody who can list processes or hear the engine's events: never a secret.
    pub argv: Vec<String>,
    /// Where secrets go.
    pub env: Vec<(String, Secret)>,
    /// Other than the container's own.
    pub user: Option<String>,
    /// What it reads on its standard input; not all proxies carry it.
    pub input: Option<Vec<u8>>,
    /// Stands in front of its mark: whose it is, for whoever sweeps up after a run that was killed.
    /// Letters, digits and `-`.
    pub owner: Option<String>,
}

impl Command {
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            ..Command::default()
        }
    }

    /// One line of shell, for containers that have one.
    pub fn shell(line: &str) -> Self {
        Command::new(["sh", "-c", line])
    }

    pub fn with_env(mut self, name: &str, value: Secret) -> Self {
        self.env.push((name.to_owned(), value));
        self
    }

    pub fn with_input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    pub fn owned_by(mut self, owner: &str) -> Self {
        self.owner = Some(owner.to_owned());
        self
    }

    /// The program's name: for errors.
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

/// A program at work.
#[derive(Debug)]
pub struct Exec {
    id: String,
    /// Closed before the program is ended: where nobody takes its output the engine waits for whoever would,
    /// and hears of no other end in that container meanwhile.
    frames: Frames,
    /// Where it is fed while it runs.
    input: Option<Input>,
    stderr: Tail,
    left: Left,
}

/// When a program gets its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// All of it, before anything is read; or none.
    Before,
    /// Piece by piece.
    Meanwhile,
}

/// Ends what is still at work when nobody reads it any more.
#[derive(Debug)]
struct Left {
    engine: Engine,
    container: String,
    user: Option<String>,
    mark: String,
    /// There is nothing to end, or it ends by itself.
    over: bool,
}

/// What the engine says of a program whose output has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Exit(i64),
    /// Somebody on the way cut the stream.
    StillRunning,
    /// The engine knows nothing of it any more, or not how it ended: the container or the engine went.
    Lost,
}

/// A short program's words.
#[derive(Debug, Clone)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub verdict: Verdict,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The bytes themselves are wrong.
    #[error("{0}")]
    Corrupt(String),
    #[error("it said more than {0} bytes")]
    TooMuch(usize),
    #[error("it took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("cancelled")]
    Cancelled,
}

impl From<FrameError> for ExecError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Docker(error) => ExecError::Docker(error),
            FrameError::Cancelled => ExecError::Cancelled,
            error @ (FrameError::Half | FrameError::NotAFrame(_)) => {
                ExecError::Corrupt(error.to_string())
            }
        }
    }
}

impl Engine {
    /// Starts it in a running container.
    pub fn exec(&self, container: &str, command: &Command) -> Result<Exec, DockerError> {
        self.begin(container, command, Fed::Before, true)
    }

    fn begin(
        &self,
        container: &str,
        command: &Command,
        fed: Fed,
        ended_with_us: bool,
    ) -> Result<Exec, DockerError> {
        let mark = match &command.owner {
            Some(owner) => format!("{owner}.{}", fresh_mark()),
            None => fresh_mark(),
        };
        let mut env = vec![format!("{MARK}={mark}")];
        env.extend(
            command
                .env
                .iter()
                .map(|(name, value)| format!("{name}={}", value.reveal())),
        );
        let config = ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            attach_stdin: (command.input.is_some() || fed == Fed::Meanwhile).then_some(true),
            env: Some(env),
            cmd: Some(command.argv.clone()),
            user: command.user.clone(),
            ..Default::default()
        };
        let made = self.ask(
            Call::post(format!("/containers/{container}/exec")),
            self.client().create_exec(container, config),
        )?;
        let call = Call::post(format!("/exec/{}/start", made.id));
        let path = format!("{}{}", self.version_path(), call.path);
        let start = br#"{"Detach":false,"Tty":false}"#;
        let mut left = Left {
            engine: self.clone(),
            container: container.to_owned(),
            user: command.user.clone(),
            mark,
            over: !ended_with_us,
        };
        let opened = Wire::open(self.place(), &path, call, start).and_then(|mut wire| {
            if let Some(input) = &command.input {
                wire.send_all(input)?;
            }
            let input = match fed {
                Fed::Before => None,
                Fed::Meanwhile => Some(wire.input()?),
            };
            Ok((wire, input))
        });
        match opened {
            Ok((wire, input)) => Ok(Exec {
                id: made.id,
                frames: Frames::new(wire),
                input,
                stderr: Tail::default(),
                left,
            }),
            Err(error) => {
                // It was not started; otherwise it may be at work although nobody hears of it.
                left.over |= matches!(
                    error.trouble,
                    Trouble::Denied | Trouble::NotFound | Trouble::Conflict
                );
                Err(error)
            }
        }
    }

    /// Runs a short program to its end.
    pub fn run(
        &self,
        container: &str,
        command: &Command,
        time_max: Duration,
        cancel: &Cancel,
    ) -> Result<Output, ExecError> {
        self.exec(container, command)?.output(time_max, cancel)
    }
}

impl Exec {
    fn output(mut self, time_max: Duration, cancel: &Cancel) -> Result<Output, ExecError> {
        const BYTES_MAX: usize = 16 << 20;

        let begun = Instant::now();
        let mut stdout = Vec::new();
        loop {
            if self.read(&mut stdout, BYTES_MAX, cancel)? == Part::End {
                break;
            }
            if stdout.len() > BYTES_MAX {
                return Err(ExecError::TooMuch(BYTES_MAX));
            }
            if begun.elapsed() > time_max {
                return Err(ExecError::TooSlow(time_max));
            }
        }
        let verdict = self.verdict()?;
        Ok(Output {
            stdout,
            stderr: self.stderr(),
            verdict,
        })
    }

    /// The next bytes of its output, at most `limit`, appended to `out`. Comes back several times a second
    /// also when there are none.
    pub fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<Part, ExecError> {
        let stderr = &mut self.stderr;
        let part = self
            .frames
            .next(out, limit, &mut |bytes| stderr.push(bytes), cancel)?;
        Ok(part)
    }

    /// How it ended. Asked at once after the end of the stream: the engine soon forgets.
    pub fn verdict(&mut self) -> Result<Verdict, DockerError> {
        let call = Call::get(format!("/exec/{}/json", self.id));
        let engine = &self.left.engine;
        let asked = engine.ask(call, engine.client().inspect_exec(&self.id));
        let verdict = match asked {
            Ok(told) => match (told.running, told.exit_code) {
                (Some(false), Some(0)) => Verdict::Done,
                (Some(false), Some(code)) => Verdict::Exit(code),
                (Some(true), _) => Verdict::StillRunning,
                _ => Verdict::Lost,
            },
            Err(error) if error.trouble == Trouble::NotFound => Verdict::Lost,
            Err(error) => return Err(error),
        };
        self.left.over |= matches!(verdict, Verdict::Done | Verdict::Exit(_));
        Ok(verdict)
    }

    /// The end of what it said on its standard error.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What its environment says of it, for whoever has to find it later.
    pub fn mark(&self) -> &str {
        &self.left.mark
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if !self.over {
            // Whoever reads the log sees why the run ended; that this, too, failed adds nothing: the next run
            // looks for programs of ours before it begins.
            let ended = self
                .engine
                .end_marked(&self.container, self.user.as_deref(), &self.mark);
            tracing::debug!(
                ?ended,
                container = self.container,
                "ended a program of ours"
            );
        }
    }
}

pub(super) fn fresh_mark() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the kernel has random numbers, or nothing could be sealed either");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The end of a text of any length.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let keep = bytes.len().min(STDERR_BYTES_MAX);
        let too_many = (self.bytes.len() + keep).saturating_sub(STDERR_BYTES_MAX);
        self.cut |= too_many > 0 || keep < bytes.len();
        self.bytes.drain(..too_many);
        self.bytes.extend(&bytes[bytes.len() - keep..]);
    }

    pub(super) fn text(&self) -> String {
        let (a, b) = self.bytes.as_slices();
        let text = String::from_utf8_lossy(&[a, b].concat()).into_owned();
        match self.cut {
            true => format!("…{text}"),
            false => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let mut tail = Tail::default();
        for number in 0..100_000 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= STDERR_BYTES_MAX + '…'.len_utf8());
        assert!(text.starts_with('…') && text.ends_with("line 99999\n"));
        tail.push(&vec![b'x'; STDERR_BYTES_MAX * 3]);
        assert_eq!(tail.text().len(), STDERR_BYTES_MAX + '…'.len_utf8());
    }
}
