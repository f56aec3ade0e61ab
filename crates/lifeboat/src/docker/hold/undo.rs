//! Who is held goes on: after a run, and after one that was killed.

use crate::docker::{
    DockerError, Engine, State as Standing, Trouble,
    cover::Coverage,
    dumps,
    restore::{Places, Spec},
    volume::Helpers,
};
use lifeboat_plan::HoldKind;
use lifeboat_run::{
    quiesce::{OpenHold, Undo},
    target::Target,
};
use serde_json::Value;

/// Goes on if it still is as we left it. One that is gone was made anew by somebody, and runs or not as they
/// wished. `false`: it ran although it was held; an engine that comes back starts what has the restart policy
/// `always`.
pub(super) fn go_on(engine: &Engine, held: &OpenHold) -> Result<bool, DockerError> {
    let container = match engine.container(&held.container) {
        Ok(container) => container,
        Err(error) if error.trouble == Trouble::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match (held.kind, container.state) {
        // Also who was paused: with an engine that is killed its containers end, and of those it starts none
        // again that was paused.
        (_, Standing::Exited | Standing::Created) => engine.start(&container.id)?,
        (HoldKind::Pause, Standing::Paused) => engine.unpause(&container.id)?,
        (_, Standing::Running | Standing::Restarting) => return Ok(false),
        _ => {}
    }
    Ok(true)
}

/// Puts right what a killed run left behind at the engine.
#[derive(Debug, Clone)]
pub struct Undoing {
    pub engine: Engine,
    /// As they would be made here; `None` where none can be.
    pub helpers: Option<Helpers>,
    /// Where programs of ours may be at work.
    pub coverage: Coverage,
    /// Whose they are.
    pub owner: String,
}

impl Undoing {
    fn places(&self) -> Places {
        Places {
            engine: self.engine.clone(),
            coverage: self.coverage.clone(),
            helpers: self.helpers.clone(),
            owner: self.owner.clone(),
        }
    }
}

impl Undo for Undoing {
    fn undo(&self, held: &OpenHold) -> Result<(), String> {
        let gone_on = go_on(&self.engine, held);
        gone_on.map(drop).map_err(|error| error.to_string())
    }

    fn target(&self, spec: &Value) -> Result<Box<dyn Target>, String> {
        let spec: Spec = serde_json::from_value(spec.clone()).map_err(|e| e.to_string())?;
        spec.target(&self.places())
    }

    fn clear_away(&self) -> Result<Vec<String>, String> {
        dumps::sweep(&self.engine, &self.coverage, &self.owner);
        let Some(helpers) = &self.helpers else {
            return Ok(Vec::new());
        };
        match helpers.sweep().map_err(|error| error.to_string())? {
            0 => Ok(Vec::new()),
            count => Ok(vec![format!("{count} containers that read volumes")]),
        }
    }
}
