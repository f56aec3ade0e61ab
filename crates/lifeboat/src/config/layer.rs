//! All values of one origin. Here a name is understood or refused, whoever wrote it where.

use super::{
    mistake::{Complaint, Report, Shown},
    origin::{Given, Origin, Raw},
    secret_file,
    settings::{Default, Setting, Word, all, guess, understand},
};
use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use std::{collections::BTreeMap, path::Path};

/// Values by key: `retention_days`, `include_logs`.
pub(super) struct Layer {
    pub name: &'static str,
    pub values: BTreeMap<String, Given>,
}

impl Layer {
    /// What is so when nobody says anything.
    pub(super) fn defaults() -> Self {
        let values = all().filter_map(|setting| match setting.default {
            Default::Is(text) => {
                let given = Given {
                    written: setting.env_name(),
                    raw: Raw::Text(text.to_owned()),
                    origin: Origin::Default,
                };
                Some((setting.key.to_owned(), given))
            }
            Default::Follows(_) | Default::Unset => None,
        });
        Layer {
            name: "default",
            values: values.collect(),
        }
    }

    /// Keeps what has a meaning, reads what is in files of its own, and reports the rest.
    pub(super) fn settle(
        name: &'static str,
        entries: Vec<(String, Given)>,
        report: &mut Report,
    ) -> Self {
        let mut values: BTreeMap<String, Given> = BTreeMap::new();
        for (key, given) in entries {
            let Some(word) = understand(&key) else {
                unknown(&given.written, &given.origin, guess(&key), report);
                continue;
            };
            if given.raw.is_blank() {
                blank(word, &given, report);
                continue;
            }
            let key = word.setting().map_or(key.as_str(), |setting| setting.key);
            if let Some(earlier) = values.get(key) {
                twice(&given, &earlier.written, report);
                continue;
            }
            let value = match word {
                Word::Setting(_) | Word::Switch(_) => Some(given),
                Word::FileOf(setting) => from_file(setting, given, report),
                Word::Later => later(&given, report),
            };
            values.extend(value.map(|value| (key.to_owned(), value)));
        }
        Layer { name, values }
    }
}

/// Hands every value over as the text it is: figment's own provider for the environment would turn
/// the passphrase `007` into the number 7.
impl Provider for &Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let dict = self
            .values
            .iter()
            .map(|(key, given)| {
                let value = match &given.raw {
                    Raw::Text(text) => Value::from(text.as_str()),
                    Raw::List(items) => Value::from(items.clone()),
                };
                (key.clone(), value)
            })
            .collect();
        Ok(Profile::Default.collect(dict))
    }
}

/// Never shows the value: it may be a secret whose name has a slip in it.
pub(super) fn unknown(name: &str, origin: &Origin, guess: Option<String>, report: &mut Report) {
    let hint = match guess {
        Some(key) => format!("did you mean {}?", origin.spell(&key)),
        None => "take it away, or look its name up in docs/configuration.md".to_owned(),
    };
    let complaint = Complaint::new("there is no such setting", hint);
    report.mistake(name, Shown::Nothing, origin, complaint);
}

/// Compose writes `${VARIABLE:-}` for what nobody set, so an empty value is none. But an empty key is
/// refused: going on would make plain archives of what somebody believes to be sealed.
fn blank(word: Word<'_>, given: &Given, report: &mut Report) {
    if word.setting().is_some_and(|setting| setting.secret) {
        let complaint = Complaint::new("is empty", "give it a value, or take it away altogether");
        report.mistake(&given.written, Shown::Nothing, &given.origin, complaint);
    }
}

/// `X` and `X_FILE`, or two names for one setting.
fn twice(given: &Given, earlier: &str, report: &mut Report) {
    let complaint = Complaint::new(
        format!("{earlier} is set too, and only one of them can be meant"),
        "take one of the two away",
    );
    report.mistake(&given.written, Shown::Nothing, &given.origin, complaint);
}

fn later(given: &Given, report: &mut Report) -> Option<Given> {
    let complaint = Complaint::new(
        "this version does not do that yet",
        "take it away: nothing that it asks for would happen",
    );
    report.mistake(&given.written, Shown::Nothing, &given.origin, complaint);
    None
}

/// The value that the file holds which `X_FILE` names.
fn from_file(setting: &Setting, given: Given, report: &mut Report) -> Option<Given> {
    let path = given.raw.to_string();
    let path = Path::new(path.trim());
    match secret_file::value(path) {
        Ok((text, world_readable)) => {
            if setting.secret && world_readable {
                report.warning(
                    format!(
                        "{}: everybody on the host can read {}",
                        given.written,
                        path.display()
                    ),
                    format!("chmod o-r {}", path.display()),
                );
            }
            Some(Given {
                raw: Raw::Text(text),
                origin: given.origin.in_file(path),
                ..given
            })
        }
        Err(complaint) => {
            // What is no path may be the secret itself, given where the name of its file belongs.
            let shown = if setting.secret && !path.is_absolute() {
                Shown::Masked
            } else {
                Shown::Text(path.display().to_string())
            };
            report.mistake(&given.written, shown, &given.origin, complaint);
            None
        }
    }
}
