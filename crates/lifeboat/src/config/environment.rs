//! The environment as a layer. Every value is a text, and every `BACKUP_…` is ours to answer for.

use super::{
    layer::{Layer, unknown},
    mistake::{Complaint, Report, Shown},
    origin::{Given, Origin, Raw},
    settings::{Word, env_name, guess, understand},
};
use std::ffi::OsString;

const PREFIX: &str = "BACKUP_";

/// Settings that other programs have under the same name: one of these without our prefix was most
/// likely meant for them.
const COMMON: [&str; 7] = [
    "age_identity",
    "encryption_key",
    "http_addr",
    "log_format",
    "max_count",
    "metrics_token",
    "signing_key",
];

/// What the environment says.
pub(super) struct Environment {
    pub layer: Layer,
    /// The project that Compose runs us in.
    pub compose_project: Option<String>,
}

pub(super) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
    report: &mut Report,
) -> Environment {
    let mut variables: Vec<_> = variables.collect();
    variables.sort();
    let mut compose_project = None;
    let mut entries = Vec::new();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        if name == "COMPOSE_PROJECT_NAME" {
            compose_project = value.into_string().ok().filter(|name| !name.is_empty());
        } else if let Some(key) = key_of(&name) {
            entries.extend(entry(key, &name, value, report));
        } else {
            stray(&name, report);
        }
    }
    Environment {
        layer: Layer::settle("environment", entries, report),
        compose_project,
    }
}

/// The key of a variable that is ours by its name.
fn key_of(name: &str) -> Option<String> {
    match name.strip_prefix(PREFIX) {
        Some("TZ" | "DOCKER_HOST") => None,
        Some(rest) if rest.bytes().any(|b| b.is_ascii_lowercase()) => None,
        Some(rest) => Some(rest.to_ascii_lowercase()),
        None if name == "TZ" => Some("tz".to_owned()),
        None if name == "DOCKER_HOST" => Some("docker_host".to_owned()),
        None => None,
    }
}

fn entry(key: String, name: &str, value: OsString, report: &mut Report) -> Option<(String, Given)> {
    let text = match value.into_string() {
        Ok(text) => text,
        // The name is the mistake then.
        Err(_) if understand(&key).is_none() => String::new(),
        Err(_) => {
            let complaint = Complaint::new(
                "is not text in UTF-8",
                "write it in UTF-8, as every other value",
            );
            report.mistake(name, Shown::Nothing, &Origin::Environment, complaint);
            return None;
        }
    };
    // `TZ=:Europe/Berlin` is how POSIX writes the name of a file in the zone database.
    let text = match key.as_str() {
        "tz" => text.trim_start_matches(':').to_owned(),
        _ => text,
    };
    let given = Given {
        written: name.to_owned(),
        raw: Raw::Text(text),
        origin: Origin::Environment,
    };
    Some((key, given))
}

/// A variable that is none of ours by its name, but was perhaps meant to be.
fn stray(name: &str, report: &mut Report) {
    let known = |key: &str| matches!(understand(key), Some(w) if !matches!(w, Word::Switch(_)));
    let lower = name.to_ascii_lowercase();
    let ours = lower.strip_prefix("backup_");
    let own_name = lower.strip_prefix("lifeboat_");
    if let Some(key) = ours.or(own_name).filter(|key| known(key)) {
        unknown(name, &Origin::Environment, Some(key.to_owned()), report);
    } else if let (Some(key), true) = (ours, name.starts_with(PREFIX)) {
        unknown(name, &Origin::Environment, guess(key), report);
    } else if name != lower && lower.contains('_') && known(&lower) && !COMMON.contains(&&*lower) {
        report.warning(
            format!("{name} is set, and means nothing to Lifeboat"),
            format!("did you mean {}?", env_name(&lower)),
        );
    }
}
