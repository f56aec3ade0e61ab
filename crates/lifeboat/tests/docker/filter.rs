//! A filter in front of the engine, as a socket proxy is: some calls are refused or answered otherwise, all are
//! written down.

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

/// In place of the engine's.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Status(u16, &'static str),
    /// None at all, although the engine does what it is asked.
    HangUp,
}

type Answers = dyn Fn(&str) -> Option<Answer> + Send + Sync;

impl Filter {
    /// `refused` is asked with `POST /containers/4f/start`, without the version.
    pub(crate) fn new(refused: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let forbidden = Answer::Status(403, "forbidden by the filter");
        Filter::answering(move |call| refused(call).then_some(forbidden))
    }

    /// The engine answers where `answers` does not.
    pub(crate) fn answering(
        answers: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("docker.sock")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, noted) = (Arc::new(answers), Arc::clone(&seen));
        // Ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answers, noted) = (Arc::clone(&answers), Arc::clone(&noted));
                thread::spawn(move || {
                    // A side that went away is the other side's to notice.
                    let _ = pass(client, &*answers, &noted);
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

fn pass(mut client: UnixStream, answers: &Answers, seen: &Mutex<Vec<String>>) -> io::Result<()> {
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
    let answer = answers(&call);
    if let Some(Answer::Status(status, message)) = answer {
        let body = serde_json::json!({ "message": message }).to_string();
        return write!(
            client,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
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
    if let Some(Answer::HangUp) = answer {
        // Its answer is there: it has done it.
        engine.read_exact(&mut [0])?;
        return client.shutdown(Shutdown::Both);
    }
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
