//! Takes settings out of the layers, one by one, and turns each into what the program needs. Goes on
//! after a mistake, so that all of them are found.

use super::{
    layer::Layer,
    mistake::{Complaint, Report, Shown},
    origin::{Given, Origin, Raw},
    parse::{flag, items, number, one_of, out_of_range, text},
    settings::{Default, Setting, Word, env_name, understand},
};
use figment::Figment;
use lifeboat_run::Secret;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// The value could not be had, and the report says why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refused;

pub(super) type Read<T> = Result<T, Refused>;

/// A setting as it takes effect, for `lifeboat plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    pub name: String,
    /// `None` where nothing is set. Stars in place of a secret.
    pub value: Option<String>,
    pub origin: String,
}

pub(super) struct Reader<'a> {
    layers: Vec<&'a Layer>,
    figment: Figment,
    /// Set while a job's own settings are read.
    job: Option<&'a str>,
    pub report: &'a mut Report,
    pub effective: Vec<Effective>,
}

impl<'a> Reader<'a> {
    /// The later layer wins.
    pub(super) fn new(layers: Vec<&'a Layer>, report: &'a mut Report) -> Self {
        Reader {
            figment: layers
                .iter()
                .fold(Figment::new(), |below, layer| below.merge(*layer)),
            layers,
            job: None,
            report,
            effective: Vec::new(),
        }
    }

    /// The same layers, with a job's own settings over them.
    pub(super) fn for_job<'b>(&'b mut self, name: &'b str, own: &'b Layer) -> Reader<'b> {
        Reader {
            figment: self.figment.clone().merge(own),
            layers: self.layers.iter().copied().chain([own]).collect(),
            job: Some(name),
            report: self.report,
            effective: Vec::new(),
        }
    }

    /// `None` when the setting is not set and has no default of its own.
    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&Raw) -> Result<T, Complaint>,
    ) -> Read<Option<T>> {
        let Some(given) = self.given(setting.key) else {
            let words = match setting.default {
                Default::Follows(words) => Some(words.replace('`', "")),
                Default::Is(_) | Default::Unset => None,
            };
            self.note(setting, words, &Origin::Default);
            return Ok(None);
        };
        let given = given.clone();
        let shown = match shown(setting, &given.raw) {
            Shown::Text(text) => text,
            _ => "***".to_owned(),
        };
        self.note(setting, Some(shown), &given.origin);
        parse(&given.raw)
            .map(Some)
            .map_err(|complaint| self.refuse(setting, complaint))
    }

    /// A setting whose default is in the register.
    pub(super) fn value<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Read<T> {
        let value = self.optional(setting, |raw| parse(text(raw)?))?;
        Ok(value.expect("the register has a default for it"))
    }

    pub(super) fn flag(&mut self, setting: &Setting) -> Read<bool> {
        self.value(setting, flag)
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, setting: &Setting) -> Read<T> {
        let value = self.optional_number(setting)?;
        Ok(value.expect("the register has a default for it"))
    }

    pub(super) fn optional_number<T: TryFrom<u64>>(
        &mut self,
        setting: &Setting,
    ) -> Read<Option<T>> {
        self.optional(setting, |raw| {
            let number = number(text(raw)?, setting)?;
            T::try_from(number).map_err(|_| out_of_range(setting))
        })
    }

    pub(super) fn one_of<T: FromStr>(&mut self, setting: &Setting) -> Read<T> {
        self.value(setting, |word| one_of(word, setting))
    }

    pub(super) fn list(&mut self, setting: &Setting) -> Read<Vec<String>> {
        Ok(self.optional(setting, items)?.unwrap_or_default())
    }

    pub(super) fn secret(&mut self, setting: &Setting) -> Read<Option<Secret>> {
        self.optional(setting, |raw| Ok(Secret::new(text(raw)?.to_owned())))
    }

    /// The switches of single sources, `include_<name>`, by the name in capitals.
    pub(super) fn switches(&mut self) -> Read<BTreeMap<String, bool>> {
        let keys: BTreeSet<&str> = self
            .layers
            .iter()
            .flat_map(|layer| layer.values.keys())
            .map(String::as_str)
            .collect();
        let mut switches = BTreeMap::new();
        let mut refused = None;
        for key in keys {
            let (Some(Word::Switch(name)), Some(given)) = (understand(key), self.given(key)) else {
                continue;
            };
            self.effective.push(Effective {
                name: env_name(key),
                value: Some(given.raw.to_string()),
                origin: given.origin.to_string(),
            });
            match text(&given.raw).and_then(flag) {
                Ok(on) => {
                    switches.insert(name.to_ascii_uppercase(), on);
                }
                Err(complaint) => {
                    let hint = "BACKUP_INCLUDE_<NAME> switches one source: write true or false";
                    let complaint = Complaint::new(complaint.what, hint);
                    let value = Shown::Text(given.raw.to_string());
                    self.report
                        .mistake(&given.written, value, &given.origin, complaint);
                    refused = Some(Refused);
                }
            }
        }
        refused.map_or(Ok(switches), Err)
    }

    /// Says what came of a setting that follows from something else.
    pub(super) fn follows(&mut self, setting: &Setting, value: String, from: String) {
        self.note(setting, Some(value), &Origin::Follows(from));
    }

    /// A mistake that shows only when settings are seen together.
    pub(super) fn refuse(&mut self, setting: &Setting, complaint: Complaint) -> Refused {
        match self.given(setting.key).cloned() {
            Some(given) => {
                let value = shown(setting, &given.raw);
                self.report
                    .mistake(&given.written, value, &given.origin, complaint);
            }
            None => {
                let name = env_name(setting.key);
                self.report
                    .mistake(&name, Shown::Nothing, &Origin::Default, complaint);
            }
        }
        Refused
    }

    /// The value that wins.
    fn given(&self, key: &str) -> Option<&'a Given> {
        let winner = &self.figment.find_metadata(key)?.name;
        let layer = self.layers.iter().find(|layer| layer.name == winner)?;
        layer.values.get(key)
    }

    fn note(&mut self, setting: &Setting, value: Option<String>, origin: &Origin) {
        let name = match self.job {
            Some(job) => format!("job.{job}.{}", setting.key),
            None => setting.env_name(),
        };
        self.effective.retain(|earlier| earlier.name != name);
        self.effective.push(Effective {
            name,
            value,
            origin: origin.to_string(),
        });
    }
}

/// A secret key that was put where only public ones belong is masked all the same.
fn shown(setting: &Setting, raw: &Raw) -> Shown {
    let text = raw.to_string();
    if setting.secret || text.to_ascii_uppercase().contains("SECRET-KEY") {
        Shown::Masked
    } else {
        Shown::Text(text)
    }
}
