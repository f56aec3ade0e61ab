//! Making an application hold still while its files are read, for as short as can be, and never for good.
//!
//! Whoever holds writes down what is held *before* it acts ([`State::begin_hold`]), and takes it back when
//! everything is as it was. What is still written down when no run is alive was left behind by one that was
//! killed, and is let go by the next ([`put_right`]).
//!
//! [`State::begin_hold`]: crate::state::State::begin_hold

use crate::{Cancel, Listener, restore::live, state::State, target::Target};
use lifeboat_plan::{HoldKind, event::RunEvent};
use lifeboat_store::Store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, time::Duration};

/// Can make the users of a group of sources hold still.
pub trait Quiesce: Send + Sync + fmt::Debug {
    /// `stop app and worker`: for people.
    fn what(&self) -> String;

    /// Returns when everything holds still. When it fails everything is as it was, or, where even that
    /// failed, still written down.
    fn hold(&self, cancel: &Cancel) -> Result<Box<dyn Hold>, HoldError>;
}

/// An application that holds still.
pub trait Hold: Send {
    /// Who: for people.
    fn what(&self) -> String;

    /// Puts everything back exactly as it was, and waits until it is well again unless `cancel` says that
    /// there is no time for that.
    fn release(self: Box<Self>, cancel: &Cancel) -> Released;

    /// Stays held, and written down: what they would go on with is not whole. The next start that settles
    /// that lets them go.
    fn leave(self: Box<Self>);
}

/// For how long somebody was held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub service: String,
    pub took: Duration,
    /// Somebody else let it go on before: what was read meanwhile may not fit together.
    pub broken: bool,
}

/// How it went on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Released {
    pub held: Vec<Held>,
    /// What is not as it was before: for people.
    pub trouble: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error("{0}")]
    Failed(String),
    #[error("cancelled")]
    Cancelled,
}

/// Somebody who is held, as it is written down before it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHold {
    pub service: String,
    pub container: String,
    pub kind: HoldKind,
}

/// Puts right what a killed run left behind outside of the store. Asked while the run lock is held, so that
/// nobody alive needs any of it.
pub trait Undo: Send + Sync + fmt::Debug {
    /// Lets go whoever is still held.
    fn undo(&self, held: &OpenHold) -> Result<(), String>;

    /// What was being restored, anew from [`Target::spec`].
    fn target(&self, spec: &Value) -> Result<Box<dyn Target>, String> {
        Err(format!("nobody here knows what {spec} is"))
    }

    /// Removes what the run had made for itself elsewhere; says what.
    fn clear_away(&self) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
}

/// Settles every restore that is written down, undoes every hold, then clears away the rest. The caller holds
/// the run lock. What cannot be undone stays written down; the remarks say so.
pub fn put_right(
    state: &State,
    store: &dyn Store,
    undo: Option<&dyn Undo>,
    listener: &dyn Listener,
) -> Vec<String> {
    let mut remarks = live::settle(state, store, undo, listener);
    let open = state.open_holds().and_then(|holds| {
        let restores = state.open_restores()?;
        Ok((holds, restores.iter().any(|r| !r.is_harmless())))
    });
    let (open, half) = match open {
        Ok(open) => open,
        Err(error) => {
            remarks.push(format!("what is held could not be read: {error}"));
            return remarks;
        }
    };
    for held in open {
        let undone = match undo {
            _ if half => Err("what it would go on with is only half restored".to_owned()),
            Some(undo) => undo.undo(&held),
            None => Err("nobody is there who could".to_owned()),
        };
        let undone = undone.and_then(|()| state.end_hold(&held).map_err(|e| e.to_string()));
        match undone {
            Ok(()) => listener.hear(&RunEvent::LetGo {
                service: held.service,
            }),
            Err(reason) => {
                let remark = format!(
                    "{} was held by a run that was killed, and cannot be let go: {reason}",
                    held.service
                );
                listener.hear(&RunEvent::StillHeld {
                    service: held.service,
                    reason,
                });
                remarks.push(remark);
            }
        }
    }
    match undo.map(|undo| undo.clear_away()) {
        Some(Ok(removed)) if !removed.is_empty() => listener.hear(&RunEvent::Recovered {
            run: "a run that was killed".to_owned(),
            removed,
        }),
        Some(Err(reason)) => remarks.push(format!(
            "what a killed run may have left behind could not be looked for: {reason}"
        )),
        _ => {}
    }
    remarks
}
