//! What the engine is asked before anything is saved, and what is made of the answer.

use crate::{
    config::{Config, JobConfig, Selection},
    docker::{
        DockerError, Engine, Trouble,
        cover::{self, Coverage, Given},
        look::{self, Remark},
        own,
    },
};
use lifeboat_plan::Name;

/// What came of it.
#[derive(Debug)]
pub enum Discovery {
    /// Nobody is asked.
    Off {
        why: String,
        hint: String,
        /// Somebody said so.
        decided: bool,
    },
    Found(Box<Found>),
    /// There should be an answer, and there is none: what the engine runs is not saved.
    Lost(DockerError),
}

#[derive(Debug)]
pub struct Found {
    pub engine: Engine,
    pub seen: look::Seen,
    pub coverage: Coverage,
}

impl Default for Discovery {
    fn default() -> Self {
        Discovery::Off {
            why: "nothing was looked for".to_owned(),
            hint: "set BACKUP_DISCOVER".to_owned(),
            decided: false,
        }
    }
}

impl Discovery {
    pub fn found(&self) -> Option<&Found> {
        match self {
            Discovery::Found(found) => Some(found),
            Discovery::Off { .. } | Discovery::Lost(_) => None,
        }
    }
}

impl Found {
    /// What is not as one would wish, each with what to do about it.
    pub fn remarks(&self) -> Vec<Remark> {
        let mistakes = self.coverage.mistakes.iter().map(|mistake| Remark {
            what: format!(
                "service {}: {}: {}",
                mistake.address, mistake.label, mistake.what
            ),
            hint: mistake.hint.clone(),
        });
        let seen = self.seen.remarks.iter().chain(&self.coverage.remarks);
        mistakes.chain(seen.cloned()).collect()
    }
}

/// `folders` lie directly below the sources' folder.
pub fn discover(config: &Config, folders: &[String]) -> Discovery {
    let docker = &config.docker;
    if docker.is_off() {
        return Discovery::Off {
            why: "BACKUP_DISCOVER is off".to_owned(),
            hint: "set it to databases,volumes".to_owned(),
            decided: true,
        };
    }
    let Some(place) = docker.place() else {
        return off(
            "no Docker engine can be asked: there is no /var/run/docker.sock",
            "mount it into this service (/var/run/docker.sock:/var/run/docker.sock), or set DOCKER_HOST",
        );
    };
    let own_ids = own::candidates();
    // A socket lies on every host with an engine. In a container somebody has put it there.
    if !docker.asked && own_ids.is_empty() {
        return off(
            "this program runs in no container, and nobody asked for discovery",
            "set BACKUP_SCOPE to the names of Compose projects",
        );
    }
    let seen = Engine::connect(place).and_then(|engine| {
        let project = docker.project.as_deref();
        let seen = look::look(&engine, &docker.scope, &own_ids, project)?;
        Ok((engine, seen))
    });
    match seen {
        Ok((engine, seen)) => {
            let given = Given {
                databases: docker.databases,
                volumes: docker.volumes,
                sources_dir: &config.sources.dir,
                backup_dir: &config.near.dir,
                zone: config.wake.zone,
                folders,
            };
            let coverage = cover::decide(&seen, given);
            Discovery::Found(Box::new(Found {
                engine,
                seen,
                coverage,
            }))
        }
        Err(error) if !docker.asked && error.trouble == Trouble::NotFound => off(
            &error.detail,
            "set BACKUP_SCOPE to the names of Compose projects",
        ),
        Err(error) => Discovery::Lost(error),
    }
}

fn off(why: &str, hint: &str) -> Discovery {
    Discovery::Off {
        why: why.to_owned(),
        hint: hint.to_owned(),
        decided: false,
    }
}

/// One more job for each service that has a schedule of its own, for its sources alone.
pub fn jobs_of_labels(config: &Config, found: &Found) -> (Vec<JobConfig>, Vec<Remark>) {
    // Those of labels are found anew.
    let taken = |name: &Name, jobs: &[JobConfig]| {
        let given = config.jobs.iter().filter(|job| !job.of_label);
        given.chain(jobs).any(|job| job.name == *name)
    };
    let mut jobs: Vec<JobConfig> = Vec::new();
    let mut remarks = Vec::new();
    let Some(first) = config.jobs.first() else {
        return (jobs, remarks);
    };
    for (address, settings) in &found.coverage.settings {
        let Some(schedule) = settings.schedule.clone().filter(|_| settings.enable) else {
            continue;
        };
        let sources = found.coverage.sources_of(address);
        let word = address.to_string().replace('.', "-");
        let names = (
            word.parse::<Name>(),
            format!("{}-{word}", config.name).parse::<Name>(),
        );
        let mut remark = |what: String, hint: &str| {
            remarks.push(Remark {
                what: format!("lifeboat.schedule of service {address}: {what}"),
                hint: hint.to_owned(),
            });
        };
        match names {
            _ if sources.is_empty() => remark("it has no source".to_owned(), "take the label away"),
            (Ok(name), _) if taken(&name, &jobs) => {
                remark(
                    format!("there is a job {name} already"),
                    "give that job another name",
                );
            }
            (Ok(name), Ok(backups)) => jobs.push(JobConfig {
                name,
                backups,
                schedule,
                sources: Selection {
                    include: Some(sources),
                    ..Selection::default()
                },
                keep: first.keep.clone(),
                of_label: true,
            }),
            _ => remark(
                format!("{word} cannot be the name of a job"),
                "name the service with letters, digits, - and _, a letter or digit first",
            ),
        }
    }
    (jobs, remarks)
}
