//! What is found by itself.

use super::{PLAIN, number};
use crate::config::settings::{
    Default::{Follows, Is},
    Kind, Setting,
};

pub(in crate::config) static DISCOVER: Setting = Setting {
    key: "discover",
    kind: Kind::List,
    default: Follows("`databases,volumes` where a Docker engine can be asked"),
    example: "databases",
    doc: "What the engine is asked for: `databases,volumes`, `databases`, `volumes` or `off`. Once this, \
          `BACKUP_SCOPE` or `DOCKER_HOST` is set, an engine that cannot be asked makes runs fail.",
    also: &[
        "discovery",
        "autodiscover",
        "auto_discover",
        "autodiscovery",
    ],
    ..PLAIN
};

pub(in crate::config) static SCOPE: Setting = Setting {
    key: "scope",
    kind: Kind::List,
    default: Follows("`project`, the one that this service belongs to"),
    example: "shop,wiki",
    doc: "Whose services: `project`, the names of Compose projects, or `all` that the engine runs. Sources of \
          other projects are called `PROJECT.NAME`.",
    also: &["projects", "compose_projects"],
    ..PLAIN
};

pub(in crate::config) static DOCKER_HOST: Setting = Setting {
    key: "docker_host",
    default: Follows("`unix:///var/run/docker.sock`, if it is there"),
    example: "tcp://socket-proxy:2375",
    doc: "Where the engine, or a filtering proxy in front of it, listens. No TLS: for a socket or a network of \
          the project's own.",
    also: &["docker", "docker_socket", "docker_sock", "socket"],
    ..PLAIN
};

pub(in crate::config) static AT_ONCE: Setting = Setting {
    key: "at_once",
    kind: number(1, 16),
    default: Is("2"),
    example: "1",
    doc: "How many sources are captured side by side where the engine is asked. They share the memory of one.",
    also: &["parallel", "parallelism", "concurrency", "jobs"],
    ..PLAIN
};

pub(in crate::config) static ROW_COUNT_SECONDS: Setting = Setting {
    key: "row_count_seconds",
    kind: number(0, 3600),
    default: Is("60"),
    example: "0",
    doc: "For how long the rows of each database are counted beside its dump, so that a restore can be compared \
          with them. `0`: not at all.",
    also: &["count_rows", "row_counts", "row_count"],
    ..PLAIN
};

pub(in crate::config) static STALL_MINUTES: Setting = Setting {
    key: "stall_minutes",
    kind: number(1, 1440),
    default: Is("30"),
    example: "120",
    doc: "A dump that says nothing for so long is ended, and its source is missed.",
    also: &["stall_timeout", "idle_timeout", "dump_timeout"],
    ..PLAIN
};

pub(in crate::config) static RETRY_SECONDS: Setting = Setting {
    key: "retry_seconds",
    kind: number(0, 3600),
    default: Is("60"),
    example: "0",
    doc: "How long after a failure that may pass a source is tried once more. `0`: it is not.",
    also: &["retry", "retries", "retry_delay"],
    ..PLAIN
};

pub(in crate::config) static HOLD_MAX_MINUTES: Setting = Setting {
    key: "hold_max_minutes",
    kind: number(1, 1440),
    default: Is("30"),
    example: "5",
    doc: "Nobody is held still (`lifeboat.hold`) for longer. Whoever is goes on then, and what had not been read \
          is missed.",
    also: &["hold_timeout", "max_hold", "hold_max"],
    ..PLAIN
};

pub(in crate::config) static ACCEPT_SMALLER: Setting = Setting {
    key: "accept_smaller",
    kind: Kind::List,
    example: "db.shop",
    doc: "Sources whose dump may be less than a tenth of what it used to be, because somebody knows why. For one \
          run: `docker compose run --rm -e BACKUP_ACCEPT_SMALLER=db.shop backup backup`.",
    also: &["accept_size", "allow_smaller"],
    ..PLAIN
};
