//! Values in files: `X_FILE`, and the configuration file with its jobs.

mod config_world;

use config_world::{World, effective};
use std::{fs, os::unix::fs::PermissionsExt};

const KEY: &str = "correct horse battery staple";

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn passphrase(world: &World) -> String {
    let keys = world.loaded().config.sealing.keys;
    keys.passphrase.unwrap().reveal().clone()
}

#[test]
fn a_value_is_read_from_a_file_without_its_line_end() {
    for (content, value) in [
        (format!("{KEY}\n"), KEY),
        (format!("{KEY}\r\n"), KEY),
        ("  two  spaces  \n".to_owned(), "  two  spaces  "),
        ("007\n".to_owned(), "007"),
    ] {
        let world = World::new();
        let path = world.file("key", content);
        set_mode(&path, 0o600);
        let world = world.env("BACKUP_ENCRYPTION_KEY_FILE", &path);
        assert_eq!(passphrase(&world), value);
    }
    let world = World::new();
    let path = world.file("days", "14\n");
    let loaded = world.env("BACKUP_RETENTION_DAYS_FILE", &path).loaded();
    let (value, origin) = effective(&loaded, "BACKUP_RETENTION_DAYS");
    assert_eq!(value.as_deref(), Some("14"));
    assert_eq!(origin, format!("{}, named by environment", path.display()));
}

#[test]
fn a_value_stays_the_text_that_it_is() {
    for text in ["007", "1e3", "true", " x ", "a,b", "[1]", "0x10", "\"q\""] {
        let world = World::new().env("BACKUP_ENCRYPTION_KEY", text);
        assert_eq!(passphrase(&world), text);
    }
}

