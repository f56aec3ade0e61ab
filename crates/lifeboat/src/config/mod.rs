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

#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Warning>,
    /// Every setting, as it came out.
    pub effective: Vec<Effective>,
}

impl Config {
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
    let name = name(project, reader);
    let zone = wake::read_zone(reader);
    let jobs = jobs::read(
        name.as_ref().map_err(|refused| *refused),
        zone,
        jobs,
        reader,
    );
    let wake = wake::read(zone, reader);
    let places = sources::read(reader);
    let docker = docker::read(project, reader);
    let capture = docker::read_capture(reader);
    let sealing = sealing::read(reader);
    let http = outside::read_http(reader);
    let log = outside::read_log(reader);
    let (sources, near) = places?;
    Ok(Config {
        name: name?,
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

fn name(project: Option<&str>, reader: &mut Reader<'_>) -> Read<Name> {
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
        return Ok(name);
    }
    let (name, from) = match project {
        Some(project) => (project, "COMPOSE_PROJECT_NAME"),
        None => ("backup", "no Compose project being known"),
    };
    reader.follows(&register::NAME, name.to_owned(), from.to_owned());
    usable(name).map_err(|complaint| reader.refuse(&register::NAME, complaint))
}
