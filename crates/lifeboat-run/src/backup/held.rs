//! The stillness around a group of sources: it ends with the last byte that is read, not with the last one
//! that is written.
//!
//! Every piece that is still to be read carries a token. When the last token is gone, whoever was held is let
//! go while the archive is still being sealed. And when the time is over that anybody may be held, it is let
//! go all the same; what had not been read by then is not believed.

use crate::{
    Cancel, Listener,
    quiesce::Hold,
    seal::SealError,
    source::{Captured, Flow, Intake, Notes, Piece, Source, SourceError},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lifeboat_plan::{Archive, event::RunEvent};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Nothing is ever sent: that the last of them is gone is the message.
type Token = Sender<()>;

/// What was sealed while somebody held still.
#[derive(Debug)]
pub(super) struct SealedStill {
    /// As many as there are sources.
    pub(super) results: Vec<Result<Archive, SealError>>,
    /// Who did not hold still to the end, in words.
    pub(super) broken: Vec<String>,
    /// Somebody could not be let go.
    pub(super) remark: Option<String>,
}

/// Seals one after the other, and lets go as soon as the last of them is read, or after `time_max`.
pub(super) fn seal_each(
    sources: &[&dyn Source],
    hold: Box<dyn Hold>,
    time_max: Option<Duration>,
    seal: impl Fn(&dyn Source) -> Result<Archive, SealError> + Send,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<SealedStill, SealError> {
    let (token, last_gone) = bounded(0);
    let late = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let too_late = Arc::clone(&late);
        let sealing = move || {
            let mut token = Some(token);
            let last = sources.len().saturating_sub(1);
            let sealed = sources.iter().enumerate().map(|(number, source)| {
                let own = match number == last {
                    true => token.take(),
                    false => token.clone(),
                };
                seal(&StillSource {
                    source: *source,
                    token: Mutex::new(own),
                    late: Arc::clone(&too_late),
                })
            });
            sealed.collect()
        };
        let sealing = thread::Builder::new()
            .name("held".to_owned())
            .spawn_scoped(scope, sealing);
        if sealing.is_ok() {
            wait(&last_gone, time_max, &late);
        }
        let went = let_go(hold, cancel, listener);
        let sealing = sealing.map_err(|error| SealError::Stage {
            stage: "start a thread",
            reason: error.to_string(),
        })?;
        Ok(SealedStill {
            results: sealing.join().map_err(|_| SealError::Panicked("held"))?,
            broken: went.broken,
            remark: went.remark,
        })
    })
}

/// Until everything is read, or until nobody may be held any longer.
fn wait(last_gone: &Receiver<()>, time_max: Option<Duration>, late: &AtomicBool) {
    let Some(time_max) = time_max else {
        let _ = last_gone.recv();
        return;
    };
    if last_gone.recv_timeout(time_max) == Err(RecvTimeoutError::Timeout) {
        late.store(true, Ordering::SeqCst);
    }
}

fn let_go(hold: Box<dyn Hold>, cancel: &Cancel, listener: &dyn Listener) -> Went {
    let service = hold.what();
    let released = hold.release(cancel);
    let mut went = Went::default();
    for held in released.held {
        if held.broken {
            went.broken.push(format!(
                "{} was started by somebody else while it should hold still: what was read meanwhile may not fit together",
                held.service
            ));
        }
        listener.hear(&RunEvent::Released {
            service: held.service,
            took: held.took,
        });
    }
    if let Some(reason) = released.trouble {
        went.remark = Some(format!("{service} is not as it was before: {reason}"));
        listener.hear(&RunEvent::StillHeld { service, reason });
    }
    went
}

/// How those who were held go on.
#[derive(Debug, Default)]
struct Went {
    broken: Vec<String>,
    remark: Option<String>,
}

/// A source whose reading keeps somebody waiting.
#[derive(Debug)]
struct StillSource<'a> {
    source: &'a dyn Source,
    token: Mutex<Option<Token>>,
    late: Arc<AtomicBool>,
}

impl Source for StillSource<'_> {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn kind(&self) -> &str {
        self.source.kind()
    }

    fn ending(&self) -> &str {
        self.source.ending()
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        let token = self.token.lock().unwrap_or_else(|e| e.into_inner()).take();
        let Some(token) = token else {
            return Err(SourceError::NotHeld(
                "it is read a second time, and nobody holds still any more".to_owned(),
            ));
        };
        let mut intake = StillIntake {
            intake: &mut *flow.intake,
            token: Some(token),
            late: Arc::clone(&self.late),
        };
        let captured = self.source.pour(&mut Flow {
            intake: &mut intake,
            notes: flow.notes,
            cancel: flow.cancel,
            piece_size: flow.piece_size,
        })?;
        believed(&self.late)?;
        Ok(captured)
    }
}

/// Gives every piece a token of its own.
struct StillIntake<'a> {
    intake: &'a mut dyn Intake,
    /// `None`: all is read.
    token: Option<Token>,
    late: Arc<AtomicBool>,
}

impl Intake for StillIntake<'_> {
    fn piece(&mut self, piece: Box<dyn Piece>) -> Result<(), SourceError> {
        self.intake.piece(Box::new(StillPiece {
            piece,
            late: Arc::clone(&self.late),
            _token: self.token.clone(),
        }))
    }

    fn buffer(&mut self) -> Result<Vec<u8>, SourceError> {
        self.intake.buffer()
    }

    fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SourceError> {
        self.intake.bytes(bytes)
    }

    fn all_read(&mut self) {
        self.token = None;
    }
}

struct StillPiece {
    piece: Box<dyn Piece>,
    late: Arc<AtomicBool>,
    _token: Option<Token>,
}

impl Piece for StillPiece {
    fn fill(self: Box<Self>, out: &mut Vec<u8>, notes: &Notes<'_>) -> Result<(), SourceError> {
        self.piece.fill(out, notes)?;
        believed(&self.late)
    }
}

/// What was read after somebody had to be let go may be half old and half new.
fn believed(late: &AtomicBool) -> Result<(), SourceError> {
    match late.load(Ordering::SeqCst) {
        false => Ok(()),
        true => Err(SourceError::NotHeld(
            "it took longer to read than anybody may be held still".to_owned(),
        )),
    }
}
