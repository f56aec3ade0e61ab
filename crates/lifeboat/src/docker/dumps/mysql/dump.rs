//! One database, and the number of its rows a moment before.
//!
//! No session can join another's snapshot here. The rows are counted in a transaction that begins just before
//! the dump's own: where nobody writes they are the dump's rows, elsewhere about so many.

use super::{At, Dumper, How, InContainer, Login, Looked, Refusal, hex, unhex};
use crate::docker::dumps::{beside::Beside, not_counted, program::AtWork};
use lifeboat_run::{
    Cancel,
    source::{Ended, Program, Running, SourceError},
};
use serde_json::{Map, Value};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct MysqlDump {
    plain: InContainer,
    login: Login,
    database: String,
    mariadb: bool,
    count_rows: Duration,
}

impl MysqlDump {
    pub(super) fn new(
        what: String,
        at: &At,
        login: &Login,
        dumper: &Dumper,
        database: &str,
        looked: &Looked,
        how: &How<'_>,
    ) -> Self {
        let mut arguments = vec![
            "--single-transaction",
            "--quick",
            "--routines",
            "--triggers",
            "--events",
            "--hex-blob",
            // They need a right that nobody gives to users of backups, and name files of this host.
            "--no-tablespaces",
        ];
        if dumper.of_mysql {
            arguments.push("--set-gtid-purged=OFF");
        }
        arguments.extend(["--", database]);
        let tool = login.tool(dumper.name, &arguments).owned_by(how.owner);
        MysqlDump {
            plain: InContainer::new(what, at.clone(), tool),
            login: login.clone(),
            database: database.to_owned(),
            mariadb: looked.is_mariadb(),
            count_rows: how.count_rows,
        }
    }
}

/// One statement that counts all tables is made of their names.
fn count(database: &str, mariadb: bool, time: Duration) -> String {
    let limit = match mariadb {
        true => format!("SET SESSION max_statement_time = {}", time.as_secs().max(1)),
        false => format!("SET SESSION max_execution_time = {}", time.as_millis()),
    };
    let of_it = format!("HEX(table_schema) = '{}'", hex(database));
    [
        "SET SESSION group_concat_max_len = 16777216",
        &limit,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "SELECT 'ready'",
        "SET @q = NULL",
        &format!(
            "SELECT GROUP_CONCAT(CONCAT('SELECT ''', HEX(table_name), ''', COUNT(*) FROM `', \
             REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`') \
             SEPARATOR ' UNION ALL ') INTO @q FROM information_schema.tables \
             WHERE {of_it} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"
        ),
        "SET @q = COALESCE(@q, 'DO 0')",
        "PREPARE counting FROM @q",
        "EXECUTE counting",
        "SELECT 'done', 0",
    ]
    .join("; ")
}

impl Program for MysqlDump {
    fn what(&self) -> String {
        self.plain.what.clone()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let container = self.plain.container()?;
        cancel.check()?;
        let counting = match self.count_rows {
            Duration::ZERO => Err(Refusal::tool("switched off")),
            time => {
                let statements = count(&self.database, self.mariadb, time);
                let mut tool = self.login.sql(&statements);
                tool.command.owner = self.plain.tool.command.owner.clone();
                Beside::begin(&self.plain.at, &container, tool, b'\n', time, cancel)
            }
        };
        Ok(Box::new(WithRows {
            dump: self.plain.exec_in(&container, cancel)?,
            counting: counting.map(|(_ready, counting)| counting),
            database: self.database.clone(),
        }))
    }
}

struct WithRows {
    dump: AtWork,
    counting: Result<Beside, Refusal>,
    database: String,
}

impl Running for WithRows {
    fn read(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<bool, SourceError> {
        self.dump.read(out, limit, cancel)
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        let mut ended = Box::new(self.dump).finish()?;
        let said = self.counting.and_then(Beside::told);
        let facts = said.and_then(|said| facts(&said, &self.database));
        ended
            .facts
            .extend(facts.unwrap_or_else(|refusal| not_counted(&refusal.line())));
        Ok(ended)
    }
}

fn facts(said: &[u8], database: &str) -> Result<Map<String, Value>, Refusal> {
    let nonsense = || Refusal::tool("the counts make no sense");
    let said = str::from_utf8(said).map_err(|_| nonsense())?;
    let said = said.strip_suffix("done\t0\n").ok_or_else(nonsense)?;
    let mut rows = Map::new();
    for line in said.lines() {
        let (table, number) = line.split_once('\t').ok_or_else(nonsense)?;
        let table = unhex(table).ok_or_else(nonsense)?;
        let number: u64 = number.parse().map_err(|_| nonsense())?;
        rows.insert(
            joined(database, &String::from_utf8_lossy(&table)),
            number.into(),
        );
    }
    Ok(Map::from_iter([
        ("rows".to_owned(), rows.into()),
        ("rows_at".to_owned(), "just before the dump".into()),
    ]))
}

fn joined(database: &str, table: &str) -> String {
    match [database, table].concat().contains(['.', '`']) {
        true => format!(
            "`{}`.`{}`",
            database.replace('`', "``"),
            table.replace('`', "``")
        ),
        false => format!("{database}.{table}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_without_their_end_are_none() {
        let told = facts(b"6F72\t3\n612E62\t0\ndone\t0\n", "shop").unwrap();
        assert_eq!(told["rows"]["shop.or"], 3);
        assert_eq!(told["rows"]["`shop`.`a.b`"], 0);
        for cut in [
            &b"6F72\t3\n"[..],
            b"",
            b"6F7\t3\ndone\t0\n",
            b"6F72\tx\ndone\t0\n",
        ] {
            assert!(facts(cut, "shop").is_err());
        }
    }
}
