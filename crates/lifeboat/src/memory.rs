//! What the engine said when it answered last, for when it does not answer: what backups are called where nobody
//! says it, and the jobs that services ask for by their labels.
//!
//! Both are written down in the state folder of the near store by whoever is about to back up into it
//! ([`Port::note`]), and known to whoever opens it. A store keeps the name that its backups have: it must not
//! change because the engine was away once.
//!
//! [`Port::note`]: crate::cli::port::Port::note

use crate::{
    config::{Config, Effective, JobConfig, Loaded, Named, Selection},
    exit::Result,
    sources::{Found, jobs_of_labels},
};
use lifeboat_plan::{Name, Schedule};
use lifeboat_run::{
    catalog::Catalog,
    state::{SeenJob, State},
};
use lifeboat_store::Local;

/// For what is asked before, or without, a store being opened.
pub fn recall_all(loaded: &mut Loaded) {
    let before = loaded.config.name.clone();
    loaded.config = recalled(&loaded.config);
    let name = &loaded.config.name;
    if *name != before {
        let setting = |setting: &&mut Effective| setting.name == "BACKUP_NAME";
        for setting in loaded.effective.iter_mut().filter(setting) {
            setting.value = Some(name.to_string());
            setting.origin = "default, from what this store holds".to_owned();
        }
    }
}

pub fn recalled(config: &Config) -> Config {
    let mut config = config.clone();
    // What is wrong with the store is told by whoever needs it.
    if let Ok(store) = Local::existing(&config.near.dir) {
        let state = State::new(store, config.name.clone());
        recall(&mut config, &state);
    }
    config
}

pub fn recall(config: &mut Config, state: &State) {
    if config.named == Named::Unsaid
        && let Some(name) = told("the name of the backups", state.name())
        && !config.call(&name)
    {
        tracing::warn!("{name} is too long for the backups of a job; they are called otherwise");
    }
    if config.docker.is_off() {
        return;
    }
    if let Some(jobs) = told("the jobs of labels", state.seen_jobs()) {
        let jobs = jobs.iter().filter_map(|job| job_of(config, job)).collect();
        config.take_jobs(jobs);
    }
}

/// Memory is never a reason to fail.
fn told<T>(what: &str, read: std::result::Result<Option<T>, lifeboat_store::Error>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "{what} could not be recalled");
        None
    })
}

fn job_of(config: &Config, job: &SeenJob) -> Option<JobConfig> {
    Some(JobConfig {
        name: job.name.clone(),
        backups: format!("{}-{}", config.name, job.name).parse().ok()?,
        schedule: Schedule::parse(&job.schedule, config.wake.zone).ok()?,
        sources: Selection {
            include: Some(job.sources.clone()),
            ..Selection::default()
        },
        keep: config.jobs.first()?.keep.clone(),
        of_label: true,
    })
}

/// The jobs as they are now.
pub fn see_jobs(config: &mut Config, found: &Found) {
    let (jobs, _) = jobs_of_labels(config, found);
    config.take_jobs(jobs);
}

pub fn note_jobs(config: &Config, state: &State) -> Result<()> {
    let of_labels = config.jobs.iter().filter(|job| job.of_label);
    let jobs: Vec<SeenJob> = of_labels
        .map(|job| SeenJob {
            name: job.name.clone(),
            schedule: job.schedule.as_str().to_owned(),
            sources: job.sources.include.clone().unwrap_or_default(),
        })
        .collect();
    if state.seen_jobs()?.unwrap_or_default() != jobs {
        state.note_seen_jobs(&jobs)?;
    }
    Ok(())
}

/// What a store is to be called for good that nobody has named yet: after the backups that are in it, or else
/// after the project.
pub fn name_for(config: &Config, found: &Found, catalog: &Catalog) -> Option<Name> {
    let holds = |name: &Name| {
        let whole = catalog.items.iter().any(|item| item.manifest.name == *name);
        whole || catalog.suspects.iter().any(|s| s.id.name() == name)
    };
    if config.jobs.iter().any(|job| holds(&job.backups)) {
        return Some(config.name.clone());
    }
    let own = found.seen.own.as_ref()?;
    own.project.as_deref()?.parse().ok()
}
