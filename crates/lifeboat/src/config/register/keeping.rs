//! What stays, and when the rest goes.

use super::{PLAIN, number};
use crate::config::settings::{
    Default::{Follows, Is},
    Kind, Setting,
};

pub(in crate::config) static RETENTION_DAYS: Setting = Setting {
    key: "retention_days",
    kind: number(1, 36_500),
    default: Is("30"),
    example: "14",
    doc: "Daily backups older than this go.",
    also: &["retention", "keep_days", "max_age", "max_age_days"],
    ..PLAIN
};

pub(in crate::config) static MAX_COUNT: Setting = Setting {
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

pub(in crate::config) static DAILY_SLOTS: Setting = Setting {
    key: "daily_slots",
    kind: number(1, 100_000),
    example: "7",
    doc: "Another name for `BACKUP_MAX_COUNT`.",
    same_as: Some("max_count"),
    also: &["keep_daily", "daily_retention_count"],
    ..PLAIN
};

pub(in crate::config) static KEEP_MIN: Setting = Setting {
    key: "keep_min",
    kind: number(1, 100_000),
    default: Follows("7, or `BACKUP_MAX_COUNT` where that is less"),
    example: "3",
    doc: "The newest good backups that stay however old they are.",
    also: &["min_count", "min_keep", "retention_min", "min_backups"],
    ..PLAIN
};

pub(in crate::config) static ENABLE_WEEKLY: Setting = Setting {
    key: "enable_weekly",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Keeps a weekly tier.",
    also: &["weekly", "weekly_enabled"],
    ..PLAIN
};

pub(in crate::config) static WEEKLY_DAY: Setting = Setting {
    key: "weekly_day",
    kind: number(0, 7),
    default: Is("1"),
    example: "6",
    doc: "The weekday of the weekly tier: 1 is Monday, 0 and 7 are Sunday.",
    ..PLAIN
};

pub(in crate::config) static WEEKLY_RETENTION_WEEKS: Setting = Setting {
    key: "weekly_retention_weeks",
    kind: number(1, 5_200),
    default: Is("8"),
    example: "12",
    doc: "How long weekly backups stay.",
    also: &["weekly_retention", "keep_weekly", "weekly_slots"],
    ..PLAIN
};

pub(in crate::config) static ENABLE_FORTNIGHTLY: Setting = Setting {
    key: "enable_fortnightly",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Keeps a fortnightly tier.",
    also: &["fortnightly", "fortnightly_enabled"],
    ..PLAIN
};

pub(in crate::config) static FORTNIGHT_DAYS: Setting = Setting {
    key: "fortnight_days",
    kind: Kind::List,
    default: Is("1,15"),
    example: "1,15",
    doc: "The days of the month of the fortnightly tier.",
    also: &["fortnightly_days"],
    ..PLAIN
};

pub(in crate::config) static FORTNIGHTLY_RETENTION_COUNT: Setting = Setting {
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

pub(in crate::config) static ENABLE_MONTHLY: Setting = Setting {
    key: "enable_monthly",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Keeps a monthly tier.",
    also: &["monthly", "monthly_enabled"],
    ..PLAIN
};

pub(in crate::config) static MONTHLY_DAY: Setting = Setting {
    key: "monthly_day",
    kind: number(1, 31),
    default: Is("1"),
    example: "15",
    doc: "The day of the month of the monthly tier; in a shorter month, its last day.",
    ..PLAIN
};

pub(in crate::config) static MONTHLY_RETENTION_MONTHS: Setting = Setting {
    key: "monthly_retention_months",
    kind: number(1, 1_200),
    default: Is("12"),
    example: "24",
    doc: "How long monthly backups stay.",
    also: &["monthly_retention", "keep_monthly", "monthly_slots"],
    ..PLAIN
};

pub(in crate::config) static ENABLE_YEARLY: Setting = Setting {
    key: "enable_yearly",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "Keeps a yearly tier: the first good backup of each year.",
    also: &["yearly", "yearly_enabled"],
    ..PLAIN
};

pub(in crate::config) static YEARLY_RETENTION_YEARS: Setting = Setting {
    key: "yearly_retention_years",
    kind: number(1, 100),
    default: Is("5"),
    example: "10",
    doc: "How long yearly backups stay.",
    also: &["yearly_retention", "keep_yearly", "yearly_slots"],
    ..PLAIN
};

pub(in crate::config) static PRUNE_SCHEDULE: Setting = Setting {
    key: "prune_schedule",
    default: Follows("after each good backup"),
    example: "10 2 * * *",
    doc: "When old backups go, if not after each good backup; `off`: only by `lifeboat prune`.",
    also: &["prune", "prune_cron", "cleanup_schedule"],
    ..PLAIN
};

pub(in crate::config) static DELETE_GRACE_HOURS: Setting = Setting {
    key: "delete_grace_hours",
    kind: number(0, 87_600),
    default: Is("0"),
    example: "72",
    doc: "Dropped backups can be brought back for this long. `0`: they are gone at once.",
    also: &["delete_grace", "grace_hours"],
    ..PLAIN
};
