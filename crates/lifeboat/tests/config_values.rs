//! Texts go in, domain types come out; what is no value for a setting is refused.

mod config_world;

use config_world::{World, effective, with};
use lifeboat::config::{self, LogFormat, PruneWhen, settings};
use lifeboat_plan::Compression;
use std::{collections::BTreeSet, time::Duration};

#[test]
fn nothing_at_all_is_a_configuration() {
    let loaded = World::new().loaded();
    let config = &loaded.config;
    assert_eq!(loaded.warnings, []);
    assert_eq!(config.name.as_str(), "backup");
    assert_eq!(config.jobs.len(), 1);
    assert_eq!(config.jobs[0].name.as_str(), "default");
    assert_eq!(config.jobs[0].backups.as_str(), "backup");
    assert_eq!(config.near.dir.to_str(), Some("/backups"));
    assert_eq!(config.sources.dir.to_str(), Some("/data"));
    assert_eq!(config.wake.zone, chrono_tz::UTC);
    assert_eq!(config.wake.prune, PruneWhen::AfterBackup);
    assert_eq!(config.wake.run_time_max, Some(Duration::from_secs(3600)));
    assert_eq!(config.sealing.compression, Compression::Zstd);
    assert_eq!(config.sealing.level, 3);
    assert!(config.near.verify_after_backup);
}

#[test]
fn every_setting_is_read_and_shown_with_its_origin() {
    let shown: BTreeSet<String> = World::new()
        .loaded()
        .effective
        .into_iter()
        .map(|effective| effective.name)
        .collect();
    // A pattern, and a second name: they show up under the names that they stand for.
    let stand_in = ["BACKUP_INCLUDE_<NAME>", "BACKUP_DAILY_SLOTS"];
    let known: BTreeSet<String> = settings()
        .map(|setting| setting.env_name())
        .filter(|name| !stand_in.contains(&name.as_str()))
        .collect();
    assert_eq!(shown, known);
}

#[test]
fn every_default_and_every_example_of_the_register_is_valid() {
    for setting in settings().filter(|setting| !setting.secret) {
        let name = setting.env_name().replace("<NAME>", "LOGS");
        let mut world = World::new().env(&name, setting.example);
        if name == "BACKUP_ENCRYPTION" {
            world = world.env("BACKUP_ENCRYPTION_KEY", "correct horse battery staple");
        }
        if let Err(mistakes) = world.load() {
            panic!("the example of {name} is refused: {mistakes}");
        }
    }
}

#[test]
fn texts_become_what_the_program_needs() {
    let wake = |name, value| with(name, value).config.wake;
    assert!(!wake("BACKUP_ENABLED", "no").enabled);
    assert!(wake("BACKUP_RUN_ON_START", "TRUE").run_on_start);
    assert!(!wake("BACKUP_CATCH_UP", "0").catch_up);
    assert_eq!(wake("TZ", "Europe/Berlin").zone, chrono_tz::Europe::Berlin);
    assert_eq!(wake("TZ", ":Europe/Berlin").zone, chrono_tz::Europe::Berlin);
    assert_eq!(wake("BACKUP_JOB_TIMEOUT_MINUTES", "0").run_time_max, None);
    assert_eq!(
        wake("BACKUP_JITTER_SECONDS", "007").jitter_max,
        Duration::from_secs(7)
    );

    let sealing = |name, value| with(name, value).config.sealing;
    assert_eq!(sealing("BACKUP_COMPRESSION", "xz").level, 6);
    assert_eq!(sealing("BACKUP_COMPRESSION", "none").level, 0);
    assert_eq!(sealing("BACKUP_COMPRESSION_LEVEL", "19").level, 19);
    assert_eq!(sealing("BACKUP_COMPRESSION_THREADS", "2").threads, 2);

    let http = |value| with("BACKUP_HTTP_ADDR", value).config.http.addr;
    assert_eq!(http("off"), None);
    assert_eq!(http("[::]:80").unwrap().port(), 80);

    let log = with("BACKUP_LOG", "info,lifeboat_run=debug").config.log;
    assert_eq!(log.filter, "info,lifeboat_run=debug");
    let log = with("BACKUP_LOG_FORMAT", "json").config.log;
    assert_eq!(log.format, LogFormat::Json);

    let near = with("BACKUP_DIR", " /srv//backups/ ").config.near;
    assert_eq!(near.dir.to_str(), Some("/srv/backups"));
    let near = with("BACKUP_DELETE_GRACE_HOURS", "72").config.near;
    assert_eq!(near.delete_grace, Duration::from_secs(72 * 3600));
    let sources = with("BACKUP_EXCLUDE_PATTERNS", "*.tmp, cache/\n!keep.tmp")
        .config
        .sources;
    assert_eq!(sources.exclude_patterns, ["*.tmp", "cache/", "!keep.tmp"]);
}

