//! The log: what an operator reads at 3 a.m. Lines go to stderr, as text or as JSON.
//!
//! A backup never waits for whoever reads the log. Lines go through a bounded queue to a thread of their
//! own; when that is full because nobody reads the pipe, lines are dropped, and the next one that gets
//! through says how many.

use lifeboat_plan::{
    Status,
    event::{Outcome, RunEvent},
};
use lifeboat_run::Listener;
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};
use tracing::{error, info, warn};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

const LINES_WAITING_MAX: usize = 4096;
/// How long the end of the program waits for the reader of the last lines.
const LAST_LINES_SECONDS_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Writes the lines that still wait when it is dropped.
#[derive(Debug)]
pub struct Log(Queue);

/// Starts the log. `filter` is `info`, `debug` or a list as `RUST_LOG` takes it; one that cannot be
/// understood counts as `info`. Where a log runs already, nothing changes.
pub fn start(filter: &str, format: Format) -> Log {
    let queue = Queue::start(io::stderr());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .with_target(false);
    let started = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    // Only a second start in one process can fail, and then the first log goes on.
    let _ = started;
    Log(queue)
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain();
    }
}

/// What a run tells, as lines of the log. Every line that is bad news says what to do.
#[derive(Debug, Clone, Copy)]
pub struct Narrator;

impl Listener for Narrator {
    fn hear(&self, event: &RunEvent) {
        match event {
            RunEvent::Recovered { run, removed } => warn!(
                run,
                removed = removed.len(),
                "a run was killed before its end: what it left behind is removed; look at why it was killed (memory, a reboot, `docker kill`)"
            ),
            RunEvent::Started { id, sources } => info!(%id, sources, "backup started"),
            RunEvent::SourceStarted { source } => info!(source, "source started"),
            RunEvent::Progress { .. } => {}
            RunEvent::SourceDone {
                source,
                plain_bytes,
                stored_bytes,
                entries,
                took,
            } => info!(
                source,
                plain_bytes,
                stored_bytes,
                entries = entries.unwrap_or(0),
                seconds = took.as_secs_f64(),
                "source done"
            ),
            RunEvent::Warning { source, what } => warn!(
                source,
                what,
                "captured, but not as one would wish; if the file matters, stop whoever writes to it during the backup or give the right to read it"
            ),
            RunEvent::SourceRetried { source, reason } => warn!(
                source,
                reason,
                "source not captured at the first attempt; it is tried once more in a little while"
            ),
            RunEvent::SourceMissed {
                source,
                reason,
                code,
            } => error!(
                source,
                reason,
                code,
                "source NOT captured: the backup will be partial and nothing is pruned; correct the reason and run `lifeboat backup`"
            ),
            RunEvent::Holding { what } => info!(what, "asking to hold still"),
            RunEvent::Released { service, took } => info!(
                service,
                seconds = took.as_secs_f64(),
                "goes on as it was before"
            ),
            RunEvent::LetGo { service } => warn!(
                service,
                "was held still by a run that was killed; it goes on now"
            ),
            RunEvent::StillHeld { service, reason } => error!(
                service,
                reason,
                "is NOT as it was before: start it by hand (docker compose up -d); the next run tries again"
            ),
            RunEvent::Verified { file } => info!(file, "read back and found right"),
            RunEvent::Replaced { what } => info!(what, "replaced by what was restored"),
            RunEvent::Settled { id, finished: true } => warn!(
                %id, "a restore of this backup was killed while it put things in place; it is finished now"
            ),
            RunEvent::Settled {
                id,
                finished: false,
            } => warn!(
                %id, "a restore of this backup was killed; everything is as it was before it"
            ),
            RunEvent::Unsettled { id, reason } => error!(
                %id,
                reason,
                "a restore of this backup was killed, and is neither finished nor taken back: who uses it stays stopped; correct the reason, the next start tries again"
            ),
            RunEvent::Committed {
                id,
                status: Status::Completed,
            } => info!(%id, "backup committed"),
            RunEvent::Committed { id, status: _ } => warn!(
                %id, "backup committed as partial: it can be restored, but counts for no keep rule"
            ),
            RunEvent::Promoted { id, tier } => info!(%id, %tier, "kept in a longer tier"),
            RunEvent::Pruned { id, reason } => info!(%id, reason, "dropped"),
            RunEvent::PruneRefused { reason } => warn!(
                reason,
                "nothing was pruned, because that is safer; `lifeboat prune --dry-run` shows the plan"
            ),
            RunEvent::Finished { outcome, took } => finished(*outcome, *took),
        }
    }
}

