//! An engine that says what the test says: for answers that no real one gives on demand.

use lifeboat::docker::{Engine, Place};
use std::{
    io::{self, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// How an exec goes.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// What `POST /exec/…/start` answers, to the last byte; then the connection is closed.
    pub(crate) start: Vec<u8>,
    /// What is said of it afterwards: a status and a body.
    pub(crate) inspect: (u16, &'static str),
}

pub(crate) struct Stub {
    dir: tempfile::TempDir,
    started: Arc<AtomicUsize>,
}

pub(crate) const DONE: (u16, &str) = (200, r#"{"ID":"e1","Running":false,"ExitCode":0}"#);

impl Stub {
    pub(crate) fn new(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let started = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&started);
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who hangs up early has heard enough.
                let _ = answer(client, &script, &counted);
            }
        });
        Stub { dir, started }
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::connect(Place::Unix(self.dir.path().join("docker.sock"))).unwrap()
    }

    /// How many programs were started. A fault that nobody met proves nothing.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

fn answer(mut client: UnixStream, script: &Script, started: &AtomicUsize) -> io::Result<()> {
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let read = client.read(&mut bytes)?;
        request.extend_from_slice(&bytes[..read]);
        if read == 0 || is_whole(&request) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let target = text.split(' ').nth(1).unwrap_or_default();
    if target.ends_with("/start") {
        started.fetch_add(1, Ordering::SeqCst);
        return client.write_all(&script.start);
    }
    let (status, body) = match target {
        path if path.ends_with("/version") => (200, r#"{"ApiVersion":"1.45","Version":"26"}"#),
        // The program that ends a program that was left: it is no part of the script.
        _ if text.contains("LIFEBOAT_RUN=") && text.contains("kill -s") => (404, "{}"),
        path if path.ends_with("/exec") => (201, r#"{"Id":"e1"}"#),
        path if path.ends_with("/json") => script.inspect,
        _ => (404, r#"{"message":"no such thing"}"#),
    };
    write!(
        client,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    request.len() >= head.len() + 4 + length.unwrap_or(0)
}

pub(crate) fn frame(of: u8, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_be_bytes();
    [&[of, 0, 0, 0][..], &length, bytes].concat()
}
