//! The threads of the seal, whatever the source: order, failures, panics, wishes to stop.

use crate::kit::{Place, noise, plain, recipe, seal_to, sh};
use lifeboat_plan::{Compression, event::RunEvent};
use lifeboat_run::{
    Cancel, Listener,
    seal::{Recipe, SealError, seal},
    source::{Captured, Flow, Notes, Piece, Source, SourceError},
};
use lifeboat_store::{ErrorKind, Object, Upload};
use std::{
    fs,
    io::{self, Write},
    sync::Mutex,
};
use tempfile::tempdir;

/// Bytes in pieces of a given length.
#[derive(Debug)]
pub struct Bytes(Vec<Vec<u8>>);

impl Bytes {
    pub fn cut(bytes: &[u8], len: usize) -> Self {
        Bytes(bytes.chunks(len).map(<[u8]>::to_vec).collect())
    }
}

impl Source for Bytes {
    fn name(&self) -> &str {
        "bytes"
    }
    fn kind(&self) -> &str {
        "command"
    }
    fn ending(&self) -> &str {
        "bin"
    }
    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        for piece in &self.0 {
            flow.send(Box::new(piece.clone()))?;
        }
        Ok(Captured::default())
    }
}

/// A source that does what a test says, piece by piece.
struct Doing<F>(F);

impl<F> std::fmt::Debug for Doing<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doing")
    }
}

impl<F: Fn(&mut Flow<'_>) -> Result<(), SourceError> + Send + Sync> Source for Doing<F> {
    fn name(&self) -> &str {
        "doing"
    }
    fn kind(&self) -> &str {
        "command"
    }
    fn ending(&self) -> &str {
        "bin"
    }
    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        (self.0)(flow).map(|()| Captured::default())
    }
}

struct Filling<F>(F);

impl<F: FnOnce(&mut Vec<u8>) -> Result<(), SourceError> + Send> Piece for Filling<F> {
    fn fill(self: Box<Self>, out: &mut Vec<u8>, _: &Notes<'_>) -> Result<(), SourceError> {
        (self.0)(out)
    }
}

/// Writes until told otherwise.
struct Failing {
    after: usize,
    fail: fn() -> io::Result<usize>,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.after.checked_sub(bytes.len()) {
            Some(after) => self.after = after,
            None => return (self.fail)(),
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Failing {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        panic!("committed")
    }
}

/// A source that never ends by itself.
fn endless() -> impl Source {
    Doing(|flow: &mut Flow<'_>| {
        loop {
            flow.send(Box::new(noise(100_000, 1)))?;
        }
    })
}

#[test]
fn pieces_come_out_in_order_however_long_each_takes() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let source = Doing(|flow: &mut Flow<'_>| {
        for n in 0..500_u64 {
            flow.send(Box::new(Filling(move |out: &mut Vec<u8>| {
                // Work of very different length, so that threads overtake one another.
                let rounds = if n % 7 == 0 { 200 } else { 1 };
                let bytes = (0..rounds).map(|_| noise(1000, n)).next_back().unwrap();
                out.extend_from_slice(&bytes);
                Ok(())
            })))?;
        }
        Ok(())
    });
    let expected: Vec<u8> = (0..500).flat_map(|n| noise(1000, n)).collect();
    for threads in [1, 2, 16] {
        let recipe = Recipe {
            threads,
            ..recipe(Compression::Zstd)
        };
        seal_to(&source, &recipe, &file).unwrap();
        sh("zstd -qdf $1 -o $1.plain", &[&file]);
        assert_eq!(fs::read(file.with_extension("plain")).unwrap(), expected);
    }
}

#[test]
fn a_panic_in_any_thread_fails_the_run_and_not_the_process() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    type Pour = fn(&mut Flow<'_>) -> Result<(), SourceError>;
    let cases: [(&str, Pour); 2] = [
        ("walk", |flow| {
            for _ in 0..50 {
                flow.send(Box::new(noise(1000, 1)))?;
            }
            panic!("in the walk")
        }),
        ("compress", |flow| {
            for n in 0..1000 {
                flow.send(Box::new(Filling(move |_: &mut Vec<u8>| {
                    assert!(n != 50, "in a worker");
                    Ok(())
                })))?;
            }
            Ok(())
        }),
    ];
    for (thread, pour) in cases {
        let place = Place::default();
        let ended = seal(
            &Doing(pour),
            &plain(),
            place.upload(&file),
            &Cancel::default(),
            &(),
        );
        assert!(
            matches!(ended, Err(SealError::Panicked(name)) if name == thread),
            "{ended:?}"
        );
        assert!(place.was_abandoned());
    }
    let upload = Failing {
        after: 1_000_000,
        fail: || panic!("in the upload"),
    };
    let ended = seal(
        &endless(),
        &plain(),
        Box::new(upload),
        &Cancel::default(),
        &(),
    );
    assert!(
        matches!(ended, Err(SealError::Panicked("write"))),
        "{ended:?}"
    );
}

