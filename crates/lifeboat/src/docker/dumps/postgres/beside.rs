//! A database that is made anew beside the live one, compared, and takes its name.
//!
//! ```text
//! shop_new_20251227_201500   is filled; when all of it is there and compared:
//! shop                    →  shop_before_20251227_201500, closed to everybody
//! shop_new_…              →  shop
//! ```
//!
//! Which of the three names are there says how far a swap has come, whoever asks, and whenever.

use super::{At, Login, OS_USER, Refusal, Server, conninfo, rows};
use crate::{
    docker::{Container, dumps::program::Tool, restore::Spec},
    shell,
};
use lifeboat_plan::Archive;
use lifeboat_run::{
    Cancel,
    target::{Beside, Filled, Outlook, Target, TargetError},
};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, io::Read};

/// The server cuts longer names off.
const NAME_BYTES_MAX: usize = 63;

#[derive(Debug)]
pub(in crate::docker::dumps) struct Database {
    at: At,
    server: Server,
    name: String,
    owner: String,
}

/// The three names.
struct Names {
    live: String,
    new: String,
    before: String,
}

/// A way into the server, by a database that is none of the three.
struct Door<'a> {
    database: &'a Database,
    container: Container,
    login: Login,
    major: u32,
}

impl Database {
    pub(in crate::docker::dumps) fn new(at: At, server: Server, name: &str, owner: String) -> Self {
        Database {
            at,
            server,
            name: name.to_owned(),
            owner,
        }
    }

    fn names(&self, beside: &Beside) -> Names {
        let with = |word: &str| {
            let ending = format!("_{word}_{beside}");
            let room = NAME_BYTES_MAX.saturating_sub(ending.len());
            let cut = (0..=room.min(self.name.len())).rev();
            let cut = cut.into_iter().find(|at| self.name.is_char_boundary(*at));
            format!("{}{ending}", &self.name[..cut.unwrap_or(0)])
        };
        Names {
            live: self.name.clone(),
            new: with("new"),
            before: with("before"),
        }
    }

    fn open(&self, cancel: &Cancel) -> Result<Door<'_>, TargetError> {
        let failed = |refusal: Refusal| refusal.of_target(&self.what());
        let container = self.at.container().map_err(failed)?;
        let (login, looked) =
            Login::find(&self.at, &container, &self.server, cancel).map_err(failed)?;
        // Nobody renames the database that he sits in.
        let login = match login.database() == self.name {
            true => login.to("template1"),
            false => login,
        };
        Ok(Door {
            database: self,
            container,
            login,
            major: looked.major,
        })
    }
}

impl Target for Database {
    fn what(&self) -> String {
        format!(
            "the database {:?} of service {}",
            self.name, self.server.address
        )
    }

    fn spec(&self) -> Value {
        let spec = Spec::Database {
            server: self.server.source.clone(),
            database: self.name.clone(),
        };
        spec.to_value()
    }

    fn look(&self, archive: &Archive, cancel: &Cancel) -> Result<Outlook, TargetError> {
        let door = self.open(cancel)?;
        let mut outlook = Outlook {
            exists: door.has(&self.name)?,
            needs: archive.plain_size.saturating_add(archive.plain_size / 10),
            ..Outlook::default()
        };
        if outlook.exists {
            let size = door.ask(&format!("SELECT pg_database_size({})", literal(&self.name)))?;
            let size: u64 = size.trim().parse().unwrap_or(0);
            outlook.size = Some(size);
            outlook.needs = outlook.needs.max(size.saturating_add(size / 10));
        }
        outlook.free = door.free();
        let dumped_by = archive.facts.get("server_version").and_then(Value::as_str);
        if let Some(dumped_by) = dumped_by
            && let Some(dumped) = super::major(dumped_by)
            && dumped != door.major
        {
            if dumped > door.major {
                return Err(TargetError::Refused(format!(
                    "{} was dumped from PostgreSQL {dumped}, and service {} runs {}: an older server cannot take it",
                    archive.source, self.server.address, door.major
                )));
            }
            let remark = format!("dumped from PostgreSQL {dumped}, goes into {}", door.major);
            outlook.remarks.push(remark);
        }
        if outlook.exists && !door.ends_sessions()? {
            outlook.remarks.push(
                "the user may not end the sessions of others: whoever is still connected when the names are changed makes the restore fail"
                    .to_owned(),
            );
        }
        Ok(outlook)
    }

