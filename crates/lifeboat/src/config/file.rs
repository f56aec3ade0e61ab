//! The configuration file as layers: one for what stands at its top, one for each `[[job]]`.
//!
//! It is read by `toml` itself, not by figment's provider, for two reasons: a mistake can then name
//! the line, and a message of the parser never quotes a line, which may hold a secret.

use super::{
    layer::Layer,
    mistake::{Complaint, Report, Shown},
    origin::{Given, Origin, Raw},
    secret_file,
    settings::{Kind, Word, understand},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use toml::{Spanned, Value};

/// Read when it is there and no other file is named.
pub(super) const USUAL: &str = "/etc/lifeboat/lifeboat.toml";

const BYTES_MAX: u64 = 1024 * 1024;

type Table = BTreeMap<Spanned<String>, Value>;

/// What the file says.
pub(super) struct File {
    pub layer: Layer,
    pub jobs: Vec<JobTable>,
}

/// A `[[job]]` as it stands in the file.
pub(super) struct JobTable {
    pub entries: Vec<(String, Given)>,
    pub origin: Origin,
}

/// The text of the file, for the lines of what stands in it.
struct Page<'a> {
    path: &'a Path,
    text: &'a str,
}

/// Where a fault lies, when it lies on a line, and what it is.
type Fault = (Option<usize>, Complaint);

/// Reads `named`, which then must be there, or else the usual file, which need not.
pub(super) fn read(named: Option<PathBuf>, report: &mut Report) -> File {
    let usual = || Some(PathBuf::from(USUAL)).filter(|usual| usual.exists());
    let mut file = File {
        layer: Layer::settle("file", Vec::new(), report),
        jobs: Vec::new(),
    };
    if let Some(path) = named.or_else(usual)
        && let Err((line, complaint)) = fill(&mut file, &path, report)
    {
        let origin = match line {
            Some(line) => Origin::Line(path, line),
            None => Origin::Whole(path),
        };
        report.mistake("configuration file", Shown::Nothing, &origin, complaint);
    }
    file
}

fn fill(file: &mut File, path: &Path, report: &mut Report) -> Result<(), Fault> {
    let (text, world_readable) = secret_file::text(path, BYTES_MAX).map_err(|c| (None, c))?;
    let page = Page { path, text: &text };
    let mut top: Table = page.parse()?;
    if let Some(key) = top.keys().find(|key| key.as_ref() == "job").cloned() {
        top.remove(&key);
        let Jobs { job } = page.parse().map_err(|_| {
            let hint = "write each job as [[job]], with its settings in the lines below";
            let complaint = Complaint::new("job is not a list of jobs", hint);
            (Some(page.line(key.span().start)), complaint)
        })?;
        for table in job {
            let start = table.keys().map(|key| key.span().start).min();
            file.jobs.push(JobTable {
                origin: Origin::Line(path.to_owned(), page.line(start.unwrap_or(0))),
                entries: page.entries(table, job_key, report),
            });
        }
    }
    let entries = page.entries(top, |key| key, report);
    if world_readable && entries.iter().any(|(key, _)| is_secret(key)) {
        report.warning(
            format!(
                "{}: everybody on the host can read the secret in it",
                path.display()
            ),
            format!("chmod o-r {}", path.display()),
        );
    }
    file.layer = Layer::settle("file", entries, report);
    Ok(())
}

/// A job's `sources` are what `include` is for the whole program.
fn job_key(key: &str) -> &str {
    if key == "sources" { "include" } else { key }
}

fn is_secret(key: &str) -> bool {
    matches!(understand(key), Some(Word::Setting(setting)) if setting.secret)
}

#[derive(Deserialize)]
struct Jobs {
    job: Vec<Table>,
}

impl Page<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        toml::from_str(self.text).map_err(|error| {
            let line = error.span().map(|span| self.line(span.start));
            let hint =
                "a setting is `name = value`, with texts in quotes; a job begins with [[job]]";
            (
                line,
                Complaint::new(error.message().trim().replace('\n', ", "), hint),
            )
        })
    }

    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// With each key as `rename` has it.
    fn entries(
        &self,
        table: Table,
        rename: fn(&str) -> &str,
        report: &mut Report,
    ) -> Vec<(String, Given)> {
        let mut entries = Vec::new();
        for (key, value) in table {
            let origin = Origin::Line(self.path.to_owned(), self.line(key.span().start));
            let written = key.into_inner();
            let key = rename(&written);
            match raw(key, value) {
                Ok(raw) => {
                    let key = key.to_owned();
                    let given = Given {
                        written,
                        raw,
                        origin,
                    };
                    entries.push((key, given));
                }
                Err(complaint) => report.mistake(&written, Shown::Nothing, &origin, complaint),
            }
        }
        entries
    }
}

/// Numbers and flags may stand without quotes, where a number or a flag is wanted; a text that looks
/// like a number must not, or `007` and `1e3` would be something else than what was written.
fn raw(key: &str, value: Value) -> Result<Raw, Complaint> {
    let Some(word) = understand(key) else {
        return Ok(Raw::Text(String::new()));
    };
    let kind = match word {
        Word::Setting(setting) => setting.kind,
        Word::Switch(_) => Kind::Flag,
        Word::FileOf(_) => Kind::Text,
        // Whatever it is, it is refused for its name.
        Word::Later => return Ok(Raw::Text("…".to_owned())),
    };
    match (kind, value) {
        (_, Value::String(text)) => Ok(Raw::Text(text)),
        (Kind::Flag, Value::Boolean(flag)) => Ok(Raw::Text(flag.to_string())),
        (Kind::Number { .. }, Value::Integer(number)) => Ok(Raw::Text(number.to_string())),
        (Kind::List, Value::Array(items)) => items
            .into_iter()
            .map(item)
            .collect::<Result<_, _>>()
            .map(Raw::List),
        (Kind::Flag, _) => Err(Complaint::new(
            "is neither true nor false",
            "write true or false",
        )),
        (Kind::Number { .. }, _) => Err(Complaint::new(
            "is not a whole number",
            "write digits alone",
        )),
        (Kind::List, _) => Err(Complaint::new(
            "is not a list",
            "write it as [\"one\", \"two\"]",
        )),
        (Kind::Text | Kind::OneOf(_), _) => {
            Err(Complaint::new("is not a text", "put it in quotes"))
        }
    }
}

fn item(value: Value) -> Result<String, Complaint> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        _ => Err(Complaint::new(
            "has an item that is no text",
            "put it in quotes",
        )),
    }
}
