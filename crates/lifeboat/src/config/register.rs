//! The register: every setting, once. The program reads by it, and `.env.example` and
//! `docs/configuration.md` are written from it.

use super::settings::{
    Default::{Follows, Is, Unset},
    Group, Kind, Setting,
};

pub(super) static GROUPS: &[Group] = &[
    Group {
        title: "What is saved",
        prose: "Every folder directly below `BACKUP_SOURCES_DIR` is a source, named after the folder: \
                mount the volumes there, read-only. A source becomes one archive of each backup.",
        settings: &[
            &NAME,
            &SOURCES_DIR,
            &INCLUDE,
            &EXCLUDE,
            &INCLUDE_SOURCE,
            &EXCLUDE_PATTERNS,
            &BUNDLE,
            &ON_CHANGED_FILE,
        ],
    },
    Group {
        title: "When",
        prose: "The daemon wakes by cron. What was due while nobody was there is made up for once, at the \
                next start.",
        settings: &[
            &ENABLED,
            &SCHEDULE,
            &TZ,
            &CATCH_UP,
            &RUN_ON_START,
            &JITTER_SECONDS,
            &CLEANUP_ON_START,
            &JOB_TIMEOUT_MINUTES,
        ],
    },
    Group {
        title: "Where it is kept",
        prose: "Give the backups a volume or a disk of their own. A folder inside a source is refused: \
                every backup would swallow the ones before it.",
        settings: &[&DIR, &VERIFY_AFTER_BACKUP],
    },
    Group {
        title: "Compression",
        prose: "Whatever is chosen, the format's own tool opens the archives.",
        settings: &[&COMPRESSION, &COMPRESSION_LEVEL, &COMPRESSION_THREADS],
    },
    Group {
        title: "Encryption",
        prose: "Archives are sealed with [age](https://age-encryption.org) as soon as a key is given. With \
                recipients alone this host can seal, but not read, its backups: keep the identity elsewhere. \
                **Without the key a backup is worth nothing; keep a copy of it off this host.**",
        settings: &[
            &ENCRYPTION,
            &ENCRYPTION_KEY,
            &AGE_RECIPIENTS,
            &AGE_IDENTITY,
            &SIGNING_KEY,
        ],
    },
    Group {
        title: "What stays",
        prose: "Every backup is born *daily*. The first good one on or after a tier's day is also kept in \
                that tier, at no cost of space. Age is taken from the backups' own records, never from file \
                times. Old backups go only after a new one is complete, and never the last good ones.",
        settings: KEEPING,
    },
    Group {
        title: "When the rest goes",
        prose: "Pruning removes what the rules above do not keep; `lifeboat prune --dry-run` shows it first.",
        settings: &[&PRUNE_SCHEDULE, &DELETE_GRACE_HOURS],
    },
    Group {
        title: "Watching it",
        prose: "Health and metrics are served over HTTP inside the Compose network; no port is published.",
        settings: &[&HTTP_ADDR, &METRICS_TOKEN, &LOG, &LOG_FORMAT],
    },
];

/// What stays; each job may have its own rules.
pub(super) static KEEPING: &[&Setting] = &[
    &RETENTION_DAYS,
    &MAX_COUNT,
    &DAILY_SLOTS,
    &KEEP_MIN,
    &ENABLE_WEEKLY,
    &WEEKLY_DAY,
    &WEEKLY_RETENTION_WEEKS,
    &ENABLE_FORTNIGHTLY,
    &FORTNIGHT_DAYS,
    &FORTNIGHTLY_RETENTION_COUNT,
    &ENABLE_MONTHLY,
    &MONTHLY_DAY,
    &MONTHLY_RETENTION_MONTHS,
    &ENABLE_YEARLY,
    &YEARLY_RETENTION_YEARS,
];

