//! PostgreSQL: its globals, and every database that lets itself be connected to.

mod beside;
mod dump;
mod globals;
mod login;
mod rows;

use super::{
    At, Found, How, Refusal, Stream,
    chosen::chosen,
    program::{InContainer, Tool},
    scrub::Scrub,
};
use crate::docker::{Command, Container, cover::Server};
use dump::PostgresDump;
use lifeboat_run::{
    Cancel,
    source::{Fault, Format},
};
use login::Login;

pub(super) use beside::Database;
pub(super) use globals::Globals;
use serde_json::Map;

const KIND: &str = "postgres";

/// Who the server is in the official image, and in all that are made of it.
pub(super) const OS_USER: &str = "postgres";

/// Everything there is to know before the first dump. Fields and rows end with a zero byte, which no name
/// can hold.
const LOOK: &str = "SELECT 'version', current_setting('server_version') \
    UNION ALL SELECT 'number', current_setting('server_version_num') \
    UNION ALL SELECT 'passwords', has_table_privilege('pg_catalog.pg_authid', 'SELECT')::text \
    UNION ALL SELECT 'database', datname::text FROM pg_catalog.pg_database \
    WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2";

/// What a server says of itself.
#[derive(Debug, Default)]
struct Looked {
    version: String,
    major: u32,
    /// May it read the roles' passwords?
    passwords: bool,
    databases: Vec<Vec<u8>>,
}

pub(super) fn ask(
    at: &At,
    container: &Container,
    server: &Server,
    how: &How<'_>,
) -> Result<Vec<Found>, Refusal> {
    let (login, looked) = Login::find(at, container, server, how.cancel)?;
    fits(at, container, &login, &looked, how.cancel)?;
    let compression = compression(at, container, &login, looked.major, how.cancel)?;
    let mut found = vec![Found {
        part: "globals".to_owned(),
        kind: KIND,
        ending: "sql".to_owned(),
        what: Ok(globals(at, server, &login, &looked, how)),
    }];
    for (name, refusal) in chosen(&server.settings, &looked.databases) {
        let what = refusal.map(|()| {
            let what = format!("pg_dump of {name:?} in service {}", server.address);
            let dump = PostgresDump::new(what, at, &login, &name, compression, how);
            let mut facts = Map::new();
            facts.insert("server_version".to_owned(), looked.version.clone().into());
            Stream {
                format: Format::PostgresCustom,
                program: Box::new(dump),
                facts,
            }
        });
        found.push(Found {
            part: name,
            kind: KIND,
            ending: "dump".to_owned(),
            what,
        });
    }
    Ok(found)
}

/// Roles and tablespaces. Only a superuser may read the roles' passwords; without them the roles are better
/// than nothing.
fn globals(at: &At, server: &Server, login: &Login, looked: &Looked, how: &How<'_>) -> Stream {
    let database = format!("--database={}", login.database());
    let mut argv = vec!["pg_dumpall", "--globals-only", "--no-password", &database];
    let mut facts = Map::new();
    facts.insert("server_version".to_owned(), looked.version.clone().into());
    if !looked.passwords {
        argv.push("--no-role-passwords");
        let why = "left out: the user may not read them";
        facts.insert("role_passwords".to_owned(), why.into());
    }
    let what = format!("pg_dumpall --globals-only in service {}", server.address);
    let tool = login.tool(argv).owned_by(how.owner);
    Stream {
        format: Format::PostgresSql,
        program: Box::new(InContainer::new(what, at.clone(), tool)),
        facts,
    }
}

/// An older `pg_dump` refuses a newer server, after it has connected; here it is told before anything runs.
fn fits(
    at: &At,
    container: &Container,
    login: &Login,
    looked: &Looked,
    cancel: &Cancel,
) -> Result<(), Refusal> {
    let said = login
        .tool(["pg_dump", "--version"])
        .ask(at, container, cancel)?;
    let said = String::from_utf8_lossy(&said);
    let Some(tool) = major(&said) else {
        let why = format!("pg_dump --version says {:?}", said.trim());
        return Err(Refusal::new(Fault::ToolVersion, why));
    };
    if tool >= looked.major {
        return Ok(());
    }
    Err(Refusal::new(
        Fault::ToolVersion,
        format!(
            "pg_dump {tool} in image {} cannot dump a server of version {}",
            container.image, looked.version
        ),
    ))
}

