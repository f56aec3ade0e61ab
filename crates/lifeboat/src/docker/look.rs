//! What the engine runs, as plain values: everything that is decided is decided from these, elsewhere.
//!
//! A filter in front of the engine may refuse some of the questions. What discovery can do without is then a
//! remark; what it cannot do without is an error.

use super::{
    Address, Call, Container, DockerError, Engine, Mount, MountKind, PROJECT, SERVICE, State,
    Trouble, Volume,
    own::{self, Own},
    service::{ONE_OFF, youngest_first},
    volume::HELPER,
};
use bollard::query_parameters::{ContainerArchiveInfoOptions, ListContainersOptions};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Whose containers and volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// The sidecar's own project.
    #[default]
    Project,
    Projects(Vec<String>),
    /// Also what was started without Compose.
    All,
}

#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// `None` where this program runs in no container of this engine.
    pub own: Option<Own>,
    /// The project that names go without.
    pub project: Option<String>,
    /// What other containers of this very program have mounted to write to: their stores, not data.
    pub kin: Vec<Mount>,
    /// By address.
    pub services: Vec<Service>,
    /// Of the projects, and whatever the services have mounted.
    pub volumes: Vec<Volume>,
    /// Services of our own project that may not be looked at.
    pub unseen: Vec<(Address, DockerError)>,
    pub remarks: Vec<Remark>,
}

/// One service with all its containers.
#[derive(Debug, Clone)]
pub struct Service {
    pub address: Address,
    /// The one that counts: the youngest that runs, or else the youngest.
    pub container: Container,
    /// The others.
    pub replicas: Vec<Container>,
    /// Command lines; `None` where they could not be seen.
    pub processes: Option<Vec<String>>,
    /// What a registry calls its image.
    pub digests: Vec<String>,
    /// What its bind mounts are, by their place in the container; as far as the engine tells.
    pub shapes: BTreeMap<String, Shape>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    Folder,
    File,
    /// A socket, a pipe, a device.
    Special,
}

/// What could not be seen, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub what: String,
    pub hint: String,
}

/// A container as the engine lists it.
#[derive(Debug)]
struct Listed {
    id: String,
    name: String,
    labels: HashMap<String, String>,
}

/// `project`: as the environment has it, for a program that runs in no container of this engine.
pub fn look(
    engine: &Engine,
    scope: &Scope,
    own_ids: &[String],
    project: Option<&str>,
) -> Result<Seen, DockerError> {
    let mut looker = Looker {
        engine,
        refused: BTreeSet::new(),
        seen: Seen::default(),
    };
    let own = own::inspect(engine, own_ids);
    looker.seen.own = looker.unless_refused(own, NO_OWN)?.flatten();
    let own_project = looker.seen.own.as_ref().and_then(|own| own.project.clone());
    looker.seen.project = match scope {
        Scope::Projects(names)
            if own_project.is_none() && project.is_none() && names.len() == 1 =>
        {
            names.first().cloned()
        }
        _ => own_project.or_else(|| project.map(str::to_owned)),
    };
    let projects = match scope {
        Scope::Project => match &looker.seen.project {
            Some(project) => vec![Some(project.clone())],
            None => return Err(no_project()),
        },
        Scope::Projects(names) => names.iter().cloned().map(Some).collect(),
        Scope::All => vec![None],
    };
    for project in &projects {
        looker.services(project.as_deref())?;
    }
    looker
        .seen
        .services
        .sort_by(|a, b| a.address.cmp(&b.address));
    looker.volumes(&projects)?;
    Ok(looker.seen)
}

const NO_OWN: &str =
    "which container this program runs in cannot be seen, nor what is mounted into it";
const NO_PROCESSES: &str = "what runs in the containers cannot be seen: servers are known by their images and environments alone";
const NO_VOLUMES: &str = "volumes that no container has mounted cannot be seen, and are not saved";
const NO_DIGESTS: &str = "the digests of images cannot be seen: backups name images without them";
const NO_SHAPES: &str =
    "whether a mounted path of the host is a folder or a file is guessed from its name";

fn no_project() -> DockerError {
    DockerError::new(
        Call::get("/containers/json"),
        Trouble::NotFound,
        "this program runs in no container of a Compose project; BACKUP_SCOPE names the projects to save",
    )
}

struct Looker<'a> {
    engine: &'a Engine,
    /// Of what kind the refused questions were: each is told once.
    refused: BTreeSet<&'static str>,
    seen: Seen,
}

