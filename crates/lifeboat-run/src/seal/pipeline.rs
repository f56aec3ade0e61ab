//! The threads of a seal and what they hand each other.
//!
//! One thread pours the source, `threads` workers fill and compress pieces, the calling thread writes.
//! All that is told goes to the writer through one channel, also failures and panics; when the writer
//! leaves, for whatever reason, every channel closes and the others follow.

use super::{Recipe, SealError, budget::Budget, compress::Compressor};
use crate::{
    Cancel, Listener,
    source::{Captured, Flow, Intake, Notes, Piece, Source, SourceError},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lifeboat_plan::event::RunEvent;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};
use xxhash_rust::xxh3::Xxh3;

/// How often progress is told, and how long a wish to stop may go unseen while nothing moves.
const TICK: Duration = Duration::from_millis(200);

/// What a piece may be larger than asked for, before its buffer has to grow.
const ROOM: usize = 64 << 10;

/// Where the stream goes, frame by frame, in order.
pub(super) trait Outlet {
    /// What it says of itself when it took all of it.
    type End;

    fn write(&mut self, frame: &[u8]) -> Result<(), SealError>;
    fn commit(self) -> Result<Self::End, SealError>;
}

/// A finished stream.
pub(super) struct Done<End> {
    pub(super) end: End,
    pub(super) plain_size: u64,
    pub(super) plain_xxh128: String,
    pub(super) captured: Captured,
}

/// What the writer is told.
enum Word {
    Frame(Frame),
    /// The source has ended well; so many pieces were sent.
    Poured {
        pieces: u64,
        captured: Captured,
    },
    Failed(SealError),
}

/// A piece that was filled and compressed. Buffers go back to the pool, so they are never freed and
/// asked for again.
struct Frame {
    number: u64,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// One stands for the right to have one piece in hand, and holds its buffers.
type Slots = (Sender<Buffers>, Receiver<Buffers>);

struct Job {
    number: u64,
    /// `None`: the buffer is filled already.
    piece: Option<Box<dyn Piece>>,
    buffers: Buffers,
}

pub(super) fn run<O: Outlet>(
    source: &dyn Source,
    recipe: &Recipe,
    budget: Budget,
    output: O,
    notes: &Notes<'_>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Done<O::End>, SealError> {
    let (give_slot, slots): Slots = bounded(budget.in_flight);
    for _ in 0..budget.in_flight {
        let _ = give_slot.send(Buffers::default());
    }
    let (give_job, jobs) = bounded::<Job>(budget.in_flight);
    let (tell, words) = bounded::<Word>(budget.in_flight + budget.threads + 1);
    // A source that waits for a silent program would not see that nobody takes its pieces any more.
    let ended = cancel.below();

    thread::scope(|scope| {
        let _ended = EndsWithMe(&ended);
        let walker = tell.clone();
        let feed = Feed {
            slots,
            give_job,
            cancel: &ended,
            pieces: 0,
            lent: None,
        };
        spawn(scope, "walk", &tell, move || {
            pour(source, budget, feed, notes, &walker)
        })?;
        for _ in 0..budget.threads {
            let (jobs, worker) = (jobs.clone(), tell.clone());
            spawn(scope, "compress", &tell, move || {
                work(recipe, budget, &jobs, notes, cancel, &worker)
            })?;
        }
        drop((jobs, tell));
        // It owns the receiving ends, so that they go when it goes.
        let writer = Writer {
            source,
            output,
            words,
            give_slot,
            notes,
            cancel,
            listener,
        };
        catch_unwind(AssertUnwindSafe(|| writer.run())).unwrap_or(Err(SealError::Panicked("write")))
    })
}

struct EndsWithMe<'a>(&'a Cancel);

impl Drop for EndsWithMe<'_> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs `body` on a thread of its own; however it ends, the writer hears of it.
fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &'static str,
    tell: &Sender<Word>,
    body: impl FnOnce() -> Result<(), SealError> + Send + 'scope,
) -> Result<(), SealError> {
    let tell = tell.clone();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, move || {
            let ended = catch_unwind(AssertUnwindSafe(body));
            if let Err(error) = ended.unwrap_or(Err(SealError::Panicked(name))) {
                let _ = tell.send(Word::Failed(error));
            }
        })
        .map(drop)
        .map_err(|error| SealError::Stage {
            stage: "start a thread",
            reason: error.to_string(),
        })
}

fn pour(
    source: &dyn Source,
    budget: Budget,
    mut feed: Feed<'_>,
    notes: &Notes<'_>,
    tell: &Sender<Word>,
) -> Result<(), SealError> {
    let cancel = feed.cancel;
    let captured = source
        .pour(&mut Flow {
            intake: &mut feed,
            notes,
            cancel,
            piece_size: budget.piece_size,
        })
        .map_err(ended_by)?;
    if feed.pieces == 0 {
        // No bytes at all are still a whole frame, which stock tools open.
        feed.bytes(Vec::new()).map_err(ended_by)?;
    }
    let _ = tell.send(Word::Poured {
        pieces: feed.pieces,
        captured,
    });
    Ok(())
}

