//! MariaDB and MySQL: every database comes back with stock tools, and so do the users.

use crate::kit::{self, Held};
use lifeboat::docker::{Command, Engine, Verdict, kind::DatabaseKind};

const PASSWORD: &str = "canary'p\"w$ \\d 7 ü";
const AWKWARD: [&str; 5] = ["it's \"quoted\"", "a`b", "mein Laden ä", "select", "-x=y"];

#[derive(Clone, Copy)]
struct Kind {
    image: &'static str,
    client: &'static str,
    kind: DatabaseKind,
}

const KINDS: [Kind; 2] = [
    Kind {
        image: "mariadb:10.11",
        client: "mariadb",
        kind: DatabaseKind::Mariadb,
    },
    Kind {
        image: "mysql:9",
        client: "mysql",
        kind: DatabaseKind::Mysql,
    },
];

fn start(engine: &Engine, kind: Kind, args: &[&str]) -> Held {
    let held = Held::run(engine, args, kind.image, &[]);
    let ready = format!(
        "{} --host=127.0.0.1 --user=nobody -e 'select 1' 2>&1 | grep -q 1045",
        kind.client
    );
    held.until(kind.image, &ready);
    held
}

fn with_root(engine: &Engine, kind: Kind) -> Held {
    start(
        engine,
        kind,
        &["-e", &format!("MYSQL_ROOT_PASSWORD={PASSWORD}")],
    )
}

