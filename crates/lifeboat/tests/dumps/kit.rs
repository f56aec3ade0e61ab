//! What these tests share: containers that remove themselves.

use lifeboat::docker::{
    Address, Command, Engine, Output, Place, Verdict,
    cover::{Coverage, Server},
    dumps::{self, How},
    kind::{DatabaseKind, Evidence},
    labels::Settings,
};
use lifeboat_plan::{Compression, event::RunEvent};
use lifeboat_run::{
    Cancel, Listener, Secret, keys,
    seal::{Recipe, SealError, Sealed, seal},
    source::{Sizes, Source, SourceError},
};
use lifeboat_store::{Key, Object, Upload};
use std::{
    io::{self, Write},
    process,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// The engine, when one answers and has `images`.
pub(crate) fn engine(images: &[&str]) -> Option<Engine> {
    let engine = match Engine::connect(Place::Unix("/var/run/docker.sock".into())) {
        Ok(engine) => engine,
        Err(error) => {
            println!("SKIP tests with containers: {error}");
            return None;
        }
    };
    for image in images {
        if let Err(error) = engine.image(&bed(image)) {
            println!("SKIP tests with {image}: {error}; docker/test-bed/build.sh makes it");
            return None;
        }
    }
    Some(engine)
}

pub(crate) fn bed(image: &str) -> String {
    format!("lifeboat-bed/{image}")
}

pub(crate) fn docker(args: &[&str]) -> String {
    let output = process::Command::new("docker").args(args).output().unwrap();
    assert!(
        output.status.success(),
        "docker {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A container of a test's own.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: String,
    pub(crate) engine: Engine,
}

impl Held {
    /// `docker run -d ARGS… IMAGE COMMAND…`
    pub(crate) fn run(engine: &Engine, args: &[&str], image: &str, command: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lifeboat-test-dumps-{}-{number}", process::id());
        let image = bed(image);
        let mut all = vec!["run", "-d", "--label", "lifeboat.test=1", "--name", &name];
        all.extend(args);
        all.push(&image);
        all.extend(command);
        Held {
            id: docker(&all),
            engine: engine.clone(),
        }
    }

    /// One that only waits.
    pub(crate) fn idle(engine: &Engine, image: &str) -> Self {
        let wait = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";
        Held::run(engine, &["--entrypoint", "sh"], image, &["-c", wait])
    }

    pub(crate) fn output(&self, command: &Command) -> Output {
        let seconds = Duration::from_secs(120);
        let cancel = Cancel::default();
        self.engine
            .run(&self.id, command, seconds, &cancel)
            .unwrap()
    }

    /// A line of shell that must end well; its words.
    pub(crate) fn sh(&self, line: &str) -> String {
        let output = self.output(&Command::shell(line));
        assert_eq!(output.verdict, Verdict::Done, "{line}: {}", output.stderr);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn until(&self, what: &str, line: &str) {
        let begun = Instant::now();
        let patience = Duration::from_secs(120);
        while self.output(&Command::shell(line)).verdict != Verdict::Done {
            assert!(begun.elapsed() < patience, "{what}: not in time");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.id]);
    }
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// A server in a container of its own.
pub(crate) fn server(held: &Held, kind: DatabaseKind) -> Server {
    Server {
        source: "db".to_owned(),
        kind,
        evidence: Evidence::Label,
        // Without a project, a service is the container of that name.
        address: Address::own("", held.id.clone()),
        settings: Settings::default(),
    }
}

pub(crate) const OWNER: &str = "lifeboat-test";

pub(crate) fn open(held: &Held, server: &Server) -> Vec<Box<dyn Source>> {
    open_with(held, server, Duration::from_secs(60), dumps::COUNT_ROWS)
}

pub(crate) fn open_with(
    held: &Held,
    server: &Server,
    patience: Duration,
    count_rows: Duration,
) -> Vec<Box<dyn Source>> {
    how(|how| {
        let how = How {
            patience,
            count_rows,
            ..*how
        };
        dumps::open(&held.engine, server, &how)
    })
}

/// As whoever holds the lock of the store does before anything else.
pub(crate) fn sweep(held: &Held) {
    let coverage = Coverage {
        servers: vec![server(held, DatabaseKind::Postgres)],
        ..Coverage::default()
    };
    dumps::sweep(&held.engine, &coverage, OWNER);
}

pub(crate) fn how<T>(then: impl FnOnce(&How<'_>) -> T) -> T {
    then(&How {
        owner: OWNER,
        patience: Duration::from_secs(60),
        count_rows: dumps::COUNT_ROWS,
        before: &|_, _| Sizes::default(),
        accept_smaller: &|_| false,
        cancel: &Cancel::default(),
    })
}

pub(crate) fn names(sources: &[Box<dyn Source>]) -> Vec<&str> {
    sources.iter().map(|source| source.name()).collect()
}

pub(crate) fn named<'a>(sources: &'a [Box<dyn Source>], name: &str) -> &'a dyn Source {
    let found = sources.iter().find(|source| source.name() == name);
    found
        .unwrap_or_else(|| panic!("no {name} among {:?}", names(sources)))
        .as_ref()
}

/// What was said of a run.
#[derive(Debug, Default)]
pub(crate) struct Heard(pub(crate) Mutex<Vec<String>>);

impl Listener for Heard {
    fn hear(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    pub(crate) committed: Arc<Mutex<bool>>,
}

impl Write for Stored {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Stored {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        *self.committed.lock().unwrap() = true;
        Ok(Object {
            key: Key::new("sealed").unwrap(),
            size: self.bytes.lock().unwrap().len() as u64,
            modified: None,
        })
    }
}

/// The stream as it would be stored, without compression.
pub(crate) fn pour(source: &dyn Source) -> Result<(Vec<u8>, Sealed), SealError> {
    pour_until(source, &Cancel::default(), &Stored::default())
}

pub(crate) fn pour_until(
    source: &dyn Source,
    cancel: &Cancel,
    stored: &Stored,
) -> Result<(Vec<u8>, Sealed), SealError> {
    pour_heard(source, cancel, stored, &Heard::default())
}

pub(crate) fn pour_heard(
    source: &dyn Source,
    cancel: &Cancel,
    stored: &Stored,
    heard: &Heard,
) -> Result<(Vec<u8>, Sealed), SealError> {
    let recipe = Recipe {
        compression: Compression::None,
        level: 0,
        threads: 2,
        seal: keys::Seal::Open,
    };
    let sealed = seal(source, &recipe, Box::new(stored.clone()), cancel, heard)?;
    let bytes = std::mem::take(&mut *stored.bytes.lock().unwrap());
    Ok((bytes, sealed))
}

/// The fault, and the whole text of the error.
pub(crate) fn fault(source: &dyn Source) -> (String, String) {
    let stored = Stored::default();
    let error = pour_until(source, &Cancel::default(), &stored).expect_err("it was believed");
    assert!(!*stored.committed.lock().unwrap(), "it was stored");
    told(&error)
}

pub(crate) fn told(error: &SealError) -> (String, String) {
    match error {
        SealError::Source(error @ SourceError::Dump { fault, .. }) => {
            (fault.as_str().to_owned(), error.to_string())
        }
        error => panic!("no fault of a dump: {error}"),
    }
}

/// `docker exec -i`: for restoring with stock tools.
pub(crate) fn feed(held: &Held, command: &[&str], input: &[u8]) -> String {
    let mut all = vec!["exec", "-i", &held.id];
    all.extend(command);
    let mut child = process::Command::new("docker")
        .args(all)
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .stderr(process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().ok();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}
