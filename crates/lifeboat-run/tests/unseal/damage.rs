//! Flipped bits, cut files and wrong keys.

#![allow(
    clippy::print_stdout,
    reason = "the numbers belong into the report of a test run"
)]

use crate::kit::{Random, Sample, key_pair, temp, with_passphrase};
use lifeboat_plan::{Compression, Encryption};
use lifeboat_run::{
    Cancel, Keyring,
    keys::{KeyTexts, Seal},
    unseal::{self, Depth, UnsealError},
};
use std::io::{self, Read};

const PIECE: usize = 64 * 1024;

/// A tar stream of 0.6 MB, made of members that no two programs could misread.
fn tar() -> Sample {
    let mut random = Random(11);
    let mut builder = tar::Builder::new(Vec::new());
    for at in 0..30 {
        let mut header = tar::Header::new_ustar();
        let size = random.below(40_000);
        header.set_size(size as u64);
        header.set_mode(0o644);
        let path = format!("f{at}");
        builder
            .append_data(&mut header, path, &random.bytes(size)[..])
            .unwrap();
    }
    Sample::new(&builder.into_inner().unwrap(), Some(30))
}

fn samples() -> Vec<(&'static str, Sample, Keyring)> {
    let (keys, recipient) = key_pair();
    let none = Keyring::none();
    vec![
        ("plain", tar(), none.clone()),
        ("zstd", tar().pieces(Compression::Zstd, PIECE), none.clone()),
        ("gzip", tar().pieces(Compression::Gzip, PIECE), none.clone()),
        (
            "bzip2",
            tar().pieces(Compression::Bzip2, PIECE),
            none.clone(),
        ),
        ("xz", tar().pieces(Compression::Xz, PIECE), none),
        (
            "zstd.age",
            tar().pieces(Compression::Zstd, PIECE).age(&recipient),
            keys.clone(),
        ),
        (
            "gzip.age",
            tar().pieces(Compression::Gzip, PIECE).age(&recipient),
            keys.clone(),
        ),
        ("age", tar().age(&recipient), keys),
    ]
}

fn is_damaged(result: Result<(), UnsealError>) -> bool {
    matches!(result, Err(UnsealError::Damaged { .. }))
}

/// As if the damage had happened before the digest was taken: the second line of defence.
fn is_found_without_the_digest(mut sample: Sample, keys: &Keyring) -> bool {
    sample.restore_digest();
    sample.check(Depth::Deep, keys).is_err()
}

#[test]
fn every_flipped_bit_is_found() {
    let (mut flips, mut detected, mut second_line, mut harmless) = (0, 0, 0, 0);
    let mut random = Random(5);
    for (name, whole, keys) in samples() {
        let plain = whole.open(&keys).unwrap();
        for _ in 0..200 {
            let mut sample = whole.clone();
            let at = random.below(sample.stored.len());
            let bit = random.below(8);
            sample.stored[at] ^= 1 << bit;
            flips += 1;
            assert!(
                is_damaged(sample.check(Depth::Digest, &keys)),
                "{name}: byte {at} bit {bit}"
            );
            // Also in the header of an encrypted file, where it looks like a wrong key.
            assert!(
                is_damaged(sample.check(Depth::Deep, &keys)),
                "{name}: byte {at} bit {bit}"
            );
            detected += 1;

            // What a format lets pass without a word must be what was sealed (a time in a gzip header).
            if is_found_without_the_digest(sample.clone(), &keys) {
                second_line += 1;
            } else {
                assert_eq!(
                    sample.open(&keys).unwrap(),
                    plain,
                    "{name}: byte {at} bit {bit}"
                );
                harmless += 1;
            }
        }
    }
    println!("RELIABILITY flips={flips} detected={detected}");
    println!(
        "RELIABILITY flips-with-digest-forged={flips} detected={second_line} without-effect={harmless}"
    );
    assert_eq!(flips, 1600);
    assert_eq!(second_line + harmless, flips);
}

