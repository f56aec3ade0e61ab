//! Compression and encryption.

use super::{PLAIN, number};
use crate::config::settings::{
    Default::{Follows, Is},
    Kind, Setting,
};

pub(in crate::config) static COMPRESSION: Setting = Setting {
    key: "compression",
    kind: Kind::OneOf(&["zstd", "gzip", "bzip2", "xz", "none"]),
    default: Is("zstd"),
    example: "gzip",
    doc: "How archives are compressed.",
    also: &["compress", "compression_type", "compression_algorithm"],
    ..PLAIN
};

pub(in crate::config) static COMPRESSION_LEVEL: Setting = Setting {
    key: "compression_level",
    kind: number(0, 19),
    default: Follows("zstd 3, gzip 6, bzip2 9, xz 6"),
    example: "9",
    doc: "As the format's own tool takes it: zstd 1–19, gzip and bzip2 1–9, xz 0–9.",
    also: &["level"],
    ..PLAIN
};

pub(in crate::config) static COMPRESSION_THREADS: Setting = Setting {
    key: "compression_threads",
    kind: number(0, 1024),
    default: Follows("all cores"),
    example: "2",
    doc: "How many threads compress at once. `0`: one for each core.",
    also: &["threads"],
    ..PLAIN
};

pub(in crate::config) static ENCRYPTION: Setting = Setting {
    key: "encryption",
    kind: Kind::OneOf(&["age", "none"]),
    default: Follows("`age` when a key is given, else `none`"),
    example: "age",
    doc: "`age` insists on a key; `none` insists on plain archives.",
    also: &["encrypt", "encryption_type"],
    ..PLAIN
};

pub(in crate::config) static ENCRYPTION_KEY: Setting = Setting {
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

pub(in crate::config) static AGE_RECIPIENTS: Setting = Setting {
    key: "age_recipients",
    kind: Kind::List,
    example: "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
    doc: "Public keys to seal to: `age1…` or `ssh-ed25519 …`. They go before the other keys.",
    also: &[
        "age_recipient",
        "age_public_keys",
        "age_public_key",
        "recipients",
    ],
    ..PLAIN
};

pub(in crate::config) static AGE_IDENTITY: Setting = Setting {
    key: "age_identity",
    secret: true,
    example: "AGE-SECRET-KEY-1…",
    doc: "A key file of `age-keygen`, or an OpenSSH ed25519 key: opens archives. Next to recipients it \
          is needed only to restore and for `verify --deep`; without them, archives are sealed to it.",
    also: &["age_identities", "age_key", "age_secret_key", "identity"],
    ..PLAIN
};

pub(in crate::config) static SIGNING_KEY: Setting = Setting {
    key: "signing_key",
    secret: true,
    example: "any long random text",
    doc: "Signs each backup's record, so that a changed one is noticed. Without it, the passphrase does, \
          else the first identity; without any of them records are unsigned.",
    also: &["sign_key", "mac_key", "hmac_key"],
    ..PLAIN
};
