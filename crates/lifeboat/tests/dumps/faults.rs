//! Whatever goes wrong with a dump is told by its name, and nothing of it is stored.
//!
//! `pg_dump` is stood in for by a script where the real one cannot be made to fail at a chosen moment.

use crate::{
    kit::{self, Held, OWNER, Stored},
    postgres::start,
};
use lifeboat::docker::{Command, MARK, kind::DatabaseKind};
use lifeboat_run::{Cancel, seal::SealError, source::Source};
use std::{thread, time::Duration};

/// Runs the real one for a version, and `line` for a dump.
fn stand_in(held: &Held, line: &str) {
    let script =
        format!("#!/bin/sh\ncase $1 in --version) exec /usr/bin/pg_dump \"$@\";; esac\n{line}\n");
    let file = "/usr/local/bin/pg_dump";
    let made = Command::new(["sh", "-c", &format!("cat > {file} && chmod +x {file}")]);
    held.output(&made.with_input(script));
    held.sh("rm -f /tmp/there");
}

/// Half a dump, and then nothing for ever.
const HALF: &str = "/usr/bin/pg_dump \"$@\" | head -c 3000; : > /tmp/there; exec sleep 100000";

fn database(held: &Held, patience: Duration) -> Box<dyn Source> {
    let server = kit::server(held, DatabaseKind::Postgres);
    let mut sources = kit::open_with(held, &server, patience, Duration::from_secs(20));
    let at = sources.iter().position(|s| s.name() == "db.postgres");
    let at = at.unwrap_or_else(|| panic!("{:?}", kit::names(&sources)));
    sources.swap_remove(at)
}

/// Programs that bear our mark.
fn ours(held: &Held) -> String {
    held.sh(&format!(
        "grep -lz '^{MARK}={OWNER}[.]' /proc/[0-9]*/environ 2>/dev/null || true"
    ))
}

fn counted(faults: u32) {
    println!("RELIABILITY docker_faults={faults} false_greens=0");
}

#[test]
fn a_tool_that_fails_or_lies_is_not_believed() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    held.sh("psql -qU postgres -c 'CREATE TABLE t AS SELECT n FROM generate_series(1, 5000) n'");
    let cases = [
        (
            "/usr/bin/pg_dump \"$@\" | head -c 3000; exit 3",
            "tool_exit",
            "exit code 3",
        ),
        (
            "echo 'the disk is full' >&2; exit 1",
            "tool_exit",
            "the disk is full",
        ),
        ("exec /nowhere/pg_dump", "tool_missing", "postgres:15"),
        (
            "/usr/bin/pg_dump \"$@\" | head -c 3000",
            "no_end_marker",
            "",
        ),
        ("/usr/bin/pg_dump \"$@\" | head -c -1", "no_end_marker", ""),
        ("/usr/bin/pg_dump \"$@\"; echo more", "no_end_marker", ""),
        ("head -c 500000 /dev/zero", "no_end_marker", ""),
        (":", "empty", ""),
        (
            "/usr/bin/pg_dump \"$@\" | head -c 3000; kill -9 $$",
            "exec_lost",
            "137",
        ),
        (
            "PGPASSWORD=wrong PGHOST=$(hostname -i) /usr/bin/pg_dump \"$@\"",
            "auth",
            "password",
        ),
        ("/usr/bin/pg_dump -Fc -d no-such", "no_db", "no-such"),
        (
            "yes flood | head -c 5000000 >&2; exit 4",
            "tool_exit",
            "exit code 4",
        ),
    ];
    let source = database(&held, Duration::from_secs(60));
    for (line, fault, words) in cases {
        stand_in(&held, line);
        let (found, text) = kit::fault(source.as_ref());
        assert_eq!(found, fault, "{line}: {text}");
        assert!(text.contains(words), "{line}: {text}");
        assert!(text.len() < 6_000, "{line}: {} bytes", text.len());
    }
    stand_in(
        &held,
        "yes flood | head -c 5000000 >&2; exec /usr/bin/pg_dump \"$@\"",
    );
    let (dump, sealed) = kit::pour(source.as_ref()).unwrap();
    assert!(dump.starts_with(b"PGDMP"));
    let stderr = sealed.facts()["stderr"].as_str().unwrap();
    assert!(
        stderr.contains("flood") && stderr.len() < 70_000,
        "{}",
        stderr.len()
    );
    counted(cases.len() as u32);
}

