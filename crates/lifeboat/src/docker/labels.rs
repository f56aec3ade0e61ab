//! What a service says of itself, in labels that begin with `lifeboat.`.
//!
//! A label that is not understood is a mistake that is told, and its service is not saved in some other way
//! than its owner asked for: its sources fail until the label is corrected.

use super::{Address, kind::DatabaseKind};
use chrono_tz::Tz;
pub use lifeboat_plan::HoldKind as HoldMode;
use lifeboat_plan::Schedule;
use std::collections::BTreeMap;

pub const PREFIX: &str = "lifeboat.";

/// Understood labels of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub enable: bool,
    pub kind: Option<KindLabel>,
    /// Only these databases; empty: all.
    pub databases: Vec<String>,
    pub user: Option<String>,
    /// In the service's container.
    pub password_file: Option<String>,
    /// Databases of a server; patterns for the files of any other service.
    pub exclude: Vec<String>,
    pub hold: HoldMode,
    /// A line of shell in the container, before and after its sources are read.
    pub pre: Option<String>,
    pub post: Option<String>,
    /// A line of shell whose output is a source.
    pub command: Option<String>,
    pub extension: Option<String>,
    /// A job of its own, beside the others.
    pub schedule: Option<Schedule>,
    pub restore_command: Option<String>,
    pub drill: Option<Drill>,
}

/// What the service is, whatever it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KindLabel {
    Database(DatabaseKind),
    /// Its volumes hold SQLite databases, which are found anyhow.
    Sqlite,
    /// No server: its volumes are files like any other.
    Files,
    Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drill {
    Data,
    /// The service itself is started until it is healthy.
    Boot,
}

/// A label that says nothing, or something else than was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMistake {
    pub address: Address,
    /// With its prefix.
    pub label: String,
    pub what: String,
    pub hint: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enable: true,
            kind: None,
            databases: Vec::new(),
            user: None,
            password_file: None,
            exclude: Vec::new(),
            hold: HoldMode::None,
            pre: None,
            post: None,
            command: None,
            extension: None,
            schedule: None,
            restore_command: None,
            drill: None,
        }
    }
}

const KNOWN: [&str; 14] = [
    "enable",
    "kind",
    "databases",
    "user",
    "password-file",
    "exclude",
    "hold",
    "pre",
    "post",
    "command",
    "extension",
    "schedule",
    "restore-command",
    "drill",
];

/// What people write who come from elsewhere, or remember it wrongly.
const ALSO: [(&str, &str); 16] = [
    ("enabled", "enable"),
    ("disable", "enable"),
    ("disabled", "enable"),
    ("skip", "enable"),
    ("type", "kind"),
    ("database", "databases"),
    ("db", "databases"),
    ("username", "user"),
    ("ignore", "exclude"),
    ("quiesce", "hold"),
    ("stop", "hold"),
    ("pause", "hold"),
    ("dump", "command"),
    ("ext", "extension"),
    ("suffix", "extension"),
    ("cron", "schedule"),
];

/// What is wrong with a value, and what would be right.
type Wrong = (String, String);

/// Every mistake is found, not only the first.
pub fn read(
    address: &Address,
    labels: &BTreeMap<String, String>,
    zone: Tz,
) -> (Settings, Vec<LabelMistake>) {
    let mut settings = Settings::default();
    let mut mistakes = Vec::new();
    let mut mistake = |label: &str, (what, hint): Wrong| {
        mistakes.push(LabelMistake {
            address: address.clone(),
            label: label.to_owned(),
            what,
            hint,
        });
    };
    for (label, value) in labels {
        let Some(key) = label.strip_prefix(PREFIX) else {
            continue;
        };
        // Compose writes `${VARIABLE:-}` for what nobody set.
        let value = value.trim();
        let known = KNOWN.contains(&key);
        if !known {
            mistake(label, unknown(key));
        } else if !value.is_empty()
            && let Err(wrong) = settings.take(key, value, zone)
        {
            mistake(label, wrong);
        }
    }
    if settings.extension.is_some() && settings.command.is_none() {
        let what = "there is no lifeboat.command whose output it could name";
        mistake(
            "lifeboat.extension",
            (
                what.to_owned(),
                "set lifeboat.command too, or take it away".to_owned(),
            ),
        );
    }
    if settings.kind == Some(KindLabel::Command) && settings.command.is_none() {
        let what = "there is no lifeboat.command";
        mistake(
            "lifeboat.kind",
            (
                what.to_owned(),
                "set lifeboat.command: a line of shell whose output is to be saved".to_owned(),
            ),
        );
    }
    (settings, mistakes)
}