#[test]
fn every_cut_is_found() {
    let (mut cuts, mut detected) = (0, 0);
    for (name, whole, keys) in samples() {
        let length = whole.stored.len();
        let mut places: Vec<usize> = (0..length).step_by(64 * 1024).collect();
        places.extend([1, 100, 511, 512, length / 2 + 1, length - 1024, length - 1]);
        if whole.archive.encryption == Encryption::None {
            places.extend(borders(&tar().stored, whole.archive.compression));
        }
        for cut in places.into_iter().filter(|cut| *cut < length) {
            let mut sample = whole.clone();
            sample.stored.truncate(cut);
            cuts += 1;
            assert!(
                is_damaged(sample.check(Depth::Digest, &keys)),
                "{name}: {cut}"
            );
            assert!(
                is_damaged(sample.check(Depth::Deep, &keys)),
                "{name}: {cut}"
            );
            assert!(
                is_found_without_the_digest(sample.clone(), &keys),
                "{name}: {cut}"
            );
            let staging = temp();
            assert!(
                sample.extract(&keys, staging.path()).is_err(),
                "{name}: {cut}"
            );
            detected += 1;
        }
    }
    println!("RELIABILITY cuts={cuts} detected={detected}");
    assert!(cuts > 130, "{cuts}");
}

/// Where one piece ends and the next begins.
fn borders(plain: &[u8], compression: Compression) -> Vec<usize> {
    plain
        .chunks(PIECE)
        .scan(0, |end, piece| {
            *end += crate::kit::pack(piece, compression).len();
            Some(*end)
        })
        .collect()
}

#[test]
fn a_cut_inside_of_a_frame_never_reads_as_the_end() {
    for (name, whole, keys) in samples() {
        if name == "plain" {
            continue;
        }
        let plain = whole.open(&keys).unwrap();
        let borders = match whole.archive.encryption {
            Encryption::None => borders(&plain, whole.archive.compression),
            Encryption::Age => Vec::new(),
        };
        for cut in (1..whole.stored.len()).step_by(14983) {
            if borders.contains(&cut) {
                continue;
            }
            let mut sample = whole.clone();
            sample.stored.truncate(cut);
            assert!(sample.open(&keys).is_err(), "{name}: {cut}");
        }
    }
}

#[test]
fn what_follows_the_end_is_found() {
    for (name, whole, keys) in samples() {
        for more in [&b"\0"[..], b"more", &whole.stored] {
            let mut sample = whole.clone();
            sample.stored.extend_from_slice(more);
            assert!(is_damaged(sample.check(Depth::Digest, &keys)), "{name}");
            assert!(is_damaged(sample.check(Depth::Deep, &keys)), "{name}");
            let found = is_found_without_the_digest(sample.clone(), &keys);
            // Zeros after the end of a tar stream, or after a stream of xz, are padding; gzip and bzip2
            // call them trailing garbage.
            assert!(found || more == b"\0", "{name}");
        }
    }
}

#[test]
fn foreign_archives_of_one_endless_frame_are_cut_and_flipped_in_vain() {
    let whole = tar().stock(Compression::Zstd, "zstd", &["-q", "-c", "--no-check"]);
    let keys = Keyring::none();
    whole.check(Depth::Deep, &keys).unwrap();
    let mut random = Random(9);
    for _ in 0..50 {
        let mut sample = whole.clone();
        let at = random.below(sample.stored.len());
        sample.stored[at] ^= 4;
        assert!(is_found_without_the_digest(sample, &keys), "byte {at}");
        let mut sample = whole.clone();
        sample.stored.truncate(at);
        assert!(sample.open(&keys).is_err(), "cut at {at}");
    }
}

#[test]
fn a_window_beyond_the_limit_is_refused_with_a_word_about_it() {
    // A window of 2 GiB, a frame of unknown size.
    let mut sample = Sample::new(b"", None);
    sample.stored = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3][..], &[1, 0, 0]].concat();
    sample.archive.compression = Compression::Zstd;
    sample.restore_digest();
    let error = sample.check(Depth::Deep, &Keyring::none()).unwrap_err();
    assert!(
        error.to_string().contains("a window of 2048 MiB"),
        "{error}"
    );
}

