//! The register: every setting, once. The program reads by it, and `.env.example` and
//! `docs/configuration.md` are written from it.

mod discovering;
mod keeping;
mod saving;
mod sealing;
mod waking;
mod watching;

pub(super) use {discovering::*, keeping::*, saving::*, sealing::*, waking::*, watching::*};

use super::settings::{Default, Group, Kind, Setting};

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
        title: "What is found by itself",
        prose: "Where the Docker engine can be asked (its socket is mounted, or `DOCKER_HOST` names a proxy), the \
                databases and volumes of the Compose project are found and saved without being mounted or \
                named. `lifeboat plan` shows all of them, what is *not* saved, and why. Labels on a service \
                (`lifeboat.…`, see below) say what cannot be seen.",
        settings: &[
            &DISCOVER,
            &SCOPE,
            &DOCKER_HOST,
            &AT_ONCE,
            &ROW_COUNT_SECONDS,
            &STALL_MINUTES,
            &RETRY_SECONDS,
            &ACCEPT_SMALLER,
            &HOLD_MAX_MINUTES,
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
    default: Default::Unset,
    secret: false,
    example: "",
    doc: "",
    also: &[],
    same_as: None,
};

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}
