//! Archives that ask for what no archive of ours asks for. Each is refused by the extraction and by the
//! deep check, and nothing outside of the staging folder is touched.

#![allow(
    clippy::print_stdout,
    reason = "the numbers belong into the report of a test run"
)]

use crate::kit::{Sample, Staging, pack};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Keyring,
    unseal::{Depth, Options, UnsealError},
};

/// One header block with a right checksum.
fn header(name: &[u8], kind: u8, size: u64, link: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14000000000\0");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(block)
}

fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A header with bytes of it changed.
fn with(mut block: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    block[at..at + bytes.len()].copy_from_slice(bytes);
    summed(block)
}

fn data(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(512), 0);
    padded
}

fn file(name: &[u8]) -> Vec<u8> {
    [header(name, b'0', 5, b""), data(b"pwned")].concat()
}

fn link(name: &[u8], target: &[u8]) -> Vec<u8> {
    header(name, b'2', 0, target)
}

fn hard(name: &[u8], target: &[u8]) -> Vec<u8> {
    header(name, b'1', 0, target)
}

fn folder(name: &[u8]) -> Vec<u8> {
    header(name, b'5', 0, b"")
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let content: Vec<u8> = records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect();
    [
        header(b"PaxHeaders/x", b'x', content.len() as u64, b""),
        data(&content),
    ]
    .concat()
}

fn long(kind: u8, name: &[u8]) -> Vec<u8> {
    [
        header(b"././@LongLink", kind, name.len() as u64, b""),
        data(name),
    ]
    .concat()
}

fn sparse(size: &[u8], map: &[u8], stored: &[u8]) -> Vec<u8> {
    let body = [data(map), stored.to_vec()].concat();
    [
        pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"s"),
            ("GNU.sparse.realsize", size),
        ]),
        header(b"GNUSparseFile.1/s", b'0', body.len() as u64, b""),
        data(&body),
    ]
    .concat()
}

const END: [u8; 1024] = [0; 1024];