impl Settings {
    fn take(&mut self, key: &str, value: &str, zone: Tz) -> Result<(), Wrong> {
        let text = || Some(value.to_owned());
        match key {
            "enable" => self.enable = flag(value)?,
            "kind" => self.kind = Some(word(value, &KINDS)?),
            "databases" => self.databases = items(value),
            "user" => self.user = text(),
            "password-file" => self.password_file = Some(path(value)?),
            "exclude" => self.exclude = items(value),
            "hold" => self.hold = word(value, &HOLDS)?,
            "pre" => self.pre = text(),
            "post" => self.post = text(),
            "command" => self.command = text(),
            "extension" => self.extension = Some(extension(value)?),
            "schedule" => self.schedule = Some(schedule(value, zone)?),
            "restore-command" => self.restore_command = text(),
            "drill" => self.drill = Some(word(value, &DRILLS)?),
            _ => unreachable!("{key} is not among the known ones"),
        }
        Ok(())
    }
}

const KINDS: [(&str, KindLabel); 8] = [
    ("postgres", KindLabel::Database(DatabaseKind::Postgres)),
    ("mysql", KindLabel::Database(DatabaseKind::Mysql)),
    ("mariadb", KindLabel::Database(DatabaseKind::Mariadb)),
    ("mongodb", KindLabel::Database(DatabaseKind::Mongodb)),
    ("redis", KindLabel::Database(DatabaseKind::Redis)),
    ("sqlite", KindLabel::Sqlite),
    ("files", KindLabel::Files),
    ("command", KindLabel::Command),
];

const HOLDS: [(&str, HoldMode); 3] = [
    ("none", HoldMode::None),
    ("pause", HoldMode::Pause),
    ("stop", HoldMode::Stop),
];

const DRILLS: [(&str, Drill); 2] = [("data", Drill::Data), ("boot", Drill::Boot)];

/// The value is never shown: a label of a wrong name may hold anything.
fn unknown(key: &str) -> Wrong {
    let what = "there is no such label".to_owned();
    if key.contains("pass") && key != "password_file" {
        let hint = "did you mean lifeboat.password-file? Everybody who may look at a container sees its labels: give the path of a file, never the password";
        return (what, hint.to_owned());
    }
    let plain = key.to_ascii_lowercase().replace(['_', '.'], "-");
    let also = ALSO.iter().find(|(name, _)| *name == plain);
    let guess = also
        .map(|(_, known)| *known)
        .or_else(|| nearest(&plain, &KNOWN));
    let hint = match guess {
        Some(known) => format!("did you mean {PREFIX}{known}?"),
        None => format!("take it away; the labels are {}", KNOWN.join(", ")),
    };
    (what, hint)
}

fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.8;
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(word, known), *known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

fn word<T: Copy>(value: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let lower = value.to_ascii_lowercase();
    let exact = words.iter().find(|(word, _)| *word == lower);
    exact.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let choices = known.join(", ");
        let hint = match nearest(&lower, &known) {
            Some(near) => format!("did you mean {near}? it can be {choices}"),
            None => format!("it can be {choices}"),
        };
        (format!("{value:?} is not a word for this"), hint)
    })
}

fn flag(value: &str) -> Result<bool, Wrong> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err((
            format!("{value:?} is neither true nor false"),
            "write true or false, in quotes".to_owned(),
        )),
    }
}

fn items(value: &str) -> Vec<String> {
    let items = value.split([',', '\n']).map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn path(value: &str) -> Result<String, Wrong> {
    match value.starts_with('/') && !value.contains('\0') {
        true => Ok(value.to_owned()),
        // It may be the password itself.
        false => Err((
            "is not an absolute path".to_owned(),
            "begin it with /, as it is seen from inside the service's container".to_owned(),
        )),
    }
}

fn extension(value: &str) -> Result<String, Wrong> {
    let plain = value.trim_start_matches('.');
    let usable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let good =
        (1..=16).contains(&plain.len()) && plain.chars().all(usable) && !plain.ends_with('.');
    match good {
        true => Ok(plain.to_owned()),
        false => Err((
            format!("{value:?} cannot end the name of a file"),
            "write up to 16 small letters and digits, as in txt or sql".to_owned(),
        )),
    }
}

fn schedule(value: &str, zone: Tz) -> Result<Schedule, Wrong> {
    Schedule::parse(value, zone).map_err(|error| {
        let what = format!("{value:?}: {}", error.problem());
        (what, error.hint().to_owned())
    })
}

#[cfg(test)]
mod tests;