fn finished(outcome: Outcome, took: Duration) {
    let seconds = took.as_secs_f64();
    let outcome_word = outcome.as_str();
    match outcome {
        Outcome::Ok => info!(outcome = outcome_word, seconds, "run finished"),
        Outcome::Warn => warn!(
            outcome = outcome_word,
            seconds, "run finished: everything is safe, the remarks above deserve a look"
        ),
        Outcome::Partial => error!(
            outcome = outcome_word,
            seconds,
            "run finished WITHOUT some sources: they are named above; correct that and run `lifeboat backup`"
        ),
        Outcome::Failed => error!(
            outcome = outcome_word,
            seconds,
            "run FAILED, there is no new backup; the reason is above, `lifeboat doctor` tries everything out"
        ),
        Outcome::Aborted => warn!(
            outcome = outcome_word,
            seconds,
            "run stopped by a signal: nothing of it is visible, the next one starts afresh"
        ),
        Outcome::Missed => warn!(
            outcome = outcome_word,
            "a run was due while nobody was there; it is made up for"
        ),
        Outcome::Overlap => warn!(
            outcome = outcome_word,
            "a run was due while the one before it was still going: it is left out; give the schedule more room"
        ),
    }
}

/// Lines on their way to a writer that may be slow.
#[derive(Debug, Clone)]
struct Queue {
    send: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Drain(SyncSender<()>),
}

impl Queue {
    fn start(to: impl Write + Send + 'static) -> Self {
        let (send, receive) = mpsc::sync_channel(LINES_WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let queue = Queue {
            send,
            lost: Arc::clone(&lost),
        };
        // Without that thread there is no log, which is no reason to make no backup.
        let _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_out(to, &receive, &lost));
        queue
    }

    fn line(&self, line: Vec<u8>) {
        match self.send.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits for the lines that are under way, but not for a reader that does not read.
    fn drain(&self) {
        let (answer, answered) = mpsc::sync_channel(1);
        if self.send.try_send(Message::Drain(answer)).is_ok() {
            let _ = answered.recv_timeout(LAST_LINES_SECONDS_MAX);
        }
    }
}

fn write_out(mut to: impl Write, receive: &Receiver<Message>, lost: &AtomicU64) {
    while let Ok(message) = receive.recv() {
        // A closed or full stderr has no place to complain to.
        match message {
            Message::Line(line) => {
                let _ = to.write_all(&line);
            }
            Message::Drain(answer) => {
                let _ = to.flush();
                let _ = answer.try_send(());
            }
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            n => {
                let _ = writeln!(
                    to,
                    "lifeboat: {n} lines of the log were dropped: whoever reads it was too slow"
                );
            }
        }
    }
}

/// One event of the log; sent off whole when it is complete.
#[derive(Debug)]
struct Line<'a> {
    queue: &'a Queue,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            queue: self,
            bytes: Vec::new(),
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.queue.line(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Pipe {
        gate: Arc<Mutex<()>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_does_not_read_stalls_nobody_and_is_told_what_it_missed() {
        let pipe = Pipe::default();
        let closed = pipe.gate.lock().unwrap();
        let queue = Queue::start(pipe.clone());
        // One more than fits may be in the writer's hands already.
        for n in 0..LINES_WAITING_MAX + 100 {
            queue.line(format!("line {n}\n").into_bytes());
        }
        drop(closed);
        let (answer, answered) = mpsc::sync_channel(1);
        queue.send.send(Message::Drain(answer)).unwrap();
        answered.recv().unwrap();
        queue.line(b"last\n".to_vec());
        queue.drain();

        let text = String::from_utf8(pipe.taken.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("line 0\n"));
        assert!(text.contains("lines of the log were dropped"), "{text}");
        assert!(text.ends_with("last\n"));
    }
}