#[test]
fn a_full_store_ends_an_endless_source_and_is_blamed_for_it() {
    let upload = Failing {
        after: 1_000_000,
        fail: || Err(io::ErrorKind::StorageFull.into()),
    };
    let ended = seal(
        &endless(),
        &plain(),
        Box::new(upload),
        &Cancel::default(),
        &(),
    );
    match ended {
        Err(SealError::Sink(error)) => assert_eq!(error.kind(), ErrorKind::Full),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_piece_that_cannot_be_filled_fails_the_source() {
    let dir = tempdir().unwrap();
    let place = Place::default();
    let source = Doing(|flow: &mut Flow<'_>| {
        for n in 0..1000 {
            flow.send(Box::new(Filling(move |_: &mut Vec<u8>| {
                if n == 77 {
                    return Err(SourceError::Refused("not this one".to_owned()));
                }
                Ok(())
            })))?;
        }
        Ok(())
    });
    let ended = seal(
        &source,
        &plain(),
        place.upload(&dir.path().join("file")),
        &Cancel::default(),
        &(),
    );
    assert!(
        matches!(ended, Err(SealError::Source(SourceError::Refused(_)))),
        "{ended:?}"
    );
    assert!(place.was_abandoned());
}

/// Cancels the run as soon as it hears of progress.
struct Impatient<'a>(&'a Cancel);

impl Listener for Impatient<'_> {
    fn hear(&self, event: &RunEvent) {
        if let RunEvent::Progress { .. } = event {
            self.0.cancel();
        }
    }
}

#[test]
fn a_wish_to_stop_ends_an_endless_source() {
    let dir = tempdir().unwrap();
    let place = Place::default();
    let cancel = Cancel::default();
    let upload = place.upload(&dir.path().join("file"));
    let ended = seal(&endless(), &plain(), upload, &cancel, &Impatient(&cancel));
    assert!(matches!(ended, Err(SealError::Cancelled(_))), "{ended:?}");
    assert!(place.was_abandoned());
}

#[test]
fn a_wish_to_stop_is_seen_while_the_source_has_nothing_to_say() {
    let dir = tempdir().unwrap();
    let place = Place::default();
    let cancel = Cancel::default();
    // Silent until the run is over for everybody else.
    let source = Doing(|flow: &mut Flow<'_>| {
        while !flow.cancel.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    });
    let upload = place.upload(&dir.path().join("file"));
    let ended = seal(&source, &plain(), upload, &cancel, &Impatient(&cancel));
    assert!(matches!(ended, Err(SealError::Cancelled(_))), "{ended:?}");
    assert!(place.was_abandoned());
}

/// Keeps what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<RunEvent>>);

impl Listener for Heard {
    fn hear(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[test]
fn the_last_progress_tells_the_whole_size() {
    let dir = tempdir().unwrap();
    let heard = Heard::default();
    seal(
        &Bytes::cut(&noise(1_000_000, 1), 10_000),
        &plain(),
        Place::default().upload(&dir.path().join("file")),
        &Cancel::default(),
        &heard,
    )
    .unwrap();
    let heard = heard.0.into_inner().unwrap();
    assert!(matches!(
        heard.last(),
        Some(RunEvent::Progress {
            plain_bytes: 1_000_000,
            ..
        })
    ));
}

/// A commit that tells of fewer bytes than were written.
struct Lying(u64);

impl Write for Lying {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Lying {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        Ok(Object {
            key: lifeboat_store::Key::new("short").unwrap(),
            size: self.0 - 1,
            modified: None,
        })
    }
}

#[test]
fn a_store_that_kept_fewer_bytes_than_it_was_given_is_not_believed() {
    let ended = seal(
        &Bytes::cut(b"some bytes", 3),
        &plain(),
        Box::new(Lying(0)),
        &Cancel::default(),
        &(),
    );
    assert!(matches!(ended, Err(SealError::Stage { .. })), "{ended:?}");
}
