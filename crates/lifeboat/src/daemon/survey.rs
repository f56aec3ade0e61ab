//! What there is to save, looked at between runs: services come and go, and so do their labels.
//!
//! Every run looks for itself; this look is for those who watch. It has a thread of its own, because an engine
//! may take its time. Events are not asked for: who may hear them hears every command that is run anywhere.

use super::wakes::Wake;
use crate::{
    config::{Config, JobConfig},
    sources::{self, Discovery, jobs_of_labels},
};
use std::{io, sync::Arc, thread};
use tokio::sync::mpsc;

#[derive(Debug)]
pub(super) struct Survey {
    /// Of the configuration that was asked for.
    pub(super) config: Arc<Config>,
    /// What is not saved although nobody decided so; `None` where that cannot be told now.
    pub(super) uncovered: Option<usize>,
    /// Why the engine cannot be asked.
    pub(super) engine: Option<String>,
    /// Jobs that services have by their labels; `None` where that cannot be told now.
    pub(super) jobs: Option<Vec<JobConfig>>,
    /// What a person should correct, with a hint.
    pub(super) remarks: Vec<(String, String)>,
}

impl Survey {
    /// Told to `wakes`. `config` is without the jobs of labels.
    pub(super) fn start(config: Arc<Config>, wakes: mpsc::Sender<Wake>) -> io::Result<()> {
        let look = move || {
            let survey = Survey::of(config);
            // The daemon that asked may have ended.
            let _ = wakes.blocking_send(Wake::Surveyed(Box::new(survey)));
        };
        thread::Builder::new()
            .name("survey".to_owned())
            .spawn(look)?;
        Ok(())
    }

    fn of(config: Arc<Config>) -> Self {
        let mut survey = Survey {
            config: Arc::clone(&config),
            uncovered: None,
            engine: None,
            jobs: None,
            remarks: Vec::new(),
        };
        // A folder that cannot be looked into fails the runs, which say so.
        let Ok(seen) = sources::survey(&config) else {
            return survey;
        };
        let uncovered = || {
            let left = seen.uncovered(&config.jobs);
            left.iter().filter(|left| !left.harmless).count()
        };
        match &seen.discovery {
            Discovery::Lost(error) => {
                survey.engine = Some(error.to_string());
                survey.remarks.push((error.to_string(), error.hint()));
            }
            Discovery::Off { decided, .. } => {
                survey.uncovered = Some(uncovered());
                survey.jobs = decided.then(Vec::new);
            }
            Discovery::Found(found) => {
                let (jobs, strange) = jobs_of_labels(&config, found);
                survey.uncovered = Some(uncovered());
                survey.jobs = Some(jobs);
                let all = found.remarks().into_iter().chain(strange);
                survey.remarks = all.map(|remark| (remark.what, remark.hint)).collect();
            }
        }
        survey
    }
}
