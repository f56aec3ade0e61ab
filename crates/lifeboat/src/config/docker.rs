//! What is discovered, and where the engine is asked.

use super::{
    mistake::Complaint,
    parse::{items, text},
    reader::{Read, Reader},
    register::{
        ACCEPT_SMALLER, AT_ONCE, DISCOVER, DOCKER_HOST, HOLD_MAX_MINUTES, RETRY_SECONDS,
        ROW_COUNT_SECONDS, SCOPE, STALL_MINUTES,
    },
};
use crate::docker::{Place, look::Scope};
use std::time::Duration;

/// Where engines listen that nobody has moved.
const USUAL: &str = "/var/run/docker.sock";

#[derive(Debug, Clone)]
pub struct Docker {
    pub databases: bool,
    pub volumes: bool,
    pub scope: Scope,
    /// `None`: nobody said where; the usual place, if something is there.
    pub place: Option<Place>,
    /// Somebody asked for discovery: not to have it is a failure then, and not a remark.
    pub asked: bool,
    /// The project that this program is told to be in.
    pub project: Option<String>,
}

/// How what is found is captured.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Side by side.
    pub at_once: usize,
    /// Zero: rows are not counted.
    pub row_count_time_max: Duration,
    pub silence_max: Duration,
    /// `None`: nothing is tried twice.
    pub retry_pause: Option<Duration>,
    /// Sources that may be much smaller than they were.
    pub accept_smaller: Vec<String>,
    pub hold_time_max: Duration,
}

pub(super) fn read_capture(reader: &mut Reader<'_>) -> Read<Capture> {
    let at_once = reader.number(&AT_ONCE);
    let row_count_seconds = reader.number(&ROW_COUNT_SECONDS);
    let stall_minutes: Read<u64> = reader.number(&STALL_MINUTES);
    let retry_seconds = reader.number(&RETRY_SECONDS);
    let accept_smaller = reader.list(&ACCEPT_SMALLER);
    let hold_max_minutes: Read<u64> = reader.number(&HOLD_MAX_MINUTES);
    let retry_pause = Duration::from_secs(retry_seconds?);
    Ok(Capture {
        at_once: at_once?,
        row_count_time_max: Duration::from_secs(row_count_seconds?),
        silence_max: Duration::from_secs(60 * stall_minutes?),
        retry_pause: Some(retry_pause).filter(|pause| !pause.is_zero()),
        accept_smaller: accept_smaller?,
        hold_time_max: Duration::from_secs(60 * hold_max_minutes?),
    })
}

impl Docker {
    pub fn is_off(&self) -> bool {
        !self.databases && !self.volumes
    }

    /// Where to ask. Looks whether there is anything at the usual place.
    pub fn place(&self) -> Option<Place> {
        let usual = || Place::Unix(USUAL.into());
        match &self.place {
            Some(place) => Some(place.clone()),
            None if self.asked || std::path::Path::new(USUAL).exists() => Some(usual()),
            None => None,
        }
    }
}

pub(super) fn read(project: Option<&str>, reader: &mut Reader<'_>) -> Read<Docker> {
    let discover = reader.optional(&DISCOVER, |raw| what(&items(raw)?));
    let scope = reader.optional(&SCOPE, |raw| whose(items(raw)?));
    let place = reader.optional(&DOCKER_HOST, |raw| {
        let host = text(raw)?;
        Place::parse(host).ok_or_else(|| {
            Complaint::new(
                "is not the place of an engine",
                "write unix:///path/to/docker.sock, or tcp://host:port; TLS and ssh are not understood",
            )
        })
    });
    let (discover, scope, place) = (discover?, scope?, place?);
    let (databases, volumes) = discover.unwrap_or((true, true));
    Ok(Docker {
        asked: (databases || volumes) && (discover.is_some() || scope.is_some() || place.is_some()),
        databases,
        volumes,
        scope: scope.unwrap_or_default(),
        place,
        project: project.map(str::to_owned),
    })
}

/// Databases, and volumes.
fn what(words: &[String]) -> Result<(bool, bool), Complaint> {
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let named = |name: &str| lower.iter().any(|word| word == name);
    let known = ["databases", "volumes", "off"];
    if let Some(strange) = lower.iter().find(|word| !known.contains(&word.as_str())) {
        let nearest = known
            .iter()
            .map(|known| (known, strsim::jaro_winkler(strange, known)))
            .filter(|(_, likeness)| *likeness > 0.8)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let all = "it can be databases,volumes, one of the two, or off";
        let hint = match nearest {
            Some((known, _)) => format!("did you mean {known}? {all}"),
            None => all.to_owned(),
        };
        return Err(Complaint::new("is not a word for this", hint));
    }
    if named("off") && lower.len() > 1 {
        let hint = "write off alone, or what is to be discovered";
        return Err(Complaint::new("is off and something else", hint));
    }
    Ok((named("databases"), named("volumes")))
}

fn whose(names: Vec<String>) -> Result<Scope, Complaint> {
    let alone = |word: &str| names.iter().any(|name| name == word);
    if (alone("all") || alone("project")) && names.len() > 1 {
        return Err(Complaint::new(
            "is a word and a list of names",
            "write project, all, or the names of Compose projects",
        ));
    }
    // As Compose itself has it.
    let strange = names.iter().find(|name| {
        let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        !name.chars().all(usable)
    });
    match strange {
        Some(name) => Err(Complaint::new(
            format!("{name:?} cannot be the name of a Compose project"),
            "`docker compose ls` lists them; they are small letters, digits, - and _",
        )),
        None if alone("all") => Ok(Scope::All),
        None if alone("project") => Ok(Scope::Project),
        None => Ok(Scope::Projects(names)),
    }
}