#[test]
fn a_container_that_goes_away_meanwhile_is_no_end() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    let ways: [&[&str]; 4] = [
        &["kill"],
        &["stop", "-t", "1"],
        &["restart", "-t", "1"],
        &["rm", "-f", "-v"],
    ];
    for way in ways {
        stand_in(&held, HALF);
        let source = database(&held, Duration::from_secs(60));
        thread::scope(|scope| {
            let poured = scope.spawn(|| kit::fault(source.as_ref()));
            held.until("half a dump", "test -e /tmp/there");
            kit::docker(&[way, &[&held.id]].concat());
            let (fault, text) = poured.join().unwrap();
            assert_eq!(fault, "exec_lost", "{way:?}: {text}");
        });
        match way[0] {
            "rm" => {
                let (fault, text) = kit::fault(source.as_ref());
                assert_eq!(fault, "exec_lost", "{text}");
            }
            _ => {
                kit::docker(&["start", &held.id]);
                held.until("postgres", "pg_isready -q -h 127.0.0.1");
            }
        }
    }
    counted(ways.len() as u32 + 1);
}

#[test]
fn a_server_that_ends_the_session_ends_the_dump() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    held.sh("psql -qU postgres -c 'CREATE TABLE t (n int)'");
    let source = database(&held, Duration::from_secs(60));
    thread::scope(|scope| {
        let lock = "psql -qU postgres -c 'BEGIN; LOCK TABLE t' -c 'SELECT pg_sleep(600)' || true";
        let locker = scope.spawn(|| held.sh(lock));
        let query = |sql: &str| format!("test \"$(psql -XqAtU postgres -c \"{sql}\")\" != 0");
        held.until(
            "the lock",
            &query("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted"),
        );
        let poured = scope.spawn(|| kit::fault(source.as_ref()));
        let waiting = "FROM pg_stat_activity WHERE application_name LIKE 'lifeboat-%' AND wait_event_type = 'Lock'";
        held.until("the dump", &query(&format!("SELECT count(*) {waiting}")));
        held.sh(&query(&format!(
            "SELECT count(pg_terminate_backend(pid)) {waiting}"
        )));
        // Without the snapshot it is tried once more, and waits again.
        held.until("no dump or another", "true");
        let again = "FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE%ACCESS SHARE%' AND wait_event_type = 'Lock'";
        held.until(
            "the second one",
            &query(&format!("SELECT count(*) {again}")),
        );
        held.sh(&query(&format!(
            "SELECT count(pg_terminate_backend(pid)) {again}"
        )));
        let (fault, text) = poured.join().unwrap();
        assert_eq!(fault, "tool_exit", "{text}");
        assert!(text.contains("terminating connection"), "{text}");
        held.sh("psql -qU postgres -c \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()\"");
        locker.join().unwrap();
    });
    counted(1);
}

#[test]
fn what_is_silent_too_long_has_stalled_and_is_ended() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    stand_in(&held, HALF);
    let source = database(&held, Duration::from_secs(2));
    let (fault, text) = kit::fault(source.as_ref());
    assert_eq!(
        (fault.as_str(), ours(&held).as_str()),
        ("stalled", ""),
        "{text}"
    );

    stand_in(&held, "while :; do echo noise >&2; sleep 0.1; done");
    let (fault, text) = kit::fault(source.as_ref());
    assert_eq!(
        (fault.as_str(), ours(&held).as_str()),
        ("stalled", ""),
        "{text}"
    );
    assert!(text.contains("it said: noise"), "{text}");

    stand_in(&held, HALF);
    let source = database(&held, Duration::from_secs(4));
    thread::scope(|scope| {
        let poured = scope.spawn(|| kit::fault(source.as_ref()));
        held.until("half a dump", "test -e /tmp/there");
        kit::docker(&["pause", &held.id]);
        let (fault, text) = poured.join().unwrap();
        let again = kit::fault(source.as_ref());
        kit::docker(&["unpause", &held.id]);
        assert_eq!(fault, "stalled", "{text}");
        assert_eq!(again.0, "exec_lost", "{}", again.1);
    });
    assert_ne!(ours(&held), "", "nothing was left to be ended");
    // The next run's first look.
    kit::sweep(&held);
    stand_in(&held, "exec /usr/bin/pg_dump \"$@\"");
    let source = database(&held, Duration::from_secs(60));
    assert_eq!(ours(&held), "");
    kit::pour(source.as_ref()).unwrap();
    counted(4);
}

#[test]
fn a_cancelled_dump_leaves_no_program_behind() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    stand_in(&held, HALF);
    let source = database(&held, Duration::from_secs(60));
    let (cancel, stored) = (Cancel::default(), Stored::default());
    thread::scope(|scope| {
        let poured = scope.spawn(|| kit::pour_until(source.as_ref(), &cancel, &stored));
        held.until("half a dump", "test -e /tmp/there");
        assert_ne!(ours(&held), "");
        cancel.cancel();
        let error = poured.join().unwrap().unwrap_err();
        let SealError::Source(error) = error else {
            assert!(matches!(error, SealError::Cancelled(_)), "{error}");
            return;
        };
        assert_eq!(error.to_string(), "cancelled");
    });
    assert_eq!(ours(&held), "");
    assert!(!*stored.committed.lock().unwrap());
    counted(1);
}

