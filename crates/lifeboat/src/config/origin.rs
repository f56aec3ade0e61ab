//! A value as it was given, and where it comes from.

use super::settings::env_name;
use std::{
    fmt,
    path::{Path, PathBuf},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    /// A default that follows from something else, which is named.
    Follows(String),
    Environment,
    /// A line of the configuration file.
    Line(PathBuf, usize),
    /// The configuration file as a whole.
    Whole(PathBuf),
    /// The file that `X_FILE` names, which is given there.
    File(PathBuf, Box<Origin>),
}

/// A text, or a list where the configuration file has one.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

/// Has no `Debug`: it may hold a secret.
#[derive(Clone)]
pub(super) struct Given {
    /// The name as the user wrote it.
    pub written: String,
    pub raw: Raw,
    pub origin: Origin,
}

impl Origin {
    /// A key as it is written there.
    pub(super) fn spell(&self, key: &str) -> String {
        match self {
            Origin::Line(..) | Origin::Whole(_) => key.to_owned(),
            Origin::File(_, named_by) => named_by.spell(key),
            _ => env_name(key),
        }
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Origin::File(path.to_owned(), Box::new(self))
    }
}

impl Raw {
    pub(super) fn is_blank(&self) -> bool {
        match self {
            Raw::Text(text) => text.trim().is_empty(),
            Raw::List(items) => items.iter().all(|item| item.trim().is_empty()),
        }
    }

    /// The items of a list; in a text, what stands between commas and line ends.
    pub(super) fn items(&self) -> Vec<String> {
        let items: Vec<&str> = match self {
            Raw::Text(text) => text.split([',', '\n']).collect(),
            Raw::List(items) => items.iter().map(String::as_str).collect(),
        };
        items
            .into_iter()
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Text(text) => f.write_str(text),
            Raw::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Follows(from) => write!(f, "default, from {from}"),
            Origin::Environment => f.write_str("environment"),
            Origin::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Origin::Whole(file) => write!(f, "{}", file.display()),
            Origin::File(path, named_by) => write!(f, "{}, named by {named_by}", path.display()),
        }
    }
}
