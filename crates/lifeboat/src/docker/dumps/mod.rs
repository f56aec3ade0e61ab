//! The databases' own dump tools, run in their own containers: the only programs that fit the server's
//! version for certain, and nothing that anybody has to install.
//!
//! ```text
//! program    one program in a container as the core knows programs; what its end means
//! refusal    what is wrong, as one of a closed set of faults
//! check      login and tools, for `doctor`
//! chosen     which databases the labels leave
//! scrub      secrets taken out of what programs say
//! secret     where a server's container keeps its password
//!
//! beside     a program that finds something out while the dump runs
//!
//! postgres   every database, in one snapshot with the number of its rows
//! mysql      MySQL and MariaDB: every database, in a transaction
//! redis      Redis and Valkey: all of it
//! mongodb    all of it
//! command    whatever a label says
//! ```
//!
//! restore    the way back: dumps fed to the servers' own tools
//!
//! Secrets go to a program in its environment and nowhere else: everybody sees command lines.

mod beside;
mod check;
mod chosen;
mod command;
mod mongodb;
mod mysql;
mod postgres;
mod program;
mod redis;
mod refusal;
mod restore;
mod scrub;
mod secret;

pub use check::{Checked, check};
pub use command::open_command;
pub use restore::{Whole, target};

use super::{
    Address, Container, Engine, ExecError,
    cover::{Coverage, Server},
    kind::DatabaseKind,
};
use lifeboat_run::{
    Cancel,
    source::{Captured, Dump, Flow, Format, Program, Sizes, Source, SourceError},
};
use refusal::Refusal;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt, time::Duration};

/// Beside what the server's labels say.
pub struct How<'a> {
    /// Whose the started programs are: the next run ends those that this one had to leave behind. Letters,
    /// digits and `-`; another one for every store, whose lock keeps two runs apart.
    pub owner: &'a str,
    /// Without a byte for so long, a program has stalled.
    pub patience: Duration,
    /// How long rows are counted; zero: not at all.
    pub count_rows: Duration,
    /// How large the dumps of a source of a kind were before.
    pub before: &'a dyn Fn(&str, &str) -> Sizes,
    /// Has a person said that a much smaller dump of this source is right?
    pub accept_smaller: &'a dyn Fn(&str) -> bool,
    pub cancel: &'a Cancel,
}

impl fmt::Debug for How<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let How {
            owner,
            patience,
            count_rows,
            ..
        } = self;
        write!(f, "How({owner}, {patience:?}, {count_rows:?})")
    }
}

/// How long a program may be silent.
pub const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How long rows are counted.
pub const COUNT_ROWS: Duration = Duration::from_secs(60);
/// For every short question to a server.
const ANSWER_SECONDS_MAX: u64 = 60;

/// Where a server's programs run: not in which container, which may be another one a minute later.
#[derive(Debug, Clone)]
struct At {
    engine: Engine,
    address: Address,
    patience: Duration,
}

impl At {
    /// As it is right now.
    fn container(&self) -> Result<Container, Refusal> {
        Ok(self.engine.running(&self.address)?)
    }
}

/// One stream that is to become a source.
struct Found {
    /// Of the server's source: `globals`, a database's name; empty for all there is.
    part: String,
    kind: &'static str,
    ending: String,
    what: Result<Stream, Refusal>,
}

struct Stream {
    format: Format,
    program: Box<dyn Program>,
    facts: Map<String, Value>,
}

/// What a server has, as sources; for all servers before the first dump begins, because whatever the owner
/// still has at work there is from an earlier run, and is ended. Never fails: a server that cannot be asked is one source that fails with
/// the reason, and so makes the backup a partial one.
pub fn open(engine: &Engine, server: &Server, how: &How<'_>) -> Vec<Box<dyn Source>> {
    let at = At {
        engine: engine.clone(),
        address: server.address.clone(),
        patience: how.patience,
    };
    let found = ask(&at, server, how).unwrap_or_else(|refusal| {
        vec![Found {
            part: String::new(),
            kind: server.kind.as_str(),
            ending: ending(server.kind).to_owned(),
            what: Err(refusal),
        }]
    });
    let mut taken = BTreeSet::new();
    found
        .into_iter()
        .map(|found| source(server, found, &mut taken, how))
        .collect()
}