#[test]
fn programs_of_a_run_that_was_killed_are_ended_before_the_next_and_foreign_ones_are_not() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    for owner in [OWNER, "lifeboat-test-2", "x-lifeboat-test"] {
        let command = Command::new(["sleep", "100000"]).owned_by(owner);
        std::mem::forget(engine.exec(&held.id, &command).unwrap());
    }
    held.until(
        "sleepers",
        &format!("test $(grep -lz '^{MARK}=.*test' /proc/[0-9]*/environ 2>/dev/null | wc -l) = 3"),
    );
    // Somebody who only looks ends nothing: it may belong to a run that is alive.
    database(&held, Duration::from_secs(60));
    assert_ne!(ours(&held), "");
    kit::sweep(&held);
    assert_eq!(ours(&held), "");
    held.sh(&format!(
        "test $(grep -lz '^{MARK}=.*test' /proc/[0-9]*/environ 2>/dev/null | wc -l) = 2"
    ));
    counted(1);
}

#[test]
fn a_server_that_cannot_be_asked_is_a_source_that_fails_with_the_reason() {
    let Some(engine) = kit::engine(&["postgres:15", "busybox:1"]) else {
        return;
    };
    let alone = |held: &Held, change: &dyn Fn(&mut lifeboat::docker::cover::Server)| {
        let mut server = kit::server(held, DatabaseKind::Postgres);
        change(&mut server);
        let sources = kit::open(held, &server);
        assert_eq!(kit::names(&sources), ["db"]);
        kit::fault(sources[0].as_ref())
    };
    let bare = Held::idle(&engine, "busybox:1");
    let (fault, text) = alone(&bare, &|_| {});
    assert_eq!(fault, "tool_missing", "{text}");
    assert!(
        text.contains("psql in image lifeboat-bed/busybox:1"),
        "{text}"
    );

    let strict = ["-e", "POSTGRES_INITDB_ARGS=--auth=scram-sha-256"];
    let held = start(&engine, "postgres:15", &strict);
    held.sh("echo wrong-canary-7 > /wrong; : > /empty");
    let with_file = |path: &'static str| {
        alone(&held, &|server| {
            server.settings.password_file = Some(path.to_owned())
        })
    };
    let (fault, text) = with_file("/wrong");
    assert_eq!(fault, "auth", "{text}");
    assert!(!text.contains("canary"), "{text}");
    let (fault, text) = with_file("/empty");
    assert_eq!(fault, "auth", "{text}");
    let (fault, text) = with_file("/none");
    assert_eq!(fault, "auth", "{text}");
    assert!(text.contains("/none"), "{text}");
    let (fault, text) = alone(&held, &|server| {
        server.settings.user = Some("nobody".to_owned())
    });
    assert_eq!(fault, "auth", "{text}");

    stand_in(&held, "");
    held.sh("printf '#!/bin/sh\\necho \"pg_dump (PostgreSQL) 14.9\"\\n' > /usr/local/bin/pg_dump");
    let (fault, text) = alone(&held, &|_| {});
    assert_eq!(fault, "tool_version", "{text}");
    held.sh("rm /usr/local/bin/pg_dump; mv /usr/bin/pg_dump /usr/bin/gone; mv /usr/lib/postgresql/15/bin/pg_dump /gone");
    let (fault, text) = alone(&held, &|_| {});
    assert_eq!(fault, "tool_missing", "{text}");
    assert!(
        text.contains("pg_dump in image lifeboat-bed/postgres:15"),
        "{text}"
    );
    kit::docker(&["stop", "-t", "1", &held.id]);
    let (fault, text) = alone(&held, &|_| {});
    assert_eq!(fault, "exec_lost", "{text}");
    counted(8);
}

#[test]
fn a_named_database_that_is_missing_fails_alone() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    let mut server = kit::server(&held, DatabaseKind::Postgres);
    server.settings.databases = vec!["postgres".to_owned(), "shop".to_owned()];
    let sources = kit::open(&held, &server);
    assert_eq!(
        kit::names(&sources),
        ["db.globals", "db.postgres", "db.shop"]
    );
    kit::pour(sources[1].as_ref()).unwrap();
    let (fault, text) = kit::fault(sources[2].as_ref());
    assert_eq!(fault, "no_db", "{text}");
    counted(1);
}