#[test]
fn a_wrong_key_is_told_from_damage_and_from_no_key_and_nothing_is_written() {
    let (keys, recipient) = key_pair();
    let (other, _) = key_pair();
    let sample = tar().pieces(Compression::Zstd, PIECE).age(&recipient);
    let without = Keyring::new(KeyTexts {
        recipients: Some(recipient),
        ..KeyTexts::default()
    })
    .unwrap();
    assert!(matches!(without.seal, Seal::Recipients(_)));

    sample.check(Depth::Deep, &keys).unwrap();
    for (keys, is_expected) in [
        (
            &other,
            (|e| matches!(e, UnsealError::WrongKey { .. })) as fn(&UnsealError) -> bool,
        ),
        (&with_passphrase("no"), |e| {
            matches!(e, UnsealError::WrongKey { .. })
        }),
        (&without, |e| matches!(e, UnsealError::NoKey { .. })),
        (&Keyring::none(), |e| matches!(e, UnsealError::NoKey { .. })),
    ] {
        sample.check(Depth::Digest, keys).unwrap();
        let error = sample.check(Depth::Deep, keys).unwrap_err();
        assert!(is_expected(&error), "{error}");
        let staging = temp();
        let error = sample.extract(keys, staging.path()).unwrap_err();
        assert!(is_expected(&error), "{error}");
        assert_eq!(std::fs::read_dir(staging.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_wrong_passphrase_is_a_wrong_key() {
    let right = with_passphrase("correct horse");
    let mut sample = tar();
    let file = {
        let mut recipient = age::scrypt::Recipient::new("correct horse".to_owned().into());
        recipient.set_work_factor(10);
        let mut sealed = Vec::new();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
        let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
        io::Write::write_all(&mut writer, &sample.stored).unwrap();
        writer.finish().unwrap();
        sealed
    };
    sample.stored = file;
    sample.archive.encryption = Encryption::Age;
    sample.restore_digest();
    sample.check(Depth::Deep, &right).unwrap();
    let error = sample.check(Depth::Deep, &with_passphrase("correct house"));
    assert!(
        matches!(error, Err(UnsealError::WrongKey { .. })),
        "{error:?}"
    );
}

/// Gives out what it has, then fails as a network does.
struct Broken(io::Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "connection reset by peer",
            )),
            n => Ok(n),
        }
    }
}

#[test]
fn a_store_that_cannot_be_read_is_not_called_damage() {
    for (name, whole, keys) in samples() {
        let half = whole.stored[..whole.stored.len() / 2].to_vec();
        for depth in [Depth::Digest, Depth::Deep] {
            let stored = Box::new(Broken(io::Cursor::new(half.clone())));
            let cancel = Cancel::default();
            let error = unseal::check(stored, &whole.archive, depth, &keys, &cancel).unwrap_err();
            assert!(matches!(error, UnsealError::Io { .. }), "{name}: {error}");
            assert!(
                error.to_string().contains("connection reset"),
                "{name}: {error}"
            );
        }
        let mut plain = Vec::new();
        let error = unseal::open(
            "x",
            Box::new(Broken(io::Cursor::new(half))),
            whole.archive.compression,
            whole.archive.encryption,
            &keys,
        )
        .unwrap()
        .read_to_end(&mut plain)
        .unwrap_err();
        assert!(
            error.to_string().contains("connection reset"),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_cancelled_run_ends_at_once() {
    let (sample, keys) = (tar(), Keyring::none());
    let cancel = Cancel::default();
    cancel.cancel();
    for depth in [Depth::Digest, Depth::Deep] {
        let result = unseal::check(sample.reader(), &sample.archive, depth, &keys, &cancel);
        assert!(
            matches!(result, Err(UnsealError::Cancelled(_))),
            "{result:?}"
        );
    }
}

#[test]
fn an_empty_stream_is_an_empty_stream() {
    for compression in Compression::ALL {
        let mut sample = Sample::new(b"", None);
        sample.stored = crate::kit::pack(b"", compression);
        sample.archive.compression = compression;
        sample.restore_digest();
        assert_eq!(sample.open(&Keyring::none()).unwrap(), b"");
        sample.check(Depth::Deep, &Keyring::none()).unwrap();
    }
}
