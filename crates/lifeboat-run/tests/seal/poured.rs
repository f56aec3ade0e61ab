//! A folder poured into a stream and read from it again: the same, or nothing.

use crate::kit::{Place, folder, noise, plain, seal_to, with};
use lifeboat_run::{
    Cancel,
    seal::{SealError, Sealed, pour, seal},
    source::{
        Captured, Ended, Fault, Flow, OnChanged, Options, Poured, Program, Running, Source,
        SourceError,
    },
};
use proptest::prelude::*;
use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
};
use tempfile::tempdir;

/// Says what is in `bytes`, in parts of whatever sizes, and then how it ended.
#[derive(Debug, Clone)]
struct Canned {
    bytes: Arc<Vec<u8>>,
    parts: Vec<usize>,
    good: bool,
}

struct Telling {
    canned: Canned,
    at: usize,
    turn: usize,
}

impl Program for Canned {
    fn what(&self) -> String {
        "volume data".to_owned()
    }

    fn start(&self, _: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        Ok(Box::new(Telling {
            canned: self.clone(),
            at: 0,
            turn: 0,
        }))
    }
}

impl Running for Telling {
    fn read(&mut self, out: &mut Vec<u8>, limit: usize, _: &Cancel) -> Result<bool, SourceError> {
        assert!(limit > 0, "nothing is asked for");
        let parts = &self.canned.parts;
        let part = parts[self.turn % parts.len()].min(limit);
        self.turn += 1;
        let end = (self.at + part).min(self.canned.bytes.len());
        out.extend_from_slice(&self.canned.bytes[self.at..end]);
        self.at = end;
        Ok(end < self.canned.bytes.len())
    }

    fn finish(self: Box<Self>) -> Result<Ended, SourceError> {
        match self.canned.good {
            true => Ok(Ended::default()),
            false => Err(fault(Fault::ToolExit)),
        }
    }
}

fn fault(fault: Fault) -> SourceError {
    SourceError::Dump {
        what: "volume data".to_owned(),
        fault,
        detail: "exit code 137".to_owned(),
    }
}

fn poured(source: &dyn Source) -> Vec<u8> {
    let mut stream = Vec::new();
    pour(source, &mut stream, &Cancel::default()).unwrap();
    stream
}

fn told(bytes: &[u8], parts: &[usize], good: bool) -> Poured {
    Poured {
        name: "data".to_owned(),
        kind: "files".to_owned(),
        ending: "tar".to_owned(),
        program: Box::new(Canned {
            bytes: Arc::new(bytes.to_vec()),
            parts: parts.to_vec(),
            good,
        }),
    }
}

/// Seals it; whatever is refused must not have been committed.
fn sealed(source: &dyn Source) -> Result<Sealed, SourceError> {
    let place = Place::default();
    let upload = place.upload(Path::new("/dev/null"));
    match seal(source, &plain(), upload, &Cancel::default(), &()) {
        Ok(sealed) => Ok(sealed),
        Err(SealError::Source(error)) => {
            assert!(place.was_abandoned());
            Err(error)
        }
        Err(error) => panic!("{error}"),
    }
}

/// A few files, a few pieces of the stream.
fn small_stream() -> Vec<u8> {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), "hello").unwrap();
    fs::write(dir.path().join("b"), noise(700, 3)).unwrap();
    poured(&folder(dir.path()))
}

#[test]
fn what_is_read_from_the_stream_is_what_the_folder_gives() {
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    crate::kit::sample(&tree);
    let socket = std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let direct = dir.path().join("direct");
    let expected = seal_to(&folder(&tree), &plain(), &direct).unwrap();
    let stream = poured(&folder(&tree));
    drop(socket);
    for parts in [&[1 << 20][..], &[7, 70_001, 1], &[262_144], &[999]] {
        let through = dir.path().join("through");
        let got = seal_to(&told(&stream, parts, true), &plain(), &through).unwrap();
        assert_eq!(got.plain_xxh128(), expected.plain_xxh128());
        assert_eq!(got.plain_size(), expected.plain_size());
        assert_eq!(got.entries(), expected.entries());
        assert_eq!(got.facts(), expected.facts());
        assert_eq!(got.warnings_total(), 0);
        assert!(fs::read(&through).unwrap() == fs::read(&direct).unwrap());
    }
    assert!(!expected.facts().is_empty(), "the socket is a fact");
}

#[test]
fn a_stream_that_was_cut_anywhere_is_refused_however_it_ended() {
    let stream = small_stream();
    for end in 0..stream.len() {
        for (good, code) in [(true, "no_end_marker"), (false, "tool_exit")] {
            let error = sealed(&told(&stream[..end], &[1 << 16], good)).unwrap_err();
            assert_eq!(error.code(), Some(code), "cut at {end}: {error}");
        }
    }
    sealed(&told(&stream, &[1 << 16], true)).unwrap();
}

#[test]
fn a_whole_stream_of_one_who_failed_is_refused() {
    let error = sealed(&told(&small_stream(), &[4096], false)).unwrap_err();
    assert_eq!(error.code(), Some("tool_exit"));
}

#[test]
fn no_byte_of_it_can_be_another_one() {
    let stream = small_stream();
    for at in 0..stream.len() {
        let mut other = stream.clone();
        other[at] ^= 1 << (at % 8);
        let refused = sealed(&told(&other, &[1 << 16], true));
        assert!(refused.is_err(), "byte {at} of {}", stream.len());
    }
}

