//! What the program shows of itself.

use super::PLAIN;
use crate::config::settings::{Default::Is, Kind, Setting};

pub(in crate::config) static HTTP_ADDR: Setting = Setting {
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

pub(in crate::config) static METRICS_TOKEN: Setting = Setting {
    key: "metrics_token",
    secret: true,
    example: "any long random text",
    doc: "With it, `/metrics` asks for `Authorization: Bearer …`.",
    also: &["metrics_password", "prometheus_token"],
    ..PLAIN
};

pub(in crate::config) static LOG: Setting = Setting {
    key: "log",
    default: Is("info"),
    example: "debug",
    doc: "How much is logged: `error`, `warn`, `info`, `debug`, `trace`, `off`; for one part, \
          `info,lifeboat_run=debug`.",
    also: &["log_level", "loglevel", "verbosity"],
    ..PLAIN
};

pub(in crate::config) static LOG_FORMAT: Setting = Setting {
    key: "log_format",
    kind: Kind::OneOf(&["text", "json"]),
    default: Is("text"),
    example: "json",
    doc: "`json`: one object a line.",
    ..PLAIN
};
