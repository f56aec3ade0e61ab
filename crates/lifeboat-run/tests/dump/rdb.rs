//! Snapshots of Redis.

use crate::kit::{judge, judges_alike_in_pieces, output, refuses_cuts, survives_flips};
use lifeboat_run::source::{Fault, Format};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Redis {
    dir: tempfile::TempDir,
    process: Child,
}

impl Redis {
    fn start() -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            println!("SKIP Redis: there is no server on this machine");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // Ends when this test ends, also when it is killed.
        let process = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "redis-server",
                "--port",
                "0",
                "--save",
                "",
            ])
            .args([
                "--repl-diskless-sync",
                "yes",
                "--repl-diskless-sync-delay",
                "0",
            ])
            .arg("--unixsocket")
            .arg(dir.path().join("socket"))
            .arg("--dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Redis { dir, process };
        let begun = Instant::now();
        while !redis.cli().arg("ping").output().unwrap().status.success() {
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
        Some(redis)
    }

    fn cli(&self) -> Command {
        let mut cli = Command::new("redis-cli");
        cli.arg("-s").arg(self.dir.path().join("socket"));
        cli
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        output(self.cli().args(arguments))
    }

    fn set(&self, name: &str, value: &str) {
        assert_eq!(self.run(&["config", "set", name, value]), b"OK\n");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn real_snapshots_are_whole_however_they_come_and_refused_when_they_are_cut() {
    let Some(redis) = Redis::start() else { return };
    for n in 0..50 {
        redis.run(&["set", &format!("key{n}"), &"value".repeat(n)]);
    }
    redis.run(&["rpush", "list", "a", "b", "c"]);
    for (diskless, mark) in [("yes", 40), ("no", 0)] {
        redis.set("repl-diskless-sync", diskless);
        let dump = redis.run(&["--rdb", "-"]);
        let seen = judge(Format::Rdb, &dump).unwrap();
        assert_eq!(seen.behind_the_end, mark, "diskless: {diskless}");
        assert_eq!(seen.facts["checksum"], true);
        // Without the mark, or with a part of it that can be no mark, it is whole too or not believed.
        let own = dump.len() - mark;
        refuses_cuts(Format::Rdb, &dump, (0..own).chain(own + 1..dump.len()));
        assert_eq!(judge(Format::Rdb, &dump[..own]).unwrap().behind_the_end, 0);
        judges_alike_in_pieces(Format::Rdb, &dump);
        survives_flips(Format::Rdb, &dump, 500);
        server_believes(redis.dir.path(), &dump[..own]);
    }
    redis.run(&["save"]);
    let file = fs::read(redis.dir.path().join("dump.rdb")).unwrap();
    refuses_cuts(Format::Rdb, &file, 0..file.len());
}

/// The server's own checker has the same opinion of what we would keep.
fn server_believes(dir: &Path, snapshot: &[u8]) {
    let file = dir.join("kept.rdb");
    fs::write(&file, snapshot).unwrap();
    output(Command::new("redis-check-rdb").arg(&file));
}

fn crafted(head: &str, data: &[u8], checksum: Option<u64>) -> Vec<u8> {
    let mut bytes = [head.as_bytes(), data, &[0xff]].concat();
    let checksum = checksum.unwrap_or_else(|| jones(&bytes));
    bytes.extend(checksum.to_le_bytes());
    bytes
}

/// Bit by bit, as it is defined.
fn jones(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc: u64, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            (crc >> 1)
                ^ if crc & 1 == 1 {
                    0x95ac_9329_ac4b_c9b5
                } else {
                    0
                }
        })
    })
}

#[test]
fn snapshots_of_redis_and_of_valkey_are_known() {
    for head in ["REDIS0005", "REDIS0011", "VALKEY080"] {
        let snapshot = crafted(head, b"some data", None);
        assert!(judge(Format::Rdb, &snapshot).is_ok(), "{head}");
    }
    for head in ["REDIS0004", "REDIS00x1", "MEMCACHED", "-ERR unkn"] {
        let snapshot = crafted(head, b"some data", None);
        assert!(judge(Format::Rdb, &snapshot).is_err(), "{head}");
    }
}

#[test]
fn a_bit_that_is_wrong_is_found_by_the_checksum() {
    let snapshot = crafted("REDIS0011", &[7; 100], None);
    for bit in 9 * 8..snapshot.len() * 8 {
        let mut wrong = snapshot.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let verdict = judge(Format::Rdb, &wrong);
        assert!(matches!(verdict, Err((Fault::NoEndMarker, _))), "bit {bit}");
    }
}

#[test]
fn a_server_that_takes_no_checksums_is_believed_and_that_is_written_down() {
    let snapshot = crafted("REDIS0011", b"some data", Some(0));
    let seen = judge(Format::Rdb, &snapshot).unwrap();
    assert_eq!(seen.facts["checksum"], false);
    refuses_cuts(Format::Rdb, &snapshot, 0..snapshot.len());
}

#[test]
fn the_mark_of_a_stream_is_no_part_of_the_snapshot() {
    let snapshot = crafted("REDIS0011", b"some data", None);
    let mark = b"0123456789abcdef0123456789abcdef01234567";
    let marked = [&snapshot[..], mark].concat();
    assert_eq!(judge(Format::Rdb, &marked).unwrap().behind_the_end, 40);
    judges_alike_in_pieces(Format::Rdb, &marked);
    let other = [&snapshot[..], b"0123456789abcdef0123456789abcdef0123456?"].concat();
    assert!(judge(Format::Rdb, &other).is_err());
}

#[test]
fn what_is_shorter_than_any_snapshot_is_none() {
    let shortest = crafted("REDIS0011", b"", None);
    assert_eq!(shortest.len(), 18);
    refuses_cuts(Format::Rdb, &shortest, 0..18);
}
