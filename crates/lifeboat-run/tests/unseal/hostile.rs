//! Archives that ask for what no archive of ours asks for. Each is refused by the extraction and by the
//! deep check, and nothing outside of the staging folder is touched.

#![allow(
    clippy::print_stdout,
    reason = "the numbers belong into the report of a test run"
)]

mod blocks;
mod corpus;

use blocks::*;
use corpus::corpus;

use crate::kit::{Sample, Staging, pack};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Keyring,
    unseal::{Depth, Options, UnsealError},
};

fn assert_refused(name: &str, sample: &Sample, staging: &Staging) {
    let keys = Keyring::none();
    let options = Options {
        allow_devices: true,
        ..Options::default()
    };
    let extracted = sample.extract_with(&keys, &staging.inside, &options);
    assert!(
        matches!(
            extracted,
            Err(UnsealError::Hostile { .. } | UnsealError::Damaged { .. })
        ),
        "{name}: {extracted:?}"
    );
    staging.assert_nothing_outside();
    let checked = sample.check(Depth::Deep, &keys);
    assert!(
        matches!(
            checked,
            Err(UnsealError::Hostile { .. } | UnsealError::Damaged { .. })
        ),
        "{name}: {checked:?}"
    );
}

#[test]
fn every_hostile_archive_is_refused_and_nothing_outside_is_touched() {
    let count = corpus("/").len();
    for at in 0..count {
        let staging = Staging::new();
        let outside = staging.inside.parent().unwrap().display().to_string();
        let (name, entries, stream) = corpus(&outside).swap_remove(at);
        let sample = Sample::new(&[stream, END.to_vec()].concat(), Some(entries));
        assert_refused(name, &sample, &staging);
    }
    println!("RELIABILITY hostile={count} refused={count} bytes-outside=0");
}

#[test]
fn an_archive_without_its_end_is_refused() {
    for end in [0, 512] {
        let staging = Staging::new();
        let stream = [file(b"a"), vec![0; end]].concat();
        assert_refused("no end", &Sample::new(&stream, Some(1)), &staging);
    }
    // The same archive with its end is a good one.
    let staging = Staging::new();
    let whole = Sample::new(&[file(b"a"), END.to_vec()].concat(), Some(1));
    assert_eq!(
        whole
            .extract(&Keyring::none(), &staging.inside)
            .unwrap()
            .entries,
        1
    );
}

#[test]
fn a_million_headers_without_data_are_not_read_to_their_end() {
    // 2^20 entries, of which the manifest knows three.
    let headers: Vec<u8> = (0..2048)
        .flat_map(|at| folder(format!("d{at}").as_bytes()))
        .collect();
    let mut sample = Sample::new(&headers, Some(3));
    sample.stored = pack(&headers, Compression::Zstd).repeat(512);
    sample.archive.compression = Compression::Zstd;
    sample.archive.plain_size = headers.len() as u64 * 512;
    sample.restore_digest();
    let staging = Staging::new();
    assert_refused("a million headers", &sample, &staging);
    assert!(std::fs::read_dir(&staging.inside).unwrap().count() <= 3);
}

#[test]
fn a_bomb_stops_at_the_size_that_was_sealed() {
    // Each frame of a few hundred bytes unpacks to 8 MiB; the manifest knows of one MiB.
    let frame = pack(&vec![0; 8 << 20], Compression::Zstd);
    let stream = [header(b"a", b'0', 8_000_000_000, b""), END.to_vec()].concat();
    for compression in [Compression::Zstd, Compression::Gzip, Compression::Bzip2] {
        let mut sample = Sample::new(&stream, Some(1));
        sample.stored = match compression {
            Compression::Zstd => [pack(&stream, compression), frame.repeat(2000)].concat(),
            other => [
                pack(&stream, other),
                pack(&vec![0; 1 << 20], other).repeat(200),
            ]
            .concat(),
        };
        sample.archive.compression = compression;
        sample.archive.plain_size = 1 << 20;
        sample.restore_digest();
        let staging = Staging::new();
        assert_refused("a bomb", &sample, &staging);
        let written: u64 = std::fs::read_dir(&staging.inside)
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(written <= 1 << 20, "{written}");
    }
}

#[test]
fn a_dump_is_not_extracted_as_files() {
    let staging = Staging::new();
    let sample = Sample::new(b"-- a dump\n", None);
    let result = sample.extract(&Keyring::none(), &staging.inside);
    assert!(
        matches!(result, Err(UnsealError::Hostile { .. })),
        "{result:?}"
    );
}

#[test]
fn links_may_point_anywhere_as_long_as_nobody_follows_them() {
    let staging = Staging::new();
    let stream = [
        link(b"up", b"../../../.."),
        link(b"passwd", b"/etc/passwd"),
        file(b"a"),
        hard(b"b", b"a"),
        hard(b"again", b"up"),
        END.to_vec(),
    ]
    .concat();
    let sample = Sample::new(&stream, Some(5));
    sample.check(Depth::Deep, &Keyring::none()).unwrap();
    sample.extract(&Keyring::none(), &staging.inside).unwrap();
    let target = std::fs::read_link(staging.inside.join("passwd")).unwrap();
    assert_eq!(target.to_str(), Some("/etc/passwd"));
    // A link may have two names, as any file may.
    let again = std::fs::read_link(staging.inside.join("again")).unwrap();
    assert_eq!(again.to_str(), Some("../../../.."));
    staging.assert_nothing_outside();
}

#[test]
fn another_name_of_a_device_that_was_left_out_is_left_out_as_well() {
    let staging = Staging::new();
    let stream = [
        header(b"null", b'3', 0, b""),
        hard(b"also", b"null"),
        file(b"a"),
        END.to_vec(),
    ];
    let sample = Sample::new(&stream.concat(), Some(3));
    let extracted = sample.extract(&Keyring::none(), &staging.inside).unwrap();
    assert_eq!((extracted.entries, extracted.warnings_total), (1, 2));
}
