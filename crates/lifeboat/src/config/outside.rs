//! What the program shows of itself: HTTP and the log.

use super::{
    mistake::Complaint,
    reader::{Read, Reader},
    register::{HTTP_ADDR, LOG, LOG_FORMAT, METRICS_TOKEN},
};
use lifeboat_run::Secret;
use std::{net::SocketAddr, str::FromStr};

#[derive(Debug, Clone)]
pub struct Http {
    /// `None`: nothing is served.
    pub addr: Option<SocketAddr>,
    pub metrics_token: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Directives as `tracing_subscriber::EnvFilter` takes them.
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(()),
        }
    }
}

pub(super) fn read_http(reader: &mut Reader<'_>) -> Read<Http> {
    let addr = reader.value(&HTTP_ADDR, address);
    let metrics_token = reader.secret(&METRICS_TOKEN);
    Ok(Http {
        addr: addr?,
        metrics_token: metrics_token?,
    })
}

pub(super) fn read_log(reader: &mut Reader<'_>) -> Read<Log> {
    let filter = reader.value(&LOG, filter);
    let format = reader.one_of(&LOG_FORMAT);
    Ok(Log {
        filter: filter?,
        format: format?,
    })
}

fn address(text: &str) -> Result<Option<SocketAddr>, Complaint> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Complaint::new(
            "is not an IP address and a port",
            "write for example 127.0.0.1:8080, 0.0.0.0:8080 for every interface, or off",
        )
    })
}

/// `EnvFilter` itself takes `infoo` for the name of a module, and then logs all of nothing.
fn filter(text: &str) -> Result<String, Complaint> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text.trim().to_ascii_lowercase();
    let sound = text.split(',').all(|directive| {
        let level = directive.rsplit('=').next().unwrap_or(directive).trim();
        LEVELS.contains(&level)
    });
    if sound {
        return Ok(text);
    }
    Err(Complaint::new(
        "is not a level",
        format!(
            "write one of {}, or info,lifeboat_run=debug",
            LEVELS.join(", ")
        ),
    ))
}