    fn fill(
        &self,
        beside: &Beside,
        archive: &Archive,
        plain: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Filled, TargetError> {
        let names = self.names(beside);
        let door = self.open(cancel)?;
        door.drop(&names.new)?;
        door.make(&names.new, &mark(beside), &archive.facts)?;
        let login = door.login.to(&names.new);
        let dbname = format!("--dbname={}", conninfo(&names.new));
        let restore = ["pg_restore", "--exit-on-error", "--no-password", &dbname];
        let tool = login.tool(restore).owned_by(&self.owner);
        tool.feed(&self.at, &door.container, plain, &self.what(), cancel)?;
        let mut filled = Filled {
            bytes: archive.plain_size,
            ..Filled::default()
        };
        compare(&door, &login, archive, &mut filled, cancel)?;
        Ok(filled)
    }

    fn swap(&self, beside: &Beside) -> Result<(), TargetError> {
        let names = self.names(beside);
        let door = self.open(&Cancel::default())?;
        let there = door.there(&names)?;
        if there.contains(&names.new) {
            if there.contains(&names.live) {
                if there.contains(&names.before) {
                    return Err(self.failed(format!("{:?} is there already", names.before)));
                }
                door.close(&names.live)?;
                door.rename(&names.live, &names.before)?;
            }
            door.rename(&names.new, &names.live)?;
        }
        if !door.has(&names.live)? || !door.bears(&names.live, &mark(beside))? {
            let gone = format!("{:?}, which was filled, is not there any more", names.new);
            return Err(self.failed(gone));
        }
        door.open_up(&names.live)
    }

    fn swap_back(&self, beside: &Beside) -> Result<(), TargetError> {
        let names = self.names(beside);
        let door = self.open(&Cancel::default())?;
        let there = door.there(&names)?;
        // What stands there under the live one's name is only ever taken away when it is known to be ours.
        let stands = there.contains(&names.live) && !there.contains(&names.new);
        if stands && (there.contains(&names.before) || door.bears(&names.live, &mark(beside))?) {
            door.close(&names.live)?;
            door.rename(&names.live, &names.new)?;
        }
        if there.contains(&names.before) {
            door.rename(&names.before, &names.live)?;
        }
        match door.has(&names.live)? {
            true => door.open_up(&names.live),
            false => Ok(()),
        }
    }

    fn clear(&self, beside: &Beside) -> Result<Vec<String>, TargetError> {
        let names = self.names(beside);
        let door = self.open(&Cancel::default())?;
        door.drop(&names.new)?;
        if door.has(&names.live)? && door.bears(&names.live, &mark(beside))? {
            let live = identifier(&names.live);
            door.ask(&format!("COMMENT ON DATABASE {live} IS NULL"))?;
        }
        if !door.has(&names.before)? {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{:?} is what was there before, closed to everybody; to drop it: docker compose exec {} dropdb -U {} {}",
            names.before,
            self.server.address.service,
            shell::word(door.login.user()),
            shell::word(&names.before),
        )])
    }
}

impl Database {
    fn failed(&self, detail: String) -> TargetError {
        TargetError::Failed {
            what: self.what(),
            detail,
        }
    }
}

