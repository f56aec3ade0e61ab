//! Live databases for the capture's tests: written by other processes, as in life.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "each test file uses its part"
)]

use lifeboat_run::{
    Cancel,
    source::sqlite::{Capture, CapturedDb, Check, SqliteError},
};
use rusqlite::Connection;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, BufRead, BufReader, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A database of some pages, with a few of them free again.
pub const FILL: &str = "
db.execute('create table t(n integer primary key, word text unique, b blob)')
db.execute('begin')
for n in range(300): db.execute('insert into t values (?, ?, randomblob(3000))', (n, 'wörd %d' % n))
db.execute('delete from t where n % 3 = 0')
db.execute('commit')
db.execute('create view v as select word from t')
db.execute('drop view v')
";

/// A source folder with a scratch folder beside it.
pub struct Bench {
    dir: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        fs::create_dir(dir.path().join("scratch")).unwrap();
        Bench { dir }
    }

    pub fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    pub fn db(&self) -> PathBuf {
        self.source().join("shop.sqlite3")
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub fn try_capture(&self, live: &Path, patience: Duration) -> Result<CapturedDb, SqliteError> {
        let captured = Capture {
            scratch: &self.scratch(),
            patience,
            cancel: &Cancel::default(),
        }
        .take(live);
        let left: Vec<_> = self.scratch().read_dir().unwrap().collect();
        assert!(left.is_empty(), "left in scratch: {left:?}");
        captured
    }

    pub fn capture(&self, live: &Path) -> CapturedDb {
        self.try_capture(live, Duration::from_secs(30)).unwrap()
    }

    /// A capture that must leave the source as it is, to the last byte, owner and time.
    pub fn capture_untouched(&self, live: &Path) -> CapturedDb {
        let before = traces(&self.source());
        let captured = self.capture(live);
        assert_eq!(before, traces(&self.source()));
        captured
    }

    /// Puts a copy where SQLite can open it, without any companion.
    pub fn restore(&self, captured: &CapturedDb) -> Connection {
        let path = self.folder("restored").join("db");
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes(captured)).unwrap();
        Connection::open(path).unwrap()
    }
}

pub fn bytes(captured: &CapturedDb) -> Vec<u8> {
    let mut file: &File = &captured.file;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, captured.size);
    bytes
}

/// Everything of a folder that a visitor could have changed.
pub fn traces(folder: &Path) -> Vec<String> {
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.push(folder.to_owned());
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let m = path.symlink_metadata().unwrap();
            let hash = if m.is_file() {
                xxhash_rust::xxh3::xxh3_128(&fs::read(path).unwrap())
            } else {
                0
            };
            format!(
                "{path:?} {hash:x} ino={} mode={:o} owner={}:{} size={} mtime={}.{} ctime={}.{}",
                m.ino(),
                m.mode(),
                m.uid(),
                m.gid(),
                m.size(),
                m.mtime(),
                m.mtime_nsec(),
                m.ctime(),
                m.ctime_nsec()
            )
        })
        .collect()
}

/// Python with a database: `say(word)` tells us, `wait()` waits for a line from us, `die()` is a
/// `kill -9`.
pub struct Python {
    child: Child,
    to: ChildStdin,
    from: Option<BufReader<std::process::ChildStdout>>,
}

const PRELUDE: &str = "
import os, signal, sqlite3, sys
path = os.fsencode(sys.argv[1])
def say(word): print(word, flush=True)
def wait(): return sys.stdin.readline()
def die(): os.kill(os.getpid(), signal.SIGKILL)
def connect(path=path): return sqlite3.connect(path, timeout=60, isolation_level=None)
db = connect()
";

impl Python {
    pub fn start(db: &Path, script: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", &format!("{PRELUDE}{script}")])
            .arg(db)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for these tests");
        Python {
            to: child.stdin.take().unwrap(),
            from: child.stdout.take().map(BufReader::new),
            child,
        }
    }

