//! When.

use super::{PLAIN, number};
use crate::config::settings::{Default::Is, Kind, Setting};

pub(in crate::config) static ENABLED: Setting = Setting {
    key: "enabled",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "`false` puts the daemon to rest: nothing is scheduled. Commands still work.",
    also: &["enable"],
    ..PLAIN
};

pub(in crate::config) static SCHEDULE: Setting = Setting {
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

pub(in crate::config) static TZ: Setting = Setting {
    key: "tz",
    default: Is("UTC"),
    example: "Europe/Berlin",
    doc: "The zone in which schedules, days and file names are meant.",
    also: &["timezone", "time_zone", "zone"],
    ..PLAIN
};

pub(in crate::config) static CATCH_UP: Setting = Setting {
    key: "catch_up",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Makes up, once, for backups that were due while the daemon was down.",
    ..PLAIN
};

pub(in crate::config) static RUN_ON_START: Setting = Setting {
    key: "run_on_start",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Makes a backup whenever the daemon starts.",
    also: &["run_at_start", "run_on_startup", "on_start"],
    ..PLAIN
};

pub(in crate::config) static JITTER_SECONDS: Setting = Setting {
    key: "jitter_seconds",
    kind: number(0, 86_400),
    default: Is("0"),
    example: "300",
    doc: "Begins up to this much later, by chance, so that many hosts do not all begin at once.",
    also: &["jitter"],
    ..PLAIN
};

pub(in crate::config) static CLEANUP_ON_START: Setting = Setting {
    key: "cleanup_on_start",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Removes what a run left behind that was killed. Finished backups are never touched by it.",
    ..PLAIN
};

pub(in crate::config) static JOB_TIMEOUT_MINUTES: Setting = Setting {
    key: "job_timeout_minutes",
    kind: number(0, 10_080),
    default: Is("60"),
    example: "240",
    doc: "A run that takes longer is cancelled and counts as failed. `0`: no limit.",
    also: &["timeout", "job_timeout", "timeout_minutes"],
    ..PLAIN
};
