//! A service by its name. Containers come and go with every `docker compose up`: their ids are asked for
//! anew each time one is needed, and kept by nobody.

use super::{Call, Container, DockerError, Engine, State, Trouble};
use std::fmt;

/// What Compose writes on everything it makes.
pub const PROJECT: &str = "com.docker.compose.project";
pub const SERVICE: &str = "com.docker.compose.service";
/// `True` on what `docker compose run` started.
pub const ONE_OFF: &str = "com.docker.compose.oneoff";

/// Where a service is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Empty for a container that was started without Compose; its name is the service then.
    pub project: String,
    pub service: String,
    /// Set where it is not of the sidecar's own project: it is called `project.service` then.
    pub foreign: bool,
}

impl Address {
    /// A service of the sidecar's own project.
    pub fn own(project: impl Into<String>, service: impl Into<String>) -> Self {
        Address {
            project: project.into(),
            service: service.into(),
            foreign: false,
        }
    }

    pub fn foreign(project: impl Into<String>, service: impl Into<String>) -> Self {
        Address {
            foreign: true,
            ..Address::own(project, service)
        }
    }

    /// The labels by which the engine knows it.
    fn labels(&self) -> Vec<String> {
        vec![
            format!("{PROJECT}={}", self.project),
            format!("{SERVICE}={}", self.service),
        ]
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.foreign && !self.project.is_empty() {
            write!(f, "{}.", self.project)?;
        }
        f.write_str(&self.service)
    }
}

impl Container {
    /// Started by hand for one task, next to the service and not as part of it.
    pub fn is_one_off(&self) -> bool {
        self.label(ONE_OFF)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Engine {
    /// All containers that the service has now, the youngest first.
    pub fn replicas(&self, address: &Address) -> Result<Vec<Container>, DockerError> {
        let ids = match address.project.is_empty() {
            true => vec![address.service.clone()],
            false => self.containers(&address.labels())?,
        };
        let mut replicas = Vec::new();
        for id in ids {
            match self.container(&id) {
                Ok(container) => replicas.push(container),
                // Removed since the list was made.
                Err(error) if error.trouble == Trouble::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        replicas.retain(|container| !container.is_one_off());
        youngest_first(&mut replicas);
        Ok(replicas)
    }

    /// The service's youngest running container, as it is right now.
    pub fn running(&self, address: &Address) -> Result<Container, DockerError> {
        let replicas = self.replicas(address)?;
        choose(address, replicas)
    }
}

fn choose(address: &Address, mut replicas: Vec<Container>) -> Result<Container, DockerError> {
    if let Some(at) = replicas.iter().position(Container::is_running) {
        return Ok(replicas.swap_remove(at));
    }
    let call = Call::get("/containers/json");
    Err(match replicas.first() {
        None => DockerError::new(
            call,
            Trouble::NotFound,
            format!("service {address} has no container"),
        ),
        Some(youngest) => DockerError::new(
            call,
            Trouble::Conflict,
            format!("service {address} {}", plight(youngest)),
        ),
    })
}

fn plight(container: &Container) -> String {
    match (container.state, container.exit_code) {
        (State::Created, _) => "was never started".to_owned(),
        (State::Running, _) => "is running".to_owned(),
        (State::Paused, _) => "is paused".to_owned(),
        (State::Restarting, Some(code)) => format!("keeps restarting (exit code {code})"),
        (State::Restarting, None) => "keeps restarting".to_owned(),
        (State::Exited, Some(code)) => format!("is stopped (exit code {code})"),
        (State::Exited, None) => "is stopped".to_owned(),
        (State::Gone, _) => "is being removed".to_owned(),
    }
}

pub(super) fn youngest_first(containers: &mut [Container]) {
    containers.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};

    fn container(id: &str, state: State, age_hours: i64) -> Container {
        Container {
            id: id.to_owned(),
            state,
            created: Some(
                DateTime::UNIX_EPOCH + TimeDelta::days(20_000) - TimeDelta::hours(age_hours),
            ),
            ..Container::default()
        }
    }

    #[test]
    fn a_service_is_called_by_its_name_and_a_foreign_one_with_its_project() {
        assert_eq!(Address::own("shop", "db").to_string(), "db");
        assert_eq!(Address::foreign("wiki", "db").to_string(), "wiki.db");
        assert_eq!(Address::foreign("", "lone").to_string(), "lone");
    }

    #[test]
    fn of_several_replicas_the_youngest_that_runs_is_taken() {
        let mut replicas = vec![
            container("old", State::Running, 9),
            container("newest-but-stopped", State::Exited, 1),
            container("new", State::Running, 2),
        ];
        youngest_first(&mut replicas);
        let chosen = choose(&Address::own("shop", "db"), replicas).unwrap();
        assert_eq!(chosen.id, "new");
    }

    #[test]
    fn a_service_that_does_not_run_is_told_apart_from_one_that_is_not_there() {
        let db = Address::own("shop", "db");
        let gone = choose(&db, Vec::new()).unwrap_err();
        assert_eq!(gone.trouble, Trouble::NotFound);
        assert!(gone.to_string().contains("service db has no container"));

        let stopped = Container {
            exit_code: Some(137),
            ..container("a", State::Exited, 1)
        };
        let error = choose(&db, vec![stopped]).unwrap_err();
        assert_eq!(error.trouble, Trouble::Conflict);
        assert!(
            error
                .to_string()
                .contains("service db is stopped (exit code 137)")
        );
        let error = choose(&db, vec![container("a", State::Paused, 1)]).unwrap_err();
        assert!(error.to_string().contains("service db is paused"));
    }
}
