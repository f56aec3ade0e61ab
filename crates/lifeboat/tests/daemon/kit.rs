//! A project in a folder, and a daemon over it.

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = World {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(world.data().join("storage")).unwrap();
        fs::write(world.data().join("storage/a.txt"), "alpha").unwrap();
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("backups")
    }

    /// What no compressor makes small, so that a run takes its time.
    pub(crate) fn fill(&self, file: &str, size: usize) {
        fs::write(self.data().join(file), lifeboat_testkit::noise(size, 1)).unwrap();
    }

    /// What the state folder knows of earlier runs.
    pub(crate) fn remember(&self, runs: serde_json::Value) {
        let state = self.store().join(".lifeboat");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("runs.json"), runs.to_string()).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(arguments)
            .env_clear()
            .env("BACKUP_NAME", "shop")
            .env("BACKUP_SOURCES_DIR", self.data())
            .env("BACKUP_DIR", self.store())
            .env("BACKUP_HTTP_ADDR", "127.0.0.1:0")
            .env("TZ", "UTC");
        command
    }

    pub(crate) fn lifeboat(&self, arguments: &[&str]) -> ExitStatus {
        self.command(arguments)
            .stdout(Stdio::null())
            .status()
            .unwrap()
    }

    /// Manifests in the daily tier.
    pub(crate) fn backups(&self) -> Vec<String> {
        self.objects()
            .into_iter()
            .filter(|name| name.ends_with(".json"))
            .collect()
    }

    /// Everything in the daily tier.
    pub(crate) fn objects(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.store().join("daily")) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

pub(crate) fn days_ago(days: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now() - chrono::TimeDelta::days(days)
}

pub(crate) struct Daemon {
    child: Child,
    log: Arc<(Mutex<String>, Condvar)>,
}

impl Daemon {
    pub(crate) fn start(world: &World, settings: &[(&str, &str)]) -> Self {
        Self::start_with(world, &[], settings)
    }

    /// Started once it listens.
    pub(crate) fn start_with(world: &World, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = world.command(arguments);
        command
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                heard.0.lock().unwrap().push_str(&(line + "\n"));
                heard.1.notify_all();
            }
        });
        let daemon = Daemon { child, log };
        daemon.wait_for_log("listening");
        daemon
    }

    pub(crate) fn log(&self) -> String {
        self.log.0.lock().unwrap().clone()
    }

    pub(crate) fn wait_for_log(&self, words: &str) {
        let (log, changed) = &*self.log;
        let guard = log.lock().unwrap();
        let (guard, waited) = changed
            .wait_timeout_while(guard, PATIENCE, |log| !log.contains(words))
            .unwrap();
        assert!(!waited.timed_out(), "no {words:?} in\n{guard}");
    }

    pub(crate) fn wait_for_metric(&self, line: &str) {
        let begun = Instant::now();
        loop {
            let (_, page) = self.get("/metrics");
            if page.contains(line) {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "no {line:?} in\n{page}\n{}",
                self.log()
            );
            thread::yield_now();
        }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, "")
    }

    pub(crate) fn get_with(&self, path: &str, headers: &str) -> (u16, String) {
        let mut stream = self.connect();
        // In one piece: who is refused in the middle of his question may be hung up on before its end.
        let question =
            format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n");
        let asked = stream.write_all(question.as_bytes());
        let mut answer = Vec::new();
        let heard = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(!answer.is_empty(), "{asked:?}, {heard:?}");
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    /// Opens a connection and stops in the middle of the question.
    pub(crate) fn half_a_request(&self) -> TcpStream {
        let mut stream = self.connect();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: ")
            .unwrap();
        stream
    }

    /// How many files and folders below `path` it has open.
    pub(crate) fn open_below(&self, path: &Path) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        files
            .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
            .filter(|file| file.starts_with(path))
            .count()
    }

    pub(crate) fn allow_files(&self, count: u64) {
        let pid = Some(Pid::from_child(&self.child));
        let limit = Rlimit {
            current: Some(count),
            maximum: Some(count),
        };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, and how long that took.
    pub(crate) fn stop(&mut self, signal: Signal) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status.code(), begun.elapsed())
    }

    fn connect(&self) -> TcpStream {
        let log = self.log();
        let after = log.split("addr=").nth(1).expect("it listens");
        let addr: String = after.chars().take_while(|c| !c.is_whitespace()).collect();
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
