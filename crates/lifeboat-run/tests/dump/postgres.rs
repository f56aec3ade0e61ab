//! Dumps in PostgreSQL's custom format: real ones of the server at hand, and crafted ones of the other
//! versions of the format.

use crate::{
    kit::{Dice, judge, judges_alike_in_pieces, output, refuses_cuts, survives_flips},
    postgres_server::Server,
};
use lifeboat_run::source::{Fault, Format};
use std::process::Command;

const CUSTOM: Format = Format::PostgresCustom;

const SHOP: &str = "
    create schema more;
    create table customers (id serial primary key, name text, born date);
    create table more.orders (id int primary key, customer int references customers, what bytea);
    create table nothing (x int);
    create view rich as select * from customers where id > 10;
    create materialized view old as select * from customers;
    create function f(int) returns int language sql as 'select $1';
    insert into customers (name) select md5(n::text) from generate_series(1, 50) n;
    insert into more.orders select n, n, decode(repeat(md5(n::text), n), 'hex') from generate_series(1, 50) n;
    select lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex')), lo_from_bytea(0, ''), lo_create(0);
";

#[test]
fn real_dumps_are_whole_and_refused_when_they_are_cut() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql("postgres", "create database empty");
    server.sql("postgres", "create database shop");
    server.sql("shop", SHOP);
    let version = server.run("pg_dump", &["--version"]);
    let version = String::from_utf8(version).unwrap();
    let version = version
        .trim()
        .strip_prefix("pg_dump (PostgreSQL) ")
        .unwrap();

    for (database, arguments, tables) in [
        ("empty", &[][..], 0),
        ("shop", &[], 3),
        ("shop", &["-Z0"], 3),
        ("shop", &["-Z1"], 3),
        ("shop", &["-Z9"], 3),
        ("shop", &["--schema-only"], 3),
        ("shop", &["--data-only"], 0),
        ("shop", &["--inserts", "--no-owner"], 3),
        ("shop", &["--table=customers"], 1),
        ("shop", &["--no-blobs"], 3),
    ] {
        let arguments = [&["-Fc", database], arguments].concat();
        let dump = server.run("pg_dump", &arguments);
        let seen = judge(CUSTOM, &dump).unwrap();
        assert_eq!(seen.behind_the_end, 0);
        assert_eq!(seen.facts["tables"], tables, "{arguments:?}");
        assert_eq!(seen.facts["server_version"], version, "{arguments:?}");
        assert_eq!(seen.facts["dump_version"], version, "{arguments:?}");
        assert_eq!(
            seen.facts["toc_entries"].as_u64(),
            Some(listed(&server, &dump)),
            "{arguments:?}"
        );
        let step = 1 + dump.len() / 8000;
        refuses_cuts(
            CUSTOM,
            &dump,
            (0..dump.len()).step_by(step).chain([dump.len() - 1]),
        );
        judges_alike_in_pieces(CUSTOM, &dump);
        survives_flips(CUSTOM, &dump, 300);
    }
}

#[test]
fn a_larger_real_dump_is_refused_when_it_is_cut_anywhere() {
    let Some(server) = Server::start() else {
        return;
    };
    server.sql("postgres", SHOP);
    server.sql(
        "postgres",
        "create table wide as select n, repeat(md5(n::text), 30) as a from generate_series(1, 1000) n",
    );
    let dump = server.run("pg_dump", &["-Fc", "-Z0", "postgres"]);
    assert!(dump.len() > 1_000_000, "{}", dump.len());
    let mut dice = Dice(3);
    let last = (1..=50).map(|n| dump.len() - n);
    let cuts: Vec<usize> = (0..1000)
        .map(|_| dice.below(dump.len()))
        .chain(last)
        .collect();
    refuses_cuts(CUSTOM, &dump, cuts);
    let longer = [&dump[..], b"\0"].concat();
    assert!(judge(CUSTOM, &longer).is_err());
}

