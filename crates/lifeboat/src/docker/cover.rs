//! What of a project is saved, what is not, and why. Decided from plain values alone.
//!
//! ```text
//! decide   service by service, volume by volume, folder by folder: one side or the other
//! places   paths of the host: which are data, which belong to the system
//! names    one name for each source, whatever else is called so
//! ```

mod decide;
mod names;
mod places;
#[cfg(test)]
mod tests;

pub use decide::{Given, decide};

use super::{
    Address,
    kind::{DatabaseKind, Evidence},
    labels::{HoldMode, LabelMistake, Settings},
    look::Remark,
};
use std::collections::BTreeMap;

/// Everything there is, on one side or the other.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub servers: Vec<Server>,
    pub commands: Vec<CommandSource>,
    pub volumes: Vec<VolumeSource>,
    /// Folders below `BACKUP_SOURCES_DIR` that are volumes of a service.
    pub folders: Vec<FolderUse>,
    /// Raw files of a database that is dumped.
    pub left_to_dumps: Vec<LeftToDump>,
    pub uncovered: Vec<Left>,
    /// What would be a source, were its labels understood, or its service to be seen.
    pub failing: Vec<Failing>,
    pub mistakes: Vec<LabelMistake>,
    /// What is saved, but perhaps not as one would wish.
    pub remarks: Vec<Remark>,
    /// The labels of every service, also of those that are no source.
    pub settings: BTreeMap<Address, Settings>,
}

impl Coverage {
    /// What every source but the folders is called; of a server, what its sources begin with.
    pub fn names(&self) -> Vec<String> {
        let servers = self.servers.iter().map(|server| &server.source);
        let commands = self.commands.iter().map(|command| &command.source);
        let volumes = self.volumes.iter().map(|volume| &volume.source);
        let failing = self.failing.iter().map(|failing| &failing.source);
        let all = servers.chain(commands).chain(volumes).chain(failing);
        all.cloned().collect()
    }

    /// The sources that hold something of a service; of a server, what they begin with.
    pub fn sources_of(&self, address: &Address) -> Vec<String> {
        let servers = self
            .servers
            .iter()
            .filter(|server| server.address == *address);
        let commands = self
            .commands
            .iter()
            .filter(|command| command.address == *address);
        let folders = self
            .folders
            .iter()
            .filter(|folder| folder.users.contains(address));
        let volumes = self
            .volumes
            .iter()
            .filter(|volume| volume.users.contains(address));
        let all = servers.map(|server| &server.source);
        let all = all.chain(commands.map(|command| &command.source));
        let all = all.chain(folders.map(|folder| &folder.source));
        let all = all.chain(volumes.map(|volume| &volume.source));
        all.cloned().collect()
    }
}

/// A database server. What databases it has is asked when they are dumped.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// `db`: what its sources begin with (`db.shop`, `db.globals`).
    pub source: String,
    pub kind: DatabaseKind,
    /// How it was known to be one.
    pub evidence: Evidence,
    pub address: Address,
    pub settings: Settings,
}

/// A line of shell in a service's container, whose output is the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSource {
    pub source: String,
    pub address: Address,
    pub command: String,
    /// The kind's part of the file name.
    pub extension: String,
}

/// A volume that is not mounted into the sidecar, or a folder of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSource {
    pub source: String,
    /// The engine's name of it; `None` for a folder of the host.
    pub volume: Option<String>,
    /// `None` for a volume.
    pub path_on_host: Option<String>,
    /// Services that have it mounted, writable or not.
    pub users: Vec<Address>,
    /// The strongest that any of its users asks for; what each asks for is in [`Coverage::settings`].
    pub hold: HoldMode,
    /// In the manner of `.gitignore`, beside those of the configuration.
    pub exclude: Vec<String>,
}

/// A folder below `BACKUP_SOURCES_DIR`, as the project knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderUse {
    /// The name of the folder, and of the source.
    pub source: String,
    pub volume: Option<String>,
    pub path_on_host: Option<String>,
    pub users: Vec<Address>,
    pub hold: HoldMode,
}

/// The raw files of a database: a copy of them, made while it runs, would be worth little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftToDump {
    /// The volume or the folder.
    pub what: String,
    /// The server's [`Server::source`].
    pub server: String,
}

/// Not saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub what: String,
    pub why: String,
    /// Somebody decided it, or nobody would miss it: a system path, a folder that nothing writes to.
    pub harmless: bool,
}

/// A source that cannot be opened. It takes part in the backup, and fails there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub source: String,
    pub kind: String,
    pub reason: String,
    pub hint: String,
    /// For machines.
    pub code: &'static str,
}
