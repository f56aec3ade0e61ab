//! What the project is, for whoever restores it on another host: part of the manifest.
//!
//! It is put together from what the engine tells, and never from the project's own files: those, and much of
//! what the engine tells, hold secrets. So variables are named without their values, commands are left out
//! (`--requirepass …`), and of the labels only those of ours are kept that are closed words or names.

use super::{
    Container, Mount, MountKind, PROJECT,
    look::{Seen, Service},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// Labels that cannot hold a line of shell or the name of a user.
const TELLING: [&str; 8] = [
    "enable",
    "kind",
    "databases",
    "exclude",
    "extension",
    "hold",
    "schedule",
    "drill",
];

/// One record for the own project, with those of others in it.
pub fn of(seen: &Seen) -> Value {
    let mut projects: BTreeMap<&str, Vec<&Service>> = BTreeMap::new();
    for service in &seen.services {
        projects
            .entry(&service.address.project)
            .or_default()
            .push(service);
    }
    let own = seen.project.as_deref().unwrap_or_default();
    let mut record = record(own, projects.remove(own).unwrap_or_default(), seen);
    let others: Vec<Value> = projects
        .into_iter()
        .map(|(project, services)| self::record(project, services, seen))
        .collect();
    if !others.is_empty() {
        record["others"] = Value::Array(others);
    }
    record
}

fn record(project: &str, services: Vec<&Service>, seen: &Seen) -> Value {
    let mut definitions = Map::new();
    let mut images = Map::new();
    let mut volumes = BTreeSet::new();
    for service in &services {
        let name = service.address.service.clone();
        definitions.insert(name.clone(), definition(service));
        images.insert(
            name,
            json!({
                "image": service.container.image,
                "id": service.container.image_id,
                "digests": service.digests,
            }),
        );
        volumes.extend(service.container.mounts.iter().filter_map(volume_of));
    }
    let ours = seen
        .volumes
        .iter()
        .filter(|volume| volume.labels.get(PROJECT).is_some_and(|of| of == project));
    volumes.extend(ours.map(|volume| volume.name.as_str()));
    let volumes: Map<String, Value> = volumes
        .into_iter()
        .map(|name| (name.to_owned(), json!({ "name": name })))
        .collect();
    let label = |name: &str| {
        services
            .iter()
            .find_map(|service| service.container.label(name))
    };
    json!({
        "project": project,
        "reconstructed": "from the running containers; the values of variables, commands and other programs' labels are left out, for they may be secrets",
        "working_dir": label(WORKING_DIR),
        "config_files": label(CONFIG_FILES).map(|files| files.split(',').collect::<Vec<_>>()),
        "images": images,
        "definition": { "name": project, "services": definitions, "volumes": volumes },
    })
}

/// Valid in a Compose file: a variable without a value is taken from the environment.
fn definition(service: &Service) -> Value {
    let container = &service.container;
    let mut definition = Map::new();
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            definition.insert(name.to_owned(), value);
        }
    };
    let text = |text: &str| match text {
        "" => Value::Null,
        text => json!(text),
    };
    set("image", text(&container.image));
    set("environment", environment(container));
    set("user", text(&container.user));
    set("working_dir", text(&container.working_dir));
    set("restart", text(&container.restart));
    set(
        "volumes",
        non_empty(container.mounts.iter().filter_map(mount).collect()),
    );
    set("labels", labels(container));
    set("depends_on", depends_on(container));
    if let Some(seconds) = container.stop_seconds {
        set("stop_grace_period", json!(format!("{seconds}s")));
    }
    if !service.replicas.is_empty() {
        set("scale", json!(1 + service.replicas.len()));
    }
    Value::Object(definition)
}

fn environment(container: &Container) -> Value {
    let names: Map<String, Value> = container
        .env
        .iter()
        .map(|(name, _)| (name.clone(), Value::Null))
        .collect();
    if names.is_empty() {
        Value::Null
    } else {
        Value::Object(names)
    }
}

fn labels(container: &Container) -> Value {
    let kept: Map<String, Value> = TELLING
        .iter()
        .filter_map(|name| {
            let name = format!("{}{name}", super::labels::PREFIX);
            let value = container.label(&name)?;
            Some((name, json!(value)))
        })
        .collect();
    if kept.is_empty() {
        Value::Null
    } else {
        Value::Object(kept)
    }
}