fn sql(held: &Held, kind: Kind, database: &str, statements: &str) -> String {
    let database = format!("--database={database}");
    let execute = format!("--execute={statements}");
    let argv = [
        kind.client,
        "-NB",
        "--default-character-set=utf8mb4",
        "--user=root",
        &database,
        &execute,
    ];
    let command = Command::new(argv).with_env("MYSQL_PWD", kit::secret(PASSWORD));
    let output = held.output(&command);
    assert_eq!(
        output.verdict,
        Verdict::Done,
        "{statements}: {}",
        output.stderr
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn restore(held: &Held, kind: Kind, database: &str, dump: &[u8]) {
    let database = format!("--database={database}");
    let env = format!("MYSQL_PWD={PASSWORD}");
    let words = [
        "env",
        &env,
        kind.client,
        "--binary-mode",
        "--user=root",
        &database,
    ];
    kit::feed(held, &words, dump);
}

#[test]
fn awkward_databases_and_their_users_come_back() {
    for kind in KINDS {
        let Some(engine) = kit::engine(&[kind.image]) else {
            continue;
        };
        let (held, fresh) = (with_root(&engine, kind), with_root(&engine, kind));
        for name in AWKWARD {
            let quoted = format!("`{}`", name.replace('`', "``"));
            let make = format!(
                "CREATE DATABASE {quoted}; USE {quoted}; \
                 CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, what varchar(40), raw blob); \
                 INSERT INTO t (what, raw) VALUES ('ü😀', 0x00FF27), ('b', NULL), ('c', ''); \
                 INSERT INTO t (what) SELECT a.what FROM t a, t b, t c, t d; \
                 CREATE TABLE `o.d``d` (n int); \
                 CREATE VIEW v AS SELECT count(*) FROM t; \
                 CREATE TRIGGER g BEFORE INSERT ON `o.d``d` FOR EACH ROW SET NEW.n = 7"
            );
            sql(&held, kind, "mysql", &make);
            // The tools themselves lose their way, and say so, in a database with such a name that has these.
            if !name.contains(['\'', '"']) {
                let more = "CREATE PROCEDURE p() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1";
                sql(&held, kind, name, more);
            }
        }
        sql(
            &held,
            kind,
            "mysql",
            "CREATE ROLE r; CREATE USER 'Müller'@'10.%' IDENTIFIED BY 'pw'; \
             GRANT SELECT ON `select`.* TO r; GRANT r TO 'Müller'@'10.%'",
        );
        let sources = kit::open(&held, &kit::server(&held, kind.kind));
        let mut expected: Vec<String> = AWKWARD.iter().map(|name| format!("db.{name}")).collect();
        expected.push("db.globals".to_owned());
        expected.sort();
        let mut names: Vec<String> = kit::names(&sources).iter().map(|&n| n.to_owned()).collect();
        names.sort();
        assert_eq!(names, expected);

        for name in AWKWARD {
            let source = kit::named(&sources, &format!("db.{name}"));
            let (dump, sealed) = kit::pour(source).unwrap();
            let rows = &sealed.facts()["rows"];
            let dotted = format!("`{}`.`o.d``d`", name.replace('`', "``"));
            assert_eq!(rows[&dotted], 0, "{:?}", sealed.facts());
            assert_eq!(rows.as_object().unwrap().len(), 2);
            assert_eq!(sealed.facts()["rows_at"], "just before the dump");
            let quoted = format!("`{}`", name.replace('`', "``"));
            sql(&fresh, kind, "mysql", &format!("CREATE DATABASE {quoted}"));
            restore(&fresh, kind, name, &dump);
            assert_eq!(
                content(&fresh, kind, name),
                content(&held, kind, name),
                "{name}"
            );
        }
        let (users, _) = kit::pour(kit::named(&sources, "db.globals")).unwrap();
        restore(&fresh, kind, "mysql", &users);
        let grants = "SHOW GRANTS FOR 'Müller'@'10.%'";
        assert_eq!(
            sql(&fresh, kind, "mysql", grants),
            sql(&held, kind, "mysql", grants)
        );
        let whole = String::from_utf8(users).unwrap();
        assert!(!whole.contains("canary"));
        assert_eq!(sealed_kind(&sources), kind.client);
    }
}

/// Rows, and what else there is in it.
fn content(held: &Held, kind: Kind, database: &str) -> String {
    let content = sql(
        held,
        kind,
        database,
        "SELECT count(*), sha2(group_concat(what, hex(raw) ORDER BY id), 256) FROM t; SELECT * FROM v; \
         SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database(); \
         SELECT routine_name FROM information_schema.routines WHERE routine_schema = database(); \
         SELECT event_name FROM information_schema.events WHERE event_schema = database()",
    );
    let wanted = if database.contains('"') { 3 } else { 5 };
    assert_eq!(content.lines().count(), wanted, "{content}");
    content
}

fn sealed_kind(sources: &[Box<dyn lifeboat_run::source::Source>]) -> &str {
    sources[0].kind()
}

#[test]
fn what_a_login_cannot_do_is_told_by_its_name() {
    for kind in KINDS {
        let Some(engine) = kit::engine(&[kind.image]) else {
            continue;
        };
        let held = with_root(&engine, kind);
        held.sh("echo wrong-canary-7 > /wrong");
        let mut server = kit::server(&held, kind.kind);
        server.settings.password_file = Some("/wrong".to_owned());
        let sources = kit::open(&held, &server);
        assert_eq!(kit::names(&sources), ["db"]);
        let (fault, text) = kit::fault(sources[0].as_ref());
        assert_eq!(fault, "auth", "{text}");
        assert!(!text.contains("canary"), "{text}");

        server.settings.password_file = None;
        server.settings.databases = vec!["shop".to_owned(), "gone".to_owned()];
        sql(
            &held,
            kind,
            "mysql",
            "CREATE DATABASE shop; CREATE TABLE shop.t (n int)",
        );
        let sources = kit::open(&held, &server);
        assert_eq!(kit::names(&sources), ["db.globals", "db.shop", "db.gone"]);
        assert_eq!(kit::fault(sources[2].as_ref()).0, "no_db");
        sql(&held, kind, "mysql", "DROP DATABASE shop");
        let (fault, text) = kit::fault(sources[1].as_ref());
        assert_eq!(fault, "no_db", "{text}");

        sql(
            &held,
            kind,
            "mysql",
            "CREATE DATABASE shop; CREATE TABLE shop.t (n int)",
        );
        let tool = held.sh("command -v mariadb-dump || command -v mysqldump");
        held.sh(&format!("mv {tool} /real; printf '#!/bin/sh\\n/real \"$@\" | head -c 1500\\n' > {tool}; chmod +x {tool}"));
        let (fault, text) = kit::fault(sources[1].as_ref());
        assert_eq!(fault, "no_end_marker", "{text}");
        held.sh(&format!(
            "printf '#!/bin/sh\\n/real \"$@\" --force\\nexit 6\\n' > {tool}"
        ));
        let (fault, text) = kit::fault(sources[1].as_ref());
        assert_eq!(fault, "tool_exit", "{text}");
        assert!(text.contains("exit code 6"), "{text}");
        held.sh(&format!("rm {tool}"));
        let (fault, text) = kit::fault(sources[1].as_ref());
        assert_eq!(fault, "tool_missing", "{text}");
        println!("RELIABILITY docker_faults=6 false_greens=0");
    }
}

#[test]
fn without_roots_password_the_application_saves_its_own_database() {
    for kind in KINDS {
        let Some(engine) = kit::engine(&[kind.image]) else {
            continue;
        };
        let args = [
            "-e",
            "MYSQL_RANDOM_ROOT_PASSWORD=yes",
            "-e",
            "MYSQL_DATABASE=shop",
            "-e",
            "MYSQL_USER=app",
            "-e",
            "MYSQL_PASSWORD=app-canary-7",
        ];
        let held = start(&engine, kind, &args);
        let sources = kit::open(&held, &kit::server(&held, kind.kind));
        assert_eq!(kit::names(&sources), ["db.shop"]);
        let (_, sealed) = kit::pour(sources[0].as_ref()).unwrap();
        let users = sealed.facts()["users"].as_str().unwrap();
        assert!(users.starts_with("left out"), "{users}");
        assert!(!format!("{:?}", sealed.facts()).contains("canary"));
    }
}

/// As docs/operations.md has them.
#[test]
fn a_user_with_the_least_rights_saves_everything() {
    for kind in KINDS {
        let Some(engine) = kit::engine(&[kind.image]) else {
            continue;
        };
        let held = with_root(&engine, kind);
        sql(
            &held,
            kind,
            "mysql",
            "CREATE DATABASE shop; USE shop; CREATE TABLE t (n int); INSERT INTO t VALUES (1); \
             CREATE VIEW v AS SELECT * FROM t; CREATE PROCEDURE p() SELECT 1; \
             CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.n = 7; \
             CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        );
        let routines = match kind.kind {
            DatabaseKind::Mysql => ", SHOW_ROUTINE",
            _ => "",
        };
        sql(
            &held,
            kind,
            "mysql",
            &format!(
                "CREATE USER backup@localhost IDENTIFIED BY 'least-canary'; \
                 GRANT SELECT, SHOW VIEW, TRIGGER, EVENT{routines} ON *.* TO backup@localhost"
            ),
        );
        held.sh("printf 'least-canary\\n' > /least");
        let mut server = kit::server(&held, kind.kind);
        server.settings.user = Some("backup".to_owned());
        server.settings.password_file = Some("/least".to_owned());
        let sources = kit::open(&held, &server);
        assert_eq!(kit::names(&sources), ["db.globals", "db.shop"]);
        let (users, _) = kit::pour(sources[0].as_ref()).unwrap();
        assert!(
            String::from_utf8(users)
                .unwrap()
                .contains("`backup`@`localhost`")
        );
        let (dump, sealed) = kit::pour(sources[1].as_ref()).unwrap();
        let dump = String::from_utf8(dump).unwrap();
        for part in [
            "PROCEDURE `p`",
            "TRIGGER",
            "EVENT `e`",
            "VIEW `v`",
            "INSERT INTO `t`",
        ] {
            assert!(dump.contains(part), "{part}");
        }
        assert_eq!(sealed.facts()["rows"]["shop.t"], 1, "{:?}", sealed.facts());
    }
}