impl Looker<'_> {
    /// `None` for a refusal, which is remarked on.
    fn unless_refused<T>(
        &mut self,
        answer: Result<T, DockerError>,
        loss: &'static str,
    ) -> Result<Option<T>, DockerError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.trouble == Trouble::Denied => {
                if self.refused.insert(loss) {
                    self.seen.remarks.push(Remark {
                        what: format!("{}: refused, so {loss}", error.call),
                        hint: error.hint(),
                    });
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// All of one project, or all there are.
    fn services(&mut self, project: Option<&str>) -> Result<(), DockerError> {
        let labels = Vec::from_iter(project.map(|project| format!("{PROJECT}={project}")));
        let listed = self.engine.listed(&labels)?;
        if listed.is_empty()
            && let Some(project) = project
        {
            self.seen.remarks.push(Remark {
                what: format!("project {project} has no containers"),
                hint: "is its name right, and is it up? `docker compose ls -a` lists all"
                    .to_owned(),
            });
        }
        let mut found: BTreeMap<Address, Vec<Container>> = BTreeMap::new();
        for listed in listed {
            let helper = listed.labels.contains_key(HELPER);
            if helper || self.is_own(&listed) || listed.is_one_off() {
                continue;
            }
            let address = self.address(&listed);
            match self.engine.container(&listed.id) {
                Ok(container) if self.is_kin(&container) => {
                    let written = container.mounts.into_iter().filter(|mount| mount.writable);
                    self.seen.kin.extend(written);
                }
                Ok(container) => found.entry(address).or_default().push(container),
                // Removed since the list was made.
                Err(error) if error.trouble == Trouble::NotFound => {}
                Err(error) if error.trouble == Trouble::Denied && address.foreign => {
                    self.seen.remarks.push(Remark {
                        what: format!("{}: refused, so service {address} is not saved", error.call),
                        hint: error.hint(),
                    });
                }
                Err(error) if error.trouble == Trouble::Denied => {
                    // Replicas say the same of each other.
                    if self.seen.unseen.iter().all(|(told, _)| *told != address) {
                        self.seen.unseen.push((address, error));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        for (address, containers) in found {
            let service = self.service(address, containers)?;
            self.seen.services.extend(service);
        }
        Ok(())
    }

    fn is_own(&self, listed: &Listed) -> bool {
        self.seen.own.as_ref().is_some_and(|own| {
            let same = |label: &str, own: &Option<String>| {
                own.is_some() && listed.labels.get(label) == own.as_ref()
            };
            listed.id == own.id || (same(PROJECT, &own.project) && same(SERVICE, &own.service))
        })
    }

    /// A container of this program's own image, under whatever name: one that restores, another sidecar.
    fn is_kin(&self, container: &Container) -> bool {
        let own = self.seen.own.as_ref();
        own.is_some_and(|own| !own.image_id.is_empty() && own.image_id == container.image_id)
    }

    fn address(&self, listed: &Listed) -> Address {
        match (listed.labels.get(PROJECT), listed.labels.get(SERVICE)) {
            (Some(project), Some(service)) => Address {
                foreign: self.seen.project.as_ref() != Some(project),
                ..Address::own(project, service)
            },
            _ => Address::foreign("", &listed.name),
        }
    }

    fn service(
        &mut self,
        address: Address,
        mut containers: Vec<Container>,
    ) -> Result<Option<Service>, DockerError> {
        youngest_first(&mut containers);
        let at = containers
            .iter()
            .position(Container::is_running)
            .unwrap_or(0);
        if containers.is_empty() {
            return Ok(None);
        }
        let container = containers.remove(at);
        let processes = match container.state {
            State::Running => self.processes(&container.id)?,
            _ => None,
        };
        let image = self.engine.image(&container.image_id);
        let digests = match image {
            // An image that was removed while its container lives on.
            Err(error) if error.trouble == Trouble::NotFound => Vec::new(),
            image => self
                .unless_refused(image, NO_DIGESTS)?
                .map_or_else(Vec::new, |image| image.digests),
        };
        let shapes = self.shapes(&container)?;
        Ok(Some(Service {
            address,
            container,
            replicas: containers,
            processes,
            digests,
            shapes,
        }))
    }

    fn processes(&mut self, id: &str) -> Result<Option<Vec<String>>, DockerError> {
        match self.engine.processes(id) {
            Ok(lines) => Ok(Some(lines)),
            Err(error) if error.trouble == Trouble::Denied => {
                self.unless_refused(Err(error), NO_PROCESSES)
            }
            Err(error) if error.trouble == Trouble::Unreachable => Err(error),
            // Ended meanwhile, or a system without a list of processes.
            Err(error) => {
                tracing::debug!(%error, "the processes could not be listed");
                Ok(None)
            }
        }
    }

    /// Asked only of what could be a source: a path of the host that the service may write to.
    fn shapes(&mut self, container: &Container) -> Result<BTreeMap<String, Shape>, DockerError> {
        let mut shapes = BTreeMap::new();
        let asked = |kind: &MountKind| *kind == MountKind::Bind;
        for mount in container
            .mounts
            .iter()
            .filter(|mount| asked(&mount.kind) && mount.writable)
        {
            if self.refused.contains(NO_SHAPES) {
                break;
            }
            match self.engine.shape(&container.id, &mount.destination) {
                Err(error) if error.trouble == Trouble::Unreachable => return Err(error),
                Err(error) if error.trouble == Trouble::Denied => {
                    self.unless_refused::<()>(Err(error), NO_SHAPES)?;
                }
                Err(error) => tracing::debug!(%error, "a mounted path could not be looked at"),
                Ok(shape) => {
                    shapes.insert(mount.destination.clone(), shape);
                }
            }
        }
        Ok(shapes)
    }

    fn volumes(&mut self, projects: &[Option<String>]) -> Result<(), DockerError> {
        let all = self.engine.volumes(&[]);
        let Some(all) = self.unless_refused(all, NO_VOLUMES)? else {
            return Ok(());
        };
        let containers = self.seen.services.iter().flat_map(Service::containers);
        let mounts = containers.flat_map(|container| &container.mounts);
        let mounted: BTreeSet<&str> = mounts
            .filter_map(|mount| match &mount.kind {
                MountKind::Volume { name, .. } => Some(name.as_str()),
                MountKind::Bind | MountKind::Other(_) => None,
            })
            .collect();
        let within = |volume: &Volume| {
            let project = volume.labels.get(PROJECT);
            // With every project, those that Compose made; anonymous leftovers belong to nobody.
            projects.iter().any(|wanted| match wanted {
                Some(wanted) => project == Some(wanted),
                None => project.is_some(),
            })
        };
        let mut volumes: Vec<Volume> = all
            .into_iter()
            .filter(|volume| within(volume) || mounted.contains(volume.name.as_str()))
            .collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        self.seen.volumes = volumes;
        Ok(())
    }
}

impl Service {
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        [&self.container].into_iter().chain(&self.replicas)
    }
}

impl Listed {
    fn is_one_off(&self) -> bool {
        let value = self.labels.get(ONE_OFF);
        value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Engine {
    fn listed(&self, labels: &[String]) -> Result<Vec<Listed>, DockerError> {
        let filters = HashMap::from([("label".to_owned(), labels.to_vec())]);
        let options = ListContainersOptions {
            all: true,
            filters: (!labels.is_empty()).then_some(filters),
            ..Default::default()
        };
        let found = self.ask(
            Call::get("/containers/json"),
            self.client().list_containers(Some(options)),
        )?;
        let listed = found.into_iter().filter_map(|found| {
            let names = found.names.unwrap_or_default();
            Some(Listed {
                id: found.id?,
                name: names
                    .first()
                    .map_or("", |name| name.trim_start_matches('/'))
                    .to_owned(),
                labels: found.labels.unwrap_or_default(),
            })
        });
        Ok(listed.collect())
    }

    /// What lies at a path in a container. Reads nothing of it.
    fn shape(&self, id: &str, path: &str) -> Result<Shape, DockerError> {
        /// As Go writes the kinds of files.
        const FOLDER: u32 = 1 << 31;
        const SPECIAL: u32 = 1 << 24 | 1 << 25 | 1 << 26;
        let call = Call {
            method: "HEAD",
            path: format!("/containers/{id}/archive"),
        };
        let options = ContainerArchiveInfoOptions {
            path: path.to_owned(),
        };
        let found = self.ask(
            call,
            self.client().get_container_archive_info(id, Some(options)),
        )?;
        let mode = found.file_mode;
        Ok(match mode {
            mode if mode & FOLDER != 0 => Shape::Folder,
            mode if mode & SPECIAL != 0 => Shape::Special,
            _ => Shape::File,
        })
    }
}
