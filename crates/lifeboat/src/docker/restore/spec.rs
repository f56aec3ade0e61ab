//! A place in a few words: enough to find it again after this process is gone.

use super::Places;
use lifeboat_run::target::Target;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum Spec {
    /// By the engine's name of it.
    Volume { volume: String },
    /// A folder of the host.
    Folder { folder: String },
    /// One database of a server; a server by what its sources begin with.
    Database { server: String, database: String },
    /// Roles, users, grants.
    Globals { server: String },
    /// A server that is saved and restored as a whole.
    Server { server: String },
    /// Whatever a label's program reads.
    Command { source: String },
}

impl Spec {
    /// Why not, where there is none.
    pub fn target(&self, _places: &Places) -> Result<Box<dyn Target>, String> {
        Err(format!(
            "{self:?} cannot be restored in place yet; restore it with --to DIR"
        ))
    }
}
