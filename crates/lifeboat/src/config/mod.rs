//! Configuration that argues back.
//!
//! The border is crossed once, here: names and strings go in, domain types come out, and every
//! mistake is reported together with the others. Nothing else in the program reads the environment.
//!
//! The [`register`] is the one list of settings; the program and its manual are both made from it.
//! Three layers lie over each other, the later one wins: defaults, the file, the environment.

mod register;
mod settings;

mod origin;

mod layer;

mod environment;
mod file;
mod secret_file;

mod reader;

mod mistake;
mod parse;

mod docker;
mod jobs;
mod keep;
mod outside;
mod sealing;
mod sources;
mod wake;

pub mod manual;

pub use docker::{Capture, Docker};
pub use jobs::JobConfig;
pub use mistake::{Mistake, Mistakes, Warning};
pub use outside::{Http, Log, LogFormat};
pub use reader::Effective;
pub use sealing::Sealing;
pub use settings::{Setting, all as settings};
pub use sources::{Near, OnChangedFile, Selection, Sources, switch_name};
pub use wake::{PruneWhen, Wake};

use layer::Layer;
use lifeboat_plan::Name;
use mistake::{Complaint, Report};
use reader::{Read, Reader};
use std::{ffi::OsString, path::PathBuf};

/// What the program needs to know, in its own words.
#[derive(Debug, Clone)]
pub struct Config {
    pub name: Name,
    pub named: Named,
    /// One at least.
    pub jobs: Vec<JobConfig>,
    pub wake: Wake,
    pub sources: Sources,
    pub docker: Docker,
    pub capture: Capture,
    pub sealing: Sealing,
    pub near: Near,
    pub http: Http,
    pub log: Log,
}

/// Who says what backups are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The configuration, or the environment with its Compose project.
    Said,
    /// Nobody: what the store or the engine know is better than the default.
    Unsaid,
}

#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
    /// Every setting, as it came out.
    pub effective: Vec<Effective>,
}

impl Config {
    /// By another name, with all its jobs. `false`, and nothing changes: it is too long for one of them.
    pub fn call(&mut self, name: &Name) -> bool {
        let called = |job: &JobConfig| match job.backups == self.name {
            true => Some(name.clone()),
            false => format!("{name}-{}", job.name).parse().ok(),
        };
        let Some(backups) = self.jobs.iter().map(called).collect::<Option<Vec<Name>>>() else {
            return false;
        };
        for (job, backups) in self.jobs.iter_mut().zip(backups) {
            job.backups = backups;
        }
        self.name = name.clone();
        true
    }

    /// These in place of all jobs that services have asked for by their labels.
    pub fn take_jobs(&mut self, of_labels: Vec<JobConfig>) {
        self.jobs.retain(|job| !job.of_label);
        self.jobs.extend(of_labels);
    }

    /// From the environment of this process.
    #[expect(clippy::disallowed_methods, reason = "this is where it is read")]
    pub fn from_environment(file: Option<PathBuf>) -> Result<Loaded, Mistakes> {
        Config::load(std::env::vars_os(), file)
    }

    /// `file` must be there; without it, `/etc/lifeboat/lifeboat.toml` is read if it is there.
    pub fn load(
        environment: impl Iterator<Item = (OsString, OsString)>,
        file: Option<PathBuf>,
    ) -> Result<Loaded, Mistakes> {
        let mut report = Report::default();
        let environment = environment::read(environment, &mut report);
        let file = file::read(file, &mut report);
        let defaults = Layer::defaults();
        let layers = vec![&defaults, &file.layer, &environment.layer];

        let mut reader = Reader::new(layers, &mut report);
        let project = environment.compose_project.as_deref();
        let config = read(project, file.jobs, &mut reader);
        let mut effective = reader.effective;
        effective.sort_by_key(|effective| settings().position(|s| s.env_name() == effective.name));
        let warnings = report.close()?;
        Ok(Loaded {
            config: config.expect("what is refused is reported"),
            warnings,
            effective,
        })
    }
}

fn read(project: Option<&str>, jobs: Vec<file::JobTable>, reader: &mut Reader<'_>) -> Read<Config> {
    let named = name(project, reader);
    let name = named.as_ref().map(|(name, _)| name);
    let zone = wake::read_zone(reader);
    let jobs = jobs::read(name.map_err(|refused| *refused), zone, jobs, reader);
    let wake = wake::read(zone, reader);
    let places = sources::read(reader);
    let docker = docker::read(project, reader);
    let capture = docker::read_capture(reader);
    let sealing = sealing::read(reader);
    let http = outside::read_http(reader);
    let log = outside::read_log(reader);
    let (sources, near) = places?;
    let (name, named) = named?;
    Ok(Config {
        name,
        named,
        jobs: jobs?,
        wake: wake?,
        sources,
        docker: docker?,
        capture: capture?,
        sealing: sealing?,
        near,
        http: http?,
        log: log?,
    })
}

fn name(project: Option<&str>, reader: &mut Reader<'_>) -> Read<(Name, Named)> {
    let usable = |name: &str| -> Result<Name, Complaint> {
        name.trim().parse().map_err(|_| {
            Complaint::new(
                "cannot begin the name of a file",
                "use letters, digits, - and _, at most 64, a letter or digit first",
            )
        })
    };
    let given = reader.optional(&register::NAME, |raw| usable(&raw.to_string()))?;
    if let Some(name) = given {
        return Ok((name, Named::Said));
    }
    let (name, from, named) = match project {
        Some(project) => (project, "COMPOSE_PROJECT_NAME", Named::Said),
        None => ("backup", "no Compose project being known", Named::Unsaid),
    };
    reader.follows(&register::NAME, name.to_owned(), from.to_owned());
    match usable(name) {
        Ok(name) => Ok((name, named)),
        Err(complaint) => Err(reader.refuse(&register::NAME, complaint)),
    }
}