/// Words of the full program that this version does nothing with. Setting one is an error: it would
/// be worse to let somebody believe in a copy that is never made.
pub(super) static LATER: &[&str] = &[
    "drill_schedule",
    "discover",
    "scope",
    "encryption_iter",
    "gpg_passphrase",
    "gpg_public_key",
    "gpg_secret_key",
    "encrypt_command",
    "decrypt_command",
    "bucket",
    "s3_bucket",
    "s3_prefix",
    "s3_region",
    "s3_endpoint_url",
    "s3_access_key_id",
    "s3_secret_access_key",
    "s3_path_template",
    "s3_storage_class",
    "s3_sse",
    "s3_retention_days",
    "s3_object_lock_days",
    "s3_max_parts",
    "stores",
    "rclone_remote",
    "upload_mode",
    "remote_retention_days",
    "remote_keep_min",
    "offsite_plaintext",
    "admin_token",
    "jwt_secret",
    "ops_user",
    "ops_password",
    "allow_restore",
    "allow_delete",
    "notify_urls",
    "notify_on",
    "drill_migrate",
    "drill_checks",
];

/// What most settings have in common.
const PLAIN: Setting = Setting {
    key: "",
    kind: Kind::Text,
    default: Unset,
    secret: false,
    example: "",
    doc: "",
    also: &[],
    same_as: None,
};

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

// What is saved

pub(super) static NAME: Setting = Setting {
    key: "name",
    default: Follows("the Compose project, else `backup`"),
    example: "shop",
    doc: "First part of every file name, and what keeps two projects apart in one folder. Letters, \
          digits, `-` and `_`.",
    also: &["filename", "prefix", "project", "project_name"],
    ..PLAIN
};

pub(super) static SOURCES_DIR: Setting = Setting {
    key: "sources_dir",
    default: Is("/data"),
    example: "/data",
    doc: "The folder whose sub-folders are the sources.",
    also: &["source", "sources", "source_dir", "src", "data_dir"],
    ..PLAIN
};

pub(super) static INCLUDE: Setting = Setting {
    key: "include",
    kind: Kind::List,
    default: Follows("all"),
    example: "storage,auth",
    doc: "The sources to save, by name.",
    ..PLAIN
};

pub(super) static EXCLUDE: Setting = Setting {
    key: "exclude",
    kind: Kind::List,
    example: "cache",
    doc: "Sources to leave out, by name.",
    also: &["skip", "ignore"],
    ..PLAIN
};

pub(super) static INCLUDE_SOURCE: Setting = Setting {
    key: "include_<name>",
    kind: Kind::Flag,
    example: "false",
    doc: "Switches one source on or off, whatever the two lists say: `BACKUP_INCLUDE_LOGS=false` leaves \
          out `logs`. Whatever is neither letter nor digit in the source's name is `_` here.",
    ..PLAIN
};

pub(super) static EXCLUDE_PATTERNS: Setting = Setting {
    key: "exclude_patterns",
    kind: Kind::List,
    example: "*.tmp,cache/",
    doc: "Files to leave out, in the manner of `.gitignore`, in every source.",
    also: &["exclude_regexp", "exclude_pattern", "exclude_files"],
    ..PLAIN
};

pub(super) static BUNDLE: Setting = Setting {
    key: "bundle",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "All sources in one archive.",
    ..PLAIN
};

pub(super) static ON_CHANGED_FILE: Setting = Setting {
    key: "on_changed_file",
    kind: Kind::OneOf(&["warn", "fail"]),
    default: Is("warn"),
    example: "fail",
    doc: "What a file means that changes while it is read: a warning, or a source that is not captured.",
    ..PLAIN
};

// When

pub(super) static ENABLED: Setting = Setting {
    key: "enabled",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "`false` puts the daemon to rest: nothing is scheduled. Commands still work.",
    also: &["enable"],
    ..PLAIN
};

pub(super) static SCHEDULE: Setting = Setting {
    key: "schedule",
    default: Is("0 2 * * *"),
    example: "30 3 * * *",
    doc: "When a backup is made: cron with five fields, `@hourly`, `@daily`, `@weekly`, `@monthly`, or \
          `off`.",
    also: &[
        "cron",
        "cron_expression",
        "cron_schedule",
        "interval",
        "frequency",
    ],
    ..PLAIN
};