#[test]
fn something_behind_its_end_is_refused() {
    for more in [&b"x"[..], &small_stream()] {
        let stream = [&small_stream(), more].concat();
        let error = sealed(&told(&stream, &[1 << 16], true)).unwrap_err();
        assert_eq!(error.code(), Some("stream_corrupt"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_from_anywhere_are_refused_and_crash_nothing(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        magic in any::<bool>(),
        letters in prop::collection::vec((0usize..400, prop::sample::select(b"BWNFE\0".to_vec())), 0..40),
        parts in prop::collection::vec(1usize..50, 1..4),
    ) {
        for (at, letter) in letters {
            if at < bytes.len() {
                bytes[at] = letter;
            }
        }
        if magic {
            bytes.splice(0..0, *b"lb-pour1");
        }
        prop_assert!(sealed(&told(&bytes, &parts, true)).is_err());
    }

    #[test]
    fn stretches_that_are_lost_doubled_or_exchanged_are_refused(
        from in 0usize..4000, length in 1usize..1500, to in 0usize..4000, doubled in any::<bool>(),
    ) {
        let stream = small_stream();
        let from = from % stream.len();
        let end = (from + length).min(stream.len());
        let stretch = stream[from..end].to_vec();
        let mut other = stream.clone();
        if !doubled {
            other.drain(from..end);
        }
        let to = to % (other.len() + 1);
        other.splice(to..to, stretch);
        // Zeros among zeros are what they were.
        prop_assume!(other != stream);
        prop_assert!(sealed(&told(&other, &[512, 3], true)).is_err());
    }
}

/// Warns, counts and describes itself as told.
#[derive(Debug)]
struct Talkative {
    warnings: usize,
    pieces: usize,
}

impl Source for Talkative {
    fn name(&self) -> &str {
        "talkative"
    }

    fn kind(&self) -> &str {
        "files"
    }

    fn ending(&self) -> &str {
        "tar"
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        for n in 0..self.warnings {
            flow.notes.warn(format!("{n}: {}", "ä".repeat(40_000)));
        }
        for n in 0..self.pieces {
            flow.notes.entry();
            flow.send_bytes(noise(1_300_000, n as u64))?;
        }
        let facts = serde_json::json!({ "skipped": ["./a", "./b"] });
        Ok(Captured {
            entries: Some(3),
            facts: facts.as_object().unwrap().clone(),
        })
    }
}

#[test]
fn remarks_beyond_those_that_are_kept_are_counted() {
    let source = Talkative {
        warnings: 1234,
        pieces: 5,
    };
    let expected = sealed(&source).unwrap();
    let got = sealed(&told(&poured(&source), &[100_000], true)).unwrap();
    assert_eq!(got.warnings_total(), 1234);
    assert_eq!(got.warnings().len(), expected.warnings().len());
    assert!(got.warnings()[7].starts_with("7: ää"));
    assert_eq!(got.entries(), Some(8));
    assert_eq!(got.facts(), expected.facts());
    assert_eq!(got.plain_xxh128(), expected.plain_xxh128());
}

#[test]
fn a_source_of_nothing_is_nothing_and_whole() {
    let source = Talkative {
        warnings: 0,
        pieces: 0,
    };
    let got = sealed(&told(&poured(&source), &[3], true)).unwrap();
    assert_eq!((got.plain_size(), got.entries()), (0, Some(3)));
}

#[test]
fn why_a_source_failed_is_known_on_the_other_side() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "a").unwrap();
    let path = dir.path().join("file");
    let changing = Options {
        on_changed: OnChanged::Fail,
        watch: lifeboat_run::source::Watch::new(move |moment, _| {
            if moment == lifeboat_run::source::Moment::Opened {
                let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                file.write_all(b"more").unwrap();
            }
        }),
        ..Options::default()
    };
    let empty = tempdir().unwrap();
    let before = Options {
        entries_before: Some(9),
        ..Options::default()
    };
    for (source, expected) in [
        (
            folder(&dir.path().join("nowhere")),
            "volume data is not there",
        ),
        (
            with(empty.path(), before),
            "volume data is empty, and held 9 entries at the last backup",
        ),
        (
            with(dir.path(), changing),
            "file: changed while it was read",
        ),
    ] {
        let mut stream = Vec::new();
        let error = pour(&source, &mut stream, &Cancel::default()).unwrap_err();
        assert!(matches!(error, SealError::Source(_)), "{error}");
        let told = sealed(&told(&stream, &[11], false)).unwrap_err();
        assert_eq!(told.to_string(), expected);
    }
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_ends_the_pouring_at_any_byte() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(3000, 1)).unwrap();
    let source = folder(dir.path());
    let mut room = 0;
    while let Err(error) = pour(&source, &mut Full(room), &Cancel::default()) {
        assert!(error.to_string().starts_with("cannot pass on the stream"));
        room += 1;
    }
    assert!(room > 3000, "{room} bytes were enough");
}

#[test]
fn a_pouring_that_is_cancelled_has_no_end() {
    let cancel = Cancel::default();
    cancel.cancel();
    let dir = tempdir().unwrap();
    let mut stream = Vec::new();
    let error = pour(&folder(dir.path()), &mut stream, &cancel).unwrap_err();
    assert!(matches!(error, SealError::Cancelled(_)), "{error}");
    assert!(sealed(&told(&stream, &[100], true)).is_err());
}