#[test]
fn the_name_comes_from_compose_when_nobody_gives_one() {
    let world = World::new().env("COMPOSE_PROJECT_NAME", "shop");
    let loaded = world.loaded();
    assert_eq!(loaded.config.name.as_str(), "shop");
    let (value, origin) = effective(&loaded, "BACKUP_NAME");
    assert_eq!(value.as_deref(), Some("shop"));
    assert_eq!(origin, "default, from COMPOSE_PROJECT_NAME");

    let loaded = world.env("BACKUP_NAME", "store").loaded();
    assert_eq!(loaded.config.name.as_str(), "store");
}

#[test]
fn an_empty_value_is_none() {
    let world = World::new()
        .toml("retention_days = 14\nname = \"\"")
        .envs(&[
            ("BACKUP_RETENTION_DAYS", ""),
            ("BACKUP_NAME", " "),
            ("BACKUP_INCLUDE_LOGS", ""),
            ("BACKUP_DIR_FILE", ""),
            ("BACKUP_S3_BUCKET", ""),
            ("TZ", ""),
        ]);
    let loaded = world.loaded();
    assert_eq!(loaded.config.name.as_str(), "backup");
    let (value, _) = effective(&loaded, "BACKUP_RETENTION_DAYS");
    assert_eq!(value.as_deref(), Some("14"));
}

#[test]
fn sources_are_chosen_by_lists_and_by_switches() {
    let takes = |variables: &[(&str, &str)]| -> Vec<&str> {
        let selection = World::new().envs(variables).loaded().config.jobs[0]
            .sources
            .clone();
        ["auth", "logs", "my-data", "storage"]
            .into_iter()
            .filter(|source| selection.takes(source))
            .collect()
    };
    assert_eq!(takes(&[]), ["auth", "logs", "my-data", "storage"]);
    assert_eq!(
        takes(&[("BACKUP_INCLUDE", "auth, storage")]),
        ["auth", "storage"]
    );
    assert_eq!(
        takes(&[("BACKUP_EXCLUDE", "logs,my-data")]),
        ["auth", "storage"]
    );
    assert_eq!(
        takes(&[
            ("BACKUP_INCLUDE", "auth,logs"),
            ("BACKUP_INCLUDE_LOGS", "false"),
            ("BACKUP_INCLUDE_MY_DATA", "true"),
        ]),
        ["auth", "my-data"]
    );
}

#[test]
fn a_name_that_fits_no_source_can_be_found_out() {
    let loaded = World::new()
        .env("BACKUP_INCLUDE", "auht,storage")
        .env("BACKUP_INCLUDE_LGOS", "false")
        .loaded();
    let selection = &loaded.config.jobs[0].sources;
    let unmatched: Vec<&str> = selection
        .unmatched(&["auth", "logs", "storage"], &[])
        .collect();
    assert_eq!(unmatched, ["auht", "LGOS"]);
}