pub(super) static TZ: Setting = Setting {
    key: "tz",
    default: Is("UTC"),
    example: "Europe/Berlin",
    doc: "The zone in which schedules, days and file names are meant.",
    also: &["timezone", "time_zone", "zone"],
    ..PLAIN
};

pub(super) static CATCH_UP: Setting = Setting {
    key: "catch_up",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Makes up, once, for backups that were due while the daemon was down.",
    ..PLAIN
};

pub(super) static RUN_ON_START: Setting = Setting {
    key: "run_on_start",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Makes a backup whenever the daemon starts.",
    also: &["run_at_start", "run_on_startup", "on_start"],
    ..PLAIN
};

pub(super) static JITTER_SECONDS: Setting = Setting {
    key: "jitter_seconds",
    kind: number(0, 86_400),
    default: Is("0"),
    example: "300",
    doc: "Begins up to this much later, by chance, so that many hosts do not all begin at once.",
    also: &["jitter"],
    ..PLAIN
};

pub(super) static CLEANUP_ON_START: Setting = Setting {
    key: "cleanup_on_start",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Removes what a run left behind that was killed. Finished backups are never touched by it.",
    ..PLAIN
};

pub(super) static JOB_TIMEOUT_MINUTES: Setting = Setting {
    key: "job_timeout_minutes",
    kind: number(0, 10_080),
    default: Is("60"),
    example: "240",
    doc: "A run that takes longer is cancelled and counts as failed. `0`: no limit.",
    also: &["timeout", "job_timeout", "timeout_minutes"],
    ..PLAIN
};

// Where it is kept

pub(super) static DIR: Setting = Setting {
    key: "dir",
    default: Is("/backups"),
    example: "/backups",
    doc: "The folder of the backups.",
    also: &[
        "archive",
        "destination",
        "dest",
        "path",
        "target",
        "backup_dir",
        "local_dir",
    ],
    ..PLAIN
};

pub(super) static VERIFY_AFTER_BACKUP: Setting = Setting {
    key: "verify_after_backup",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Reads every archive back and compares its checksum before the backup counts.",
    also: &["verify"],
    ..PLAIN
};

// Compression

pub(super) static COMPRESSION: Setting = Setting {
    key: "compression",
    kind: Kind::OneOf(&["zstd", "gzip", "bzip2", "xz", "none"]),
    default: Is("zstd"),
    example: "gzip",
    doc: "How archives are compressed.",
    also: &["compress", "compression_type", "compression_algorithm"],
    ..PLAIN
};

pub(super) static COMPRESSION_LEVEL: Setting = Setting {
    key: "compression_level",
    kind: number(0, 19),
    default: Follows("zstd 3, gzip 6, bzip2 9, xz 6"),
    example: "9",
    doc: "As the format's own tool takes it: zstd 1–19, gzip and bzip2 1–9, xz 0–9.",
    also: &["level"],
    ..PLAIN
};

pub(super) static COMPRESSION_THREADS: Setting = Setting {
    key: "compression_threads",
    kind: number(0, 1024),
    default: Follows("all cores"),
    example: "2",
    doc: "How many threads compress at once. `0`: one for each core.",
    also: &["threads"],
    ..PLAIN
};

// Encryption

pub(super) static ENCRYPTION: Setting = Setting {
    key: "encryption",
    kind: Kind::OneOf(&["age", "none"]),
    default: Follows("`age` when a key is given, else `none`"),
    example: "age",
    doc: "`age` insists on a key; `none` insists on plain archives.",
    also: &["encrypt", "encryption_type"],
    ..PLAIN
};

pub(super) static ENCRYPTION_KEY: Setting = Setting {
    key: "encryption_key",
    secret: true,
    example: "correct horse battery staple",
    doc: "A passphrase. Seals and opens archives (`age -d` asks for it).",
    also: &[
        "passphrase",
        "password",
        "encryption_passphrase",
        "encryption_password",
        "key",
    ],
    ..PLAIN
};

