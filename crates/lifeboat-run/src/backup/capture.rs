//! Every source into an archive of its own, side by side, holding still what must hold still.

use super::{BackupError, Order, held};
use crate::{
    Cancel, Cancelled, Listener, layout,
    quiesce::{HoldError, Quiesce},
    seal::{self, SealError},
    source::{Source, SourceError},
};
use lifeboat_plan::{Archive, BackupId, Missed, event::RunEvent};
use lifeboat_store::Store;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Sources that are captured one after the other, in one stillness.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// `None`: nobody has to hold still for them.
    pub quiesce: Option<&'a dyn Quiesce>,
    pub sources: &'a [Box<dyn Source>],
}

impl<'a> Batch<'a> {
    /// Each by itself, and nobody holds still.
    pub fn each(sources: &'a [Box<dyn Source>]) -> Vec<Batch<'a>> {
        let alone = |sources| Batch {
            quiesce: None,
            sources,
        };
        sources.chunks(1).map(alone).collect()
    }
}

/// What came of all sources, in their order.
#[derive(Debug, Default)]
pub(super) struct Catch {
    pub(super) archives: Vec<Archive>,
    pub(super) missed: Vec<Missed>,
    /// The archives are good, but something around them is not: somebody could not be let go.
    pub(super) remarks: Vec<String>,
}

/// What one source came to.
enum Fate {
    Archive(Box<Archive>),
    Missed(Missed),
}

/// What every part of a capture needs to know.
#[derive(Clone, Copy)]
struct Run<'a> {
    order: &'a Order<'a>,
    store: &'a dyn Store,
    id: &'a BackupId,
    /// Between how many seals the memory is shared.
    share: usize,
    cancel: &'a Cancel,
    listener: &'a dyn Listener,
}

