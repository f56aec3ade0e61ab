//! The story of a restore in place.
//!
//! ```text
//! lock → put right what a killed run left → every archive to its last byte → safety backup → written down
//!      → hold the users → fill every target beside the live one → written down → swap → struck off
//!      → let go → audit
//! ```
//!
//! Until the swaps begin nothing live has changed, and whatever fails is taken back. They begin when
//! everything lies beside, whole and compared; then a kill is finished by the next start, and a failure is
//! taken back. Nobody who was held goes on while it is neither the old state nor the new one.

mod journal;
mod plan;

pub use journal::{OpenPart, OpenRestore, Phase, settle};
pub use plan::{Find, LivePart, LivePlan, plan};

use super::{
    RestoreError,
    audit::{self, Audit, Ending},
};
use crate::{
    Cancel, Listener,
    backup::{self, Harbour, Order},
    layout,
    quiesce::{self, Held, Hold, Quiesce, Undo},
    target::{Filled, TargetError},
    unseal::{self, Depth, Passage},
    verify::lease_if_writable,
};
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Archive, event::RunEvent};
use std::time::Instant;

/// How long a safety backup is kept at the least.
pub const SAFETY_TIME_MIN: TimeDelta = TimeDelta::days(14);

/// What goes with a plan when it is carried out.
#[derive(Debug)]
pub struct LiveOrder<'a> {
    pub plan: &'a LivePlan,
    /// Everybody who uses what is replaced; `None`: nobody does.
    pub quiesce: Option<&'a dyn Quiesce>,
    pub undo: Option<&'a dyn Undo>,
    pub safety: Safety<'a>,
    pub host: &'a str,
}

/// A copy of what will be replaced.
#[derive(Debug)]
pub enum Safety<'a> {
    /// Made by this order, before anybody is held.
    Backup(&'a Order<'a>),
    /// Nothing that is there will be replaced.
    NothingToLose,
    /// Somebody said, loudly, that there is to be none.
    Declined,
}

/// One restore in place, from the lock to the audit record. When it fails, what is live is as it was,
/// unless the error says otherwise in so many words.
pub fn restore_live(
    order: &LiveOrder<'_>,
    harbour: Harbour<'_>,
    now: DateTime<Utc>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<Audit, RestoreError> {
    let Harbour { store, state, .. } = harbour;
    let plan = order.plan;
    let begun = Instant::now();
    let lock = state.lock("restore", now)?;
    let left = quiesce::put_right(state, store, order.undo, listener);
    if !state.open_restores()?.is_empty() {
        return Err(RestoreError::Refused(format!(
            "an earlier restore is not settled: {}",
            left.join("; ")
        )));
    }
    let _lease = lease_if_writable(harbour, &plan.id)?;
    prove(plan, harbour, cancel, listener)?;

    let mut audit = Audit::of_live(plan, order.host, now);
    audit.remarks.extend(left);
    match &order.safety {
        Safety::Backup(order) => {
            let made = backup::back_up_holding(&lock, order, harbour, now, cancel, listener);
            let safety = made.map_err(RestoreError::Safety)?.manifest;
            if !safety.is_completed() {
                return Err(RestoreError::SafetyPartial {
                    id: safety.id,
                    missed: safety.missed,
                });
            }
            audit.safety = Some(safety.id);
        }
        Safety::NothingToLose => {}
        Safety::Declined => audit
            .remarks
            .push("made without a safety backup".to_owned()),
    }

    let mut work = Work {
        order,
        harbour,
        cancel,
        listener,
        open: OpenRestore::new(plan, &audit),
        settled: true,
    };
    let ended = work.replace(&mut audit);
    audit.took_seconds = begun.elapsed().as_secs_f64();
    if let Err(error) = &ended {
        audit.ending = Ending::Failed;
        audit.remarks.push(error.to_string());
    }
    if let Err(error) = audit::write(&audit, store, now) {
        let remark = format!("no audit record was written: {error}");
        audit.remarks.push(remark);
    }
    ended.map(|()| audit)
}

/// Everything is read to its last byte before anything is touched.
fn prove(
    plan: &LivePlan,
    harbour: Harbour<'_>,
    cancel: &Cancel,
    listener: &dyn Listener,
) -> Result<(), RestoreError> {
    for archive in plan.archives() {
        let stored = open(plan, archive, harbour)?;
        unseal::check(stored, archive, Depth::Deep, harbour.keys, cancel)?;
        listener.hear(&RunEvent::Verified {
            file: archive.file.clone(),
        });
    }
    Ok(())
}

fn open(
    plan: &LivePlan,
    archive: &Archive,
    harbour: Harbour<'_>,
) -> Result<Box<dyn std::io::Read + Send>, RestoreError> {
    let key = layout::archive(plan.id.tier(), &archive.file)?;
    Ok(harbour.store.open(&key)?)
}

/// From the first entry in the journal to the last.
struct Work<'a> {
    order: &'a LiveOrder<'a>,
    harbour: Harbour<'a>,
    cancel: &'a Cancel,
    listener: &'a dyn Listener,
    open: OpenRestore,
    /// What is live is wholly the old state, or wholly the new one.
    settled: bool,
}

