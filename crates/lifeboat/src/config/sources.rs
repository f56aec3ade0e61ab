//! What is saved, and where it is kept.

use super::{
    mistake::Complaint,
    origin::Raw,
    parse::items,
    reader::{Read, Reader},
    register::{
        BUNDLE, DELETE_GRACE_HOURS, DIR, EXCLUDE, EXCLUDE_PATTERNS, INCLUDE, ON_CHANGED_FILE,
        SOURCES_DIR, VERIFY_AFTER_BACKUP,
    },
};
use lifeboat_run::source::{Folder, Options};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    str::FromStr,
    time::Duration,
};

#[derive(Debug, Clone)]
pub struct Sources {
    /// Each folder directly below is a source.
    pub dir: PathBuf,
    /// In the manner of `.gitignore`, for every source.
    pub exclude_patterns: Vec<String>,
    /// All sources in one archive.
    pub bundle: bool,
    pub on_changed_file: OnChangedFile,
}

/// The store next to the sources.
#[derive(Debug, Clone)]
pub struct Near {
    pub dir: PathBuf,
    pub verify_after_backup: bool,
    /// How long a dropped backup can be brought back.
    pub delete_grace: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChangedFile {
    Warn,
    Fail,
}

/// Which sources a job takes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// `None`: all.
    pub include: Option<Vec<String>>,
    pub exclude: Vec<String>,
    /// By [`switch_name`]; goes before the two lists.
    pub switches: BTreeMap<String, bool>,
}

