//! What a setting is, and how its names are found and guessed.

use super::register::{GROUPS, LATER};

/// One setting: what the program reads, and what the manual says of it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name in the configuration file; with `BACKUP_` in front and in capitals, in the environment.
    pub key: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub secret: bool,
    pub example: &'static str,
    pub doc: &'static str,
    /// What people call it who come from another tool, or remember it wrongly.
    pub also: &'static [&'static str],
    /// The key of the setting that this one is another name for.
    pub same_as: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Flag,
    Number {
        min: u64,
        max: u64,
    },
    OneOf(&'static [&'static str]),
    /// Between commas or line ends; an array in the configuration file.
    List,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    Is(&'static str),
    /// Follows from something else, in these words.
    Follows(&'static str),
    Unset,
}

/// Settings that belong together, with a few sentences on what they are for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub title: &'static str,
    pub prose: &'static str,
    pub settings: &'static [&'static Setting],
}

/// How a name is understood.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'a> {
    Setting(&'static Setting),
    /// `X_FILE`: the value is in the file that this names.
    FileOf(&'static Setting),
    /// `include_<name>`, with the name of the source.
    Switch(&'a str),
    /// A word of ours that this version does nothing with.
    Later,
}

impl Word<'_> {
    pub(super) fn setting(&self) -> Option<&'static Setting> {
        match self {
            Word::Setting(setting) | Word::FileOf(setting) => Some(setting),
            Word::Switch(_) | Word::Later => None,
        }
    }
}

impl Setting {
    pub fn env_name(&self) -> String {
        env_name(self.key)
    }
}

pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings).copied()
}

/// The name in the environment of a name in the configuration file.
pub(super) fn env_name(key: &str) -> String {
    match key {
        "tz" => "TZ".to_owned(),
        "docker_host" => "DOCKER_HOST".to_owned(),
        _ => format!("BACKUP_{}", key.to_ascii_uppercase()),
    }
}

/// `None` for a word that means nothing here.
pub(super) fn understand(key: &str) -> Option<Word<'_>> {
    let exact = |key: &str| {
        let named = |key: &str| all().find(|setting| setting.key == key);
        let setting = named(key)?;
        setting.same_as.map_or(Some(setting), named)
    };
    let later = |key: &str| LATER.contains(&key);
    let file_of = key.strip_suffix("_file");
    if let Some(setting) = exact(key) {
        Some(Word::Setting(setting))
    } else if let Some(setting) = file_of.and_then(exact) {
        Some(Word::FileOf(setting))
    } else if later(key) || file_of.is_some_and(later) {
        Some(Word::Later)
    } else {
        key.strip_prefix("include_")
            .filter(|name| !name.is_empty())
            .map(Word::Switch)
    }
}

/// The known name that somebody most likely meant by `key`.
pub(super) fn guess(key: &str) -> Option<String> {
    /// Below this, Jaro and Winkler's likeness is chance: `port` and `sort` have 0.83.
    const LIKENESS_MIN: f64 = 0.86;

    if let Some(known) = all().find(|setting| setting.also.contains(&key)) {
        return Some(known.key.to_owned());
    }
    let known = all()
        .map(|setting| setting.key)
        .chain(LATER.iter().copied());
    known
        .filter(|known| !known.contains('<'))
        .flat_map(|known| [known.to_owned(), format!("{known}_file")])
        .map(|known| (strsim::jaro_winkler(key, &known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
