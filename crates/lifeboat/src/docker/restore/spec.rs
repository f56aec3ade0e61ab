//! A place in a few words: enough to find it again after this process is gone.

use super::{Places, VolumeTarget};
use crate::docker::{
    dumps::{self, Whole},
    volume::What,
};
use lifeboat_run::target::Target;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    pub fn target(&self, places: &Places) -> Result<Box<dyn Target>, String> {
        match self {
            Spec::Volume { volume } => places.files(What::Volume(volume.clone())),
            Spec::Folder { folder } => places.files(What::Folder(folder.clone())),
            Spec::Database { server, database } => {
                places.on_server(server, &Whole::Database(database.clone()))
            }
            Spec::Globals { server } => places.on_server(server, &Whole::Globals),
            Spec::Server { server } => places.on_server(server, &Whole::Server),
            Spec::Command { source } => Err(format!(
                "{source} cannot be restored in place by this version; restore it with --to DIR"
            )),
        }
    }

    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Places {
    fn files(&self, what: What) -> Result<Box<dyn Target>, String> {
        match &self.helpers {
            Some(helpers) => Ok(Box::new(VolumeTarget::new(helpers.clone(), what))),
            None => Err(format!(
                "{what} is restored by a container of the sidecar's own image, and this runs in none; restore it with --to DIR"
            )),
        }
    }

    fn on_server(&self, source: &str, whole: &Whole) -> Result<Box<dyn Target>, String> {
        let mut servers = self.coverage.servers.iter();
        let server = servers
            .find(|server| server.source == source)
            .ok_or_else(|| format!("there is no server {source} in the project as it is now"))?;
        dumps::target(&self.engine, server, whole, &self.owner, dumps::PATIENCE)
    }
}