#[test]
fn loading_twice_gives_the_same() {
    let world = World::new()
        .toml("[[job]]\nname = \"a\"\nretention_days = 3")
        .env("BACKUP_ENCRYPTION_KEY", "correct horse battery staple");
    let (first, second) = (world.loaded(), world.loaded());
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
fn what_is_no_value_for_a_setting_is_refused() {
    for (name, value, what) in [
        ("BACKUP_RETENTION_DAYS", "0", "out of range"),
        ("BACKUP_RETENTION_DAYS", "-1", "not a whole number"),
        ("BACKUP_RETENTION_DAYS", "+1", "not a whole number"),
        ("BACKUP_RETENTION_DAYS", "7 dayz", "not a whole number"),
        ("BACKUP_RETENTION_DAYS", "7.5", "not a whole number"),
        ("BACKUP_RETENTION_DAYS", "1e3", "not a whole number"),
        (
            "BACKUP_RETENTION_DAYS",
            "99999999999999999999",
            "out of range",
        ),
        ("BACKUP_MAX_COUNT", "0", "out of range"),
        ("BACKUP_KEEP_MIN", "0", "out of range"),
        ("BACKUP_KEEP_MIN", "91", "more"),
        ("BACKUP_DAILY_SLOTS", "0", "out of range"),
        ("BACKUP_WEEKLY_DAY", "8", "out of range"),
        ("BACKUP_WEEKLY_DAY", "monday", "not a whole number"),
        ("BACKUP_WEEKLY_RETENTION_WEEKS", "0", "out of range"),
        ("BACKUP_FORTNIGHT_DAYS", "1,32", "days of a month"),
        ("BACKUP_FORTNIGHT_DAYS", "0", "days of a month"),
        ("BACKUP_EXCLUDE_PATTERNS", "*.{jpg,png}", "is no pattern"),
        ("BACKUP_FORTNIGHT_DAYS", ",", "nothing in it"),
        ("BACKUP_INCLUDE", ",,", "nothing in it"),
        (
            "BACKUP_EXCLUDE_PATTERNS",
            "*.tmp,[z-a]",
            "\"[z-a]\" is no pattern",
        ),
        ("BACKUP_AGE_RECIPIENTS", " , ", "is empty"),
        ("BACKUP_MONTHLY_DAY", "0", "out of range"),
        ("BACKUP_MONTHLY_DAY", "32", "out of range"),
        ("BACKUP_YEARLY_RETENTION_YEARS", "101", "out of range"),
        ("BACKUP_ENABLED", "maybe", "neither true nor false"),
        ("BACKUP_INCLUDE_LOGS", "nope", "neither true nor false"),
        ("BACKUP_COMPRESSION", "zip", "not a word for this"),
        ("BACKUP_COMPRESSION_LEVEL", "20", "out of range"),
        ("BACKUP_COMPRESSION_LEVEL", "0", "no level of zstd"),
        ("BACKUP_COMPRESSION_THREADS", "all", "not a whole number"),
        ("BACKUP_ON_CHANGED_FILE", "ignore", "not a word for this"),
        ("BACKUP_ENCRYPTION", "gpg", "does not do that yet"),
        ("BACKUP_ENCRYPTION", "aes", "not a word for this"),
        ("BACKUP_NAME", "my shop", "name of a file"),
        ("BACKUP_NAME", "../shop", "name of a file"),
        ("BACKUP_SCHEDULE", "daily", "not a schedule"),
        ("BACKUP_SCHEDULE", "0 0 2 * * *", "not a schedule"),
        ("BACKUP_PRUNE_SCHEDULE", "1 2 3", "not a schedule"),
        ("TZ", "Mars/Olympus", "zone"),
        ("BACKUP_DIR", "backups", "not an absolute path"),
        ("BACKUP_DIR", "~/backups", "not an absolute path"),
        ("BACKUP_DIR", "/backups/../data", "not a plain path"),
        ("BACKUP_HTTP_ADDR", "8080", "not an IP address and a port"),
        (
            "BACKUP_HTTP_ADDR",
            "0.0.0.0:99999",
            "not an IP address and a port",
        ),
        ("BACKUP_LOG", "infoo", "not a level"),
        ("BACKUP_LOG", "lifeboat=verbose", "not a level"),
        ("BACKUP_LOG_FORMAT", "xml", "not a word for this"),
        ("BACKUP_AGE_RECIPIENTS", "age2abc", "recipient"),
    ] {
        let report = World::new().env(name, value).mistakes();
        let first = report.lines().nth(2).unwrap_or_default();
        assert!(
            report.starts_with("a mistake") && first.starts_with(name) && first.contains(what),
            "{name}={value}: {report}"
        );
    }
}

#[test]
fn the_level_is_that_of_the_compression() {
    for (compression, sound, too_much) in [
        ("zstd", "19", "0"),
        ("gzip", "9", "10"),
        ("bzip2", "1", "0"),
        ("xz", "0", "10"),
    ] {
        let world = |level| {
            World::new()
                .env("BACKUP_COMPRESSION", compression)
                .env("BACKUP_COMPRESSION_LEVEL", level)
        };
        assert!(world(sound).load().is_ok(), "{compression} {sound}");
        let report = world(too_much).mistakes();
        assert!(
            report.contains(&format!("no level of {compression}")),
            "{report}"
        );
    }
}

#[test]
fn switch_names_are_names_of_variables() {
    assert_eq!(config::switch_name("my-data.v2"), "MY_DATA_V2");
}

#[test]
fn discovery_is_asked_for_as_soon_as_anything_is_said_of_it() {
    use lifeboat::docker::{Place, look::Scope};

    let silent = World::new().loaded().config.docker;
    assert!(silent.databases && silent.volumes && !silent.asked);
    assert_eq!(silent.scope, Scope::Project);

    let databases = with("BACKUP_DISCOVER", "Databases").config.docker;
    assert!(databases.databases && !databases.volumes && databases.asked);
    let off = with("BACKUP_DISCOVER", "off").config.docker;
    assert!(off.is_off() && !off.asked);

    let two = with("BACKUP_SCOPE", "shop, wiki").config.docker;
    assert_eq!(
        two.scope,
        Scope::Projects(vec!["shop".to_owned(), "wiki".to_owned()])
    );
    assert!(two.asked);
    assert_eq!(with("BACKUP_SCOPE", "all").config.docker.scope, Scope::All);

    let docker = with("DOCKER_HOST", "tcp://proxy:2375").config.docker;
    assert_eq!(docker.place, Some(Place::Tcp("proxy:2375".to_owned())));
    assert!(docker.asked);
    // A proxy that somebody has anyway is no reason to discover against their word.
    let off = World::new()
        .env("DOCKER_HOST", "tcp://proxy:2375")
        .env("BACKUP_DISCOVER", "off");
    assert!(!off.loaded().config.docker.asked);
}

#[test]
fn what_cannot_be_discovered_is_a_mistake() {
    for (name, value, hint) in [
        ("BACKUP_DISCOVER", "database", "did you mean databases?"),
        ("BACKUP_DISCOVER", "off,volumes", "write off alone"),
        (
            "BACKUP_SCOPE",
            "all,shop",
            "write project, all, or the names",
        ),
        ("BACKUP_SCOPE", "my shop", "docker compose ls"),
        (
            "DOCKER_HOST",
            "ssh://host",
            "write unix:///path/to/docker.sock",
        ),
    ] {
        let report = World::new().env(name, value).mistakes();
        assert!(report.contains(hint), "{report}");
    }
}
