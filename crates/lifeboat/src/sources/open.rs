//! The sources of a job, ready to be captured: databases first, then what programs say, then files.

use super::{Discovery, Found, Seeable, Seen};
use crate::{
    config::{Config, JobConfig, OnChangedFile},
    docker::{
        Trouble, dumps,
        volume::{self, Exchange, Helpers, What},
    },
    exit::Failure,
};
use lifeboat_plan::Manifest;
use lifeboat_run::{
    Cancel,
    catalog::Catalog,
    source::{Captured, Fault, Flow, Folder, OnChanged, Options, Sizes, Source, SourceError},
};
use std::path::Path;

/// What it takes to open them.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    pub config: &'a Config,
    pub job: &'a JobConfig,
    pub seen: &'a Seen,
    /// Names of some of them; none = all.
    pub only: &'a [String],
    pub catalog: &'a Catalog,
    /// The backup before this one: a folder that held something then and nothing now is not believed.
    pub last: Option<&'a Manifest>,
    /// Copies of live databases are made here.
    pub scratch: &'a Path,
    pub cancel: &'a Cancel,
}

/// A source, and what it is a part of: `db.shop` of `db`. Of most the name is the same.
#[derive(Debug)]
pub struct Opened {
    pub whole: String,
    pub source: Box<dyn Source>,
}

/// Asks each server what it has; changes nothing anywhere.
pub fn open(opening: &Opening<'_>) -> Result<Vec<Opened>, Failure> {
    let mut opened = Vec::new();
    match &opening.seen.discovery {
        Discovery::Found(found) => {
            opening.failing(found, &mut opened);
            let before = |source: &str, kind: &str| {
                Sizes::of(opening.catalog, &opening.job.backups, source, kind)
            };
            let owner = owner(opening.config, found);
            let capture = &opening.config.capture;
            let how = dumps::How {
                owner: &owner,
                patience: capture.silence_max,
                count_rows: capture.row_count_time_max,
                before: &before,
                accept_smaller: &|source| capture.accept_smaller.iter().any(|name| name == source),
                cancel: opening.cancel,
            };
            opening.servers(found, &how, &mut opened);
            opening.commands(found, &how, &mut opened);
        }
        // A part of a backup cannot be asked for by a name that nobody knows.
        Discovery::Lost(error) if opening.only.is_empty() => {
            let code = match error.trouble {
                Trouble::Denied => Fault::DockerDenied,
                _ => Fault::DockerLost,
            };
            opened.push(failing(
                "docker",
                "discovery",
                format!("{error}; {}", error.hint()),
                code.as_str(),
            ));
        }
        Discovery::Lost(_) | Discovery::Off { .. } => {}
    }
    opening.folders(&mut opened)?;
    if let Discovery::Found(found) = &opening.seen.discovery {
        opening.volumes(found, &mut opened);
    }
    Ok(opened)
}

