//! Every source as a person is shown it.

use super::Seen;
use crate::config::JobConfig;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Of a database server: what its sources begin with.
    pub name: String,
    pub kind: String,
    /// The service whose data it is; the first, where several share it.
    pub service: Option<String>,
    /// All of them.
    pub services: Vec<String>,
    /// The engine's name of it.
    pub volume: Option<String>,
    /// In this container for what is mounted, on the host for what is not.
    pub path: Option<String>,
    pub hold: &'static str,
    pub job: String,
    /// Why it cannot be saved as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fails: Option<String>,
}

impl Planned {
    /// Whether `name` means it, or a part of it.
    pub fn is(&self, name: &str) -> bool {
        let part = || {
            name.strip_prefix(&self.name)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        name == self.name || (self.is_server() && part())
    }

    fn is_server(&self) -> bool {
        !["files", "command", "service"].contains(&self.kind.as_str())
    }

    /// Where what it holds lies: a path, a volume, a service.
    pub fn place(&self) -> String {
        let of = || match &self.services[..] {
            [] => String::new(),
            services => format!("service {}", services.join(", ")),
        };
        match (&self.path, &self.volume) {
            (Some(path), Some(volume)) => format!("{path} (volume {volume})"),
            (Some(path), None) => path.clone(),
            (None, Some(volume)) => format!("volume {volume}"),
            (None, None) => of(),
        }
    }
}

impl Seen {
    /// In the order in which they are saved.
    pub fn planned(&self, job: &JobConfig) -> Vec<Planned> {
        let plain = |name: &str, kind: &str, services: Vec<String>| Planned {
            name: name.to_owned(),
            kind: kind.to_owned(),
            service: services.first().cloned(),
            services,
            volume: None,
            path: None,
            hold: "none",
            job: job.name.to_string(),
            fails: None,
        };
        let told = |addresses: &[crate::docker::Address]| -> Vec<String> {
            addresses.iter().map(ToString::to_string).collect()
        };
        let mut planned = Vec::new();
        let coverage = self.discovery.found().map(|found| &found.coverage);
        if let Some(coverage) = coverage {
            planned.extend(coverage.failing.iter().map(|failing| Planned {
                fails: Some(failing.reason.clone()),
                ..plain(&failing.source, &failing.kind, Vec::new())
            }));
            for server in &coverage.servers {
                let services = vec![server.address.to_string()];
                planned.push(plain(&server.source, server.kind.as_str(), services));
            }
            for command in &coverage.commands {
                planned.push(plain(
                    &command.source,
                    "command",
                    vec![command.address.to_string()],
                ));
            }
        }
        for folder in &self.folders {
            let path = Some(folder.path.display().to_string());
            let known = coverage.and_then(|c| c.folders.iter().find(|f| f.source == folder.name));
            planned.push(match known {
                Some(known) => Planned {
                    volume: known.volume.clone(),
                    path,
                    hold: known.hold.as_str(),
                    ..plain(&folder.name, "files", told(&known.users))
                },
                None => Planned {
                    path,
                    ..plain(&folder.name, "files", Vec::new())
                },
            });
        }
        for volume in coverage.into_iter().flat_map(|c| &c.volumes) {
            planned.push(Planned {
                volume: volume.volume.clone(),
                path: volume.path_on_host.clone(),
                hold: volume.hold.as_str(),
                ..plain(&volume.source, "files", told(&volume.users))
            });
        }
        planned.retain(|planned| job.sources.may_take_part(&planned.name));
        planned
    }
}
