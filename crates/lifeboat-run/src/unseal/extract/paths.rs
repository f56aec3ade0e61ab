//! Which entries are asked for: patterns as in a `.gitignore`, matched inside the source.

use crate::unseal::tar::{Entry, Kind, Meta};
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// All of an archive, or what some patterns pick: `inv/*.txt`, `*.pdf`, `inv` (a folder picks all that
/// is in it), `!inv/tmp`.
#[derive(Debug, Clone)]
pub struct Paths {
    patterns: Option<Gitignore>,
    texts: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is no pattern of paths: {reason}")]
pub struct BadPattern {
    pattern: String,
    reason: String,
}

impl Paths {
    pub fn all() -> Self {
        Paths {
            patterns: None,
            texts: Vec::new(),
        }
    }

    /// No patterns at all pick everything.
    pub fn matching(patterns: &[String]) -> Result<Self, BadPattern> {
        if patterns.is_empty() {
            return Ok(Paths::all());
        }
        let bad = |pattern: &str, reason: String| BadPattern {
            pattern: pattern.to_owned(),
            reason,
        };
        let mut builder = GitignoreBuilder::new("");
        let mut texts = Vec::new();
        for pattern in patterns {
            let text = pattern.trim_start_matches("./");
            if text.trim_matches('/').is_empty() {
                return Err(bad(pattern, "it is empty".to_owned()));
            }
            // Of a `.gitignore`, but no comment: a name may start with `#`.
            let text = match text.strip_prefix('#') {
                Some(_) => format!("\\{text}"),
                None => text.to_owned(),
            };
            builder
                .add_line(None, &text)
                .map_err(|error| bad(pattern, error.to_string()))?;
            texts.push(text);
        }
        let built = builder.build();
        Ok(Paths {
            patterns: Some(built.map_err(|error| bad(&patterns.join(", "), error.to_string()))?),
            texts,
        })
    }

    pub(super) fn start(&self) -> Picked<'_> {
        Picked {
            paths: self,
            matched: vec![false; self.texts.len()],
            ancestors: Vec::new(),
        }
    }
}

/// The picking of one extraction.
pub(super) struct Picked<'a> {
    paths: &'a Paths,
    matched: Vec<bool>,
    /// Folders on the way to where we are that were not picked: wanted as soon as something in them is.
    ancestors: Vec<(Vec<u8>, Meta)>,
}

impl Picked<'_> {
    pub(super) fn is_all(&self) -> bool {
        self.paths.patterns.is_none()
    }

    pub(super) fn picks(&mut self, entry: &Entry) -> bool {
        let Some(patterns) = &self.paths.patterns else {
            return true;
        };
        if entry.path.is_empty() {
            return false;
        }
        while let Some((folder, _)) = self.ancestors.last()
            && !(entry.path.starts_with(folder) && entry.path.get(folder.len()) == Some(&b'/'))
        {
            self.ancestors.pop();
        }
        let is_folder = entry.kind == Kind::Folder;
        let path = Path::new(OsStr::from_bytes(&entry.path));
        match patterns.matched_path_or_any_parents(path, is_folder) {
            Match::Ignore(glob) => {
                let text = glob.original();
                if let Some(at) = self.paths.texts.iter().position(|one| one == text) {
                    self.matched[at] = true;
                }
                true
            }
            _ => {
                if is_folder {
                    self.ancestors
                        .push((entry.path.clone(), entry.meta.clone()));
                }
                false
            }
        }
    }

    /// The folders above the entry that was just picked, from the top, each once.
    pub(super) fn take_ancestors(&mut self) -> Vec<(Vec<u8>, Meta)> {
        std::mem::take(&mut self.ancestors)
    }

    /// Patterns that no entry was picked by.
    pub(super) fn without_a_match(&self) -> impl Iterator<Item = &str> {
        let texts = self.paths.texts.iter().zip(&self.matched);
        texts
            .filter(|(text, matched)| !**matched && !text.starts_with('!'))
            .map(|(text, _)| text.as_str())
    }
}
