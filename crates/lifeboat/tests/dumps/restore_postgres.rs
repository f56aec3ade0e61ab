//! PostgreSQL in place: beside the live database first, compared, then by its name.

use crate::{
    kit::{self, Held},
    postgres::{sql, start},
};
use lifeboat::docker::{
    dumps::{self, Whole},
    kind::DatabaseKind,
};
use lifeboat_plan::{Archive, Compression, Encryption};
use lifeboat_run::{
    Cancel,
    target::{Beside, Target, TargetError},
};
use serde_json::{Map, Value};
use std::{
    io::{self, Read},
    process,
};

const NAME: &str = "it's my \"shop\"";
const CONTENT: &str = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t";
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'it''s my \"shop\"'";

struct Scene {
    held: Held,
    globals: (Archive, Vec<u8>),
    dump: (Archive, Vec<u8>),
    content: String,
}

/// A database with an owner, settings, awkward names; dumped, and then spoilt.
fn scene(image: &str) -> Option<Scene> {
    let engine = kit::engine(&[image])?;
    let held = start(&engine, image, &[]);
    let make = |statement: &str| sql(&held, "postgres", statement);
    make("CREATE ROLE \"Owner x\" LOGIN PASSWORD 'pw'");
    make("CREATE ROLE reader");
    make(
        "CREATE DATABASE \"it's my \"\"shop\"\"\" OWNER \"Owner x\" TEMPLATE template0 LC_COLLATE 'C'",
    );
    make("ALTER DATABASE \"it's my \"\"shop\"\"\" SET work_mem TO '7MB'");
    make("ALTER DATABASE \"it's my \"\"shop\"\"\" SET search_path TO public, \"Odd.one\"");
    sql(
        &held,
        NAME,
        "CREATE TABLE t (id int PRIMARY KEY, what text); ALTER TABLE t OWNER TO \"Owner x\"; \
         GRANT SELECT ON t TO reader; \
         INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 20000) n; \
         CREATE SCHEMA \"Odd.one\"; CREATE TABLE \"Odd.one\".\"a\"\"b\" AS SELECT 1 AS n; \
         CREATE VIEW v AS SELECT count(*) FROM t",
    );
    let sources = kit::open(&held, &kit::server(&held, DatabaseKind::Postgres));
    let (bytes, sealed) = kit::pour(kit::named(&sources, &format!("db.{NAME}"))).unwrap();
    let dump = (archive(NAME, bytes.len(), sealed.facts().clone()), bytes);
    let (bytes, sealed) = kit::pour(kit::named(&sources, "db.globals")).unwrap();
    let globals = (
        archive("globals", bytes.len(), sealed.facts().clone()),
        bytes,
    );
    let content = sql(&held, NAME, CONTENT);
    sql(
        &held,
        NAME,
        "DELETE FROM t WHERE id % 2 = 0; DROP TABLE \"Odd.one\".\"a\"\"b\"",
    );
    Some(Scene {
        held,
        globals,
        dump,
        content,
    })
}

fn archive(part: &str, size: usize, facts: Map<String, Value>) -> Archive {
    Archive {
        source: format!("db.{part}"),
        kind: "postgres".to_owned(),
        file: format!("x.db.{part}.dump"),
        size: size as u64,
        sha256: String::new(),
        plain_size: size as u64,
        plain_xxh128: String::new(),
        compression: Compression::None,
        encryption: Encryption::None,
        entries: None,
        warnings: Vec::new(),
        warnings_total: 0,
        facts,
        more: Map::new(),
    }
}

impl Scene {
    fn target(&self, whole: Whole) -> Box<dyn Target> {
        let server = kit::server(&self.held, DatabaseKind::Postgres);
        dumps::target(
            &self.held.engine,
            &server,
            &whole,
            kit::OWNER,
            dumps::PATIENCE,
        )
        .unwrap()
    }

    fn database(&self) -> Box<dyn Target> {
        self.target(Whole::Database(NAME.to_owned()))
    }

    fn fill(&self, target: &dyn Target, beside: &Beside) -> Result<(), TargetError> {
        let (archive, bytes) = &self.dump;
        let filled = target.fill(beside, archive, &mut &bytes[..], &Cancel::default())?;
        assert_eq!(filled.entries, 20_001);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        sql(&self.held, NAME, CONTENT) == self.content
    }

