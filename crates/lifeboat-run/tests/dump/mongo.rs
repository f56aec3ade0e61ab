//! Archives of mongodump, made here after the description of the format (there is no MongoDB in Debian to
//! make real ones): `common/archive/spec.md` of MongoDB's own tools. The real archives among the samples of
//! those tools' tests (servers 3.4 to 5.0) were judged by hand: whole, and refused when cut at any byte.

use crate::kit::{judge, judges_alike_in_pieces, refuses_cuts, survives_flips};
use lifeboat_run::source::{Fault, Format};

const MONGO: Format = Format::MongoArchive;
const TERMINATOR: [u8; 4] = [0xff; 4];

#[derive(Clone)]
enum Value {
    Text(&'static str),
    Boolean(bool),
    Int32(i32),
    Int64(u64),
}

fn document(members: &[(&str, Value)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in members {
        let (kind, bytes) = match value {
            Value::Text(text) => {
                let length = text.len() as u32 + 1;
                (2, [&length.to_le_bytes(), text.as_bytes(), &[0]].concat())
            }
            Value::Boolean(is) => (8, vec![u8::from(*is)]),
            Value::Int32(int) => (0x10, int.to_le_bytes().to_vec()),
            Value::Int64(int) => (0x12, int.to_le_bytes().to_vec()),
        };
        body.push(kind);
        body.extend(name.as_bytes());
        body.push(0);
        body.extend(bytes);
    }
    let length = body.len() as u32 + 5;
    [&length.to_le_bytes()[..], &body, &[0]].concat()
}

/// Bit by bit, as it is defined.
fn ecma(documents: &[Vec<u8>]) -> u64 {
    let bytes = documents.concat();
    !bytes.iter().fold(!0, |crc: u64, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            (crc >> 1)
                ^ if crc & 1 == 1 {
                    0xc96c_5795_d787_0f42
                } else {
                    0
                }
        })
    })
}

fn prelude(collections: &[(&'static str, &'static str, &'static str)]) -> Vec<u8> {
    let mut bytes = 0x8199_e26d_u32.to_le_bytes().to_vec();
    bytes.extend(document(&[
        ("concurrent_collections", Value::Int32(4)),
        ("version", Value::Text("0.1")),
        ("server_version", Value::Text("7.0.5")),
        ("tool_version", Value::Text("100.9.4")),
    ]));
    for (db, collection, kind) in collections {
        bytes.extend(document(&[
            ("db", Value::Text(db)),
            ("collection", Value::Text(collection)),
            ("metadata", Value::Text("{\"indexes\":[]}")),
            ("size", Value::Int32(0)),
            ("type", Value::Text(kind)),
        ]));
    }
    bytes.extend(TERMINATOR);
    bytes
}

fn head(db: &'static str, collection: &'static str, end: bool, crc: u64) -> Vec<u8> {
    document(&[
        ("db", Value::Text(db)),
        ("collection", Value::Text(collection)),
        ("EOF", Value::Boolean(end)),
        ("CRC", Value::Int64(crc)),
    ])
}

fn stretch(db: &'static str, collection: &'static str, documents: &[Vec<u8>]) -> Vec<u8> {
    [
        head(db, collection, false, 0),
        documents.concat(),
        TERMINATOR.to_vec(),
    ]
    .concat()
}

fn ended(db: &'static str, collection: &'static str, documents: &[Vec<u8>]) -> Vec<u8> {
    [
        head(db, collection, true, ecma(documents)),
        TERMINATOR.to_vec(),
    ]
    .concat()
}

fn documents(count: i32) -> Vec<Vec<u8>> {
    let one = |n| document(&[("_id", Value::Int32(n)), ("name", Value::Text("somebody"))]);
    (0..count).map(one).chain([document(&[])]).collect()
}

fn parts() -> Vec<Vec<u8>> {
    let (a, b) = (documents(3), documents(7));
    vec![
        prelude(&[
            ("shop", "a", ""),
            ("shop", "b", ""),
            ("shop", "empty", ""),
            ("", "oplog", ""),
        ]),
        stretch("shop", "a", &a[..2]),
        stretch("shop", "b", &b),
        ended("shop", "b", &b),
        stretch("shop", "a", &a[2..]),
        ended("shop", "a", &a),
        ended("shop", "empty", &[]),
        ended("", "oplog", &[]),
    ]
}

fn refused(bytes: &[u8], said: &str) {
    let (fault, why) = judge(MONGO, bytes).unwrap_err();
    assert_eq!(fault, Fault::NoEndMarker);
    assert!(why.contains(said), "{why:?} does not say {said:?}");
}

#[test]
fn an_archive_with_interleaved_collections_is_whole_and_refused_when_it_is_cut() {
    let archive = parts().concat();
    let seen = judge(MONGO, &archive).unwrap();
    assert_eq!(seen.facts["server_version"], "7.0.5");
    assert_eq!(seen.facts["dump_version"], "100.9.4");
    assert_eq!(seen.facts["collections"], 4);
    refuses_cuts(MONGO, &archive, 0..archive.len());
    judges_alike_in_pieces(MONGO, &archive);
    survives_flips(MONGO, &archive, 5000);
}

#[test]
fn an_archive_of_nothing_is_whole() {
    let archive = prelude(&[]);
    refuses_cuts(MONGO, &archive, 0..archive.len());
}

#[test]
fn a_bit_that_is_wrong_in_a_document_is_found_by_the_checksum() {
    let (before, after) = (parts()[0].len(), parts()[1].len());
    let head = head("shop", "a", false, 0).len();
    let archive = parts().concat();
    // All bytes of the documents of the first stretch, without its terminator.
    for at in before + head..before + after - 4 {
        let mut wrong = archive.clone();
        wrong[at] ^= 0x10;
        assert!(judge(MONGO, &wrong).is_err(), "byte {at}");
    }
}

#[test]
fn whatever_stretch_is_missing_is_missed() {
    for (without, said) in [
        (1, "another checksum"),
        (2, "another checksum"),
        (3, "1 collections have no end"),
        (4, "another checksum"),
        (5, "1 collections have no end"),
        (6, "1 collections are missing"),
        (7, "1 collections are missing"),
    ] {
        let mut parts = parts();
        parts.remove(without);
        refused(&parts.concat(), said);
    }
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    refused(b"", "in the middle");
    refused(b"Failed: can't create session", "does not begin like");
    let mut two = parts();
    two[1].extend(TERMINATOR);
    refused(&two.concat(), "has no head");
    let mut again = parts();
    again.push(stretch("shop", "a", &documents(1)));
    refused(&again.concat(), "goes on after its end");
    let mut data_at_the_end = parts();
    let end = data_at_the_end[3].len() - 4;
    data_at_the_end[3].splice(end.., document(&[]));
    refused(&data_at_the_end.concat(), "belong to no collection");
    refused(
        &[&parts()[0][..], &[4, 0, 0, 0]].concat(),
        "impossible length",
    );
    refused(
        &[&parts()[0][..], &[0, 0, 0, 0x7f]].concat(),
        "impossible length",
    );
    refused(
        &[&parts()[0][..], &document(&[("x", Value::Int32(1))])].concat(),
        "has no name",
    );
}

#[test]
fn the_data_of_a_time_series_goes_by_its_own_name_or_by_that_of_its_buckets() {
    for name in ["weather", "system.buckets.weather"] {
        let documents = documents(2);
        let archive = [
            prelude(&[("shop", "weather", "timeseries")]),
            stretch("shop", name, &documents),
            ended("shop", name, &documents),
        ]
        .concat();
        assert!(judge(MONGO, &archive).is_ok(), "{name}");
    }
}