impl Work<'_> {
    fn replace(&mut self, audit: &mut Audit) -> Result<(), RestoreError> {
        self.write_down(Phase::Filling)?;
        let hold = match self.hold() {
            Ok(hold) => Kept(hold),
            Err(error) => {
                self.strike_off()?;
                return Err(error);
            }
        };
        let ended = match self.fill(audit) {
            Ok(()) => self.swap(audit),
            Err(error) => self.take_back(error),
        };
        if self.settled {
            self.let_go(hold, audit);
        }
        ended
    }

    fn hold(&self) -> Result<Option<Box<dyn Hold>>, RestoreError> {
        let Some(quiesce) = self.order.quiesce else {
            return Ok(None);
        };
        self.listener.hear(&RunEvent::Holding {
            what: quiesce.what(),
        });
        let hold = quiesce.hold(self.cancel).map_err(RestoreError::Hold)?;
        Ok(Some(hold))
    }

    fn fill(&mut self, audit: &mut Audit) -> Result<(), RestoreError> {
        for part in &self.order.plan.parts {
            let filled = self.fill_one(part)?;
            audit.entries += filled.entries;
            audit.bytes += filled.bytes;
            let source = &part.archive.source;
            let remarks = filled.remarks.into_iter();
            audit
                .remarks
                .extend(remarks.map(|remark| format!("{source}: {remark}")));
        }
        self.cancel.check()?;
        Ok(())
    }

    fn fill_one(&self, part: &LivePart) -> Result<Filled, RestoreError> {
        let begun = Instant::now();
        let archive = &part.archive;
        self.cancel.check()?;
        self.listener.hear(&RunEvent::SourceStarted {
            source: archive.source.clone(),
        });
        let stored = open(self.order.plan, archive, self.harbour)?;
        let mut plain = Passage::begin(stored, archive, self.harbour.keys, self.cancel)?;
        let filled = part
            .target
            .fill(&self.open.beside, archive, &mut plain, self.cancel);
        // Where the target gave up early, the rest need not be read; where the archive is damaged, that
        // explains whatever the target made of it.
        let filled = match filled {
            Ok(filled) => {
                plain.finish()?;
                filled
            }
            Err(TargetError::Reading { .. }) => {
                plain.finish()?;
                filled?
            }
            Err(error) => return Err(error.into()),
        };
        self.listener.hear(&RunEvent::SourceDone {
            source: archive.source.clone(),
            plain_bytes: archive.plain_size,
            stored_bytes: archive.size,
            entries: archive.entries.map(|_| filled.entries),
            took: begun.elapsed(),
        });
        Ok(filled)
    }

    fn swap(&mut self, audit: &mut Audit) -> Result<(), RestoreError> {
        if let Err(error) = self.write_down(Phase::Swapping) {
            // Nothing was swapped yet.
            return self.take_back(error);
        }
        self.settled = false;
        for part in &self.order.plan.parts {
            if let Err(error) = part.target.swap(&self.open.beside) {
                return self.swap_back(error.into());
            }
            self.listener.hear(&RunEvent::Replaced {
                what: part.target.what(),
            });
        }
        self.settled = true;
        audit.ending = Ending::Done;
        if let Err(error) = self.write_down(Phase::Swapped) {
            // What was swapped may be swapped again, but not what was cleared: the next start does both.
            let remark = format!("what is not needed any more stays until the next start: {error}");
            audit.remarks.push(remark);
            return Ok(());
        }
        for part in &self.order.plan.parts {
            match part.target.clear(&self.open.beside) {
                Ok(stays) => audit.stays.extend(stays),
                Err(error) => audit
                    .remarks
                    .push(format!("not needed any more, and still there: {error}")),
            }
        }
        self.strike_off()
    }

    /// Those that were not reached yet have nothing to do.
    fn swap_back(&mut self, error: RestoreError) -> Result<(), RestoreError> {
        let half = |failed| RestoreError::Half {
            why: error.to_string(),
            failed,
        };
        if let Err(error) = self.write_down(Phase::TakingBack) {
            return Err(half(error.to_string()));
        }
        for part in self.order.plan.parts.iter().rev() {
            if let Err(error) = part.target.swap_back(&self.open.beside) {
                return Err(half(error.to_string()));
            }
        }
        self.settled = true;
        // Whoever takes back twice must find everything where it was: so nothing is removed before this.
        match self.write_down(Phase::Filling) {
            Ok(()) => self.take_back(error),
            Err(_) => Err(error),
        }
    }

    /// Removes what lies beside. What cannot be removed costs space and nothing else: it is no reason to keep
    /// anybody held, and it stays written down for the next start.
    fn take_back(&mut self, error: RestoreError) -> Result<(), RestoreError> {
        self.settled = true;
        let mut stays = false;
        for part in &self.order.plan.parts {
            if let Err(error) = part.target.clear(&self.open.beside) {
                stays = true;
                self.listener.hear(&RunEvent::Warning {
                    source: part.archive.source.clone(),
                    what: format!("what lies beside stays until the next start: {error}"),
                });
            }
        }
        if !stays {
            self.strike_off()?;
        }
        Err(error)
    }

    fn write_down(&mut self, phase: Phase) -> Result<(), RestoreError> {
        self.open.phase = phase;
        Ok(self.harbour.state.begin_restore(&self.open)?)
    }

    fn strike_off(&self) -> Result<(), RestoreError> {
        Ok(self.harbour.state.end_restore(&self.open)?)
    }

    fn let_go(&self, mut hold: Kept, audit: &mut Audit) {
        let Some(hold) = hold.0.take() else { return };
        let released = hold.release(self.cancel);
        for Held { service, took, .. } in released.held {
            self.listener.hear(&RunEvent::Released { service, took });
        }
        audit.remarks.extend(released.trouble);
    }
}

/// Whoever is held goes on when somebody says so, and not because a thread fell over in the middle.
struct Kept(Option<Box<dyn Hold>>);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(hold) = self.0.take() {
            hold.leave();
        }
    }
}
