//! What is saved, and where it is kept.

use super::PLAIN;
use crate::config::settings::{
    Default::{Follows, Is},
    Kind, Setting,
};

pub(in crate::config) static NAME: Setting = Setting {
    key: "name",
    default: Follows("the Compose project, else `backup`"),
    example: "shop",
    doc: "First part of every file name, and what keeps two projects apart in one folder. Letters, \
          digits, `-` and `_`. Where nobody sets it the engine is asked for the Compose project; a store \
          keeps the name that its backups have.",
    also: &["filename", "prefix", "project", "project_name"],
    ..PLAIN
};

pub(in crate::config) static SOURCES_DIR: Setting = Setting {
    key: "sources_dir",
    default: Is("/data"),
    example: "/data",
    doc: "The folder whose sub-folders are the sources.",
    also: &["source", "sources", "source_dir", "src", "data_dir"],
    ..PLAIN
};

pub(in crate::config) static INCLUDE: Setting = Setting {
    key: "include",
    kind: Kind::List,
    default: Follows("all"),
    example: "storage,auth",
    doc: "The sources to save, by name.",
    ..PLAIN
};

pub(in crate::config) static EXCLUDE: Setting = Setting {
    key: "exclude",
    kind: Kind::List,
    example: "cache",
    doc: "Sources to leave out, by name.",
    also: &["skip", "ignore"],
    ..PLAIN
};

pub(in crate::config) static INCLUDE_SOURCE: Setting = Setting {
    key: "include_<name>",
    kind: Kind::Flag,
    example: "false",
    doc: "Switches one source on or off, whatever the two lists say: `BACKUP_INCLUDE_LOGS=false` leaves \
          out `logs`. Whatever is neither letter nor digit in the source's name is `_` here.",
    ..PLAIN
};

pub(in crate::config) static EXCLUDE_PATTERNS: Setting = Setting {
    key: "exclude_patterns",
    kind: Kind::List,
    example: "*.tmp,cache/",
    doc: "Files to leave out, in the manner of `.gitignore`, in every source.",
    also: &["exclude_regexp", "exclude_pattern", "exclude_files"],
    ..PLAIN
};

pub(in crate::config) static BUNDLE: Setting = Setting {
    key: "bundle",
    kind: Kind::Flag,
    default: Is("false"),
    example: "true",
    doc: "All sources in one archive.",
    ..PLAIN
};

pub(in crate::config) static ON_CHANGED_FILE: Setting = Setting {
    key: "on_changed_file",
    kind: Kind::OneOf(&["warn", "fail"]),
    default: Is("warn"),
    example: "fail",
    doc: "What a file means that changes while it is read: a warning, or a source that is not captured.",
    ..PLAIN
};

pub(in crate::config) static DIR: Setting = Setting {
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

pub(in crate::config) static VERIFY_AFTER_BACKUP: Setting = Setting {
    key: "verify_after_backup",
    kind: Kind::Flag,
    default: Is("true"),
    example: "false",
    doc: "Reads every archive back and compares its checksum before the backup counts.",
    also: &["verify"],
    ..PLAIN
};
