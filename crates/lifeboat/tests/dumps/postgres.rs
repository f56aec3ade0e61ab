//! PostgreSQL: every database comes back with stock tools, row by row.

use crate::kit::{self, Held};
use lifeboat::docker::{Command, Engine, Verdict, kind::DatabaseKind};
use std::{collections::BTreeMap, thread};

const AWKWARD: [&str; 6] = [
    "it's \"quoted\"",
    "a=b",
    "postgres://x",
    "mein Laden ä",
    "select",
    "globals",
];
pub(crate) const PASSWORD: &str = "canary'p\"w$\\d 7 ü";

pub(crate) fn start(engine: &Engine, image: &str, args: &[&str]) -> Held {
    let password = format!("POSTGRES_PASSWORD={PASSWORD}");
    let mut all = vec!["-e", &password];
    all.extend(args);
    let held = Held::run(engine, &all, image, &["-c", "fsync=off"]);
    held.until("postgres", "pg_isready -q -h 127.0.0.1");
    held
}

pub(crate) fn sql(held: &Held, database: &str, statement: &str) -> String {
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    let dbname = format!("dbname='{quoted}'");
    let argv = [
        "psql",
        "-XqAt",
        "-v",
        "ON_ERROR_STOP=1",
        "-U",
        "postgres",
        "-d",
        &dbname,
        "-c",
    ];
    let mut command = Command::new(argv);
    command.argv.push(statement.to_owned());
    let command = command.with_env("PGPASSWORD", kit::secret(PASSWORD));
    let output = held.output(&command);
    assert_eq!(
        output.verdict,
        Verdict::Done,
        "{statement}: {}",
        output.stderr
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn make(held: &Held, database: &str) {
    let quoted = database.replace('"', "\"\"");
    sql(held, "postgres", &format!("CREATE DATABASE \"{quoted}\""));
    sql(
        held,
        database,
        "CREATE TABLE t (id int PRIMARY KEY, what text); \
         INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 1000) n; \
         CREATE SCHEMA \"Odd.one\"; CREATE TABLE \"Odd.one\".\"a\"\"b\" AS SELECT 1 AS n; \
         CREATE EXTENSION IF NOT EXISTS plpgsql",
    );
}

const CONTENT: &str = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t";

#[test]
fn awkward_names_and_passwords_come_back_from_every_version() {
    for image in ["postgres:15", "postgres:17"] {
        let Some(engine) = kit::engine(&[image]) else {
            continue;
        };
        // The password is needed: nothing is trusted, not even the socket.
        let strict = ["-e", "POSTGRES_INITDB_ARGS=--auth=scram-sha-256"];
        let held = start(&engine, image, &strict);
        let trusting = start(&engine, image, &[]);
        let output = held.output(&Command::shell("psql -wU postgres -c 'select 1'"));
        assert_ne!(output.verdict, Verdict::Done, "it lets everybody in");
        for name in AWKWARD {
            make(&held, name);
        }
        sql(
            &held,
            "postgres",
            "CREATE ROLE \"Müller 'x'\" LOGIN PASSWORD 'pw'",
        );

        let sources = kit::open(&held, &kit::server(&held, DatabaseKind::Postgres));
        let mut expected: Vec<String> = AWKWARD.iter().map(|name| format!("db.{name}")).collect();
        expected.extend(["db.globals_".to_owned(), "db.postgres".to_owned()]);
        let mut names: Vec<String> = kit::names(&sources).iter().map(|&n| n.to_owned()).collect();
        expected.sort();
        names.sort();
        assert_eq!(names, expected);

        let (globals, _) = kit::pour(kit::named(&sources, "db.globals")).unwrap();
        let text = String::from_utf8(globals.clone()).unwrap();
        assert!(text.contains("CREATE ROLE \"Müller 'x'\""), "{text}");
        // It names the superuser, whom a new server has too.
        kit::feed(
            &trusting,
            &["psql", "-XqU", "postgres", "-f", "-"],
            &globals,
        );
        for name in AWKWARD {
            let source = match name {
                "globals" => "db.globals_".to_owned(),
                name => format!("db.{name}"),
            };
            let (dump, sealed) = kit::pour(kit::named(&sources, &source)).unwrap();
            assert_eq!(
                sealed.facts()["rows"]["public.t"],
                1000,
                "{:?}",
                sealed.facts()
            );
            assert_eq!(sealed.facts()["rows"]["\"Odd.one\".\"a\"\"b\""], 1);
            assert_eq!(sealed.facts()["rows_at"], "same snapshot");
            assert!(sealed.facts()["extensions"]["plpgsql"].is_string());
            let restore = [
                "pg_restore",
                "-U",
                "postgres",
                "--exit-on-error",
                "-C",
                "-d",
                "postgres",
            ];
            kit::feed(&trusting, &restore, &dump);
            assert_eq!(
                sql(&trusting, name, CONTENT),
                sql(&held, name, CONTENT),
                "{name}"
            );
        }
    }
}

#[test]
fn rows_are_those_of_the_dump_while_somebody_writes() {
    let Some(engine) = kit::engine(&["postgres:15"]) else {
        return;
    };
    let held = start(&engine, "postgres:15", &[]);
    sql(
        &held,
        "postgres",
        "CREATE TABLE t (id bigserial, what text)",
    );
    sql(
        &held,
        "postgres",
        "INSERT INTO t (what) SELECT md5(n::text) FROM generate_series(1, 200000) n",
    );
    let fresh = start(&engine, "postgres:15", &[]);
    let writing = "while [ ! -e /tmp/stop ]; do echo \"INSERT INTO t (what) VALUES ('new');\"; done | psql -XqU postgres";
    let (held, fresh) = (&held, &fresh);
    let mut counts = BTreeMap::new();
    thread::scope(|scope| {
        let writer = scope.spawn(move || held.sh(writing));
        for round in 0..3 {
            let sources = kit::open(held, &kit::server(held, DatabaseKind::Postgres));
            let (dump, sealed) = kit::pour(kit::named(&sources, "db.postgres")).unwrap();
            let counted = sealed.facts()["rows"]["public.t"].as_u64().unwrap();
            sql(fresh, "postgres", "DROP TABLE IF EXISTS t");
            kit::feed(
                fresh,
                &["pg_restore", "-U", "postgres", "-e", "-d", "postgres"],
                &dump,
            );
            let restored: u64 = sql(fresh, "postgres", "SELECT count(*) FROM t")
                .parse()
                .unwrap();
            assert_eq!(counted, restored, "round {round}");
            counts.insert(restored, round);
        }
        held.sh("touch /tmp/stop");
        writer.join().unwrap();
    });
    assert!(counts.len() > 1, "nobody wrote: {counts:?}");
}