/// Where the source hands over its pieces.
struct Feed<'a> {
    slots: Receiver<Buffers>,
    give_job: Sender<Job>,
    cancel: &'a Cancel,
    pieces: u64,
    /// What belongs to the buffer that the source has.
    lent: Option<Buffers>,
}

impl Feed<'_> {
    fn slot(&mut self) -> Result<Buffers, SourceError> {
        self.cancel.check()?;
        self.slots.recv().map_err(|_| SourceError::Stopped)
    }

    fn give(&mut self, piece: Option<Box<dyn Piece>>, buffers: Buffers) -> Result<(), SourceError> {
        let job = Job {
            number: self.pieces,
            piece,
            buffers,
        };
        self.pieces += 1;
        self.give_job.send(job).map_err(|_| SourceError::Stopped)
    }
}

impl Intake for Feed<'_> {
    fn piece(&mut self, piece: Box<dyn Piece>) -> Result<(), SourceError> {
        let buffers = self.slot()?;
        self.give(Some(piece), buffers)
    }

    fn buffer(&mut self) -> Result<Vec<u8>, SourceError> {
        if self.lent.is_none() {
            self.lent = Some(self.slot()?);
        }
        let mut buffer = self
            .lent
            .as_mut()
            .map(|buffers| std::mem::take(&mut buffers.plain))
            .unwrap_or_default();
        buffer.clear();
        Ok(buffer)
    }

    fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SourceError> {
        let mut buffers = match self.lent.take() {
            Some(buffers) => buffers,
            None => self.slot()?,
        };
        buffers.plain = bytes;
        self.give(None, buffers)
    }
}

fn work(
    recipe: &Recipe,
    budget: Budget,
    jobs: &Receiver<Job>,
    notes: &Notes<'_>,
    cancel: &Cancel,
    tell: &Sender<Word>,
) -> Result<(), SealError> {
    let mut compressor = Compressor::new(recipe.compression, recipe.level, budget.piece_size)?;
    for job in jobs {
        cancel.check()?;
        let Buffers {
            mut plain,
            mut packed,
        } = job.buffers;
        if let Some(piece) = job.piece {
            plain.clear();
            plain.reserve(budget.piece_size + ROOM);
            piece.fill(&mut plain, notes).map_err(ended_by)?;
        }
        if !compressor.is_none() {
            compressor.pack(&plain, &mut packed)?;
        }
        let frame = Frame {
            number: job.number,
            buffers: Buffers { plain, packed },
        };
        if tell.send(Word::Frame(frame)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A wish to stop that a source came upon is no fault of the source.
fn ended_by(error: SourceError) -> SealError {
    match error {
        SourceError::Cancelled => SealError::Cancelled(crate::Cancelled),
        error => SealError::Source(error),
    }
}

struct Writer<'a, O> {
    source: &'a dyn Source,
    output: O,
    words: Receiver<Word>,
    give_slot: Sender<Buffers>,
    notes: &'a Notes<'a>,
    cancel: &'a Cancel,
    listener: &'a dyn Listener,
}

impl<O: Outlet> Writer<'_, O> {
    fn run(mut self) -> Result<Done<O::End>, SealError> {
        let mut digest = Xxh3::new();
        let mut plain_size = 0;
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut poured = None;
        let mut told = Instant::now();

        let captured = loop {
            if let Some((_, captured)) = poured.take_if(|(pieces, _)| *pieces == next) {
                break captured;
            }
            self.cancel.check()?;
            match self.words.recv_timeout(TICK) {
                Ok(Word::Frame(frame)) => {
                    early.insert(frame.number, frame.buffers);
                }
                Ok(Word::Poured { pieces, captured }) => poured = Some((pieces, captured)),
                Ok(Word::Failed(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(SealError::Panicked("compress")),
            }
            while let Some(buffers) = early.remove(&next) {
                digest.update(&buffers.plain);
                plain_size += buffers.plain.len() as u64;
                self.output.write(buffers.stored())?;
                // Nobody takes it any more once the source has ended.
                let _ = self.give_slot.send(buffers);
                next += 1;
            }
            if told.elapsed() >= TICK {
                told = Instant::now();
                self.tell_progress(plain_size);
            }
        };
        self.tell_progress(plain_size);
        self.cancel.check()?;
        let end = self.output.commit()?;
        Ok(Done {
            end,
            plain_size,
            plain_xxh128: format!("{:032x}", digest.digest128()),
            captured,
        })
    }

    fn tell_progress(&self, plain_bytes: u64) {
        self.listener.hear(&RunEvent::Progress {
            source: self.source.name().to_owned(),
            plain_bytes,
            entries: self.notes.entries(),
        });
    }
}

impl Buffers {
    fn stored(&self) -> &[u8] {
        if self.packed.is_empty() {
            &self.plain
        } else {
            &self.packed
        }
    }
}