fn ask(at: &At, server: &Server, how: &How<'_>) -> Result<Vec<Found>, Refusal> {
    let container = at.container()?;
    match server.kind {
        DatabaseKind::Postgres => postgres::ask(at, &container, server, how),
        DatabaseKind::Mysql | DatabaseKind::Mariadb => mysql::ask(at, &container, server, how),
        DatabaseKind::Redis => redis::ask(at, &container, server, how),
        DatabaseKind::Mongodb => mongodb::ask(at, &container, server, how),
    }
}

fn ending(kind: DatabaseKind) -> &'static str {
    match kind {
        DatabaseKind::Postgres => "dump",
        DatabaseKind::Mysql | DatabaseKind::Mariadb => "sql",
        DatabaseKind::Redis => "rdb",
        DatabaseKind::Mongodb => "archive",
    }
}

fn source(
    server: &Server,
    found: Found,
    taken: &mut BTreeSet<String>,
    how: &How<'_>,
) -> Box<dyn Source> {
    let mut name = match found.part.as_str() {
        "" => server.source.clone(),
        part => format!("{}.{part}", server.source),
    };
    // A database may be called `globals`.
    while !taken.insert(name.clone()) {
        name.push('_');
    }
    match found.what {
        Ok(stream) => Box::new(Dump {
            before: (how.before)(&name, found.kind),
            accept_smaller: (how.accept_smaller)(&name),
            kind: found.kind.to_owned(),
            ending: found.ending,
            format: stream.format,
            program: stream.program,
            facts: stream.facts,
            name,
        }),
        Err(refusal) => Box::new(Unavailable {
            name,
            kind: found.kind,
            ending: found.ending,
            what: format!("the {} server of service {}", found.kind, server.address),
            refusal,
        }),
    }
}

/// A source that there should be.
#[derive(Debug)]
struct Unavailable {
    name: String,
    kind: &'static str,
    ending: String,
    what: String,
    refusal: Refusal,
}

impl Source for Unavailable {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &str {
        self.kind
    }

    fn ending(&self) -> &str {
        &self.ending
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        flow.cancel.check()?;
        Err(self.refusal.clone().of(&self.what))
    }
}

/// Ends the programs that a killed run of this owner left at work. Only for whoever holds the lock of the
/// store: those of a run that is alive bear the same name. What cannot be seen cannot be ended: the log says
/// so.
pub fn sweep(engine: &Engine, coverage: &Coverage, owner: &str) {
    let servers = coverage.servers.iter().map(|s| (&s.address, Some(s.kind)));
    let commands = coverage.commands.iter().map(|c| (&c.address, None));
    for (address, kind) in servers.chain(commands) {
        let Ok(container) = engine.running(address) else {
            continue;
        };
        // Nobody but the same user sees whose a program is, not even root.
        let users: &[Option<&str>] = match kind {
            Some(DatabaseKind::Postgres) => &[None, Some(postgres::OS_USER)],
            _ => &[None],
        };
        for user in users {
            let swept = engine.end_owned(&container.id, *user, owner);
            if !matches!(swept, Ok(true)) {
                tracing::debug!(?swept, %address, user, "cannot look for programs of an earlier run");
            }
        }
    }
}

/// The fact that nobody knows how many rows there are.
fn not_counted(why: &str) -> Map<String, Value> {
    Map::from_iter([("rows".to_owned(), format!("not counted: {why}").into())])
}

impl From<ExecError> for Refusal {
    fn from(error: ExecError) -> Self {
        Refusal::of_exec(&error)
    }
}
