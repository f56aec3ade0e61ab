//! What there is to save: every folder directly below `BACKUP_SOURCES_DIR`, what the engine runs, and what is
//! left out and why.
//!
//! ```text
//! discover   what the engine is asked, and what is made of the answer
//! planned    every source as a person is shown it
//! open       every source, ready to be captured
//! ```

mod discover;
mod open;
mod planned;

pub use discover::{Discovery, Found, discover, jobs_of_labels};
pub use open::{Opened, Opening, helpers, no_longer_asked, open, owner};
pub use planned::Planned;

use crate::{
    config::{Config, JobConfig},
    exit::{Code, Failure},
};
use lifeboat_run::state::State;
use serde::Serialize;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// All that could be saved.
#[derive(Debug, Default)]
pub struct Seen {
    /// Directly below the sources' folder, by name.
    pub folders: Vec<Seeable>,
    pub uncovered: Vec<Uncovered>,
    pub discovery: Discovery,
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
    /// Somebody decided it, or nobody would miss it.
    #[serde(skip)]
    pub harmless: bool,
}

/// Where volumes are mounted unless somebody says otherwise: it may be missing where the engine is asked.
const USUAL: &str = "/data";

/// Looks everywhere, and leaves nothing out without saying so.
pub fn survey(config: &Config) -> Result<Seen, Failure> {
    let dir = &config.sources.dir;
    let (mut seen, blind) = match look(dir) {
        Ok(seen) => (seen, None),
        Err(failure) => (Seen::default(), Some(failure)),
    };
    let names: Vec<String> = seen
        .folders
        .iter()
        .map(|folder| folder.name.clone())
        .collect();
    seen.discovery = discover(config, &names);
    let needless =
        dir.as_path() == Path::new(USUAL) && !matches!(seen.discovery, Discovery::Off { .. });
    if let Some(failure) = blind
        && !(needless && failure.code == Code::NotFound)
    {
        return Err(failure);
    }
    if let Discovery::Found(found) = &seen.discovery {
        let raw = |folder: &Seeable| {
            let path = folder.path.to_string_lossy();
            found
                .coverage
                .left_to_dumps
                .iter()
                .any(|left| left.what == path)
        };
        seen.folders.retain(|folder| !raw(folder));
        let left = found.coverage.uncovered.iter().map(|left| Uncovered {
            what: left.what.clone(),
            why: left.why.clone(),
            harmless: left.harmless,
        });
        seen.uncovered.extend(left);
    }
    Ok(seen)
}

/// Looks below the sources' folder.
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
                harmless: false,
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
        let by_decision = |what: String, harmless: bool| Uncovered {
            what,
            why: "left out by BACKUP_INCLUDE, BACKUP_EXCLUDE or its own switch".to_owned(),
            harmless,
        };
        let switched_off =
            switched_off.map(|folder| by_decision(folder.path.display().to_string(), false));
        let mut uncovered: Vec<Uncovered> =
            self.uncovered.iter().cloned().chain(switched_off).collect();
        let Some(found) = self.discovery.found() else {
            return uncovered;
        };
        let coverage = &found.coverage;
        for name in coverage.names() {
            let taken = |job: &JobConfig| job.sources.may_take_part(&name);
            if jobs.iter().any(taken) {
                continue;
            }
            uncovered.push(by_decision(format!("source {name}"), true));
            // Nobody dumps them after all.
            let raw = coverage
                .left_to_dumps
                .iter()
                .filter(|left| left.server == name);
            uncovered.extend(raw.map(|left| by_decision(left.what.clone(), true)));
        }
        uncovered
    }

    /// Names in the configuration that fit no folder: what they meant is not saved.
    pub fn unmatched(&self, jobs: &[JobConfig]) -> Vec<String> {
        // What the engine would have told of cannot be missed.
        if let Discovery::Lost(_) = self.discovery {
            return Vec::new();
        }
        let coverage = self.discovery.found().map(|found| &found.coverage);
        let discovered: Vec<String> = coverage.into_iter().flat_map(|c| c.names()).collect();
        let folders = self.folders.iter().map(|f| f.name.as_str());
        let names: Vec<&str> = folders
            .chain(discovered.iter().map(String::as_str))
            .collect();
        let servers = coverage.into_iter().flat_map(|c| &c.servers);
        let servers: Vec<&str> = servers.map(|server| server.source.as_str()).collect();
        let mut unmatched: Vec<String> = jobs
            .iter()
            .filter(|job| !job.of_label)
            .flat_map(|job| job.sources.unmatched(&names, &servers))
            .map(str::to_owned)
            .collect();
        unmatched.sort();
        unmatched.dedup();
        unmatched
    }
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