pub(super) static AGE_RECIPIENTS: Setting = Setting {
    key: "age_recipients",
    kind: Kind::List,
    example: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    doc: "Public keys to seal to: `age1…` or `ssh-ed25519 …`. They go before the passphrase.",
    also: &[
        "age_recipient",
        "age_public_keys",
        "age_public_key",
        "recipients",
    ],
    ..PLAIN
};

pub(super) static AGE_IDENTITY: Setting = Setting {
    key: "age_identity",
    secret: true,
    example: "AGE-SECRET-KEY-1…",
    doc: "Secret keys that open archives, one a line as `age-keygen` writes them. Needed to restore and \
          for `verify --deep`, not to back up.",
    also: &["age_identities", "age_key", "age_secret_key", "identity"],
    ..PLAIN
};

pub(super) static SIGNING_KEY: Setting = Setting {
    key: "signing_key",
    secret: true,
    example: "any long random text",
    doc: "Signs each backup's record, so that a changed one is noticed. Without it, the passphrase does, \
          else the first identity; without any of them records are unsigned.",
    also: &["sign_key", "mac_key", "hmac_key"],
    ..PLAIN
};

// What stays

pub(super) static RETENTION_DAYS: Setting = Setting {
    key: "retention_days",
    kind: number(1, 36_500),
    default: Is("30"),
    example: "14",
    doc: "Daily backups older than this go.",
    also: &["retention", "keep_days", "max_age", "max_age_days"],
    ..PLAIN
};

pub(super) static MAX_COUNT: Setting = Setting {
    key: "max_count",
    kind: number(1, 100_000),
    default: Is("90"),
    example: "14",
    doc: "At most this many daily backups stay.",
    also: &[
        "retention_count",
        "keep",
        "keep_max",
        "max_backups",
        "keep_last",
    ],
    ..PLAIN
};

pub(super) static DAILY_SLOTS: Setting = Setting {
    key: "daily_slots",
    kind: number(1, 100_000),
    example: "7",
    doc: "Another name for `BACKUP_MAX_COUNT`.",
    same_as: Some("max_count"),
    also: &["keep_daily", "daily_retention_count"],
    ..PLAIN
};

pub(super) static KEEP_MIN: Setting = Setting {
    key: "keep_min",
    kind: number(1, 100_000),
    default: Follows("7, or `BACKUP_MAX_COUNT` where that is less"),
    example: "3",
    doc: "The newest good backups that stay however old they are.",
    also: &["min_count", "min_keep", "retention_min", "min_backups"],
    ..PLAIN
};

pub(super) static ENABLE_WEEKLY: Setting = Setting {
    key: "enable_weekly",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Keeps a weekly tier.",
    also: &["weekly", "weekly_enabled"],
    ..PLAIN
};

pub(super) static WEEKLY_DAY: Setting = Setting {
    key: "weekly_day",
    kind: number(0, 7),
    default: Is("1"),
    example: "6",
    doc: "The weekday of the weekly tier: 1 is Monday, 0 and 7 are Sunday.",
    ..PLAIN
};

pub(super) static WEEKLY_RETENTION_WEEKS: Setting = Setting {
    key: "weekly_retention_weeks",
    kind: number(1, 5_200),
    default: Is("8"),
    example: "12",
    doc: "How long weekly backups stay.",
    also: &["weekly_retention", "keep_weekly", "weekly_slots"],
    ..PLAIN
};

pub(super) static ENABLE_FORTNIGHTLY: Setting = Setting {
    key: "enable_fortnightly",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Keeps a fortnightly tier.",
    also: &["fortnightly", "fortnightly_enabled"],
    ..PLAIN
};

pub(super) static FORTNIGHT_DAYS: Setting = Setting {
    key: "fortnight_days",
    kind: Kind::List,
    default: Is("1,15"),
    example: "1,15",
    doc: "The days of the month of the fortnightly tier.",
    also: &["fortnightly_days"],
    ..PLAIN
};

