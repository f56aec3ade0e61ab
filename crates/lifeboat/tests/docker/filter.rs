//! A filter in front of the engine, as a socket proxy is: some calls are refused, all are written down.

use crate::project::SOCKET;
use lifeboat::docker::{Engine, Place};
use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

pub(crate) struct Filter {
    dir: tempfile::TempDir,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Filter {
    /// `refused` is asked with `POST /containers/4f/start`, without the version.
    pub(crate) fn new(refused: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (refused, noted) = (Arc::new(refused), Arc::clone(&seen));
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (refused, noted) = (Arc::clone(&refused), Arc::clone(&noted));
                thread::spawn(move || {
                    // A side that went away is the other side's to notice.
                    let _ = pass(client, &*refused, &noted);
                });
            }
        });
        Filter { dir, seen }
    }

    pub(crate) fn place(&self) -> Place {
        let path: PathBuf = self.dir.path().join("docker.sock");
        Place::Unix(path)
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::connect(self.place()).unwrap()
    }

    /// Every call, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn pass(
    mut client: UnixStream,
    refused: &dyn Fn(&str) -> bool,
    seen: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        let read = client.read(&mut bytes)?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&bytes[..read]);
    }
    let call = call(&head);
    seen.lock().unwrap().push(call.clone());
    if refused(&call) {
        let body = r#"{"message":"forbidden by the filter"}"#;
        return write!(
            client,
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
    let mut engine = UnixStream::connect(SOCKET)?;
    engine.write_all(&head)?;
    let (mut from_client, mut to_engine) = (client.try_clone()?, engine.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_engine);
        let _ = to_engine.shutdown(Shutdown::Write);
    });
    io::copy(&mut engine, &mut client)?;
    client.shutdown(Shutdown::Both)
}

fn call(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let mut words = text.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let path = target.split('?').next().unwrap_or_default();
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => &rest[rest.find('/').unwrap_or(0)..],
        None => path,
    };
    format!("{method} {path}")
}