    fn databases(&self) -> Vec<String> {
        let all = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
        sql(&self.held, "postgres", all)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn beside() -> Beside {
    Beside::new("20251227_201500")
}

#[test]
fn a_database_is_made_beside_the_live_one_and_takes_its_name() {
    for image in ["postgres:15", "postgres:17"] {
        let Some(scene) = scene(image) else { continue };
        let target = scene.database();
        let outlook = target.look(&scene.dump.0, &Cancel::default()).unwrap();
        assert!(outlook.exists && outlook.size > Some(0), "{outlook:?}");
        assert!(outlook.free > Some(0), "{outlook:?}");
        assert_eq!(outlook.remarks, Vec::<String>::new());

        scene.fill(&*target, &beside()).unwrap();
        assert!(!scene.is_whole(), "the live one was touched");
        // Somebody is connected, and would not go by himself.
        // Not in the background of a shell in there: the server would take the orphan for one of its own.
        let conninfo = r#"dbname='it\'s my "shop"'"#;
        let sleep = [
            "psql",
            "-XqU",
            "postgres",
            "-d",
            conninfo,
            "-c",
            "select pg_sleep(600)",
        ];
        let mut guest = process::Command::new("docker")
            .args(["exec", &scene.held.id])
            .args(sleep)
            .stdout(process::Stdio::null())
            .stderr(process::Stdio::null())
            .spawn()
            .unwrap();
        while sql(&scene.held, "postgres", SESSIONS) == "0" {
            assert!(guest.try_wait().unwrap().is_none(), "nobody came");
        }

        target.swap(&beside()).unwrap();
        assert!(!guest.wait().unwrap().success(), "he was not sent away");
        assert!(scene.is_whole());
        target.swap(&beside()).unwrap();
        assert!(scene.is_whole());
        let facts = "SELECT pg_get_userbyid(datdba) || ' ' || datcollate FROM pg_database WHERE datname = current_database()";
        assert_eq!(sql(&scene.held, NAME, facts), "Owner x C");
        assert_eq!(sql(&scene.held, NAME, "SHOW work_mem"), "7MB");
        assert_eq!(
            sql(&scene.held, NAME, "SHOW search_path"),
            "public, \"Odd.one\""
        );
        assert_eq!(
            sql(
                &scene.held,
                NAME,
                "SELECT tableowner FROM pg_tables WHERE tablename = 't'"
            ),
            "Owner x"
        );
        assert_eq!(
            sql(
                &scene.held,
                NAME,
                "SELECT has_table_privilege('reader', 't', 'SELECT')"
            ),
            "t"
        );
        assert_eq!(sql(&scene.held, NAME, "SELECT * FROM v"), "20000");

        // What was there before is kept, and is no database to be dumped.
        let stays = target.clear(&beside()).unwrap();
        assert!(stays[0].contains("_before_20251227_201500"), "{stays:?}");
        assert_eq!(scene.databases().len(), 2);
        let sources = kit::open(
            &scene.held,
            &kit::server(&scene.held, DatabaseKind::Postgres),
        );
        assert!(
            !kit::names(&sources)
                .iter()
                .any(|name| name.contains("_before_"))
        );

        target.swap_back(&beside()).unwrap();
        assert!(!scene.is_whole());
        target.swap_back(&beside()).unwrap();
        assert!(!scene.is_whole());
        assert_eq!(target.clear(&beside()).unwrap(), Vec::<String>::new());
        assert_eq!(scene.databases(), [NAME]);
    }
}

#[test]
fn a_swap_that_was_killed_is_finished_or_taken_back_from_anywhere() {
    let Some(scene) = scene("postgres:15") else {
        return;
    };
    let target = scene.database();
    let close = "ALTER DATABASE \"it's my \"\"shop\"\"\" ALLOW_CONNECTIONS false";
    let away = "ALTER DATABASE \"it's my \"\"shop\"\"\" RENAME TO \"it's my \"\"shop\"\"_before_20251227_201500\"";
    let up = "ALTER DATABASE \"it's my \"\"shop\"\"_new_20251227_201500\" RENAME TO \"it's my \"\"shop\"\"\"";
    for done in [&[close][..], &[close, away], &[close, away, up]] {
        for forward in [true, false] {
            scene.fill(&*target, &beside()).unwrap();
            for statement in done {
                sql(&scene.held, "postgres", statement);
            }
            if forward {
                target.swap(&beside()).unwrap();
                assert!(scene.is_whole(), "{done:?}");
                // For the next turn.
                target.swap_back(&beside()).unwrap();
            } else {
                target.swap_back(&beside()).unwrap();
            }
            assert!(!scene.is_whole(), "{done:?}");
            target.clear(&beside()).unwrap();
            assert_eq!(scene.databases(), [NAME], "{done:?}");
        }
    }
}

#[test]
fn what_is_not_known_to_be_ours_is_never_taken_away() {
    let Some(scene) = scene("postgres:15") else {
        return;
    };
    let target = scene.database();
    // Nothing beside it, nothing before it: the live one is nobody's but its owner's.
    target.swap_back(&beside()).unwrap();
    assert_eq!(target.clear(&beside()).unwrap(), Vec::<String>::new());
    assert_eq!(scene.databases(), [NAME]);
    // Without anything to put there, nothing is said to have been put there.
    let error = target.swap(&beside()).unwrap_err();
    assert!(
        error.to_string().contains("is not there any more"),
        "{error}"
    );
    assert!(!scene.is_whole());
    // Once it is cleared, it is the live one for good.
    let drop = "DROP DATABASE \"it's my \"\"shop\"\"\"";
    sql(&scene.held, "postgres", drop);
    scene.fill(&*target, &beside()).unwrap();
    target.swap(&beside()).unwrap();
    target.clear(&beside()).unwrap();
    target.swap_back(&beside()).unwrap();
    target.clear(&beside()).unwrap();
    assert!(scene.is_whole());
    let comment = "SELECT shobj_description(oid, 'pg_database') IS NULL FROM pg_database WHERE datname = current_database()";
    assert_eq!(sql(&scene.held, NAME, comment), "t");
}

#[test]
fn what_is_not_what_was_saved_is_refused_and_the_live_one_untouched() {
    let Some(mut scene) = scene("postgres:15") else {
        return;
    };
    let target = scene.database();
    let fill = |archive: &Archive, plain: &mut dyn Read| {
        target.fill(&beside(), archive, plain, &Cancel::default())
    };
    let bytes = scene.dump.1.clone();
    for (table, rows, words) in [
        (
            "public.t",
            Value::from(19_999),
            "has 20000 rows in place of 19999",
        ),
        (
            "public.gone",
            Value::from(1),
            "table public.gone is missing",
        ),
    ] {
        let mut archive = scene.dump.0.clone();
        archive.facts["rows"][table] = rows;
        let error = fill(&archive, &mut &bytes[..]).unwrap_err();
        assert!(matches!(error, TargetError::Disproved { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let rows = scene.dump.0.facts["rows"].as_object_mut().unwrap();
    let taken = rows.remove("\"Odd.one\".\"a\"\"b\"").unwrap();
    let error = fill(&scene.dump.0, &mut &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("was not there"), "{error}");
    scene.dump.0.facts["rows"]["\"Odd.one\".\"a\"\"b\""] = taken;

    // Cut short, with and without a word about it.
    let half = &bytes[..bytes.len() / 2];
    let error = fill(&scene.dump.0, &mut &half[..]).unwrap_err();
    assert!(matches!(error, TargetError::Failed { .. }), "{error}");
    let mut broken = half.chain(Broken);
    let error = fill(&scene.dump.0, &mut broken).unwrap_err();
    assert!(matches!(error, TargetError::Reading { .. }), "{error}");

    // What they left beside belongs to him as well.
    assert_eq!(target.clear(&beside()).unwrap(), Vec::<String>::new());
    // A role that nobody made: no error is taken for a harmless one.
    sql(
        &scene.held,
        NAME,
        "REASSIGN OWNED BY \"Owner x\" TO postgres; DROP OWNED BY \"Owner x\"",
    );
    sql(
        &scene.held,
        "postgres",
        "ALTER DATABASE \"it's my \"\"shop\"\"\" OWNER TO postgres",
    );
    sql(&scene.held, "postgres", "DROP ROLE \"Owner x\"");
    let error = fill(&scene.dump.0, &mut &bytes[..]).unwrap_err();
    assert!(error.to_string().contains("Owner x"), "{error}");

    assert!(!scene.is_whole());
    assert_eq!(target.clear(&beside()).unwrap(), Vec::<String>::new());
    assert_eq!(scene.databases(), [NAME]);

    // The roles bring it back; those that are there stay as they are.
    sql(&scene.held, "postgres", "ALTER ROLE reader CREATEDB");
    let (archive, text) = &scene.globals;
    let globals = scene.target(Whole::Globals);
    assert!(globals.comes_first());
    globals
        .fill(&beside(), archive, &mut &text[..], &Cancel::default())
        .unwrap();
    assert_eq!(
        sql(
            &scene.held,
            "postgres",
            "SELECT rolcreatedb FROM pg_roles WHERE rolname = 'reader'"
        ),
        "t"
    );
    scene.fill(&*target, &beside()).unwrap();
    target.swap(&beside()).unwrap();
    assert!(scene.is_whole());
}

#[test]
fn a_database_that_was_dropped_comes_back_and_a_newer_dump_is_refused() {
    let Some(mut scene) = scene("postgres:15") else {
        return;
    };
    let target = scene.database();
    sql(
        &scene.held,
        "postgres",
        "DROP DATABASE \"it's my \"\"shop\"\"\"",
    );
    assert!(
        !target
            .look(&scene.dump.0, &Cancel::default())
            .unwrap()
            .exists
    );
    scene.fill(&*target, &beside()).unwrap();
    target.swap(&beside()).unwrap();
    assert!(scene.is_whole());
    target.swap_back(&beside()).unwrap();
    assert_eq!(target.clear(&beside()).unwrap(), Vec::<String>::new());
    assert_eq!(scene.databases(), Vec::<String>::new());

    scene.dump.0.facts["server_version"] = "99.1".into();
    let error = target.look(&scene.dump.0, &Cancel::default()).unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error}");
}

/// An archive that turns out to be damaged.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("it is damaged"))
    }
}
