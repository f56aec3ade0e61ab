//! In which order services are held: those that need others first, so that nobody misses what it needs.

use crate::docker::{Address, Container, service::SERVICE};
use lifeboat_plan::HoldKind;

const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// One container that is held.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) address: Address,
    pub(super) kind: HoldKind,
    /// As it was before.
    pub(super) container: Container,
}

impl Part {
    pub(super) fn new(address: Address, kind: HoldKind, container: Container) -> Self {
        Part {
            address,
            kind,
            container,
        }
    }

    /// Does it only start when `other` is well?
    pub(super) fn wants_well(&self, other: &Part) -> bool {
        self.needs()
            .any(|(service, condition)| other.is(service) && condition == "service_healthy")
    }

    fn depends_on(&self, other: &Part) -> bool {
        let lives_in = self.container.network_mode.strip_prefix("container:");
        lives_in == Some(other.container.id.as_str())
            || (self.address.project == other.address.project
                && self.needs().any(|(service, _)| other.is(service)))
    }

    fn is(&self, service: &str) -> bool {
        self.container.label(SERVICE) == Some(service)
    }

    fn needs(&self) -> impl Iterator<Item = (&str, &str)> {
        needs(&self.container)
    }
}

/// The services that a container waits for, each with what it waits for:
/// `db:service_healthy:false,cache:service_started:true`.
pub fn needs(container: &Container) -> impl Iterator<Item = (&str, &str)> {
    let label = container.label(DEPENDS_ON).unwrap_or_default();
    label.split(',').filter_map(|need| {
        let mut words = need.split(':');
        Some((words.next()?, words.next().unwrap_or_default()))
    })
}

/// A circle, which Compose refuses, is cut somewhere.
pub(super) fn dependents_first(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by(|a, b| (&a.address, &a.container.id).cmp(&(&b.address, &b.container.id)));
    parts.dedup_by(|a, b| a.container.id == b.container.id);
    let mut ordered: Vec<Part> = Vec::with_capacity(parts.len());
    while !parts.is_empty() {
        let free = |part: &Part| {
            !parts
                .iter()
                .any(|other| other.container.id != part.container.id && other.depends_on(part))
        };
        let next = parts.iter().position(free).unwrap_or(0);
        ordered.push(parts.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Health, State};
    use std::collections::BTreeMap;

    fn part(service: &str, needs: &str, network: &str) -> Part {
        let labels = [(SERVICE, service), (DEPENDS_ON, needs)];
        let container = Container {
            id: format!("id-{service}"),
            created: None,
            name: service.to_owned(),
            image: String::new(),
            image_id: String::new(),
            state: State::Running,
            health: Health::Unknown,
            exit_code: None,
            labels: BTreeMap::from(labels.map(|(k, v)| (k.to_owned(), v.to_owned()))),
            env: Vec::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            user: String::new(),
            working_dir: String::new(),
            mounts: Vec::new(),
            network_mode: network.to_owned(),
            restart: String::new(),
            stop_seconds: None,
        };
        Part::new(Address::own("shop", service), HoldKind::Stop, container)
    }

    fn order(parts: Vec<Part>) -> Vec<String> {
        dependents_first(parts)
            .into_iter()
            .map(|part| part.address.to_string())
            .collect()
    }

    #[test]
    fn who_needs_others_is_held_before_them() {
        let parts = vec![
            part(
                "app",
                "db:service_healthy:false,cache:service_started:true",
                "",
            ),
            part("cache", "", ""),
            part("db", "", ""),
            part("web", "app:service_started:false", ""),
        ];
        assert_eq!(order(parts), ["web", "app", "cache", "db"]);
    }

    #[test]
    fn who_lives_in_anothers_network_is_held_before_it() {
        let parts = vec![part("a", "", ""), part("guest", "", "container:id-a")];
        assert_eq!(order(parts), ["guest", "a"]);
    }

    #[test]
    fn a_circle_ends_and_nobody_is_held_twice() {
        let parts = vec![
            part("a", "b:service_started:false", ""),
            part("b", "a:service_started:false", ""),
            part("a", "b:service_started:false", ""),
        ];
        assert_eq!(order(parts).len(), 2);
    }

    #[test]
    fn only_who_asked_for_it_waits_until_another_is_well() {
        let app = part(
            "app",
            "db:service_healthy:false,cache:service_started:true",
            "",
        );
        assert!(app.wants_well(&part("db", "", "")));
        assert!(!app.wants_well(&part("cache", "", "")));
    }
}
