//! MySQL and MariaDB: every database in a transaction of its own, and the users with their grants.

mod dump;
mod login;
mod users;

use super::{At, Found, How, Refusal, Stream, chosen::chosen, program::InContainer};
use crate::docker::{Container, cover::Server};
use dump::MysqlDump;
use lifeboat_run::source::{Fault, Format, Program};
use login::Login;
use serde_json::Map;
use users::ShownUsers;

/// What a server says of itself. Names come as hexadecimal digits: nothing in them can be mistaken.
const LOOK: &str = "SELECT 'version', HEX(VERSION()) \
    UNION ALL SELECT 'database', HEX(schema_name) FROM information_schema.schemata \
    WHERE schema_name NOT IN ('information_schema', 'performance_schema', 'sys', 'mysql')";

#[derive(Debug, Default)]
struct Looked {
    version: String,
    databases: Vec<Vec<u8>>,
}

impl Looked {
    fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }

    fn kind(&self) -> &'static str {
        if self.is_mariadb() {
            "mariadb"
        } else {
            "mysql"
        }
    }

    fn parse(said: &str) -> Option<Self> {
        let mut looked = Looked::default();
        for line in said.lines() {
            let (word, value) = line.split_once('\t')?;
            let value = unhex(value)?;
            match word {
                "version" => looked.version = String::from_utf8(value).ok()?,
                "database" => looked.databases.push(value),
                _ => return None,
            }
        }
        looked.databases.sort();
        (!looked.version.is_empty()).then_some(looked)
    }
}

pub(super) fn ask(
    at: &At,
    container: &Container,
    server: &Server,
    how: &How<'_>,
) -> Result<Vec<Found>, Refusal> {
    let (login, looked) = Login::find(at, container, server, how.cancel)?;
    let dumper = login.dumper(at, container, how.cancel)?;
    let mut found = Vec::new();
    if login.sees_users() {
        found.push(Found {
            part: "globals".to_owned(),
            kind: looked.kind(),
            ending: "sql".to_owned(),
            what: Ok(users(at, server, &login, &looked, &dumper, how)),
        });
    }
    for (name, refusal) in chosen(&server.settings, &looked.databases) {
        let what = refusal.map(|()| {
            let mut facts = Map::new();
            facts.insert("server_version".to_owned(), looked.version.clone().into());
            if !login.sees_users() {
                let why = "left out: there is no root password in the service's environment";
                facts.insert("users".to_owned(), why.into());
            }
            let what = format!("{} of {name:?} in service {}", dumper.name, server.address);
            Stream {
                format: Format::MysqlSql,
                program: Box::new(MysqlDump::new(
                    what, at, &login, &dumper, &name, &looked, how,
                )),
                facts,
            }
        });
        found.push(Found {
            part: name,
            kind: looked.kind(),
            ending: "sql".to_owned(),
            what,
        });
    }
    Ok(found)
}

/// MariaDB's own dump program knows users; otherwise the server is asked to show them.
fn users(
    at: &At,
    server: &Server,
    login: &Login,
    looked: &Looked,
    dumper: &Dumper,
    how: &How<'_>,
) -> Stream {
    let program: Box<dyn Program> = match dumper.knows_users {
        true => {
            let what = format!(
                "{} --system=users in service {}",
                dumper.name, server.address
            );
            let arguments = ["--system=users", "--insert-ignore"];
            let tool = login.tool(dumper.name, &arguments).owned_by(how.owner);
            Box::new(InContainer::new(what, at.clone(), tool))
        }
        false => Box::new(ShownUsers {
            what: format!("users and grants of service {}", server.address),
            at: at.clone(),
            login: login.clone(),
            mariadb: looked.is_mariadb(),
        }),
    };
    let mut facts = Map::new();
    facts.insert("server_version".to_owned(), looked.version.clone().into());
    Stream {
        format: Format::MysqlSql,
        program,
        facts,
    }
}

/// The program that dumps.
#[derive(Debug, Clone)]
struct Dumper {
    name: &'static str,
    /// MySQL's own, which has options that MariaDB's has not.
    of_mysql: bool,
    knows_users: bool,
}

fn understand(said: &str) -> Option<Fault> {
    if said.contains("Access denied for user") {
        Some(Fault::Auth)
    } else if said.contains("Unknown database") {
        Some(Fault::NoDb)
    } else {
        None
    }
}

fn hex(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_through_as_digits() {
        assert_eq!(unhex(&hex("a`b\n'ü")).unwrap(), "a`b\n'ü".as_bytes());
        assert_eq!(unhex(""), Some(Vec::new()));
        assert_eq!((unhex("4"), unhex("4g")), (None, None));
    }

    #[test]
    fn an_answer_without_a_version_is_none() {
        let looked = Looked::parse("version\t392E37\ndatabase\t62\ndatabase\t61\n").unwrap();
        assert_eq!((looked.version.as_str(), looked.kind()), ("9.7", "mysql"));
        assert_eq!(looked.databases, [b"a", b"b"]);
        assert!(Looked::parse("").is_none());
        assert!(Looked::parse("database\t61\n").is_none());
        assert!(Looked::parse("version\t392E37\ndata").is_none());
    }
}
