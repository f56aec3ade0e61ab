//! A project in a temporary folder, and the program that is run on it.

use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

pub(crate) struct Project {
    root: TempDir,
    settings: Vec<(String, String)>,
}

impl Project {
    /// Two sources, `notes` and `photos`; no encryption, a signing key.
    pub(crate) fn new() -> Self {
        let project = Project {
            root: tempfile::tempdir().unwrap(),
            settings: Vec::new(),
        };
        project.write("notes/a.txt", "first\n");
        project.write("notes/deep/er/b.txt", "second\n");
        project.write("photos/cat.jpg", "meow".repeat(10_000));
        project.with("BACKUP_SIGNING_KEY", "a key for signing, long enough")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("backups")
    }

    /// A file of a source.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.data().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(arguments)
            .env_clear()
            .env("BACKUP_NAME", "shop")
            .env("BACKUP_SOURCES_DIR", self.data())
            .env("BACKUP_DIR", self.store())
            .env("BACKUP_SCHEDULE", "0 2 * * *")
            .env("BACKUP_LOG", "info")
            .env("TMPDIR", self.root.path())
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended(self.command(arguments).output().unwrap())
    }

    /// With a person who types `answer`.
    pub(crate) fn run_with(&self, arguments: &[&str], answer: &str) -> Ended {
        let mut child = self.spawn(self.command(arguments).stdin(Stdio::piped()));
        // A program that does not ask may be gone already.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        Ended(child.wait_with_output().unwrap())
    }

    /// In a name space of mounts of its own, after `mounts` was done there.
    pub(crate) fn run_in_mounts(&self, mounts: &str, arguments: &[&str]) -> Ended {
        let line = format!("{mounts} && exec \"$@\"");
        let program = self.command(arguments);
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-ec", &line, "sh"])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(
                program
                    .get_envs()
                    .map(|(name, value)| (name, value.unwrap_or_default())),
            )
            .current_dir(self.root.path())
            .stdin(Stdio::null());
        let ended = Ended(command.output().unwrap());
        let allowed = !ended.stderr().contains("unshare failed");
        assert!(
            allowed,
            "SKIPPED LOUDLY: no mounts on this machine: {}",
            ended.stderr()
        );
        ended
    }

    pub(crate) fn spawn(&self, command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// A good backup; its id.
    pub(crate) fn back_up(&self) -> String {
        let ended = self.run(&["backup"]);
        ended.expect(0);
        ended.last_line()
    }

    /// The files of a tier's folder whose names end so.
    pub(crate) fn stored(&self, tier: &str, ending: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.store().join(tier)) else {
            return Vec::new();
        };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_string_lossy().ends_with(ending));
        paths.sort();
        paths
    }

    /// Flips one bit in the middle of the archive of `source`.
    pub(crate) fn damage(&self, source: &str) -> PathBuf {
        let ending = format!(".{source}.tar.zst");
        let path = self.stored("daily", &ending).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(&path, bytes).unwrap();
        path
    }
}

pub(crate) struct Ended(Output);

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Ended(output)
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(
            self.0.status.code(),
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// `None` when a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.stdout
    }

    pub(crate) fn last_line(&self) -> String {
        self.stdout().lines().last().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout())
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout(), self.stderr()))
    }

    /// The two lines with which a run ends that failed, word for word.
    #[track_caller]
    pub(crate) fn says(&self, lines: &str) -> &Self {
        assert!(
            self.stderr().ends_with(&format!("{lines}\n")),
            "stderr:\n{}\nexpected at its end:\n{lines}",
            self.stderr()
        );
        self
    }
}

/// Everything of a store that is a backup or speaks of one: not the leases and locks of whoever looks.
pub(crate) fn backups(store: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = tree(store);
    files.retain(|(name, _)| !name.starts_with(".lifeboat"));
    files
}

/// All files below a folder, by name.
pub(crate) fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files.sort();
    files
}
