//! A real program, a real pipe, and the way back with the commands of docs/format.md.

use crate::{kit::output, postgres_server::Server};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel, keys,
    seal::{self, Recipe, SealError, Sealed},
    source::{Dump, Ended, Fault, Format, Program, Running, Sizes, SourceError},
};
use lifeboat_store::{Key, Memory, Store};
use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// A command on this machine. `meanwhile` is run when its first bytes are there.
#[derive(Debug)]
struct Here {
    command: Mutex<Command>,
    meanwhile: Option<Mutex<Command>>,
}

struct Process {
    child: Child,
    stdout: ChildStdout,
    meanwhile: Option<Command>,
}

fn failed(fault: Fault, detail: impl ToString) -> SourceError {
    SourceError::Dump {
        what: "pg_dump".to_owned(),
        fault,
        detail: detail.to_string(),
    }
}

/// The same command once more.
fn again(command: &Mutex<Command>) -> Command {
    let command = command.lock().unwrap();
    let mut again = Command::new(command.get_program());
    again.args(command.get_args());
    again.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    again
}

impl Program for Here {
    fn what(&self) -> String {
        "pg_dump".to_owned()
    }

    fn start(&self, _: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        let mut command = again(&self.command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| failed(Fault::ToolMissing, e))?;
        let stdout = child.stdout.take().unwrap();
        Ok(Box::new(Process {
            child,
            stdout,
            meanwhile: self.meanwhile.as_ref().map(again),
        }))
    }
}

impl Running for Process {
    fn read(&mut self, out: &mut Vec<u8>, limit: usize, _: &Cancel) -> Result<bool, SourceError> {
        let before = out.len();
        out.resize(before + limit.min(64 << 10), 0);
        let read = self.stdout.read(&mut out[before..]);
        let size = read.map_err(|e| failed(Fault::StreamLost, e))?;
        out.truncate(before + size);
        if let Some(mut meanwhile) = self.meanwhile.take() {
            output(&mut meanwhile);
        }
        Ok(size > 0)
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        drop(self.stdout);
        let ended = self.child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        match ended.status.success() {
            true => Ok(Ended {
                stderr,
                ..Ended::default()
            }),
            false => Err(failed(Fault::ToolExit, stderr)),
        }
    }
}

/// Seals what the command writes into a file.
fn save(
    command: Command,
    meanwhile: Option<Command>,
    format: Format,
    to: &Path,
) -> Result<Sealed, SealError> {
    let dump = Dump {
        name: "db.shop".to_owned(),
        kind: "postgres".to_owned(),
        ending: "dump".to_owned(),
        format,
        program: Box::new(Here {
            command: Mutex::new(command),
            meanwhile: meanwhile.map(Mutex::new),
        }),
        before: Sizes::default(),
        accept_smaller: false,
        facts: serde_json::Map::new(),
    };
    let recipe = Recipe {
        compression: Compression::Zstd,
        level: 3,
        threads: 2,
        seal: keys::Seal::Open,
    };
    let store = Memory::new();
    let key = Key::new("daily/dump").unwrap();
    let upload = store.begin(&key).unwrap();
    let sealed = seal::seal(&dump, &recipe, upload, &Cancel::default(), &())?;
    let mut bytes = Vec::new();
    store.open(&key).unwrap().read_to_end(&mut bytes).unwrap();
    fs::write(to, bytes).unwrap();
    Ok(sealed)
}

fn shop() -> Option<Server> {
    let server = Server::start()?;
    server.sql("postgres", "create database shop");
    server.sql(
        "shop",
        "create table orders as select n, repeat(md5(n::text), 20) as what from generate_series(1, 10000) n",
    );
    Some(server)
}

fn pg_dump(server: &Server, arguments: &[&str]) -> Command {
    let mut command = server.command("pg_dump");
    command.args(arguments).arg("shop");
    command
}

const DIGEST: &str = "select count(*), md5(string_agg(what, ',' order by n)) from orders";

#[test]
fn a_saved_dump_comes_back_with_stock_tools() {
    let Some(server) = shop() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.zst");
    let digest = |database| server.run("psql", &["-Atd", database, "-c", DIGEST]);
    for (arguments, format, restore) in [
        (
            &["-Fc", "-Z0"][..],
            Format::PostgresCustom,
            "zstd -dc \"$1\" | pg_restore -d back",
        ),
        (
            &[],
            Format::PostgresSql,
            "zstd -dc \"$1\" | psql -v ON_ERROR_STOP=1 -d back",
        ),
    ] {
        let sealed = save(pg_dump(&server, arguments), None, format, &file).unwrap();
        assert!(sealed.plain_size() > 6_000_000 && sealed.warnings().is_empty());
        server.sql("postgres", "drop database if exists back");
        server.sql("postgres", "create database back");
        let mut shell = server.command("/bin/bash");
        let line = format!("set -o pipefail; {restore}");
        output(shell.args(["-c", &line, "bash"]).arg(&file));
        assert_eq!(digest("back"), digest("shop"), "{format:?}");
    }
}

#[test]
fn roles_come_back_with_stock_tools() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql("postgres", "create role shopkeeper login");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.zst");
    let mut globals = server.command("pg_dumpall");
    globals.arg("--globals-only");
    save(globals, None, Format::PostgresSql, &file).unwrap();
    server.sql("postgres", "drop role shopkeeper");
    let mut shell = server.command("/bin/bash");
    let line = "set -o pipefail; zstd -dc \"$1\" | psql -d postgres";
    output(shell.args(["-c", line, "bash"]).arg(&file));
    server.sql("postgres", "alter role shopkeeper nologin");
}

#[test]
fn a_session_that_the_server_ends_in_the_middle_is_no_dump() {
    let Some(server) = shop() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.zst");
    for (arguments, format) in [
        (&["-Fc", "-Z0"][..], Format::PostgresCustom),
        (&[], Format::PostgresSql),
    ] {
        let mut end_it = server.command("psql");
        end_it.args(["-Atd", "postgres", "-c"]).arg(
            "select 1 / count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pg_dump'",
        );
        let ended = save(pg_dump(&server, arguments), Some(end_it), format, &file);
        let Err(SealError::Source(error)) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(error.code(), Some("tool_exit"), "{error}");
        assert!(error.may_pass() && !file.exists());
    }
}

#[test]
fn a_database_that_is_not_there_leaves_nothing() {
    let Some(server) = Server::start() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("saved.zst");
    let ended = save(
        pg_dump(&server, &["-Fc"]),
        None,
        Format::PostgresCustom,
        &file,
    );
    let Err(SealError::Source(error)) = ended else {
        panic!("{ended:?}");
    };
    assert!(
        error.to_string().contains("\"shop\" does not exist"),
        "{error}"
    );
    assert!(!file.exists());
}
