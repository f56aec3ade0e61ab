//! What is written down of a restore in place, and what the next start makes of it when it was killed.

use super::LivePlan;
use crate::{
    Listener,
    quiesce::Undo,
    restore::audit::{self, Audit, Ending},
    state::State,
    target::{Beside, Target, TargetError},
};
use lifeboat_plan::event::RunEvent;
use lifeboat_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A restore in hand. On disk before anybody is held, and gone when everything is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenRestore {
    pub beside: Beside,
    pub phase: Phase,
    pub parts: Vec<OpenPart>,
    /// What will be told of it if nobody comes back to do so.
    pub audit: Audit,
}

/// How far it has come: at least to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing live has changed.
    Filling,
    /// Everything lies beside, whole and compared; any of it may be swapped in.
    Swapping,
    /// All of it was swapped in; what is not needed any more is removed, and nothing else may be done.
    Swapped,
    /// Something could not be swapped in: all of it goes back. When it is there this is [`Phase::Filling`]
    /// again, before anything is removed.
    TakingBack,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPart {
    pub what: String,
    /// As [`Target::spec`] tells it.
    pub target: Value,
}

impl OpenRestore {
    pub(super) fn new(plan: &LivePlan, audit: &Audit) -> Self {
        let parts = plan.parts.iter().map(|part| OpenPart {
            what: part.target.what(),
            target: part.target.spec(),
        });
        OpenRestore {
            beside: Beside::new(audit.started_at.format("%Y%m%d_%H%M%S").to_string()),
            phase: Phase::Filling,
            parts: parts.collect(),
            audit: audit.clone(),
        }
    }
}

impl OpenRestore {
    /// Whatever still lies beside, what is live is whole.
    pub fn is_harmless(&self) -> bool {
        matches!(self.phase, Phase::Filling | Phase::Swapped)
    }
}

/// Finishes every restore that was killed while it swapped, and takes every other one back. For whoever holds
/// the run lock. What cannot be settled stays written down; the remarks say why.
pub fn settle(
    state: &State,
    store: &dyn Store,
    undo: Option<&dyn Undo>,
    listener: &dyn Listener,
) -> Vec<String> {
    let open = match state.open_restores() {
        Ok(open) => open,
        Err(error) => {
            return vec![format!(
                "what was being restored could not be read: {error}"
            )];
        }
    };
    let mut remarks = Vec::new();
    for restore in open {
        match settle_one(restore, state, store, undo, listener) {
            Ok(more) => remarks.extend(more),
            Err(remark) => remarks.push(remark),
        }
    }
    remarks
}

fn settle_one(
    mut open: OpenRestore,
    state: &State,
    store: &dyn Store,
    undo: Option<&dyn Undo>,
    listener: &dyn Listener,
) -> Result<Vec<String>, String> {
    let id = open.audit.id.clone();
    let unsettled = |why: String| {
        listener.hear(&RunEvent::Unsettled {
            id: id.clone(),
            reason: why.clone(),
        });
        format!("the restore of {id} was killed, and is neither finished nor taken back: {why}")
    };
    let targets = targets(&open, undo).map_err(unsettled)?;
    let note = |open: &mut OpenRestore, phase| {
        open.phase = phase;
        let noted = state.begin_restore(open);
        noted.map_err(|error| unsettled(error.to_string()))
    };
    if open.phase == Phase::Swapping {
        match each(targets.iter(), |target| target.swap(&open.beside)) {
            Ok(()) => note(&mut open, Phase::Swapped)?,
            Err(error) => {
                open.audit.remarks.push(error.to_string());
                note(&mut open, Phase::TakingBack)?;
            }
        }
    }
    if open.phase == Phase::TakingBack {
        let back = each(targets.iter().rev(), |target| {
            target.swap_back(&open.beside)
        });
        back.map_err(|error| unsettled(error.to_string()))?;
        note(&mut open, Phase::Filling)?;
    }
    let mut remarks = Vec::new();
    let finished = open.phase == Phase::Swapped;
    open.audit.ending = match finished {
        true => Ending::FinishedAfterKill,
        false => Ending::TakenBack,
    };
    for target in &targets {
        match target.clear(&open.beside) {
            Ok(stays) => open.audit.stays.extend(stays),
            // It costs space; it stays written down, and is asked for again.
            Err(error) => remarks.push(format!("what a killed restore left stays: {error}")),
        }
    }
    if remarks.is_empty() {
        let over = state.end_restore(&open);
        over.map_err(|error| unsettled(error.to_string()))?;
        if let Err(error) = audit::write(&open.audit, store, open.audit.started_at) {
            remarks.push(format!("no audit record was written: {error}"));
        }
    }
    listener.hear(&RunEvent::Settled { id, finished });
    Ok(remarks)
}

fn targets(open: &OpenRestore, undo: Option<&dyn Undo>) -> Result<Vec<Box<dyn Target>>, String> {
    let undo = undo.ok_or("nobody is there who could")?;
    let made = open.parts.iter().map(|part| undo.target(&part.target));
    made.collect()
}

fn each<'a>(
    mut targets: impl Iterator<Item = &'a Box<dyn Target>>,
    what: impl Fn(&dyn Target) -> Result<(), TargetError>,
) -> Result<(), TargetError> {
    targets.try_for_each(|target| what(&**target))
}