/// What PostgreSQL's own program counts.
fn listed(server: &Server, dump: &[u8]) -> u64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let list = output(server.command("pg_restore").arg("--list").arg(file.path()));
    let list = String::from_utf8(list).unwrap();
    let entries = list
        .lines()
        .find_map(|line| line.strip_prefix(";     TOC Entries: "));
    entries.unwrap().parse().unwrap()
}

/// Writes dumps as every version of the format has them.
struct Writer {
    minor: u8,
    int_size: usize,
    bytes: Vec<u8>,
}

impl Writer {
    fn new(minor: u8, int_size: usize) -> Self {
        let mut writer = Writer {
            minor,
            int_size,
            bytes: b"PGDMP".to_vec(),
        };
        writer.bytes.extend([1, minor, 0, int_size as u8, 8, 1]);
        match minor {
            15.. => writer.bytes.push(1),
            _ => writer.int(-1),
        }
        for n in [1, 2, 3, 4, 5, 125, 0] {
            writer.int(n);
        }
        for text in ["shop", "17.2", "17.4"] {
            writer.text(Some(text));
        }
        writer
    }

    fn int(&mut self, int: i64) {
        self.bytes.push(u8::from(int < 0));
        let digits = int.unsigned_abs().to_le_bytes();
        self.bytes.extend(&digits[..self.int_size]);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.int(-1),
            Some(text) => {
                self.int(text.len() as i64);
                self.bytes.extend(text.as_bytes());
            }
        }
    }

    fn entry(&mut self, id: i64, kind: &str, has_data: bool) {
        self.int(id);
        self.int(has_data.into());
        for text in [Some("1259"), Some("16385"), Some("a name"), Some(kind)] {
            self.text(text);
        }
        self.int(3);
        for text in [Some("CREATE …"), Some(""), None, Some("public"), Some("")] {
            self.text(text);
        }
        if self.minor >= 14 {
            self.text(Some("heap"));
        }
        if self.minor >= 16 {
            self.int(114);
        }
        for text in [Some("owner"), Some("false"), Some("3"), Some("12"), None] {
            self.text(text);
        }
        self.bytes.extend([if has_data { 1 } else { 3 }; 9]);
    }

    fn data(&mut self, chunks: &[usize]) {
        for chunk in chunks {
            self.int(*chunk as i64);
            self.bytes.extend(vec![7; *chunk]);
        }
        self.int(0);
    }

    fn table(&mut self, id: i64, chunks: &[usize]) {
        self.bytes.push(1);
        self.int(id);
        self.data(chunks);
    }

    fn large_objects(&mut self, id: i64, objects: &[i64]) {
        self.bytes.push(3);
        self.int(id);
        for object in objects {
            self.int(*object);
            self.data(&[10, 300]);
        }
        self.int(0);
    }
}

fn crafted(minor: u8, int_size: usize) -> Writer {
    let mut writer = Writer::new(minor, int_size);
    writer.int(4);
    writer.entry(5, "TABLE", false);
    writer.entry(9, "TABLE DATA", true);
    writer.entry(10, "TABLE DATA", true);
    writer.entry(11, "BLOBS", true);
    writer
}

fn whole(minor: u8, int_size: usize) -> Vec<u8> {
    let mut writer = crafted(minor, int_size);
    writer.table(9, &[1, 200, 3000]);
    writer.table(10, &[]);
    writer.large_objects(11, &[16_390, -5]);
    writer.bytes
}

#[test]
fn every_version_of_the_format_is_known() {
    for minor in 12..=16 {
        for int_size in [4, 8] {
            let dump = whole(minor, int_size);
            let seen = judge(CUSTOM, &dump).unwrap();
            assert_eq!(seen.facts["archive_version"], format!("1.{minor}"));
            assert_eq!(seen.facts["server_version"], "17.2");
            assert_eq!(seen.facts["dump_version"], "17.4");
            assert_eq!(seen.facts["toc_entries"], 4);
            assert_eq!(seen.facts["tables"], 1);
            refuses_cuts(CUSTOM, &dump, 0..dump.len());
            judges_alike_in_pieces(CUSTOM, &dump);
            survives_flips(CUSTOM, &dump, 2000);
        }
    }
}

