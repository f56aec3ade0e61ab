//! A project of containers as Compose would make it, which is gone when the test is over.

use lifeboat::docker::{Container, Engine, Place, State};
use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

pub(crate) const SOCKET: &str = "/var/run/docker.sock";
pub(crate) const BUSYBOX: &str = "lifeboat-bed/busybox:1";

/// Ends at once when it is asked to.
pub(crate) const IDLE: [&str; 3] = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; while :; do sleep 1 & wait; done",
];

/// Everything in it bears its name, and goes with it.
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) engine: Engine,
}

/// The engine and the images that a test needs; says what is missing.
pub(crate) fn project(images: &[&str]) -> Option<Project> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);

    let engine = match Engine::connect(Place::Unix(SOCKET.into())) {
        Ok(engine) => engine,
        Err(error) => {
            println!("SKIP what is asked of an engine: {error}");
            return None;
        }
    };
    for image in images {
        if let Err(error) = engine.image(image) {
            println!(
                "SKIP what needs the image {image} (docker/test-bed/build.sh makes it): {error}"
            );
            return None;
        }
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(Project {
        name: format!("lbt{}x{number}", std::process::id()),
        engine,
    })
}

impl Project {
    /// Starts a service: `options` are those of `docker run`, then come the image and its command.
    pub(crate) fn start(&self, service: &str, options: &[&str], image: &[&str]) -> String {
        self.run("run", &["-d"], service, options, image)
    }

    /// Makes its container, and does not start it.
    pub(crate) fn create(&self, service: &str, options: &[&str], image: &[&str]) -> String {
        self.run("create", &[], service, options, image)
    }

    fn run(
        &self,
        verb: &str,
        how: &[&str],
        service: &str,
        options: &[&str],
        image: &[&str],
    ) -> String {
        let name = format!("{}-{service}-1", self.name);
        let labels = [
            "lifeboat-test=1".to_owned(),
            format!("com.docker.compose.project={}", self.name),
            format!("com.docker.compose.service={service}"),
        ];
        let mut words = vec![verb];
        words.extend(how);
        words.extend(["--name", &name]);
        for label in &labels {
            words.extend(["--label", label]);
        }
        words.extend(options);
        words.extend(image);
        docker(&words)
    }

    /// To its first process, as the kernel would. The engine is not asked: it answers when the container has
    /// ended, and that has not ended before somebody has taken all that it said.
    pub(crate) fn signal(&self, id: &str, signal: &str) {
        let process = docker(&["inspect", "-f", "{{.State.Pid}}", id]);
        let mut words = vec!["run", "--rm", "--pid=host", "--network=none"];
        words.extend(["--label", "lifeboat-test=1", BUSYBOX]);
        words.extend(["kill", "-s", signal, &process]);
        docker(&words);
        until("the signal is taken", || {
            let status = fs::read_to_string(format!("/proc/{process}/status"));
            let waits =
                |line: &str| line.starts_with("ShdPnd") && !line.ends_with("\t0000000000000000");
            !status.unwrap_or_default().lines().any(waits)
        });
    }

    pub(crate) fn inspect(&self, id: &str) -> Container {
        self.engine.container(id).unwrap()
    }

    pub(crate) fn state(&self, id: &str) -> State {
        self.inspect(id).state
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let ids = |words: &[&str]| docker(words).lines().map(str::to_owned).collect::<Vec<_>>();
        for id in ids(&["ps", "-aq", "--filter", &filter]) {
            // One that a test removed, or that is on its way out, is as good as removed.
            let _ = Command::new("docker")
                .args(["rm", "-f", "-v", &id])
                .output();
        }
        for name in ids(&["volume", "ls", "-q", "--filter", &filter]) {
            let _ = Command::new("docker")
                .args(["volume", "rm", "-f", &name])
                .output();
        }
        for id in ids(&["network", "ls", "-q", "--filter", &filter]) {
            let _ = Command::new("docker").args(["network", "rm", &id]).output();
        }
    }
}

/// Its output without the last line end; a failure of it is one of the test.
pub(crate) fn docker(words: &[&str]) -> String {
    let output = Command::new("docker").args(words).output().unwrap();
    assert!(
        output.status.success(),
        "docker {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

/// Asks again until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(90), "never: {what}");
    }
}