/// A source that cannot be captured is missed; a store that cannot be written to ends the run.
pub(super) fn capture(
    order: &Order<'_>,
    store: &dyn Store,
    id: &BackupId,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Catch, BackupError> {
    let lanes = order.at_once.clamp(1, order.batches.len().max(1));
    // The first that ends the run ends the others.
    let stop = cancel.below();
    let run = Run {
        order,
        store,
        id,
        share: lanes,
        cancel: &stop,
        listener,
    };
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let failed = Mutex::new(None);
    let lane = || {
        while let Some((number, batch)) = turn(&next, order.batches) {
            let ended = catch_unwind(AssertUnwindSafe(|| run.batch(batch)));
            let panicked = BackupError::Seal {
                source_name: batch.names(),
                error: SealError::Panicked("capture"),
            };
            match ended.unwrap_or(Err(panicked)) {
                Ok(caught) => lock(&done).push((number, caught)),
                Err(error) => {
                    stop.cancel();
                    // What came first is why the others were stopped.
                    lock(&failed).get_or_insert(error);
                    return;
                }
            }
        }
    };
    thread::scope(|scope| {
        // The calling thread is the first lane: a machine without a thread to spare still backs up.
        for number in 1..lanes {
            let named = thread::Builder::new().name(format!("lane {number}"));
            let _ = named.spawn_scoped(scope, lane);
        }
        lane();
    });
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    let mut done = std::mem::take(&mut *lock(&done));
    done.sort_by_key(|(number, _)| *number);
    let mut all = Catch::default();
    for (_, caught) in done {
        all.archives.extend(caught.archives);
        all.missed.extend(caught.missed);
        all.remarks.extend(caught.remarks);
    }
    Ok(all)
}

fn turn<'a>(next: &AtomicUsize, batches: &'a [Batch<'a>]) -> Option<(usize, &'a Batch<'a>)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, batches.get(number)?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Batch<'_> {
    fn names(&self) -> String {
        let names: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        names.join(", ")
    }
}

impl Run<'_> {
    fn batch(&self, batch: &Batch<'_>) -> Result<Catch, BackupError> {
        self.cancel.check()?;
        let mut caught = Catch::default();
        let Some(quiesce) = batch.quiesce else {
            for source in batch.sources {
                caught.add(self.fate(source.as_ref(), self.seal_patiently(source.as_ref()))?);
            }
            return Ok(caught);
        };
        let mut ready = Vec::new();
        for source in batch.sources {
            match source.ready(self.cancel) {
                Ok(started) => ready.push((source.as_ref(), started)),
                Err(error) => {
                    caught.add(self.fate(source.as_ref(), Err(SealError::Source(error)))?);
                }
            }
        }
        if ready.is_empty() {
            return Ok(caught);
        }
        self.listener.hear(&RunEvent::Holding {
            what: quiesce.what(),
        });
        match quiesce.hold(self.cancel) {
            Ok(hold) => {
                let sources: Vec<&dyn Source> = ready
                    .iter()
                    .map(|(source, started)| started.as_deref().unwrap_or(*source))
                    .collect();
                // Nothing is tried twice: to be held for another minute is worse than a source missed.
                let sealed = held::seal_each(
                    &sources,
                    hold,
                    self.order.hold_max,
                    |source| self.seal_one(source),
                    self.cancel,
                    self.listener,
                )
                .map_err(|error| BackupError::Seal {
                    source_name: batch.names(),
                    error,
                })?;
                for (source, result) in sources.into_iter().zip(sealed.results) {
                    let result = result.map(|archive| self.doubted(archive, &sealed.broken));
                    caught.add(self.fate(source, result)?);
                }
                caught.remarks.extend(sealed.remark);
            }
            Err(HoldError::Cancelled) => return Err(Cancelled.into()),
            Err(HoldError::Failed(reason)) => {
                for (source, _) in ready {
                    let error =
                        SourceError::NotHeld(format!("cannot {}: {reason}", quiesce.what()));
                    caught.add(self.fate(source, Err(SealError::Source(error)))?);
                }
            }
        }
        Ok(caught)
    }

    /// Read while somebody did not hold still.
    fn doubted(&self, mut archive: Archive, broken: &[String]) -> Archive {
        for what in broken {
            self.listener.hear(&RunEvent::Warning {
                source: archive.source.clone(),
                what: what.clone(),
            });
            archive.warnings.push(what.clone());
            archive.warnings_total += 1;
        }
        archive
    }

    /// What a source that was sealed, or was not, means for the backup.
    fn fate(
        &self,
        source: &dyn Source,
        sealed: Result<Archive, SealError>,
    ) -> Result<Fate, BackupError> {
        match sealed {
            Ok(archive) => Ok(Fate::Archive(Box::new(archive))),
            Err(SealError::Cancelled(_) | SealError::Source(SourceError::Cancelled)) => {
                Err(Cancelled.into())
            }
            Err(SealError::Source(error)) => {
                let reason = error.to_string();
                let code = error.code();
                self.listener.hear(&RunEvent::SourceMissed {
                    source: source.name().to_owned(),
                    reason: reason.clone(),
                    code,
                });
                Ok(Fate::Missed(Missed {
                    source: source.name().to_owned(),
                    reason,
                    code: code.map(str::to_owned),
                }))
            }
            Err(SealError::Sink(error)) => Err(error.into()),
            Err(error) => Err(BackupError::Seal {
                source_name: source.name().to_owned(),
                error,
            }),
        }
    }

    /// Bytes that went into a seal cannot be taken out of it: a second attempt is a seal of its own.
    fn seal_patiently(&self, source: &dyn Source) -> Result<Archive, SealError> {
        let sealed = self.seal_one(source);
        let (Err(SealError::Source(error)), Some(pause)) = (&sealed, self.order.retry) else {
            return sealed;
        };
        if !error.may_pass() {
            return sealed;
        }
        self.listener.hear(&RunEvent::SourceRetried {
            source: source.name().to_owned(),
            reason: error.to_string(),
        });
        self.cancel.wait(pause)?;
        self.seal_one(source)
    }

    fn seal_one(&self, source: &dyn Source) -> Result<Archive, SealError> {
        let begun = Instant::now();
        let (store, id, recipe) = (self.store, self.id, self.order.recipe);
        let file = layout::archive_file(id, source, recipe.compression, recipe.seal.encryption());
        self.listener.hear(&RunEvent::SourceStarted {
            source: source.name().to_owned(),
        });
        let upload = store.begin(&layout::in_tier(id.tier(), &file))?;
        let sealed = seal::seal_beside(
            self.share,
            source,
            recipe,
            upload,
            self.cancel,
            self.listener,
        )?;
        let archive = sealed.into_archive(source, file);
        let digest = layout::digest_line(&archive.sha256, &archive.file);
        lifeboat_store::put(
            store,
            &layout::in_tier(id.tier(), &layout::digest_file(&archive.file)),
            digest.as_bytes(),
        )?;
        self.listener.hear(&RunEvent::SourceDone {
            source: archive.source.clone(),
            plain_bytes: archive.plain_size,
            stored_bytes: archive.size,
            entries: archive.entries,
            took: begun.elapsed(),
        });
        Ok(archive)
    }
}

impl Catch {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Archive(archive) => self.archives.push(*archive),
            Fate::Missed(missed) => self.missed.push(missed),
        }
    }
}