/// `cache:service_healthy:true,db:service_started:false`
fn depends_on(container: &Container) -> Value {
    let text = container.label(DEPENDS_ON).unwrap_or_default();
    let parts = text.split(',').filter_map(|part| {
        let mut words = part.split(':');
        let service = words.next().filter(|service| !service.is_empty())?;
        let condition = words.next().unwrap_or("service_started");
        Some((service.to_owned(), json!({ "condition": condition })))
    });
    let parts: Map<String, Value> = parts.collect();
    if parts.is_empty() {
        Value::Null
    } else {
        Value::Object(parts)
    }
}

fn mount(mount: &Mount) -> Option<Value> {
    let (kind, source) = match &mount.kind {
        MountKind::Volume { name, .. } => ("volume", name),
        MountKind::Bind => ("bind", &mount.source),
        MountKind::Other(kind) if kind == "tmpfs" => {
            return Some(json!({ "type": "tmpfs", "target": mount.destination }));
        }
        MountKind::Other(_) => return None,
    };
    Some(json!({
        "type": kind,
        "source": source,
        "target": mount.destination,
        "read_only": !mount.writable,
    }))
}

fn volume_of(mount: &Mount) -> Option<&str> {
    match &mount.kind {
        MountKind::Volume { name, .. } => Some(name),
        MountKind::Bind | MountKind::Other(_) => None,
    }
}

fn non_empty(items: Vec<Value>) -> Value {
    if items.is_empty() {
        Value::Null
    } else {
        Value::Array(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Address;
    use lifeboat_run::Secret;

    const CANARY: &str = "canary-7f3a";

    fn shop() -> Seen {
        let labels = [
            ("lifeboat.hold", "stop"),
            ("lifeboat.pre", CANARY),
            ("lifeboat.command", CANARY),
            ("lifeboat.user", CANARY),
            ("traefik.basicauth", CANARY),
            (WORKING_DIR, "/srv/shop"),
            (CONFIG_FILES, "/srv/shop/compose.yaml,/srv/shop/more.yaml"),
            (DEPENDS_ON, "cache:service_healthy:true"),
        ];
        let container = Container {
            image: "postgres:17".to_owned(),
            image_id: "sha256:aa".to_owned(),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            env: vec![
                (
                    "PGDATA".to_owned(),
                    Secret::new("/var/lib/postgresql/data".to_owned()),
                ),
                (
                    "POSTGRES_PASSWORD".to_owned(),
                    Secret::new(CANARY.to_owned()),
                ),
            ],
            command: vec!["postgres".to_owned(), format!("--requirepass={CANARY}")],
            entrypoint: vec![format!("/start {CANARY}")],
            mounts: vec![Mount {
                kind: MountKind::Volume {
                    name: "shop_db".to_owned(),
                    driver: "local".to_owned(),
                },
                destination: "/var/lib/postgresql/data".to_owned(),
                source: String::new(),
                writable: true,
            }],
            restart: "unless-stopped".to_owned(),
            ..Container::default()
        };
        let service = |address: Address| Service {
            address,
            container: container.clone(),
            replicas: Vec::new(),
            processes: None,
            digests: vec!["postgres@sha256:bb".to_owned()],
            shapes: BTreeMap::new(),
        };
        Seen {
            project: Some("shop".to_owned()),
            services: vec![
                service(Address::own("shop", "db")),
                service(Address::foreign("wiki", "db")),
            ],
            ..Seen::default()
        }
    }

    #[test]
    fn it_says_what_ran_and_of_which_image() {
        let compose = of(&shop());
        assert_eq!(compose["project"], "shop");
        assert_eq!(compose["config_files"][1], "/srv/shop/more.yaml");
        assert_eq!(compose["images"]["db"]["digests"][0], "postgres@sha256:bb");
        assert_eq!(
            compose["definition"]["services"]["db"],
            json!({
                "image": "postgres:17",
                "environment": { "PGDATA": null, "POSTGRES_PASSWORD": null },
                "restart": "unless-stopped",
                "volumes": [{ "type": "volume", "source": "shop_db", "target": "/var/lib/postgresql/data", "read_only": false }],
                "labels": { "lifeboat.hold": "stop" },
                "depends_on": { "cache": { "condition": "service_healthy" } },
            })
        );
        assert_eq!(
            compose["definition"]["volumes"]["shop_db"]["name"],
            "shop_db"
        );
        assert_eq!(compose["others"][0]["project"], "wiki");
    }

    #[test]
    fn no_secret_of_a_service_enters_it() {
        assert!(!of(&shop()).to_string().contains(CANARY));
    }
}
