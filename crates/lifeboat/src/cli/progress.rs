//! What a person at a terminal sees while a backup or a restore is under way.
//!
//! Drawing happens on a thread of its own: a terminal that is stopped with Ctrl-S stops no backup.

use super::words;
use indicatif::{ProgressBar, ProgressStyle};
use lifeboat_plan::event::RunEvent;
use lifeboat_run::Listener;
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

const EVENTS_WAITING_MAX: usize = 1024;
const LAST_LINES_SECONDS_MAX: Duration = Duration::from_secs(1);

/// Draws on stderr until it is dropped.
#[derive(Debug)]
pub struct Progress {
    send: Option<SyncSender<RunEvent>>,
    done: Mutex<Receiver<()>>,
}

impl Progress {
    /// `None` where nobody would see it.
    pub fn on_a_terminal(json: bool) -> Option<Self> {
        if json || !io::stderr().is_terminal() {
            return None;
        }
        let (send, events) = mpsc::sync_channel(EVENTS_WAITING_MAX);
        let (ended, done) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                draw(&events);
                let _ = ended.send(());
            })
            .ok()?;
        Some(Progress {
            send: Some(send),
            done: Mutex::new(done),
        })
    }
}

impl Listener for Progress {
    fn hear(&self, event: &RunEvent) {
        // What does not fit is not drawn.
        if let Some(send) = &self.send {
            let _ = send.try_send(event.clone());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.send = None;
        if let Ok(done) = self.done.get_mut() {
            let _ = done.recv_timeout(LAST_LINES_SECONDS_MAX);
        }
    }
}

/// The stream that is under way.
struct Course {
    bar: ProgressBar,
    source: String,
    begun: Instant,
}

fn draw(events: &Receiver<RunEvent>) {
    let mut picture = Picture::default();
    loop {
        match events.recv_timeout(Duration::from_millis(100)) {
            Ok(event) => picture.step(&event),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(course) = &picture.course {
                    course.bar.tick();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    picture.clear();
}

#[derive(Default)]
struct Picture {
    course: Option<Course>,
    /// Sources of a backup that are still to be sealed.
    to_come: usize,
}

impl Picture {
    fn step(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { sources, .. } => self.to_come = *sources,
            RunEvent::SourceStarted { source } => self.begin(source),
            RunEvent::Progress {
                source,
                plain_bytes,
                entries,
            } => {
                if let Some(course) = self.course.as_ref().filter(|c| c.source == *source) {
                    course.show(*plain_bytes, *entries);
                }
            }
            RunEvent::SourceDone { .. } | RunEvent::SourceMissed { .. } => {
                self.clear();
                self.say(event);
                // What follows the last one takes about as long, and says nothing until it is over.
                if self.to_come == 1 {
                    self.begin("reading back");
                }
                self.to_come = self.to_come.saturating_sub(1);
            }
            RunEvent::Committed { .. } => self.clear(),
            event => self.say(event),
        }
    }

    fn begin(&mut self, what: &str) {
        self.clear();
        self.course = Some(Course::start(what));
    }

    fn say(&self, event: &RunEvent) {
        let Some(line) = line(event) else { return };
        match &self.course {
            Some(course) => course.bar.suspend(|| say(&line)),
            None => say(&line),
        }
    }

    fn clear(&mut self) {
        if let Some(course) = self.course.take() {
            course.bar.finish_and_clear();
        }
    }
}

impl Course {
    fn start(source: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(words::plain(source));
        bar.tick();
        Course {
            bar,
            source: source.to_owned(),
            begun: Instant::now(),
        }
    }

    /// How much there is in all nobody knows before the end: so bytes, entries and the rate.
    fn show(&self, bytes: u64, entries: u64) {
        let rate = bytes as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!(
            "{}  {}  {}/s",
            words::size(bytes),
            words::many(entries, "entry", "entries"),
            words::size(rate as u64)
        ));
    }
}

/// What stays on the screen of an event.
fn line(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::Recovered { run, removed } => {
            format!(
                "! {run} was killed before its end; {} removed",
                words::many(removed.len() as u64, "file", "files")
            )
        }
        RunEvent::SourceDone {
            source,
            plain_bytes,
            stored_bytes,
            entries,
            took,
        } => format!(
            "✓ {source}  {} → {}{}  {}",
            words::size(*plain_bytes),
            words::size(*stored_bytes),
            entries.map_or_else(String::new, |n| format!(
                "  {}",
                words::many(n, "entry", "entries")
            )),
            words::took(*took)
        ),
        RunEvent::Warning { source, what } => format!("! {source}: {what}"),
        RunEvent::SourceRetried { source, reason } => {
            format!("! {source}: {reason}; it is tried once more")
        }
        RunEvent::SourceMissed { source, reason, .. } => format!("✗ {source}: {reason}"),
        RunEvent::Holding { what } => format!("· {what}"),
        RunEvent::Released { service, took } => {
            format!("· {service} goes on, after {}", words::took(*took))
        }
        RunEvent::LetGo { service } => {
            format!("! {service} was held by a run that was killed; it goes on now")
        }
        RunEvent::StillHeld { service, reason } => {
            format!("✗ {service} is not as it was before: {reason}")
        }
        RunEvent::Verified { file } => format!("✓ {file} read back"),
        RunEvent::Replaced { what } => format!("✓ {what} replaced"),
        RunEvent::Settled { id, finished } => {
            let how = if *finished { "finished" } else { "taken back" };
            format!("! a restore of {id} was killed; it is {how} now")
        }
        RunEvent::Unsettled { id, reason } => {
            format!(
                "✗ a restore of {id} was killed, and is neither finished nor taken back: {reason}"
            )
        }
        RunEvent::Promoted { tier, .. } => format!("✓ kept as {tier} too"),
        RunEvent::Pruned { id, reason } => format!("- {id} dropped: {reason}"),
        RunEvent::PruneRefused { reason } => format!("! nothing was pruned: {reason}"),
        RunEvent::Started { .. }
        | RunEvent::SourceStarted { .. }
        | RunEvent::Progress { .. }
        | RunEvent::Committed { .. }
        | RunEvent::Finished { .. } => return None,
    })
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", words::plain(line));
}