    /// Runs a script to its end, be it violent.
    pub fn run(db: &Path, script: &str) {
        let mut python = Python::start(db, script);
        let mut from = python.from.take().unwrap();
        io::copy(&mut from, &mut io::sink()).unwrap();
        python.child.wait().unwrap();
    }

    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        let from = self.from.as_mut().unwrap();
        from.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "python ended early");
        line.trim_end().to_owned()
    }

    pub fn tell(&mut self) {
        self.to.write_all(b"\n").unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that moves money between two tables as fast as it can and says each transaction's number
/// once it is committed.
pub struct Bank {
    python: Python,
    acknowledged: Arc<AtomicU64>,
    longest_wait: Arc<AtomicU64>,
}

pub const MONEY: i64 = 100_000;

const BANK: &str = "
import random
mode, pad = MODE, PAD
db.execute('pragma journal_mode = ' + mode)
db.execute('pragma synchronous = off')
db.executescript('''
begin;
create table debit(id integer primary key, n integer);
create table credit(id integer primary key, n integer);
create table log(seq integer primary key, note blob);
create index log_note on log(note);
with recursive i(x) as (select 1 union all select x + 1 from i where x < 100)
insert into debit select x, 1000 from i;
insert into credit select id, 0 from debit;
create table ballast(b blob);
commit;
''')
for _ in range(pad): db.execute('insert into ballast values (randomblob(1048576))')
seq = 0
while True:
    seq += 1
    n = random.randrange(1, 9)
    db.execute('begin immediate')
    db.execute('update debit set n = n - ? where id = ?', (n, random.randrange(1, 101)))
    db.execute('insert into log values (?, randomblob(200))', (seq,))
    db.execute('delete from log where seq <= ?', (seq - 500,))
    db.execute('update credit set n = n + ? where id = ?', (n, random.randrange(1, 101)))
    db.execute('commit')
    say(seq)
";

impl Bank {
    /// `ballast` in MiB.
    pub fn open(db: &Path, journal_mode: &str, ballast: u32) -> Self {
        let script = BANK
            .replace("MODE", &format!("{journal_mode:?}"))
            .replace("PAD", &ballast.to_string());
        let mut python = Python::start(db, &script);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let from = python.from.take().unwrap();
        let longest_wait = Arc::new(AtomicU64::new(0));
        let (last, longest) = (acknowledged.clone(), longest_wait.clone());
        thread::spawn(move || {
            let mut heard: Option<Instant> = None;
            for line in from.lines().map_while(Result::ok) {
                if let Some(heard) = heard.replace(Instant::now()) {
                    longest.fetch_max(heard.elapsed().as_millis() as u64, Ordering::SeqCst);
                }
                last.store(line.parse().unwrap(), Ordering::SeqCst);
            }
        });
        let bank = Bank {
            python,
            acknowledged,
            longest_wait,
        };
        bank.wait_beyond(0);
        bank
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Between two transactions.
    pub fn longest_wait(&self) -> Duration {
        Duration::from_millis(self.longest_wait.load(Ordering::SeqCst))
    }

    /// Until one more transaction is through: no lock of ours is left.
    pub fn wait_beyond(&self, seq: u64) {
        let since = Instant::now();
        while self.acknowledged() <= seq {
            assert!(since.elapsed().as_secs() < 120, "the bank stands still");
            thread::yield_now();
        }
    }

    pub fn close(self) {
        self.python.kill();
    }
}

/// What is wrong with a copy of the bank: nothing, one hopes.
pub fn audit(copy: &Connection, at_least: u64) -> Result<(), String> {
    let one = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let money = one("select (select sum(n) from debit) + (select sum(n) from credit)");
    let last = one("select max(seq) from log");
    let gaps = one("select max(seq) - min(seq) + 1 - count(*) from log");
    let check: String = copy
        .query_row("pragma integrity_check", [], |row| row.get(0))
        .unwrap();
    match () {
        _ if check != "ok" => Err(check),
        _ if money != MONEY => Err(format!("money {money}")),
        _ if gaps != 0 => Err(format!("{gaps} transactions missing")),
        _ if (last as u64) < at_least => Err(format!("{last} there, {at_least} acknowledged")),
        _ => Ok(()),
    }
}

pub fn assert_passed(captured: &CapturedDb) {
    assert_eq!(captured.check, Check::Passed);
}

/// A mount that goes away with its guard; `None`, loudly, where we may not mount.
pub struct Mount(PathBuf);

impl Mount {
    pub fn bind(from: &Path, to: &Path) -> Option<Self> {
        Self::new(&["--bind".as_ref(), from.as_os_str(), to.as_os_str()], to)
    }

    pub fn bind_read_only(from: &Path, to: &Path) -> Option<Self> {
        let mount = Self::bind(from, to)?;
        run_mount(&["-o".as_ref(), "remount,ro,bind".as_ref(), to.as_os_str()]).then_some(mount)
    }

    pub fn tmpfs(to: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let words = ["-t", "tmpfs", "-o", &options, "tmpfs"].map(OsStr::new);
        Self::new(&[&words[..], &[to.as_os_str()]].concat(), to)
    }

    fn new(words: &[&OsStr], to: &Path) -> Option<Self> {
        if run_mount(words) {
            return Some(Mount(to.to_owned()));
        }
        println!("SKIPPED: this test needs the right to mount");
        None
    }
}

fn run_mount(words: &[&OsStr]) -> bool {
    Command::new("mount")
        .args(words)
        .status()
        .is_ok_and(|status| status.success())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
