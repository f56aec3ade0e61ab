//! All mistakes in one report, each with a way out.

mod config_world;

use config_world::World;
use std::os::unix::ffi::OsStringExt;

#[test]
fn all_mistakes_are_reported_together() {
    let world = World::new()
        .toml("max_count = 5\nretention = 3\n[[job]]\nname = \"a\"\nkeep_min = 9\n")
        .envs(&[
            ("BACKUP_RETENTION_DAYS", "7 dayz"),
            ("BACKUP_ENCRYPTON_KEY", "secret"),
            ("BACKUP_SIGNING_KEY", ""),
            ("BACKUP_S3_BUCKET", "shop"),
            ("BACKUP_DIR", "/data/shop"),
            ("BACKUP_COMPRESSION", "zst"),
        ]);
    assert_eq!(
        world.mistakes(),
        r#"8 mistakes in the configuration; nothing was done

BACKUP_ENCRYPTON_KEY (environment): there is no such setting
hint: did you mean BACKUP_ENCRYPTION_KEY?

BACKUP_S3_BUCKET (environment): this version does not do that yet
hint: take it away: nothing that it asks for would happen

BACKUP_SIGNING_KEY (environment): is empty
hint: give it a value, or take it away altogether

retention (DIR/lifeboat.toml:2): there is no such setting
hint: did you mean retention_days?

BACKUP_RETENTION_DAYS="7 dayz" (environment): is not a whole number
hint: write digits alone, for example 14

keep_min="9" (DIR/lifeboat.toml:5): more than max_count (or daily_slots) lets stay
hint: lower it, or raise the count

BACKUP_DIR="/data/shop" (environment): lies inside the folder of the sources, /data
hint: every backup would hold the ones before it: choose a folder outside

BACKUP_COMPRESSION="zst" (environment): is not a word for this
hint: did you mean zstd? it can be zstd, gzip, bzip2, xz, none
"#
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_one_that_was_meant() {
    for (name, meant) in [
        ("BACKUP_RETENTION_DAY", "BACKUP_RETENTION_DAYS"),
        ("BACKUP_RETENTION", "BACKUP_RETENTION_DAYS"),
        ("BACKUP_SHEDULE", "BACKUP_SCHEDULE"),
        ("BACKUP_CRON_EXPRESSION", "BACKUP_SCHEDULE"),
        ("BACKUP_TZ", "TZ"),
        ("BACKUP_TIMEZONE", "TZ"),
        ("BACKUP_DOCKER_HOST", "DOCKER_HOST"),
        ("BACKUP_PASSPHRASE", "BACKUP_ENCRYPTION_KEY"),
        ("BACKUP_ENCRYPTION_KEY_FIEL", "BACKUP_ENCRYPTION_KEY_FILE"),
        ("BACKUP_ENCRYPTON_KEY_FILE", "BACKUP_ENCRYPTION_KEY_FILE"),
        ("BACKUP_AGE_RECIPIENT", "BACKUP_AGE_RECIPIENTS"),
        ("BACKUP_S3_BUKET", "BACKUP_S3_BUCKET"),
        ("BACKUP_Schedule", "BACKUP_SCHEDULE"),
        ("backup_schedule", "BACKUP_SCHEDULE"),
        ("Backup_Dir_File", "BACKUP_DIR_FILE"),
        ("LIFEBOAT_RETENTION_DAYS", "BACKUP_RETENTION_DAYS"),
    ] {
        let report = World::new().env(name, "x").mistakes();
        let expected = format!(
            "a mistake in the configuration; nothing was done\n\n{name} (environment): there is no \
             such setting\nhint: did you mean {meant}?\n"
        );
        assert_eq!(report, expected);
    }
}

#[test]
fn a_name_like_no_other_is_refused_too() {
    for name in ["BACKUP_", "BACKUP_QUUX", "BACKUP_INCLUDE_", "BACKUP_FILE"] {
        let report = World::new().env(name, "").mistakes();
        assert!(
            report.contains(&format!("{name} (environment): there is no such setting")),
            "{report}"
        );
    }
}

#[test]
fn variables_of_other_programs_are_left_alone() {
    let world = World::new().envs(&[
        ("PATH", "/bin"),
        ("LIFEBOAT_PORT", "tcp://172.17.0.2:80"),
        ("backup_of_mine", "x"),
        ("BACKUPS_DIR", "x"),
        ("ENCRYPTION_KEY", "of the application"),
        ("LOG", "x"),
        ("SCHEDULE", "x"),
    ]);
    assert_eq!(world.loaded().warnings, []);
}

#[test]
fn a_forgotten_prefix_is_a_warning() {
    let loaded = World::new().env("RETENTION_DAYS", "14").loaded();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "RETENTION_DAYS is set, and means nothing to Lifeboat\nhint: did you mean BACKUP_RETENTION_DAYS?"
        ]
    );
}

#[test]
fn bytes_that_are_no_text_are_a_mistake() {
    let bytes = || std::ffi::OsString::from_vec(b"/backups\xff".to_vec());
    let report = World::new().env("BACKUP_DIR", bytes()).mistakes();
    assert!(
        report.contains("BACKUP_DIR (environment): is not text"),
        "{report}"
    );

    let report = World::new()
        .env(std::ffi::OsString::from_vec(b"BACKUP_D\xffR".to_vec()), "x")
        .mistakes();
    assert!(report.contains("there is no such setting"), "{report}");

    let world = World::new().env("OTHER", bytes()).env(bytes(), "x");
    assert!(world.load().is_ok());
}

#[test]
fn a_value_cannot_write_to_the_terminal() {
    let report = World::new().env("BACKUP_DIR", "x\x1b[2J\ny").mistakes();
    assert!(report.contains(r#"BACKUP_DIR="x\u{1b}[2J\ny""#), "{report}");
    let report = World::new().env("BACKUP_DIR", "é".repeat(5000)).mistakes();
    assert!(report.len() < 500, "{report}");
}

#[test]
fn a_source_cannot_be_both_saved_and_left_out() {
    let report = World::new()
        .env("BACKUP_INCLUDE", "auth,logs")
        .env("BACKUP_EXCLUDE", "logs")
        .mistakes();
    assert!(
        report.contains(
            "BACKUP_EXCLUDE=\"logs\" (environment): logs is to be saved and to be left out"
        ),
        "{report}"
    );
}

#[test]
fn two_names_for_one_count_are_refused_and_a_small_count_lowers_the_floor() {
    let report = World::new()
        .env("BACKUP_MAX_COUNT", "5")
        .env("BACKUP_DAILY_SLOTS", "5")
        .mistakes();
    assert!(
        report.contains("BACKUP_MAX_COUNT (environment): BACKUP_DAILY_SLOTS is set too"),
        "{report}"
    );
    let loaded = World::new().env("BACKUP_DAILY_SLOTS", "2").loaded();
    assert_eq!(loaded.config.jobs[0].keep.daily.count(), Some(2));
    assert_eq!(loaded.config.jobs[0].keep.daily.floor(), 2);
}