#[test]
fn a_file_that_holds_no_value_is_a_mistake() {
    let world = World::new();
    fs::create_dir(world.path("folder")).unwrap();
    world.file("empty", "");
    world.file("line", "\n");
    world.file("bytes", [0xff, 0xfe]);
    world.file("long", "x".repeat(100_000));
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        world.path("pipe"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    for (name, what) in [
        ("missing", "there is no such file"),
        ("folder", "is a directory"),
        ("empty", "the file is empty"),
        ("line", "the file is empty"),
        ("bytes", "something else than text"),
        ("long", "more than 65536 bytes"),
        ("pipe", "not a regular file"),
    ] {
        let path = world.path(name);
        let report = World::new()
            .env("BACKUP_ENCRYPTION_KEY_FILE", &path)
            .mistakes();
        let report = world.anonymous(&report);
        let expected = format!("BACKUP_ENCRYPTION_KEY_FILE=\"DIR/{name}\" (environment): ");
        assert!(
            report.contains(&expected) && report.contains(what),
            "{report}"
        );
    }
}

#[test]
fn a_value_and_a_file_for_it_are_one_too_many() {
    let world = World::new();
    let path = world.file("key", KEY);
    let report = world
        .env("BACKUP_ENCRYPTION_KEY", KEY)
        .env("BACKUP_ENCRYPTION_KEY_FILE", path)
        .mistakes();
    assert!(
        report
            .contains("BACKUP_ENCRYPTION_KEY_FILE (environment): BACKUP_ENCRYPTION_KEY is set too"),
        "{report}"
    );
}

#[test]
fn an_empty_secret_is_a_mistake() {
    for name in [
        "BACKUP_ENCRYPTION_KEY",
        "BACKUP_ENCRYPTION_KEY_FILE",
        "BACKUP_METRICS_TOKEN",
    ] {
        let report = World::new().env(name, "").mistakes();
        assert!(
            report.contains(&format!("{name} (environment): is empty")),
            "{report}"
        );
    }
    let report = World::new().toml("signing_key = \"\"").mistakes();
    assert!(
        report.contains("signing_key (DIR/lifeboat.toml:1): is empty"),
        "{report}"
    );
}

#[test]
fn a_secret_that_everybody_can_read_is_a_warning() {
    let world = World::new();
    let path = world.file("key", KEY);
    set_mode(&path, 0o644);
    let world = world.env("BACKUP_ENCRYPTION_KEY_FILE", &path);
    let warnings = world.loaded().warnings;
    assert_eq!(
        world.anonymous(&warnings[0].to_string()),
        "BACKUP_ENCRYPTION_KEY_FILE: everybody on the host can read DIR/key\nhint: chmod o-r DIR/key"
    );
    set_mode(&path, 0o640);
    assert_eq!(world.loaded().warnings, []);

    let world = World::new().toml(&format!("encryption_key = \"{KEY}\""));
    set_mode(&world.toml_path(), 0o644);
    assert_eq!(world.loaded().warnings.len(), 1);
    set_mode(&world.toml_path(), 0o600);
    assert_eq!(world.loaded().warnings, []);
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_default() {
    let world = World::new()
        .toml("retention_days = 14\nmax_count = \"20\"\n\nbundle = true\nexclude_patterns = [\"a,b\", \"c\"]")
        .env("BACKUP_RETENTION_DAYS", "7");
    let loaded = world.loaded();
    let shown = |name| {
        let (value, origin) = effective(&loaded, name);
        format!("{} {}", value.unwrap(), world.anonymous(&origin))
    };
    assert_eq!(shown("BACKUP_RETENTION_DAYS"), "7 environment");
    assert_eq!(shown("BACKUP_MAX_COUNT"), "20 DIR/lifeboat.toml:2");
    assert_eq!(shown("BACKUP_BUNDLE"), "true DIR/lifeboat.toml:4");
    assert_eq!(shown("BACKUP_LOG"), "info default");
    assert_eq!(loaded.config.sources.exclude_patterns, ["a,b", "c"]);
}

#[test]
fn the_file_names_files_too() {
    let world = World::new();
    let path = world.file("key", KEY);
    set_mode(&path, 0o600);
    let world = world.toml(&format!("\nencryption_key_file = \"{}\"", path.display()));
    assert_eq!(passphrase(&world), KEY);
    let (_, origin) = effective(&world.loaded(), "BACKUP_ENCRYPTION_KEY");
    assert_eq!(
        world.anonymous(&origin),
        "DIR/key, named by DIR/lifeboat.toml:2"
    );
}

#[test]
fn mistakes_in_the_file_name_their_line() {
    for (text, line, what) in [
        (
            "\nretention_day = 3",
            "retention_day (DIR/lifeboat.toml:2)",
            "no such setting",
        ),
        (
            "BACKUP_DIR = \"/x\"",
            "BACKUP_DIR (DIR/lifeboat.toml:1)",
            "no such setting",
        ),
        (
            "[s3]\nbucket = 1",
            "s3 (DIR/lifeboat.toml:1)",
            "no such setting",
        ),
        (
            "\n\ns3_bucket = \"x\"",
            "s3_bucket (DIR/lifeboat.toml:3)",
            "not do that yet",
        ),
        ("name = 7", "name (DIR/lifeboat.toml:1)", "is not a text"),
        (
            "encryption_key = 7",
            "encryption_key (DIR/lifeboat.toml:1)",
            "is not a text",
        ),
        (
            "retention_days = 7.5",
            "retention_days (DIR/lifeboat.toml:1)",
            "not a whole number",
        ),
        (
            "retention_days = -1",
            "retention_days=\"-1\" (DIR/lifeboat.toml:1)",
            "not a whole number",
        ),
        (
            "bundle = 1",
            "bundle (DIR/lifeboat.toml:1)",
            "neither true nor false",
        ),
        (
            "include = [1.5]",
            "include (DIR/lifeboat.toml:1)",
            "no text",
        ),
        (
            "\nname = \"x",
            "configuration file (DIR/lifeboat.toml:2)",
            "",
        ),
        (
            "name = \"a\"\nname = \"b\"",
            "configuration file (DIR/lifeboat.toml:2)",
            "duplicate",
        ),
        (
            "\njob = 1",
            "configuration file (DIR/lifeboat.toml:2)",
            "not a list of jobs",
        ),
    ] {
        let report = World::new().toml(text).mistakes();
        assert!(
            report.starts_with("a mistake") && report.contains(line) && report.contains(what),
            "{text:?}: {report}"
        );
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let world = World::new();
    fs::remove_file(world.toml_path()).unwrap();
    let report = world.mistakes();
    assert!(
        report.contains("configuration file (DIR/lifeboat.toml): there is no such file"),
        "{report}"
    );
}

#[test]
fn jobs_differ_where_they_say_so() {
    let world = World::new()
        .toml(
            r#"
            name = "shop"
            schedule = "0 3 * * *"
            exclude = ["cache"]

            [[job]]
            name = "uploads"
            schedule = "0 * * * *"
            sources = ["uploads"]
            max_count = 48

            [[job]]
            name = "rest"
            exclude = ["uploads", "cache"]
            "#,
        )
        .env("BACKUP_MAX_COUNT", "10")
        .env("BACKUP_RETENTION_DAYS", "5");
    let loaded = world.loaded();
    let [uploads, rest] = &loaded.config.jobs[..] else {
        panic!("{} jobs", loaded.config.jobs.len())
    };
    assert_eq!(uploads.backups.as_str(), "shop-uploads");
    assert_eq!(rest.backups.as_str(), "shop-rest");
    assert_eq!(
        (uploads.keep.daily.max_count, rest.keep.daily.max_count),
        (48, 10)
    );
    assert_eq!((uploads.keep.daily.days, rest.keep.daily.days), (5, 5));
    assert!(uploads.sources.takes("uploads") && !uploads.sources.takes("db"));
    assert!(!rest.sources.takes("uploads") && rest.sources.takes("db"));
    let (value, origin) = effective(&loaded, "job.uploads.max_count");
    assert_eq!(value.as_deref(), Some("48"));
    assert_eq!(world.anonymous(&origin), "DIR/lifeboat.toml:10");
    let (value, _) = effective(&loaded, "BACKUP_MAX_COUNT");
    assert_eq!(value.as_deref(), Some("10"));
}

#[test]
fn mistakes_in_jobs_are_found_all_together() {
    let report = World::new()
        .toml(
            "name = \"shop\"\n\
             [[job]]\nschedule = \"@daily\"\n\
             [[job]]\nname = \"a b\"\n\
             [[job]]\nname = \"a\"\ndir = \"/x\"\nmax_cuont = 3\nretention_days = 0\n\
             [[job]]\nname = \"c\"\n\
             [[job]]\nname = \"c\"\n",
        )
        .mistakes();
    assert_eq!(
        report,
        r#"6 mistakes in the configuration; nothing was done

[[job]] (DIR/lifeboat.toml:3): the job has no name
hint: write name = "files" in it

name="a b" (DIR/lifeboat.toml:5): cannot be the name of a job
hint: use letters, digits, - and _, a letter or digit first

dir (DIR/lifeboat.toml:8): holds for the whole program and cannot differ between jobs
hint: write it above the first [[job]], or in the environment

max_cuont (DIR/lifeboat.toml:9): there is no such setting of a job
hint: did you mean max_count?

retention_days="0" (DIR/lifeboat.toml:10): is out of range
hint: write a number from 1 to 36500, for example 14

name="c" (DIR/lifeboat.toml:14): another job has that name
hint: give each job its own
"#
    );
}
