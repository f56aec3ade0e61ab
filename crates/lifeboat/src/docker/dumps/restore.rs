//! The way back: what a server's own tools are given, and what its answers mean to whoever restores.

use super::{At, Refusal, Server, postgres, program::Tool};
use crate::docker::{Container, Engine, Feed, FeedError, kind::DatabaseKind};
use lifeboat_run::{
    Cancel,
    source::Fault,
    target::{Target, TargetError},
};
use std::{io::Read, time::Duration};

/// What of a server is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whole {
    Database(String),
    /// Roles, users, grants.
    Globals,
    /// All of it.
    Server,
}

/// Where it goes; the reason where there is no way. `owner` as for a dump.
pub fn target(
    engine: &Engine,
    server: &Server,
    whole: &Whole,
    owner: &str,
    patience: Duration,
) -> Result<Box<dyn Target>, String> {
    let at = At {
        engine: engine.clone(),
        address: server.address.clone(),
        patience,
    };
    let server = server.clone();
    let owner = owner.to_owned();
    match (server.kind, whole) {
        (DatabaseKind::Postgres, Whole::Database(name)) => {
            Ok(Box::new(postgres::Database::new(at, server, name, owner)))
        }
        (DatabaseKind::Postgres, Whole::Globals) => {
            Ok(Box::new(postgres::Globals::new(at, server, owner)))
        }
        (kind, _) => Err(format!(
            "{} ({}) cannot be restored in place by this version; restore it with --to DIR, docs/format.md has the line for its own tools",
            server.source,
            kind.as_str()
        )),
    }
}

impl Refusal {
    /// While something is put back.
    pub(super) fn of_target(self, what: &str) -> TargetError {
        TargetError::Failed {
            what: what.to_owned(),
            detail: match self.fault {
                Fault::ToolExit => self.detail,
                fault => format!("{} ({})", self.detail, fault.as_str()),
            },
        }
    }
}

impl Tool {
    /// Gives it all of `plain`; it must take it, and end well.
    pub(super) fn feed(
        &self,
        at: &At,
        container: &Container,
        plain: &mut dyn Read,
        what: &str,
        cancel: &Cancel,
    ) -> Result<(), TargetError> {
        let feed = Feed {
            plain,
            patience: at.patience,
            cancel,
        };
        let output = match at.engine.feed(&container.id, &self.command, feed) {
            Ok(output) => output,
            Err(FeedError::Reading(error)) => {
                return Err(TargetError::Reading {
                    what: what.to_owned(),
                    error,
                });
            }
            Err(FeedError::Exec(error)) => {
                cancel.check()?;
                return Err(Refusal::of_exec(&error).of_target(what));
            }
        };
        let said = match output.stderr.trim() {
            "" => String::from_utf8_lossy(&output.stdout).into_owned(),
            _ => output.stderr,
        };
        let said = self.scrub.text(&said);
        let program = self.command.program();
        let ended = Refusal::of_end(
            output.verdict,
            &said,
            program,
            &container.image,
            self.understand,
        );
        ended.map_err(|refusal| refusal.of_target(what))
    }
}
