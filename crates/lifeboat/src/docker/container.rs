//! What of an engine's answers matters to a backup, in plain values: so that what is decided from them can
//! be tried without an engine.

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum, ImageInspect, MountPoint,
    Volume as EngineVolume,
};
use chrono::{DateTime, Utc};
use lifeboat_run::Secret;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Container {
    pub id: String,
    /// Without the slash in front.
    pub name: String,
    /// As whoever started it wrote it: `postgres:17`.
    pub image: String,
    pub image_id: String,
    /// `None` for an answer that does not say.
    pub created: Option<DateTime<Utc>>,
    pub state: State,
    pub health: Health,
    pub exit_code: Option<i64>,
    pub labels: BTreeMap<String, String>,
    /// Of its main process. Holds passwords.
    pub env: Vec<(String, Secret)>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub user: String,
    pub working_dir: String,
    pub mounts: Vec<Mount>,
    /// `bridge`, `host`, `container:ID`, the name of a network.
    pub network_mode: String,
    /// `always`, `unless-stopped`, `on-failure`, `no`.
    pub restart: String,
    /// What it has to end after it was asked to, in seconds.
    pub stop_seconds: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Exited,
    /// Being removed, or what the engine could not remove.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// It has no check of its own.
    #[default]
    Unknown,
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub kind: MountKind,
    /// Inside the container.
    pub destination: String,
    /// On the host.
    pub source: String,
    pub writable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    Volume {
        name: String,
        driver: String,
    },
    Bind,
    /// In memory, or of a kind that holds no data of its own.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub driver: String,
    /// Where its files lie on the host.
    pub path: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub id: String,
    pub tags: Vec<String>,
    /// `postgres@sha256:…`: what a registry calls it. Empty for an image that was only built here.
    pub digests: Vec<String>,
}

impl Container {
    /// `None` for an answer without an id.
    pub(super) fn of(found: ContainerInspectResponse) -> Option<Self> {
        let config = found.config.unwrap_or_default();
        let host = found.host_config.unwrap_or_default();
        let state = found.state.unwrap_or_default();
        let health = state.health.and_then(|health| health.status);
        let mounts = found.mounts.unwrap_or_default();
        Some(Container {
            id: found.id?,
            name: found
                .name
                .unwrap_or_default()
                .trim_start_matches('/')
                .to_owned(),
            image: config.image.unwrap_or_default(),
            image_id: found.image.unwrap_or_default(),
            created: found
                .created
                .and_then(|at| DateTime::parse_from_rfc3339(&at).ok())
                .map(|at| at.to_utc()),
            state: State::of(state.status),
            health: Health::of(health),
            exit_code: state.exit_code,
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            env: config
                .env
                .unwrap_or_default()
                .into_iter()
                .map(variable)
                .collect(),
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            working_dir: config.working_dir.unwrap_or_default(),
            mounts: mounts.into_iter().filter_map(Mount::of).collect(),
            network_mode: host.network_mode.unwrap_or_default(),
            restart: host
                .restart_policy
                .and_then(|policy| policy.name)
                .map(|name| name.to_string())
                .unwrap_or_default(),
            stop_seconds: config.stop_timeout,
        })
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// The last one of that name, as a program sees it.
    pub fn env(&self, name: &str) -> Option<&Secret> {
        let named = |(key, _): &&(String, Secret)| key == name;
        self.env.iter().rev().find(named).map(|(_, value)| value)
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }
}

fn variable(line: String) -> (String, Secret) {
    match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Secret::new(value.to_owned())),
        None => (line, Secret::new(String::new())),
    }
}

impl State {
    fn of(status: Option<ContainerStateStatusEnum>) -> Self {
        use ContainerStateStatusEnum as Status;
        match status {
            Some(Status::RUNNING) => State::Running,
            Some(Status::PAUSED) => State::Paused,
            Some(Status::RESTARTING) => State::Restarting,
            Some(Status::CREATED) => State::Created,
            Some(Status::EXITED | Status::STOPPING) => State::Exited,
            Some(Status::REMOVING | Status::DEAD | Status::EMPTY) | None => State::Gone,
        }
    }
}

impl Health {
    fn of(status: Option<HealthStatusEnum>) -> Self {
        match status {
            Some(HealthStatusEnum::STARTING) => Health::Starting,
            Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
            Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
            Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::Unknown,
        }
    }
}

impl Mount {
    fn of(found: MountPoint) -> Option<Self> {
        let kind = match found.typ.as_deref() {
            Some("volume") => MountKind::Volume {
                name: found.name?,
                driver: found.driver.unwrap_or_else(|| "local".to_owned()),
            },
            Some("bind") => MountKind::Bind,
            other => MountKind::Other(other.unwrap_or("unknown").to_owned()),
        };
        Some(Mount {
            kind,
            destination: found.destination?,
            source: found.source.unwrap_or_default(),
            writable: found.rw.unwrap_or(true),
        })
    }
}

impl Volume {
    pub(super) fn of(found: EngineVolume) -> Self {
        Volume {
            name: found.name,
            driver: found.driver,
            path: found.mountpoint,
            labels: found.labels.into_iter().collect(),
            options: found.options.into_iter().collect(),
        }
    }
}

impl Image {
    pub(super) fn of(found: ImageInspect) -> Self {
        Image {
            id: found.id.unwrap_or_default(),
            tags: found.repo_tags.unwrap_or_default(),
            digests: found.repo_digests.unwrap_or_default(),
        }
    }
}