impl Door<'_> {
    fn ask(&self, statement: &str) -> Result<String, TargetError> {
        self.ask_as(&self.login, &[statement], &Cancel::default())
    }

    fn ask_as(
        &self,
        login: &Login,
        statements: &[&str],
        cancel: &Cancel,
    ) -> Result<String, TargetError> {
        let at = &self.database.at;
        let tool: Tool = login.psql(statements).owned_by(&self.database.owner);
        let said = tool.ask(at, &self.container, cancel);
        let said = said.map_err(|refusal| refusal.of_target(&self.database.what()))?;
        // Rows end with a zero byte.
        Ok(String::from_utf8_lossy(&said)
            .replace('\0', "\n")
            .trim_end()
            .to_owned())
    }

    fn there(&self, names: &Names) -> Result<BTreeSet<String>, TargetError> {
        let all = [&names.live, &names.new, &names.before];
        let mut there = BTreeSet::new();
        for name in all {
            if self.has(name)? {
                there.insert(name.clone());
            }
        }
        Ok(there)
    }

    fn has(&self, name: &str) -> Result<bool, TargetError> {
        let count = self.ask(&format!(
            "SELECT count(*) FROM pg_catalog.pg_database WHERE datname = {}",
            literal(name)
        ))?;
        match count.as_str() {
            "0" => Ok(false),
            "1" => Ok(true),
            other => Err(self
                .database
                .failed(format!("psql gave no sense: {other:.100}"))),
        }
    }

    /// Was it made by the restore of this mark, and not cleared yet?
    fn bears(&self, name: &str, mark: &str) -> Result<bool, TargetError> {
        let comment = self.ask(&format!(
            "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database WHERE datname = {}",
            literal(name)
        ))?;
        Ok(comment == mark)
    }

    /// Empty, and otherwise as the dumped one was.
    fn make(&self, name: &str, mark: &str, facts: &Map<String, Value>) -> Result<(), TargetError> {
        let fact = facts.get("database");
        let text = |key: &str| {
            let value = fact.and_then(|fact| fact.get(key));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let mut statement = format!("CREATE DATABASE {} TEMPLATE template0", identifier(name));
        for (key, word) in [
            ("encoding", "ENCODING"),
            ("collate", "LC_COLLATE"),
            ("ctype", "LC_CTYPE"),
        ] {
            if let Some(value) = text(key) {
                statement.push_str(&format!(" {word} {}", literal(&value)));
            }
        }
        self.ask(&statement)?;
        // Before it is somebody else's.
        let (marked, mark) = (identifier(name), literal(mark));
        self.ask(&format!("COMMENT ON DATABASE {marked} IS {mark}"))?;
        if let Some(owner) = text("owner") {
            let (name, owner) = (identifier(name), identifier(&owner));
            self.ask(&format!("ALTER DATABASE {name} OWNER TO {owner}"))?;
        }
        let settings = fact.and_then(|fact| fact.get("settings"));
        for setting in settings.and_then(Value::as_array).into_iter().flatten() {
            if let Some((key, value)) = setting.as_str().and_then(|s| s.split_once('=')) {
                self.ask(&set(name, key, value))?;
            }
        }
        Ok(())
    }

    fn drop(&self, name: &str) -> Result<(), TargetError> {
        if !self.has(name)? {
            return Ok(());
        }
        self.close(name)?;
        self.ask(&format!("DROP DATABASE {}", identifier(name)))?;
        Ok(())
    }

    /// Lets nobody in any more, and ends the sessions of those who are.
    fn close(&self, name: &str) -> Result<(), TargetError> {
        self.ask(&format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS false",
            identifier(name)
        ))?;
        self.ask(&SESSIONS_END.replace("{name}", &literal(name)))?;
        Ok(())
    }

    fn open_up(&self, name: &str) -> Result<(), TargetError> {
        self.ask(&format!(
            "ALTER DATABASE {} ALLOW_CONNECTIONS true",
            identifier(name)
        ))?;
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), TargetError> {
        let (from, to) = (identifier(from), identifier(to));
        self.ask(&format!("ALTER DATABASE {from} RENAME TO {to}"))?;
        Ok(())
    }

    fn ends_sessions(&self) -> Result<bool, TargetError> {
        let may = self.ask(
            "SELECT rolsuper OR pg_has_role('pg_signal_backend', 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = current_user",
        )?;
        Ok(may == "t")
    }

    /// Bytes where its files are; `None` where nobody can tell.
    fn free(&self) -> Option<u64> {
        let folder = self.ask("SELECT current_setting('data_directory')").ok()?;
        let mut tool = self.login.tool(["df", "-Pk", folder.as_str()]);
        tool.command.user = Some(OS_USER.to_owned());
        let said = tool
            .ask(&self.database.at, &self.container, &Cancel::default())
            .ok()?;
        let said = String::from_utf8_lossy(&said).into_owned();
        let kilobytes: u64 = said
            .lines()
            .nth(1)?
            .split_whitespace()
            .nth(3)?
            .parse()
            .ok()?;
        Some(kilobytes.saturating_mul(1024))
    }
}