impl Opening<'_> {
    fn wants(&self, whole: &str, name: &str) -> bool {
        let asked =
            self.only.is_empty() || self.only.iter().any(|only| only == name || only == whole);
        asked && self.job.sources.takes_part(whole, name)
    }

    fn failing(&self, found: &Found, opened: &mut Vec<Opened>) {
        for broken in &found.coverage.failing {
            if self.wants(&broken.source, &broken.source) {
                opened.push(failing(
                    &broken.source,
                    &broken.kind,
                    broken.reason.clone(),
                    broken.code,
                ));
            }
        }
    }

    fn servers(&self, found: &Found, how: &dumps::How<'_>, opened: &mut Vec<Opened>) {
        for server in &found.coverage.servers {
            let whole = &server.source;
            let is_part = |only: &String| only == whole || only.starts_with(&format!("{whole}."));
            let asked = self.only.is_empty() || self.only.iter().any(is_part);
            if !asked || !self.job.sources.may_take_part(whole) {
                continue;
            }
            let sources = dumps::open(&found.engine, server, how);
            let wanted = sources
                .into_iter()
                .filter(|source| self.wants(whole, source.name()));
            opened.extend(wanted.map(|source| Opened {
                whole: whole.clone(),
                source,
            }));
        }
    }

    fn commands(&self, found: &Found, how: &dumps::How<'_>, opened: &mut Vec<Opened>) {
        for command in &found.coverage.commands {
            if self.wants(&command.source, &command.source) {
                let source = dumps::open_command(&found.engine, command, how);
                opened.push(Opened {
                    whole: command.source.clone(),
                    source,
                });
            }
        }
    }

    fn folders(&self, opened: &mut Vec<Opened>) -> Result<(), Failure> {
        let wanted = |folder: &&Seeable| self.only.is_empty() || self.only.contains(&folder.name);
        let folders: Vec<&Seeable> = self.seen.of_job(self.job).filter(wanted).collect();
        let made: Result<Vec<Folder>, _> = if self.config.sources.bundle && !folders.is_empty() {
            let parts = folders.iter().map(|f| (f.name.clone(), f.path.clone()));
            Folder::bundle("", parts, self.options("")).map(|bundle| vec![bundle])
        } else {
            let one = |f: &&Seeable| Folder::new(&f.name, &f.path, self.options(&f.name));
            folders.iter().map(one).collect()
        };
        let made = made.map_err(|error| {
            Failure::usage(
                error.to_string(),
                "correct BACKUP_EXCLUDE_PATTERNS: patterns as in a .gitignore",
            )
        })?;
        opened.extend(made.into_iter().map(|folder| Opened {
            whole: folder.name().to_owned(),
            source: Box::new(folder),
        }));
        Ok(())
    }

    fn options(&self, name: &str) -> Options {
        Options {
            exclude: self.config.sources.exclude_patterns.clone(),
            on_changed: self.on_changed(),
            entries_before: self.entries_before(name),
            scratch: Some(self.scratch.to_owned()),
            ..Options::default()
        }
    }

    fn volumes(&self, found: &Found, opened: &mut Vec<Opened>) {
        let helpers = helpers(self.config, found, self.scratch);
        for volume in &found.coverage.volumes {
            let name = &volume.source;
            if !self.wants(name, name) {
                continue;
            }
            let what = match (&volume.volume, &volume.path_on_host) {
                (Some(name), _) => What::Volume(name.clone()),
                (None, Some(path)) => What::Folder(path.clone()),
                (None, None) => continue,
            };
            let Some(helpers) = &helpers else {
                let reason = format!(
                    "{what}: it can only be read by a container of this program's own image, and this program runs in none; mount it below BACKUP_SOURCES_DIR"
                );
                opened.push(failing(name, "files", reason, "source_missing"));
                continue;
            };
            let common = self.config.sources.exclude_patterns.iter();
            let how = volume::How {
                exclude: common.chain(&volume.exclude).cloned().collect(),
                on_changed: self.on_changed(),
                entries_before: self.entries_before(name),
            };
            opened.push(Opened {
                whole: name.clone(),
                source: Box::new(helpers.source(name, what, how)),
            });
        }
    }

    fn on_changed(&self) -> OnChanged {
        match self.config.sources.on_changed_file {
            OnChangedFile::Warn => OnChanged::Warn,
            OnChangedFile::Fail => OnChanged::Fail,
        }
    }

    fn entries_before(&self, name: &str) -> Option<u64> {
        let archive = self.last?.archives.iter().find(|a| a.source == name)?;
        archive.entries
    }
}

/// Databases that were saved until now must not drop out because a socket is not mounted any more.
pub fn no_longer_asked(discovery: &Discovery, good: &Manifest) -> Option<Opened> {
    match discovery {
        Discovery::Off {
            decided: false,
            why,
            hint,
        } if good.compose.is_some() => {
            let reason = format!(
                "{} holds what was discovered, and now {why}; {hint}, or set BACKUP_DISCOVER=off if that is meant",
                good.id
            );
            Some(failing(
                "docker",
                "discovery",
                reason,
                Fault::DockerLost.as_str(),
            ))
        }
        _ => None,
    }
}

/// Whose the programs and containers are that are started for this store.
pub fn owner(config: &Config, found: &Found) -> String {
    let project = found.seen.project.as_deref().unwrap_or_default();
    let store = format!("{project}\0{}\0{}", config.name, config.near.dir.display());
    let hash = xxhash_rust::xxh3::xxh3_64(store.as_bytes());
    format!("{}-{hash:016x}", config.name.as_str().replace('_', "-"))
}

/// `None` where this program runs in no container of the engine. `exchange`: a folder of the store through
/// which the bytes may come.
pub fn helpers(config: &Config, found: &Found, exchange: &Path) -> Option<Helpers> {
    let own = found.seen.own.as_ref()?;
    let program = std::env::current_exe().ok()?;
    Some(Helpers {
        engine: found.engine.clone(),
        image: own.image_id.clone(),
        program: program.to_str()?.to_owned(),
        owner: owner(config, found),
        exchange: Exchange::of(own, exchange),
    })
}

fn failing(source: &str, kind: &str, reason: String, code: &'static str) -> Opened {
    Opened {
        whole: source.to_owned(),
        source: Box::new(Failing {
            source: source.to_owned(),
            kind: kind.to_owned(),
            reason,
            code,
        }),
    }
}

/// There should be such a source: it is missed, loudly, and the others are captured.
#[derive(Debug)]
struct Failing {
    source: String,
    kind: String,
    reason: String,
    code: &'static str,
}

impl Source for Failing {
    fn name(&self) -> &str {
        &self.source
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn ending(&self) -> &str {
        "none"
    }

    fn pour(&self, _: &mut Flow<'_>) -> Result<Captured, SourceError> {
        Err(SourceError::Unopened {
            reason: self.reason.clone(),
            code: self.code,
        })
    }
}
