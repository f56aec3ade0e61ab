//! One database, and beside it the number of its rows as the dump sees them.

use super::{
    super::{not_counted, program::AtWork},
    At, How, InContainer, Login, conninfo,
    rows::{Counter, Names, Rows},
};
use crate::docker::Container;
use lifeboat_run::{
    Cancel,
    source::{Ended, Fault, Program, Running, SourceError},
};
use serde_json::{Map, Value};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct PostgresDump {
    login: Login,
    plain: InContainer,
    count_rows: Duration,
}

impl PostgresDump {
    pub(super) fn new(
        what: String,
        at: &At,
        login: &Login,
        database: &str,
        compression: &str,
        how: &How<'_>,
    ) -> Self {
        let login = login.to(database);
        let dbname = format!("--dbname={}", conninfo(database));
        let argv = [
            "pg_dump",
            "--format=custom",
            "--no-password",
            compression,
            &dbname,
        ];
        let tool = login.tool(argv).owned_by(how.owner);
        PostgresDump {
            plain: InContainer::new(what, at.clone(), tool),
            login,
            count_rows: how.count_rows,
        }
    }

    /// The dump of a snapshot, and who counts in it.
    fn in_snapshot(
        &self,
        container: &Container,
        cancel: &Cancel,
    ) -> Result<(AtWork, Rows), NoSnapshot> {
        let names = Names::fresh();
        let mut dump = self.plain.clone();
        let owner = dump.tool.command.owner.clone();
        let counter = Counter {
            login: &self.login,
            owner,
            names: &names,
            time: self.count_rows,
        };
        let rows = Rows::begin(&dump.at, container, counter, cancel)
            .map_err(|why| NoSnapshot(why.line()))?;
        let snapshot = format!("--snapshot={}", rows.snapshot());
        let command = &mut dump.tool.command;
        command.argv.push(snapshot);
        command.env.push(("PGAPPNAME".to_owned(), names.of_dump()));
        let work = dump
            .exec_in(container, cancel)
            .map_err(|error| NoSnapshot(error.to_string()))?;
        Ok((work, rows))
    }
}

/// Then the dump is made without one.
struct NoSnapshot(String);

impl Program for PostgresDump {
    fn what(&self) -> String {
        self.plain.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let container = self.plain.container()?;
        cancel.check()?;
        let (dump, facts) = match self.count_rows {
            Duration::ZERO => (None, Facts::without("switched off")),
            _ => match self.in_snapshot(&container, cancel) {
                Ok((dump, rows)) => (Some(dump), Facts::Counting(rows)),
                Err(NoSnapshot(why)) => (None, Facts::without(why)),
            },
        };
        let dump = match dump {
            Some(dump) => dump,
            None => self.plain.exec_in(&container, cancel)?,
        };
        Ok(Box::new(WithFacts {
            dump: Some(Box::new(dump)),
            early: None,
            facts,
            bytes: false,
            again: Some(Again {
                plain: self.plain.clone(),
                container,
            }),
        }))
    }
}

enum Facts {
    Counting(Rows),
    Without(String),
}

impl Facts {
    fn without(why: impl Into<String>) -> Self {
        Facts::Without(why.into())
    }

    fn told(self) -> Map<String, Value> {
        match self {
            Facts::Counting(rows) => rows.told(),
            Facts::Without(why) => not_counted(&why),
        }
    }
}

/// A dump at work, and its row counter.
struct WithFacts {
    dump: Option<Box<AtWork>>,
    early: Option<Ended>,
    facts: Facts,
    bytes: bool,
    again: Option<Again>,
}

/// What is needed to start once more, without a snapshot.
struct Again {
    plain: InContainer,
    container: Container,
}

impl Running for WithFacts {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        let Some(dump) = &mut self.dump else {
            return Ok(false);
        };
        let before = out.len();
        let more = dump.read(out, limit, cancel)?;
        self.bytes |= out.len() > before;
        if more || self.bytes || matches!(self.facts, Facts::Without(_)) {
            return Ok(more);
        }
        // It ended before its first byte. Was it the snapshot? Then the dump is worth more than the facts.
        let ended = self.dump.take().map(|dump| dump.finish());
        match (ended, self.again.take()) {
            (Some(Ok(ended)), _) => {
                self.early = Some(ended);
                Ok(false)
            }
            (
                Some(Err(SourceError::Dump {
                    fault: Fault::ToolExit,
                    detail,
                    ..
                })),
                Some(again),
            ) => {
                self.facts = Facts::without(format!(
                    "the dump could not take part in a snapshot: {detail}"
                ));
                let dump = again.plain.exec_in(&again.container, cancel)?;
                self.dump = Some(Box::new(dump));
                Ok(true)
            }
            (Some(Err(error)), _) => Err(error),
            (None, _) => Ok(false),
        }
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        let mut ended = match (self.dump, self.early) {
            (Some(dump), _) => dump.finish()?,
            (None, early) => early.unwrap_or_default(),
        };
        ended.facts.extend(self.facts.told());
        Ok(ended)
    }
}
