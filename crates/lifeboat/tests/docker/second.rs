//! A second engine that a test may kill.
//!
//! It lives in namespaces of its own: its network, because an engine without a bridge removes that of every
//! other one in the same network; its processes and mounts, so that nothing of it outlives the test.

use crate::project::{BUSYBOX, project, until};
use lifeboat::docker::{Engine, Place};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

pub(crate) struct Second {
    dir: tempfile::TempDir,
    /// Holds the namespaces; when it dies everything in them does.
    inside: Child,
    daemon: Mutex<Child>,
    live_restore: bool,
    cgroup: String,
}

/// Says what is missing.
pub(crate) fn second(live_restore: bool) -> Option<Second> {
    let name = project(&[BUSYBOX])?.name.clone();
    let skip = |why: &str| println!("SKIP what a dying engine does: {why}");
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        skip("only root may start a second one");
        return None;
    }
    if Command::new("dockerd").arg("--version").output().is_err() {
        skip("dockerd is not on this machine");
        return None;
    }
    let wait = "echo ready; trap : CHLD; while :; do sleep 1000; done";
    let apart = ["--net", "--pid", "--mount", "--fork", "--kill-child"];
    let mut inside = Command::new("unshare")
        .args(apart)
        .args(["--mount-proc", "sh", "-c", wait])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let told = BufReader::new(inside.stdout.take().unwrap()).read_line(&mut line);
    if told.is_err() || line != "ready\n" {
        inside.wait().unwrap();
        skip("namespaces cannot be made here (unshare)");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("daemon.json"), "{}").unwrap();
    let daemon = Mutex::new(daemon(&inside, dir.path(), live_restore, &name));
    let second = Second {
        dir,
        inside,
        daemon,
        live_restore,
        cgroup: name,
    };
    second.wait_until_up();
    second.load(BUSYBOX);
    Some(second)
}

fn within(inside: &Child, program: &str) -> Command {
    let space = |option: &str, name: &str| format!("--{option}=/proc/{}/ns/{name}", inside.id());
    let mut command = Command::new("nsenter");
    command.args([
        space("net", "net"),
        space("mount", "mnt"),
        space("pid", "pid_for_children"),
    ]);
    command.arg(program);
    command
}

fn daemon(inside: &Child, dir: &Path, live_restore: bool, cgroup: &str) -> Child {
    let at = |name: &str| dir.join(name).display().to_string();
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(at("log"))
        .unwrap();
    let mut command = within(inside, "dockerd");
    command.args(["--config-file", &at("daemon.json")]);
    command.args(["--data-root", &at("data"), "--exec-root", &at("exec")]);
    command.args(["--pidfile", &at("pid"), "--cgroup-parent", cgroup]);
    command.args(["-H", &format!("unix://{}", at("docker.sock"))]);
    command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
    command.args(live_restore.then_some("--live-restore"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(log).spawn().unwrap()
}

impl Second {
    pub(crate) fn engine(&self) -> Engine {
        Engine::connect(Place::Unix(self.socket())).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn cli(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &format!("unix://{}", self.socket().display())]);
        command
    }

    pub(crate) fn docker(&self, words: &[&str]) -> String {
        let output = self.cli().args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {words:?}: {said}");
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// A service of `project`.
    pub(crate) fn start(
        &self,
        project: &str,
        service: &str,
        options: &[&str],
        line: &str,
    ) -> String {
        let project = format!("com.docker.compose.project={project}");
        let service = format!("com.docker.compose.service={service}");
        let mut words = vec!["run", "-d", "--network", "none"];
        words.extend(["--label", "lifeboat-test=1"]);
        words.extend(["--label", &project, "--label", &service]);
        words.extend(options);
        words.extend([BUSYBOX, "sh", "-c", line]);
        self.docker(&words)
    }

    /// Sends a signal to the engine, and returns when it is gone.
    pub(crate) fn kill(&self, signal: &str) {
        let pid = fs::read_to_string(self.dir.path().join("pid")).unwrap();
        let killed = within(&self.inside, "kill")
            .args(["-s", signal, pid.trim()])
            .status();
        assert!(killed.unwrap().success());
        self.daemon.lock().unwrap().wait().unwrap();
    }

    pub(crate) fn start_again(&self) {
        let again = daemon(
            &self.inside,
            self.dir.path(),
            self.live_restore,
            &self.cgroup,
        );
        *self.daemon.lock().unwrap() = again;
        self.wait_until_up();
    }

    fn wait_until_up(&self) {
        let mut version = self.cli();
        version.arg("version");
        until("the second engine is up", || {
            if let Some(status) = self.daemon.lock().unwrap().try_wait().unwrap() {
                let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                panic!("the second engine ended with {status}: {log}");
            }
            version.output().unwrap().status.success()
        });
    }

    fn load(&self, image: &str) {
        let mut save = Command::new("docker")
            .args(["save", image])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let loaded = self
            .cli()
            .arg("load")
            .stdin(save.stdout.take().unwrap())
            .output();
        assert!(loaded.unwrap().status.success() && save.wait().unwrap().success());
    }

    /// Of what is frozen nothing can be killed.
    fn thaw(&self) {
        let frozen = Path::new("/sys/fs/cgroup/freezer").join(&self.cgroup);
        for entry in fs::read_dir(frozen).into_iter().flatten().flatten() {
            let _ = fs::write(entry.path().join("freezer.state"), "THAWED");
        }
    }

    /// The last processes may need a moment to be gone. Not longer than that: what stays is empty, and costs
    /// nobody anything.
    fn remove_cgroups(&self) {
        let begun = Instant::now();
        while !self.cgroups_are_gone() && begun.elapsed() < Duration::from_secs(10) {
            thread::yield_now();
        }
    }

    fn cgroups_are_gone(&self) -> bool {
        let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let gone = controllers.flatten().map(|controller| {
            let ours = controller.path().join(&self.cgroup);
            for entry in fs::read_dir(&ours).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            let _ = fs::remove_dir(&ours);
            !ours.exists()
        });
        // Of all of them, not only up to the first that stays.
        gone.filter(|gone| !gone).count() == 0
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.thaw();
        let _ = self.inside.kill();
        let _ = self.inside.wait();
        if let Ok(daemon) = self.daemon.get_mut() {
            let _ = daemon.wait();
        }
        self.remove_cgroups();
    }
}
