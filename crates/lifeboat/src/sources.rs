//! What there is to save: every folder directly below `BACKUP_SOURCES_DIR`, and what is left out and why.

use crate::{
    config::{Config, JobConfig, OnChangedFile},
    exit::{Code, Failure},
};
use lifeboat_plan::Manifest;
use lifeboat_run::{
    source::{Folder, OnChanged, Options, Source},
    state::State,
};
use serde::Serialize;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What lies below the sources' folder.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// By name.
    pub folders: Vec<Seeable>,
    pub uncovered: Vec<Uncovered>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeable {
    pub name: String,
    pub path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Uncovered {
    pub what: String,
    pub why: String,
}

/// Looks, and leaves nothing out without saying so.
pub fn look(dir: &Path) -> Result<Seen, Failure> {
    let mut seen = Seen::default();
    let entries = fs::read_dir(dir).map_err(|error| unreadable(dir, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(dir, &error))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .map_err(|error| unreadable(&path, &error))?;
        let mut left_out = |why: &str| {
            seen.uncovered.push(Uncovered {
                what: path.display().to_string(),
                why: why.to_owned(),
            });
        };
        if kind.is_symlink() {
            left_out("a symbolic link; mount what it points to as a folder");
        } else if !kind.is_dir() {
            left_out("not a folder; only folders directly below BACKUP_SOURCES_DIR are sources");
        } else if entry.file_name() == "lost+found" {
            left_out("belongs to the file system");
        } else if let Some(name) = entry.file_name().to_str() {
            seen.folders.push(Seeable {
                name: name.to_owned(),
                path: path.clone(),
            });
        } else {
            left_out("its name is not UTF-8; mount it under another name");
        }
    }
    seen.folders.sort_by(|a, b| a.name.cmp(&b.name));
    seen.uncovered.sort_by(|a, b| a.what.cmp(&b.what));
    Ok(seen)
}

impl Seen {
    /// The folders that `job` takes. The others, as long as no other job takes them, are uncovered.
    pub fn of_job<'a>(&'a self, job: &'a JobConfig) -> impl Iterator<Item = &'a Seeable> {
        let takes = |folder: &&Seeable| job.sources.takes(&folder.name);
        self.folders.iter().filter(takes)
    }

    /// All that is in no job's backups.
    pub fn uncovered(&self, jobs: &[JobConfig]) -> Vec<Uncovered> {
        let taken = |folder: &Seeable| jobs.iter().any(|job| job.sources.takes(&folder.name));
        let switched_off = self.folders.iter().filter(|folder| !taken(folder));
        let switched_off = switched_off.map(|folder| Uncovered {
            what: folder.path.display().to_string(),
            why: "left out by BACKUP_INCLUDE, BACKUP_EXCLUDE or its own switch".to_owned(),
        });
        self.uncovered.iter().cloned().chain(switched_off).collect()
    }

    /// Names in the configuration that fit no folder: what they meant is not saved.
    pub fn unmatched(&self, jobs: &[JobConfig]) -> Vec<String> {
        let names: Vec<&str> = self.folders.iter().map(|f| f.name.as_str()).collect();
        let mut unmatched: Vec<String> = jobs
            .iter()
            .flat_map(|job| job.sources.unmatched(&names))
            .map(str::to_owned)
            .collect();
        unmatched.sort();
        unmatched.dedup();
        unmatched
    }
}

/// The sources of `job`, ready to be opened. `only` names some of them; none = all. `last` is the backup
/// before this one: a folder that held something then and nothing now is not believed. Copies of live
/// databases are made in `scratch`.
pub fn open(
    config: &Config,
    job: &JobConfig,
    seen: &Seen,
    only: &[String],
    last: Option<&Manifest>,
    scratch: &Path,
) -> Result<Vec<Box<dyn Source>>, Failure> {
    let wanted = |folder: &&Seeable| only.is_empty() || only.contains(&folder.name);
    let folders: Vec<&Seeable> = seen.of_job(job).filter(wanted).collect();
    let before = |name: &str| {
        let archive = last?.archives.iter().find(|a| a.source == name)?;
        archive.entries
    };
    let options = |name: &str| Options {
        exclude: config.sources.exclude_patterns.clone(),
        on_changed: match config.sources.on_changed_file {
            OnChangedFile::Warn => OnChanged::Warn,
            OnChangedFile::Fail => OnChanged::Fail,
        },
        entries_before: before(name),
        scratch: Some(scratch.to_owned()),
        ..Options::default()
    };
    let made: Result<Vec<Folder>, _> = if config.sources.bundle && !folders.is_empty() {
        let parts = folders.iter().map(|f| (f.name.clone(), f.path.clone()));
        Folder::bundle("", parts, options("")).map(|bundle| vec![bundle])
    } else {
        let one = |f: &&Seeable| Folder::new(&f.name, &f.path, options(&f.name));
        folders.iter().map(one).collect()
    };
    let made = made.map_err(|error| {
        Failure::usage(
            error.to_string(),
            "correct BACKUP_EXCLUDE_PATTERNS: patterns as in a .gitignore",
        )
    })?;
    Ok(made
        .into_iter()
        .map(|f| Box::new(f) as Box<dyn Source>)
        .collect())
}

/// The private folder in which consistent copies of live databases are made.
pub fn scratch(state: &State) -> Result<PathBuf, Failure> {
    let path = state.scratch();
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path);
    made.map_err(|error| {
        let hint = "mount the store writable for this user; `lifeboat doctor` tries it out";
        Failure::io("make", path.display(), &error, hint)
    })?;
    Ok(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    Failure::new(
        code,
        format!("cannot look into {}: {error}", path.display()),
        "mount the volumes that are to be saved below it, read-only, or set BACKUP_SOURCES_DIR",
    )
}