/// Name, entries, stream without its end.
fn corpus(outside: &str) -> Vec<(&'static str, u64, Vec<u8>)> {
    let victim = format!("{outside}/victim").into_bytes();
    let folder_outside = format!("{outside}/folder").into_bytes();
    let a = || file(b"a");
    vec![
        ("a name that starts with ..", 1, file(b"../victim")),
        ("a name with .. inside", 1, file(b"a/../../victim")),
        ("a name that ends with ..", 1, folder(b"a/..")),
        ("only ..", 1, folder(b"..")),
        ("an absolute name", 1, file(&victim)),
        ("an absolute folder", 1, folder(b"/")),
        ("an absolute name behind ./", 1, file(b".//victim")),
        ("an empty name", 1, file(b"")),
        ("an empty part", 1, file(b"a//b")),
        ("a part of one dot", 1, file(b"a/./b")),
        ("a file called .", 1, file(b".")),
        ("a file with a final slash", 1, file(b"./a/")),
        (
            "a NUL in a PAX name",
            1,
            [pax(&[("path", b"a\0b")]), a()].concat(),
        ),
        (
            "a PAX name with ..",
            1,
            [pax(&[("path", b"x/../../victim")]), a()].concat(),
        ),
        (
            "an absolute PAX name",
            1,
            [pax(&[("path", &victim)]), a()].concat(),
        ),
        (
            "an empty PAX name",
            1,
            [pax(&[("path", b"")]), a()].concat(),
        ),
        (
            "a GNU name with ..",
            1,
            [long(b'L', b"../victim\0"), a()].concat(),
        ),
        (
            "a GNU name without its end",
            1,
            [long(b'L', b"abc"), a()].concat(),
        ),
        (
            "a GNU name with NULs inside",
            1,
            [long(b'L', b"a\0b\0"), a()].concat(),
        ),
        ("a prefix with ..", 1, with(a(), 345, b"../..")[..].to_vec()),
        (
            "writing through a link",
            2,
            [link(b"l", b".."), file(b"l/victim")].concat(),
        ),
        (
            "writing through an absolute link",
            2,
            [link(b"l", &folder_outside), file(b"l/x")].concat(),
        ),
        (
            "writing through a link in a folder",
            3,
            [folder(b"d"), link(b"d/l", b"../.."), file(b"d/l/victim")].concat(),
        ),
        (
            "a folder over a link",
            2,
            [link(b"l", b"../folder"), folder(b"l/")].concat(),
        ),
        (
            "a folder over a link, and into it",
            3,
            [link(b"l", b"../folder"), folder(b"l/"), file(b"l/x")].concat(),
        ),
        (
            "a link over a folder, and into it",
            3,
            [folder(b"l"), link(b"l", b"../folder"), file(b"l/x")].concat(),
        ),
        (
            "a file over a link",
            2,
            [link(b"l", b"../victim"), file(b"l")].concat(),
        ),
        (
            "a link over a file",
            2,
            [file(b"l"), link(b"l", b"../victim")].concat(),
        ),
        ("a link to nothing at all", 1, link(b"l", b"")),
        ("a hard link out", 1, hard(b"h", b"../victim")),
        ("a hard link to an absolute name", 1, hard(b"h", &victim)),
        (
            "a hard link to a link, and a write",
            3,
            [link(b"l", b"../victim"), hard(b"h", b"l"), file(b"h")].concat(),
        ),
        (
            "a hard link through a link",
            2,
            [link(b"l", b".."), hard(b"h", b"l/victim")].concat(),
        ),
        (
            "a hard link to a folder",
            2,
            [folder(b"d"), hard(b"h", b"d")].concat(),
        ),
        ("a hard link to itself", 1, hard(b"h", b"h")),
        ("a hard link to nothing", 1, hard(b"h", b"x")),
        (
            "a hard link to what comes later",
            2,
            [hard(b"h", b"a"), a()].concat(),
        ),
        (
            "a hard link over a file",
            3,
            [a(), file(b"h"), hard(b"h", b"a")].concat(),
        ),
        (
            "a hard link with data",
            2,
            [a(), header(b"h", b'1', 5, b"a"), data(b"pwned")].concat(),
        ),
        ("two files of one name", 2, [a(), a()].concat()),
        (
            "two files of one name, said differently",
            2,
            [a(), file(b"./a")].concat(),
        ),
        (
            "two folders of one name",
            2,
            [folder(b"d"), folder(b"d/")].concat(),
        ),
        (
            "two folders of no name",
            2,
            [folder(b"./"), folder(b".")].concat(),
        ),
        ("a folder over a file", 2, [a(), folder(b"a")].concat()),
        ("a file over a folder", 2, [folder(b"a"), a()].concat()),
        ("a file below a file", 2, [a(), file(b"a/b")].concat()),
        (
            "a file far below a file",
            2,
            [a(), file(b"a/b/c/d")].concat(),
        ),
        (
            "a file below a pipe",
            2,
            [header(b"p", b'6', 0, b""), file(b"p/b")].concat(),
        ),
        (
            "a file over a pipe",
            2,
            [header(b"p", b'6', 0, b""), file(b"p")].concat(),
        ),
        ("two sizes", 1, [pax(&[("size", b"512")]), a()].concat()),
        (
            "a size of zero against a PAX size",
            1,
            [
                pax(&[("size", b"5")]),
                header(b"a", b'0', 0, b""),
                data(b"pwned"),
            ]
            .concat(),
        ),
        (
            "a huge PAX size",
            1,
            [
                pax(&[("size", b"18446744073709551615")]),
                header(b"a", b'0', 0, b""),
            ]
            .concat(),
        ),
        (
            "a PAX size that is no number",
            1,
            [pax(&[("size", b"0x5")]), a()].concat(),
        ),
        (
            "a size below zero",
            1,
            with(header(b"a", b'0', 0, b""), 124, &[0xff; 12]),
        ),
        (
            "a size of 2^62 in base 256",
            1,
            with(
                header(b"a", b'0', 0, b""),
                124,
                b"\x80\0\0\0\x40\0\0\0\0\0\0\0",
            ),
        ),
        (
            "links in two dialects",
            1,
            [
                pax(&[("linkpath", b"b")]),
                long(b'K', b"c\0"),
                link(b"l", b"d"),
            ]
            .concat(),
        ),
        (
            "names in two dialects",
            1,
            [pax(&[("path", b"b")]), long(b'L', b"c\0"), a()].concat(),
        ),
        (
            "names in two dialects, the other way",
            1,
            [long(b'L', b"c\0"), pax(&[("path", b"b")]), a()].concat(),
        ),
        (
            "two long names",
            1,
            [long(b'L', b"b\0"), long(b'L', b"c\0"), a()].concat(),
        ),
        (
            "two extended headers",
            1,
            [pax(&[("path", b"b")]), pax(&[("path", b"c")]), a()].concat(),
        ),
        (
            "two names in one extended header",
            1,
            [pax(&[("path", b"b"), ("path", b"c")]), a()].concat(),
        ),
        (
            "an extended header for nothing",
            1,
            [a(), pax(&[("path", b"b")])].concat(),
        ),
        (
            "an extended header that does not end",
            1,
            [header(b"x", b'x', 12, b""), data(b"99 path=abc\n"), a()].concat(),
        ),
        (
            "an extended header of no records",
            1,
            [header(b"x", b'x', 6, b""), data(b"hello\n"), a()].concat(),
        ),
        (
            "an extended header of 10 GiB",
            1,
            with(
                header(b"x", b'x', 0, b""),
                124,
                b"\x80\0\0\0\0\0\0\x02\x80\0\0\0",
            ),
        ),
        ("a long name of 1 GiB", 1, header(b"x", b'L', 1 << 30, b"")),
        (
            "a global header",
            1,
            [header(b"g", b'g', 11, b""), data(b"11 uid=0000"), a()].concat(),
        ),
        (
            "an unknown critical record",
            1,
            [pax(&[("GNU.volume.offset", b"5")]), a()].concat(),
        ),
        (
            "a sparse file of star",
            1,
            [pax(&[("SCHILY.realsize", b"500")]), a()].concat(),
        ),
        (
            "a sparse map beyond the file",
            1,
            sparse(b"100", b"1\n99\n5\n", b"pwned"),
        ),
        (
            "a sparse map that overlaps",
            1,
            sparse(b"100", b"2\n0\n3\n2\n2\n", b"pwned"),
        ),
        (
            "a sparse map that runs backwards",
            1,
            sparse(b"100", b"2\n50\n3\n2\n2\n", b"pwned"),
        ),
        (
            "a sparse map that wraps around",
            1,
            sparse(b"100", b"1\n18446744073709551615\n5\n", b"pwned"),
        ),
        (
            "a sparse map of too few bytes",
            1,
            sparse(b"100", b"1\n0\n4\n", b"pwned"),
        ),
        (
            "a sparse map of too many bytes",
            1,
            sparse(b"100", b"1\n0\n6\n", b"pwned"),
        ),
        (
            "a sparse map that does not end",
            1,
            sparse(b"100", b"100000\n0\n5\n", b"pwned"),
        ),
        (
            "a sparse map of letters",
            1,
            sparse(b"100", b"x\n", b"pwned"),
        ),
        (
            "a sparse file of 2^63 bytes",
            1,
            sparse(b"9223372036854775808", b"1\n0\n5\n", b"pwned"),
        ),
        (
            "a sparse folder",
            1,
            [
                pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"s"),
                    ("GNU.sparse.realsize", b"5"),
                ]),
                folder(b"s"),
            ]
            .concat(),
        ),
        (
            "a link with data",
            1,
            [header(b"l", b'2', 5, b"x"), data(b"pwned")].concat(),
        ),
        (
            "a folder with data",
            1,
            [header(b"d", b'5', 5, b""), data(b"pwned")].concat(),
        ),
        (
            "an owner that means nobody",
            1,
            with(folder(b"d"), 108, b"\x80\0\0\0\xff\xff\xff\xff"),
        ),
        (
            "an owner beyond all owners",
            1,
            [pax(&[("uid", b"4294967296")]), a()].concat(),
        ),
        ("an unknown type", 1, header(b"d", b'V', 0, b"")),
        (
            "a folder of an incremental dump",
            1,
            header(b"d", b'D', 0, b""),
        ),
        ("a continued file", 1, header(b"d", b'M', 0, b"")),
        ("a wrong checksum", 1, {
            let mut block = a();
            block[0] ^= 1;
            block
        }),
        (
            "no mark of a tar",
            1,
            with(header(b"a", b'0', 0, b""), 257, b"ugly!"),
        ),
        (
            "a number with letters",
            1,
            with(header(b"a", b'0', 0, b""), 100, b"00z0644\0"),
        ),
        (
            "more entries than were sealed",
            1,
            [a(), file(b"b")].concat(),
        ),
        (
            "fewer entries than were sealed",
            3,
            [a(), file(b"b")].concat(),
        ),
        ("no entries at all", 1, Vec::new()),
        (
            "an entry after a zero block",
            2,
            [a(), vec![0; 512], file(b"b")].concat(),
        ),
        (
            "an archive after the archive",
            2,
            [a(), END.to_vec(), file(b"b")].concat(),
        ),
        (
            "something after the end",
            1,
            [a(), END.to_vec(), vec![7; 512]].concat(),
        ),
        (
            "a mebibyte of zeros and more",
            1,
            [a(), vec![0; (1 << 20) + 2048]].concat(),
        ),
    ]
}

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