pub(super) static FORTNIGHTLY_RETENTION_COUNT: Setting = Setting {
    key: "fortnightly_retention_count",
    kind: number(1, 1_000),
    default: Is("4"),
    example: "6",
    doc: "How many fortnightly backups stay.",
    also: &[
        "fortnightly_retention",
        "keep_fortnightly",
        "fortnightly_slots",
    ],
    ..PLAIN
};

pub(super) static ENABLE_MONTHLY: Setting = Setting {
    key: "enable_monthly",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Keeps a monthly tier.",
    also: &["monthly", "monthly_enabled"],
    ..PLAIN
};

pub(super) static MONTHLY_DAY: Setting = Setting {
    key: "monthly_day",
    kind: number(1, 31),
    default: Is("1"),
    example: "15",
    doc: "The day of the month of the monthly tier; in a shorter month, its last day.",
    ..PLAIN
};

pub(super) static MONTHLY_RETENTION_MONTHS: Setting = Setting {
    key: "monthly_retention_months",
    kind: number(1, 1_200),
    default: Is("12"),
    example: "24",
    doc: "How long monthly backups stay.",
    also: &["monthly_retention", "keep_monthly", "monthly_slots"],
    ..PLAIN
};

pub(super) static ENABLE_YEARLY: Setting = Setting {
    key: "enable_yearly",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Keeps a yearly tier: the first good backup of each year.",
    also: &["yearly", "yearly_enabled"],
    ..PLAIN
};

pub(super) static YEARLY_RETENTION_YEARS: Setting = Setting {
    key: "yearly_retention_years",
    kind: number(1, 100),
    default: Is("5"),
    example: "10",
    doc: "How long yearly backups stay.",
    also: &["yearly_retention", "keep_yearly", "yearly_slots"],
    ..PLAIN
};

pub(super) static PRUNE_SCHEDULE: Setting = Setting {
    key: "prune_schedule",
    default: Follows("after each good backup"),
    example: "10 2 * * *",
    doc: "When old backups go, if not after each good backup; `off`: only by `lifeboat prune`.",
    also: &["prune", "prune_cron", "cleanup_schedule"],
    ..PLAIN
};

pub(super) static DELETE_GRACE_HOURS: Setting = Setting {
    key: "delete_grace_hours",
    kind: number(0, 87_600),
    default: Is("0"),
    example: "72",
    doc: "Dropped backups can be brought back for this long. `0`: they are gone at once.",
    also: &["delete_grace", "grace_hours"],
    ..PLAIN
};

// Watching it

pub(super) static HTTP_ADDR: Setting = Setting {
    key: "http_addr",
    default: Is("0.0.0.0:8080"),
    example: "127.0.0.1:8080",
    doc: "Where health and metrics are served; `off`: nowhere.",
    also: &[
        "http",
        "http_address",
        "listen",
        "addr",
        "address",
        "bind",
        "port",
        "http_port",
    ],
    ..PLAIN
};

pub(super) static METRICS_TOKEN: Setting = Setting {
    key: "metrics_token",
    secret: true,
    example: "any long random text",
    doc: "With it, `/metrics` asks for `Authorization: Bearer …`.",
    also: &["metrics_password", "prometheus_token"],
    ..PLAIN
};

pub(super) static LOG: Setting = Setting {
    key: "log",
    default: Is("info"),
    example: "debug",
    doc: "How much is logged: `error`, `warn`, `info`, `debug`, `trace`, `off`; for one part, \
          `info,lifeboat_run=debug`.",
    also: &["log_level", "loglevel", "verbosity"],
    ..PLAIN
};

pub(super) static LOG_FORMAT: Setting = Setting {
    key: "log_format",
    kind: Kind::OneOf(&["text", "json"]),
    default: Is("text"),
    example: "json",
    doc: "`json`: one object a line.",
    ..PLAIN
};
