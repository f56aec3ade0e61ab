//! A database inside a folder is archived as a consistent copy.

use crate::kit::{noise, plain, seal_to, sh, with};
use lifeboat_run::source::Options;
use rusqlite::Connection;
use std::{fs, path::Path};
use tempfile::tempdir;

fn database(at: &Path, mode: &str) -> Connection {
    let db = Connection::open(at).unwrap();
    db.pragma_update(None, "journal_mode", mode).unwrap();
    db.execute_batch("CREATE TABLE t (x INTEGER, filler BLOB);")
        .unwrap();
    for n in 0..500 {
        db.execute("INSERT INTO t VALUES (?1, ?2)", (n, noise(300, n as u64)))
            .unwrap();
    }
    db
}

fn capturing(scratch: &Path) -> Options {
    Options {
        scratch: Some(scratch.to_owned()),
        ..Options::default()
    }
}

#[test]
fn a_live_database_comes_back_whole_and_without_companions() {
    let dir = tempdir().unwrap();
    let [tree, scratch, file, out] =
        ["tree", "scratch", "file", "out"].map(|name| dir.path().join(name));
    for path in [&tree, &scratch, &out] {
        fs::create_dir(path).unwrap();
    }
    // What is in them lies partly in the WAL.
    let live = database(&tree.join("live.db"), "wal");
    let _other = database(&tree.join("named as it likes"), "delete");
    fs::write(tree.join("notes-wal"), b"no companion of anything").unwrap();
    fs::write(
        tree.join("looks like"),
        [&b"SQLite format 3\0"[..], b"not"].concat(),
    )
    .unwrap();
    fs::hard_link(tree.join("live.db"), tree.join("second name")).unwrap();

    let sealed = seal_to(&with(&tree, capturing(&scratch)), &plain(), &file).unwrap();
    assert_eq!(sealed.warnings(), &[] as &[String]);
    sh("tar -C $2 -xf $1", &[&file, &out]);
    let mut names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "live.db",
            "looks like",
            "named as it likes",
            "notes-wal",
            "second name"
        ]
    );
    for name in ["live.db", "second name", "named as it likes"] {
        let copy = Connection::open(out.join(name)).unwrap();
        let rows: i64 = copy
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 500, "{name}");
    }
    let mut databases: Vec<_> = sealed.facts()["sqlite"].as_array().unwrap().clone();
    databases.sort_by_key(|name| name.to_string());
    assert_eq!(databases.len(), 2);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    // The live one is as it was, and still in use.
    live.execute("INSERT INTO t VALUES (1000, NULL)", [])
        .unwrap();
}

#[test]
fn the_copy_keeps_owner_mode_and_time_of_the_original() {
    let dir = tempdir().unwrap();
    let [tree, scratch, file, out] =
        ["tree", "scratch", "file", "out"].map(|name| dir.path().join(name));
    for path in [&tree, &scratch, &out] {
        fs::create_dir(path).unwrap();
    }
    drop(database(&tree.join("a.db"), "delete"));
    sh(
        "chmod 640 $1/a.db; chown 999:998 $1/a.db; touch -d '2020-02-03 04:05:06.789' $1/a.db",
        &[&tree],
    );
    seal_to(&with(&tree, capturing(&scratch)), &plain(), &file).unwrap();
    sh("tar -C $2 -xpf $1", &[&file, &out]);
    let what = "stat -c '%a %u %g %y' $1/a.db";
    assert_eq!(sh(what, &[&tree]), sh(what, &[&out]));
}

#[test]
fn what_sqlite_cannot_read_is_archived_as_it_lies_with_its_companions() {
    let dir = tempdir().unwrap();
    let [tree, scratch, file] = ["tree", "scratch", "file"].map(|name| dir.path().join(name));
    for path in [&tree, &scratch] {
        fs::create_dir(path).unwrap();
    }
    let broken = [&b"SQLite format 3\0"[..], &noise(4080, 3)].concat();
    fs::write(tree.join("broken.db"), broken).unwrap();
    fs::write(tree.join("broken.db-wal"), noise(5000, 4)).unwrap();
    let sealed = seal_to(&with(&tree, capturing(&scratch)), &plain(), &file).unwrap();
    assert_eq!(
        sh("tar -tf $1 | sort", &[&file]),
        "./\n./broken.db\n./broken.db-wal\n"
    );
    assert_eq!(sealed.warnings_total(), 1);
    assert!(sealed.warnings()[0].starts_with("broken.db: archived as it lies"));
}
