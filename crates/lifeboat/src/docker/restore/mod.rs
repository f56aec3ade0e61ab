//! Where archives go back to: the volumes and servers of the project as it is now.
//!
//! ```text
//! spec       a place in a few words, for the journal
//! volume     a volume, or a folder of the host
//! ```
//!
//! What an archive is called says where it came from: `db.shop` is the database `shop` of the server whose
//! sources begin with `db`. Everything is addressed by service, as it runs right now.

mod spec;
mod volume;

pub use spec::Spec;
pub use volume::VolumeTarget;

use super::{
    Address,
    cover::{Coverage, Server},
    hold::Seat,
    kind::DatabaseKind,
    volume::{Helpers, What},
};
use crate::{docker::Engine, sources::Found};
use lifeboat_plan::{Archive, HoldKind};
use lifeboat_run::{restore::RestoreError, target::Target};
use std::collections::BTreeSet;

/// What is needed to reach them.
#[derive(Debug, Clone)]
pub struct Places {
    pub engine: Engine,
    pub coverage: Coverage,
    /// `None` where this program runs in no container.
    pub helpers: Option<Helpers>,
    /// Whose the started programs are.
    pub owner: String,
}

impl Places {
    pub fn of(found: &Found, helpers: Option<Helpers>, owner: String) -> Self {
        Places {
            engine: found.engine.clone(),
            coverage: found.coverage.clone(),
            helpers,
            owner,
        }
    }

    /// Where it came from.
    pub fn live(&self, archive: &Archive) -> Result<Box<dyn Target>, RestoreError> {
        let spec = self.spec_of(archive)?;
        spec.target(self).map_err(RestoreError::Refused)
    }

    fn spec_of(&self, archive: &Archive) -> Result<Spec, RestoreError> {
        let source = &archive.source;
        if let Some((server, part)) = self.server_of(source) {
            return Ok(match (server.kind, part) {
                (DatabaseKind::Redis | DatabaseKind::Mongodb, _) => Spec::Server {
                    server: server.source.clone(),
                },
                (_, "globals") if archive.file.contains(".globals.sql") => Spec::Globals {
                    server: server.source.clone(),
                },
                (_, database) => Spec::Database {
                    server: server.source.clone(),
                    database: database.to_owned(),
                },
            });
        }
        if let Some(command) = self.coverage.commands.iter().find(|c| c.source == *source) {
            return Ok(Spec::Command {
                source: command.source.clone(),
            });
        }
        match self.volume_of(source) {
            Some(What::Volume(volume)) => Ok(Spec::Volume { volume }),
            Some(What::Folder(folder)) => Ok(Spec::Folder { folder }),
            None => Err(RestoreError::Refused(format!(
                "{source} has no place in the project as it is now: no service has it; make its containers first (docker compose create), or restore it with --to DIR"
            ))),
        }
    }

    /// The server, and what of it.
    pub(super) fn server_of<'a>(&self, source: &'a str) -> Option<(&Server, &'a str)> {
        let part = |server: &Server| match source.strip_prefix(&server.source)? {
            "" => Some(""),
            rest => rest.strip_prefix('.'),
        };
        let mut servers = self.coverage.servers.iter();
        servers.find_map(|server| Some((server, part(server)?)))
    }

    fn volume_of(&self, source: &str) -> Option<What> {
        let volumes = self.coverage.volumes.iter();
        let volumes = volumes.map(|v| (&v.source, &v.volume, &v.path_on_host));
        let folders = self.coverage.folders.iter();
        let folders = folders.map(|f| (&f.source, &f.volume, &f.path_on_host));
        let (_, volume, folder) = volumes.chain(folders).find(|(name, ..)| *name == source)?;
        match (volume, folder) {
            (Some(volume), _) => Some(What::Volume(volume.clone())),
            (None, Some(folder)) => Some(What::Folder(folder.clone())),
            (None, None) => None,
        }
    }

    /// Who has to be stopped while these sources are replaced: whoever has the volume, and whoever says that
    /// it depends on the server.
    pub fn users<'a>(
        &self,
        sources: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Seat>, RestoreError> {
        let mut users: BTreeSet<Address> = BTreeSet::new();
        for source in sources {
            if let Some((server, _)) = self.server_of(source) {
                users.extend(self.dependents(&server.address)?);
                if server.kind == DatabaseKind::Redis {
                    users.insert(server.address.clone());
                }
                continue;
            }
            let volumes = self.coverage.volumes.iter();
            let volumes = volumes.map(|v| (&v.source, &v.users));
            let folders = self.coverage.folders.iter();
            let folders = folders.map(|f| (&f.source, &f.users));
            let mine = volumes.chain(folders).filter(|(name, _)| *name == source);
            users.extend(mine.flat_map(|(_, users)| users.iter().cloned()));
        }
        let seat = |address| Seat {
            address,
            kind: HoldKind::Stop,
            pre: None,
            post: None,
        };
        Ok(users.into_iter().map(seat).collect())
    }

    fn dependents(&self, server: &Address) -> Result<Vec<Address>, RestoreError> {
        let lost = |error: super::DockerError| RestoreError::Refused(error.to_string());
        let mut dependents = Vec::new();
        for address in self.coverage.settings.keys() {
            if address.project != server.project || address == server {
                continue;
            }
            let replicas = self.engine.replicas(address).map_err(lost)?;
            let needs = |container: &super::Container| {
                super::hold::needs(container).any(|(service, _)| service == server.service)
            };
            if replicas.iter().any(needs) {
                dependents.push(address.clone());
            }
        }
        Ok(dependents)
    }
}