#[test]
fn versions_that_nobody_here_has_seen_are_not_believed() {
    for minor in [11, 17] {
        let (fault, why) = judge(CUSTOM, &whole(minor, 4)).unwrap_err();
        assert_eq!(fault, Fault::NoEndMarker);
        assert!(why.contains(&format!("1.{minor}")), "{why}");
    }
}

#[test]
fn what_is_wrong_with_a_dump_is_said() {
    let refused = |make: &dyn Fn(&mut Writer)| {
        let mut writer = crafted(14, 4);
        make(&mut writer);
        judge(CUSTOM, &writer.bytes).unwrap_err().1
    };
    let says = |make: &dyn Fn(&mut Writer), said: &str| {
        let why = refused(make);
        assert!(why.contains(said), "{why:?} does not say {said:?}");
    };
    says(&|_| {}, "the data of 3 entries is missing");
    says(&|w| w.table(9, &[5]), "the data of 2 entries is missing");
    says(
        &|w| {
            w.table(9, &[5]);
            w.table(9, &[5]);
        },
        "no entry speaks of",
    );
    says(&|w| w.table(5, &[]), "no entry speaks of");
    says(&|w| w.table(77, &[]), "no entry speaks of");
    says(&|w| w.bytes.push(2), "no block of data");
    says(
        &|w| {
            w.bytes.push(1);
            w.int(9);
            w.int(-4);
        },
        "has no length",
    );
    says(
        &|w| {
            w.bytes.push(1);
            w.int(9);
            w.int(1 << 20);
            w.bytes.extend([0; 100]);
        },
        "in the middle of its data",
    );

    let says = |bytes: &[u8], said: &str| {
        let (fault, why) = judge(CUSTOM, bytes).unwrap_err();
        assert_eq!(fault, Fault::NoEndMarker);
        assert!(why.contains(said), "{why:?} does not say {said:?}");
    };
    let dump = whole(14, 4);
    says(b"", "in its header");
    says(&dump[..40], "in its header");
    says(&dump[..200], "in its table of contents");
    says(b"-- PostgreSQL database dump\n", "does not begin like");
    // What the engine writes to standard output when there is no such program.
    says(
        b"OCI runtime exec failed: exec failed: unable to start container process: exec: \"pg_dump\"",
        "does not begin like",
    );
    let tar = [&dump[..10], &[3], &dump[11..]].concat();
    says(&tar, "not in the custom format");
    let longer = [&dump[..], &dump[..1]].concat();
    says(&longer, "no block of data");
}

#[test]
fn lengths_that_promise_everything_are_not_believed() {
    let mut writer = Writer::new(14, 4);
    writer.int(i64::from(i32::MAX));
    assert!(judge(CUSTOM, &writer.bytes).is_err());
    // A text of two gigabytes.
    writer.int(1);
    writer.int(1);
    writer.int(i64::from(i32::MAX));
    writer.bytes.extend([b'x'; 1000]);
    assert!(judge(CUSTOM, &writer.bytes).is_err());
    let mut writer = Writer::new(14, 8);
    writer.int(1);
    writer.bytes.extend([0; 1]);
    writer.bytes.extend([0xff; 8]);
    assert!(judge(CUSTOM, &writer.bytes).is_err());
}

/// What `pg_restore` sees of a cut dump, and what it does not: the reason why this watch is there.
#[test]
fn the_stock_tool_lists_a_dump_without_its_data() {
    if Command::new("pg_restore")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("SKIP pg_restore: it is not installed");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let dump = crafted(14, 4).bytes;
    std::fs::write(file.path(), &dump).unwrap();
    output(Command::new("pg_restore").arg("--list").arg(file.path()));
    assert!(judge(CUSTOM, &dump).is_err());
}