impl Selection {
    pub fn takes(&self, source: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == source);
        match self.switches.get(&switch_name(source)) {
            Some(on) => *on,
            None if named(&self.exclude) => false,
            None => self.include.as_deref().is_none_or(named),
        }
    }

    /// Whether it takes `name`, which is a part of `whole`: `db.shop` of `db`. What is said of the part goes
    /// before what is said of the whole.
    pub fn takes_part(&self, whole: &str, name: &str) -> bool {
        let switch = |name: &str| self.switches.get(&switch_name(name));
        let named = |list: &[String]| list.iter().any(|item| item == name || item == whole);
        match switch(name).or_else(|| switch(whole)) {
            Some(on) => *on,
            None if named(&self.exclude) => false,
            None => self.include.as_deref().is_none_or(named),
        }
    }

    /// Whether any part of `whole` may be taken; which parts there are is not known yet.
    pub fn may_take_part(&self, whole: &str) -> bool {
        let is_part = |name: &String| {
            name.strip_prefix(whole)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let switched_on = |(name, on): (&String, &bool)| {
            *on && name.starts_with(&format!("{}_", switch_name(whole)))
        };
        self.takes(whole)
            || self.include.iter().flatten().any(is_part)
            || self.switches.iter().any(switched_on)
    }

    /// Names that fit none of `sources`: most likely slips, and what they meant is not saved.
    ///
    /// What begins with one of `wholes` and a dot may be a part of it.
    pub fn unmatched<'a>(
        &'a self,
        sources: &'a [&str],
        wholes: &'a [&str],
    ) -> impl Iterator<Item = &'a str> {
        let is_part = |name: &str| {
            let mut wholes = wholes.iter();
            wholes.any(|whole| {
                name.strip_prefix(whole)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let may_switch_a_part = |name: &str| {
            let mut wholes = wholes.iter();
            wholes.any(|whole| name.starts_with(&format!("{}_", switch_name(whole))))
        };
        let lists = self.include.iter().flatten().chain(&self.exclude);
        let from_lists =
            lists.filter(move |name| !sources.contains(&name.as_str()) && !is_part(name));
        let from_switches = self.switches.keys().filter(move |name| {
            !sources.iter().any(|source| switch_name(source) == **name) && !may_switch_a_part(name)
        });
        from_lists.chain(from_switches).map(String::as_str)
    }
}

/// The name of a source as the name of a variable can hold it: `my-data` is `MY_DATA`.
pub fn switch_name(source: &str) -> String {
    source
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

impl FromStr for OnChangedFile {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "warn" => Ok(OnChangedFile::Warn),
            "fail" => Ok(OnChangedFile::Fail),
            _ => Err(()),
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Read<(Sources, Near)> {
    let sources_dir = reader.value(&SOURCES_DIR, folder);
    let exclude_patterns = reader.optional(&EXCLUDE_PATTERNS, patterns);
    let bundle = reader.flag(&BUNDLE);
    let on_changed_file = reader.one_of(&ON_CHANGED_FILE);
    let dir = reader.value(&DIR, folder);
    let verify_after_backup = reader.flag(&VERIFY_AFTER_BACKUP);
    let grace_hours: Read<u64> = reader.number(&DELETE_GRACE_HOURS);
    if let (Ok(sources), Ok(backups)) = (&sources_dir, &dir) {
        keep_apart(sources, backups, reader)?;
    }
    let sources = Sources {
        dir: sources_dir?,
        exclude_patterns: exclude_patterns?.unwrap_or_default(),
        bundle: bundle?,
        on_changed_file: on_changed_file?,
    };
    let near = Near {
        dir: dir?,
        verify_after_backup: verify_after_backup?,
        delete_grace: Duration::from_secs(60 * 60 * grace_hours?),
    };
    Ok((sources, near))
}

pub(super) fn read_selection(reader: &mut Reader<'_>) -> Read<Selection> {
    let include = reader.optional(&INCLUDE, items);
    let exclude = reader.list(&EXCLUDE);
    let switches = reader.switches();
    let selection = Selection {
        include: include?,
        exclude: exclude?,
        switches: switches?,
    };
    let both = selection
        .include
        .iter()
        .flatten()
        .find(|name| selection.exclude.contains(name));
    match both {
        Some(name) => Err(reader.refuse(
            &EXCLUDE,
            Complaint::new(
                format!("{name} is to be saved and to be left out"),
                "take it out of one of the two lists",
            ),
        )),
        None => Ok(selection),
    }
}

/// Taken as the walk takes them.
fn patterns(raw: &Raw) -> Result<Vec<String>, Complaint> {
    let patterns = items(raw)?;
    for pattern in &patterns {
        let options = Options {
            exclude: vec![pattern.clone()],
            ..Options::default()
        };
        Folder::new("", "", options).map_err(|_| {
            Complaint::new(
                format!("{pattern:?} is no pattern"),
                "write it as in a .gitignore, without a comma: each pattern is one item of the list",
            )
        })?;
    }
    Ok(patterns)
}

fn folder(text: &str) -> Result<PathBuf, Complaint> {
    let path = Path::new(text.trim());
    if !path.is_absolute() {
        return Err(Complaint::new(
            "is not an absolute path",
            "begin it with /, as it is seen from inside the container",
        ));
    }
    if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
        return Err(Complaint::new(
            "is not a plain path",
            "write it without .. and without special characters",
        ));
    }
    Ok(path.components().collect())
}

/// A backup that lies in what it saves would hold all backups before it.
fn keep_apart(sources: &Path, backups: &Path, reader: &mut Reader<'_>) -> Read<()> {
    let (real_sources, real_backups) = (resolved(sources), resolved(backups));
    let (what, hint) = if real_backups == real_sources {
        (
            format!("is the folder of the sources, {}", sources.display()),
            "give the backups a folder of their own",
        )
    } else if real_backups.starts_with(&real_sources) {
        (
            format!(
                "lies inside the folder of the sources, {}",
                sources.display()
            ),
            "every backup would hold the ones before it: choose a folder outside",
        )
    } else if real_sources.starts_with(&real_backups) {
        (
            format!("holds the folder of the sources, {}", sources.display()),
            "keep backups apart from what they save: choose a folder outside",
        )
    } else if let Some(source) = mounted_twice(&real_sources, &real_backups) {
        (
            format!("is mounted a second time as a source, {}", source.display()),
            "every backup would hold the ones before it: take that mount away",
        )
    } else {
        return Ok(());
    };
    Err(reader.refuse(&DIR, Complaint::new(what, hint)))
}

/// The source that is the very folder of the backups, under another path: a slip in a Compose file.
fn mounted_twice(sources: &Path, backups: &Path) -> Option<PathBuf> {
    let identity = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    let wanted = identity(backups)?;
    let folders = sources.read_dir().ok()?.filter_map(Result::ok);
    folders
        .map(|folder| folder.path())
        .find(|folder| identity(folder) == Some(wanted))
}

/// Without symbolic links as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|there| {
            let real = there.canonicalize().ok()?;
            Some(real.join(path.strip_prefix(there).ok()?))
        })
        .unwrap_or_else(|| path.to_owned())
}