/// What was counted when it was dumped must be there again, and nothing else.
fn compare(
    door: &Door<'_>,
    login: &Login,
    archive: &Archive,
    filled: &mut Filled,
    cancel: &Cancel,
) -> Result<(), TargetError> {
    let Some(Value::Object(promised)) = archive.facts.get("rows") else {
        let why = archive
            .facts
            .get("rows")
            .and_then(Value::as_str)
            .unwrap_or("not counted");
        filled
            .remarks
            .push(format!("no rows could be compared: {why}"));
        return Ok(());
    };
    let said = door.ask_as(
        login,
        &[
            "BEGIN READ ONLY",
            "SET LOCAL row_security = off",
            rows::COUNT,
            "SELECT '{' || current_setting('lifeboat.rows') || '}'",
        ],
        cancel,
    )?;
    let found: Map<String, Value> = serde_json::from_str(&said)
        .map_err(|error| door.database.failed(format!("psql gave no sense: {error}")))?;
    let differences = differences(promised, &found);
    if let Some(first) = differences.first() {
        return Err(TargetError::Disproved {
            what: door.database.what(),
            detail: match differences.len() {
                1 => first.clone(),
                many => format!("{first}, and {} more", many - 1),
            },
        });
    }
    filled.entries = found.values().filter_map(Value::as_u64).sum();
    let uncounted = promised.values().filter(|rows| !rows.is_u64()).count();
    if uncounted > 0 {
        filled.remarks.push(format!(
            "{uncounted} tables were not counted when they were dumped"
        ));
    }
    Ok(())
}

fn differences(promised: &Map<String, Value>, found: &Map<String, Value>) -> Vec<String> {
    let mut differences = Vec::new();
    for (table, rows) in promised {
        match (rows.as_u64(), found.get(table)) {
            (_, None) => differences.push(format!("table {table} is missing")),
            (Some(rows), Some(there)) if there.as_u64() != Some(rows) => {
                differences.push(format!("table {table} has {there} rows in place of {rows}"));
            }
            _ => {}
        }
    }
    let more = found.keys().filter(|table| !promised.contains_key(*table));
    differences.extend(more.map(|table| format!("table {table} was not there")));
    differences
}

const SESSIONS_END: &str = "DO $lifeboat$
BEGIN
  FOR turn IN 1..300 LOOP
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
      WHERE datname = {name} AND pid <> pg_backend_pid();
    EXIT WHEN NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_activity
      WHERE datname = {name} AND pid <> pg_backend_pid());
    PERFORM pg_sleep(0.1);
  END LOOP;
END $lifeboat$";

/// Some settings are lists, which as one string would be one name.
fn set(database: &str, key: &str, value: &str) -> String {
    const LISTS: [&str; 5] = [
        "search_path",
        "temp_tablespaces",
        "session_preload_libraries",
        "local_preload_libraries",
        "unix_socket_directories",
    ];
    let value = match LISTS.contains(&key) {
        true => value.to_owned(),
        false => literal(value),
    };
    format!(
        "ALTER DATABASE {} SET {} TO {value}",
        identifier(database),
        identifier(key)
    )
}

/// The comment on a database that is not yet, or not for certain, the live one.
fn mark(beside: &Beside) -> String {
    format!("restored by lifeboat {beside}")
}

pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}
