//! A project with a store, and the program run on it in every unkind way.

use lifeboat_testkit::mount::fast_dir;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// After this long anything hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    root: TempDir,
    store: PathBuf,
    settings: BTreeMap<String, String>,
}

impl World {
    /// Two small sources, no encryption; the store is not there yet.
    pub(crate) fn new() -> Self {
        let root = fast_dir().unwrap();
        let store = root.path().join("backups");
        let world = World {
            root,
            store,
            settings: BTreeMap::new(),
        };
        world.write("notes/a.txt", "first\n");
        world.write("notes/deep/er/b.txt", "second\n");
        world.write("photos/cat.jpg", "meow".repeat(10_000));
        world
    }

    /// With five backups of the last weeks, such that one more fills a weekly slot and drops an old one.
    pub(crate) fn with_history() -> Self {
        let world = World::new()
            .with("BACKUP_MAX_COUNT", "3")
            .with("BACKUP_KEEP_MIN", "2");
        for days in [35, 28, 21, 14, 7] {
            world.write("notes/a.txt", format!("{days} days ago\n"));
            let mut command = world.command(&["backup"]);
            world.shift_clock(&mut command, &format!("-{days}d"));
            world.finish(command).expect(0);
        }
        world.write("notes/a.txt", "today\n");
        world
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// The same project with its store elsewhere.
    pub(crate) fn store_at(mut self, store: impl Into<PathBuf>) -> Self {
        self.store = store.into();
        self
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// A file of a source.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.under(&[], arguments)
    }

    /// With `before` in front: strace, a shell with limits.
    pub(crate) fn under(&self, before: &[&str], arguments: &[&str]) -> Command {
        let lifeboat = [env!("CARGO_BIN_EXE_lifeboat")];
        let mut words = before.iter().chain(&lifeboat).chain(arguments);
        let mut command = Command::new(words.next().expect("at least the program itself"));
        command
            .args(words)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("BACKUP_NAME", "shop")
            .env("BACKUP_SOURCES_DIR", self.path("data"))
            .env("BACKUP_DIR", &self.store)
            .env("BACKUP_LOG", "warn")
            .env("TMPDIR", self.root.path())
            .envs(&self.settings)
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        command
    }

    /// As for faketime: `-1h`, `+365d`, `@1970-01-02 03:04:05`.
    pub(crate) fn shift_clock(&self, command: &mut Command, by: &str) {
        command
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME", by)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.finish(self.command(arguments))
    }

    #[track_caller]
    pub(crate) fn run_under(&self, before: &[&str], arguments: &[&str]) -> Ended {
        self.finish(self.under(before, arguments))
    }

    /// Runs it to its end, and fails when it has none.
    #[track_caller]
    pub(crate) fn finish(&self, mut command: Command) -> Ended {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Ended::within(PATIENCE, child)
    }

    /// A good backup; its id.
    #[track_caller]
    pub(crate) fn back_up(&self) -> String {
        self.run(&["backup"]).expect(0).last_line()
    }

    /// What `list` shows: each id, and whether it is called good.
    #[track_caller]
    pub(crate) fn listed(&self) -> BTreeMap<String, bool> {
        let ended = self.run(&["list", "--json"]);
        if ended.code() == Some(10) {
            return BTreeMap::new();
        }
        let answer = ended.expect(0).json();
        let backups = answer["backups"].as_array().unwrap();
        let line = |backup: &Value| {
            let id = backup["id"].as_str().unwrap().to_owned();
            (id, backup["good"].as_bool().unwrap())
        };
        backups.iter().map(line).collect()
    }

    #[track_caller]
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.listed().into_keys().collect()
    }

    /// Whatever can be seen is whole to its last byte; its ids.
    #[track_caller]
    pub(crate) fn all_whole(&self) -> BTreeSet<String> {
        let ids = self.ids();
        if !ids.is_empty() {
            let answer = self
                .run(&["verify", "--all", "--deep", "--json"])
                .expect(0)
                .json();
            assert_eq!(answer["ok"], true);
            assert_eq!(answer["backups"].as_array().unwrap().len(), ids.len());
        }
        ids
    }

    /// Nothing of a run that is over: no journal entry, no work in progress, no file without a backup.
    #[track_caller]
    pub(crate) fn is_clean(&self) {
        for folder in ["journal", "work", "dropped", "scratch"] {
            let path = self.store.join(".lifeboat").join(folder);
            let left: Vec<_> = fs::read_dir(path)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path())
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let swept = self.run(&["sweep", "--dry-run"]);
        let nothing = "There was nothing to sweep.\n";
        assert_eq!(swept.expect(0).stdout(), nothing);
    }

    /// A store of its own with the same content, hard links and all.
    pub(crate) fn copy_store(&self, name: &str) -> PathBuf {
        let to = self.path(name);
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([&self.store, &to])
            .status();
        assert!(copied.unwrap().success());
        to
    }

    /// The bytes of every file of these backups.
    pub(crate) fn bytes_of(&self, ids: &BTreeSet<String>) -> BTreeMap<PathBuf, Vec<u8>> {
        files(&self.store)
            .into_iter()
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                let id = name.split('.').next().unwrap();
                path.parent() != Some(Path::new(".lifeboat")) && ids.contains(id)
            })
            .map(|path| {
                let bytes = fs::read(self.store.join(&path)).unwrap();
                (path, bytes)
            })
            .collect()
    }
}

pub(crate) const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Whether the clock can be moved here; says so when not.
pub(crate) fn can_fake_time() -> bool {
    let can = Path::new(FAKETIME).exists();
    if !can {
        println!("SKIP the clock is moved under the running daemon: no libfaketime here");
    }
    can
}

/// Names relative to `root`, without folders.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                walk(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

#[derive(Debug)]
pub(crate) struct Ended(Output);

impl Ended {
    #[track_caller]
    pub(crate) fn within(patience: Duration, child: std::process::Child) -> Self {
        let pid = rustix::process::Pid::from_child(&child);
        let (done, hears) = std::sync::mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let hangs = hears.recv_timeout(patience).is_err();
            if hangs {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            hangs
        });
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        let _ = done.send(());
        let ended = Ended(output);
        assert!(
            !watch.join().unwrap(),
            "it hangs: {:?}\n{ended}",
            begun.elapsed()
        );
        ended
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.0.status.signal() == Some(9) || self.code() == Some(137)
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub(crate) fn last_line(&self) -> String {
        self.stdout().lines().last().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// It ends with what happened and what to do; returns both.
    #[track_caller]
    #[allow(dead_code)]
    pub(crate) fn two_lines(&self) -> (String, String) {
        let stderr = self.stderr();
        let hint = stderr.lines().last().unwrap_or_default();
        let what = stderr
            .lines()
            .rev()
            .find(|line| line.starts_with("lifeboat: "));
        assert!(hint.starts_with("hint: "), "{self}");
        let what = what.unwrap_or_else(|| panic!("{self}"));
        (what.to_owned(), hint.to_owned())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (status, stdout, stderr) = (self.0.status, self.stdout(), self.stderr());
        write!(f, "{status}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// Repeatable dice.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below `n`.
    pub(crate) fn throw(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
