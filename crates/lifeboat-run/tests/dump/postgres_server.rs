//! A PostgreSQL server of a test's own: no network, no lasting files, gone with the test.

use crate::kit::output;
use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Server {
    programs: PathBuf,
    dir: tempfile::TempDir,
    process: Child,
}

/// The server refuses to run as root: it runs as nobody.
const NOBODY: u32 = 65534;

impl Server {
    /// `None`, said aloud, where there is no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("SKIP PostgreSQL: there is no server on this machine");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        if is_root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = dir.path().join("data");
        output(
            as_nobody(&programs.join("initdb"))
                .arg("-D")
                .arg(&data)
                .args([
                    "--no-sync",
                    "-A",
                    "trust",
                    "-U",
                    "postgres",
                    "-E",
                    "UTF8",
                    "--locale=C",
                ]),
        );
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let process = as_nobody(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .args(["-c", "listen_addresses=", "-F"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Server {
            programs,
            dir,
            process,
        };
        server.wait();
        Some(server)
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        let ready = |server: &Self| {
            let mut psql = server.command("psql");
            psql.args(["-qc", "select 1", "postgres"])
                .output()
                .unwrap()
                .status
                .success()
        };
        while !ready(self) {
            let ended = self.process.try_wait().unwrap();
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(ended.is_none(), "the server has ended: {}", log());
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", log());
        }
    }

    /// A program of PostgreSQL's, connected to this server.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("PGHOST", self.dir.path())
            .env("PGUSER", "postgres");
        command
    }

    pub(crate) fn sql(&self, database: &str, sql: &str) {
        let mut psql = self.command("psql");
        output(psql.args(["-qv", "ON_ERROR_STOP=1", "-d", database, "-c", sql]));
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        output(self.command(program).args(arguments))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The newest one's.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.flatten().map(|version| version.path().join("bin"));
    programs.filter(|bin| bin.join("initdb").exists()).max()
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")) == b"0\n"
}

/// Ends when this test ends, also when it is killed.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    command.arg(program);
    command
}