/// What takes the least time from the server to the store: see docs/decisions/0012. Before version 16 there is
/// only gzip, and a stream that it has squeezed the seal cannot make smaller.
fn compression(
    at: &At,
    container: &Container,
    login: &Login,
    major: u32,
    cancel: &Cancel,
) -> Result<&'static str, Refusal> {
    const NONE: &str = "--compress=0";
    const ZSTD: &str = "--compress=zstd:3";
    if major < 16 {
        return Ok(NONE);
    }
    // It looks whether it was built with it before it looks for a server, and there is none.
    let nowhere = ["pg_dump", "--no-password", ZSTD, "--dbname=host=/nowhere"];
    let tried = login.tool(nowhere).ask(at, container, cancel);
    match tried {
        Err(refusal) if refusal.fault == Fault::ToolExit => {
            match refusal.detail.contains("does not support compression") {
                true => Ok(NONE),
                false => Ok(ZSTD),
            }
        }
        Err(refusal) => Err(refusal),
        Ok(_) => Ok(NONE),
    }
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn major(said: &str) -> Option<u32> {
    let version = said
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

impl Looked {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut looked = Looked::default();
        let mut words = bytes.split(|byte| *byte == 0);
        while let Some(word) = words.next().filter(|word| !word.is_empty()) {
            let value = words.next()?;
            let text = || String::from_utf8_lossy(value).into_owned();
            match word {
                b"version" => looked.version = text(),
                b"number" => looked.major = text().parse::<u32>().ok()? / 10_000,
                b"passwords" => looked.passwords = value == b"true",
                b"database" => looked.databases.push(value.to_vec()),
                _ => return None,
            }
        }
        looked.databases.sort();
        (looked.major > 0).then_some(looked)
    }
}

/// `dbname='…'`: whatever the name looks like, it stays a name.
fn conninfo(database: &str) -> String {
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{quoted}'")
}

fn understand(said: &str) -> Option<Fault> {
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if says(&[
        "password authentication failed",
        "no password supplied",
        "Peer authentication failed",
        "Ident authentication failed",
        "no pg_hba.conf entry",
        "pg_hba.conf rejects",
        "is not permitted to log in",
    ]) || (said.contains("role \"") && said.contains("\" does not exist"))
    {
        return Some(Fault::Auth);
    }
    let missing = said.contains("database \"") && said.contains("\" does not exist");
    if missing {
        return Some(Fault::NoDb);
    }
    says(&["aborting because of server version mismatch"]).then_some(Fault::ToolVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_a_name_whatever_it_looks_like() {
        for (name, quoted) in [
            ("shop", "dbname='shop'"),
            ("a=b", "dbname='a=b'"),
            ("postgres://x", "dbname='postgres://x'"),
            (r"it's \", r"dbname='it\'s \\'"),
        ] {
            assert_eq!(conninfo(name), quoted);
        }
    }

    #[test]
    fn a_version_is_read_in_every_clothing() {
        for (said, known) in [
            (
                "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)",
                Some(15),
            ),
            ("pg_dump (PostgreSQL) 17beta2", Some(17)),
            ("pg_dump (EnterpriseDB) 9.6.1", Some(9)),
            ("pg_dump", None),
        ] {
            assert_eq!(major(said), known, "{said}");
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_answer() {
        let whole = b"version\x0015.18\0number\x00150018\0passwords\0true\0database\0my shop\0database\0a\0";
        let looked = Looked::parse(whole).unwrap();
        assert_eq!((looked.major, looked.passwords), (15, true));
        assert_eq!(looked.databases, [b"a".to_vec(), b"my shop".to_vec()]);
        assert!(Looked::parse(b"").is_none());
        assert!(Looked::parse(b"version\x0015.18\0number").is_none());
    }

    #[test]
    fn what_the_server_says_is_told_apart() {
        for (said, fault) in [
            (
                "FATAL:  password authentication failed for user \"x\"",
                Some(Fault::Auth),
            ),
            ("FATAL:  role \"x\" does not exist", Some(Fault::Auth)),
            ("FATAL:  database \"x\" does not exist", Some(Fault::NoDb)),
            (
                "FATAL:  terminating connection due to administrator command",
                None,
            ),
        ] {
            assert_eq!(understand(said), fault, "{said}");
        }
    }
}
