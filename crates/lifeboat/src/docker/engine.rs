//! One engine, asked one question at a time.

use super::{
    Call, DockerError, Trouble,
    container::{Container, Image, Volume},
};
use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error,
    models::ContainerCreateBody,
    query_parameters::{
        CreateContainerOptions, InspectContainerOptions, ListContainersOptions, ListVolumesOptions,
        RemoveContainerOptions, StartContainerOptions, StopContainerOptions, TopOptions,
    },
};
use std::{
    collections::HashMap, error::Error as _, fmt, future::Future, io, path::PathBuf, sync::Arc,
    time::Duration,
};
use tokio::runtime::Runtime;

/// For every question that is not a stream.
const ANSWER_SECONDS_MAX: u64 = 30;

/// Where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Unix(PathBuf),
    /// Host and port. In clear: for a proxy on a network of its own.
    Tcp(String),
}

impl Place {
    /// As `DOCKER_HOST` has it.
    pub fn parse(host: &str) -> Option<Self> {
        let host = host.trim();
        if let Some(path) = host.strip_prefix("unix://") {
            return path.starts_with('/').then(|| Place::Unix(path.into()));
        }
        let address = host
            .strip_prefix("tcp://")
            .or_else(|| host.strip_prefix("http://"))?
            .trim_end_matches('/');
        let (name, port) = address.rsplit_once(':')?;
        let port = port.parse::<u16>().is_ok_and(|port| port != 0);
        (port && !name.is_empty() && !name.contains('/')).then(|| Place::Tcp(address.to_owned()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Unix(path) => write!(f, "unix://{}", path.display()),
            Place::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// A connection is made for every question: an engine that was restarted meanwhile is just asked again.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    place: Place,
    /// `1.51`: what both sides speak.
    api: String,
    runtime: Arc<Own>,
}

/// Ends without waiting, wherever it is dropped.
struct Own(Option<Runtime>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({}, API {})", self.place, self.api)
    }
}

impl Engine {
    /// Agrees on a version. Asks `GET /version` and nothing else.
    pub fn connect(place: Place) -> Result<Self, DockerError> {
        let call = Call::get("/version");
        let unreachable =
            |detail: String| DockerError::new(call.clone(), Trouble::Unreachable, detail);
        let docker = match &place {
            Place::Unix(path) => Docker::connect_with_unix(
                &format!("unix://{}", path.display()),
                ANSWER_SECONDS_MAX,
                API_DEFAULT_VERSION,
            ),
            Place::Tcp(address) => Docker::connect_with_http(
                &format!("tcp://{address}"),
                ANSWER_SECONDS_MAX,
                API_DEFAULT_VERSION,
            ),
        };
        let docker = docker.map_err(|error| unreachable(format!("{place}: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("docker")
            .enable_all()
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        let mut engine = Engine {
            docker,
            place,
            api: String::new(),
            runtime: Arc::new(Own(Some(runtime))),
        };
        let negotiated = engine.docker.clone().negotiate_version();
        engine.docker = engine.ask(call, negotiated)?;
        engine.api = engine.docker.client_version().to_string();
        Ok(engine)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// `/v1.51`: stands in front of every path.
    pub(super) fn version_path(&self) -> String {
        format!("/v{}", self.api)
    }

    /// Every container, also stopped ones, that bears all of `labels` (`name=value`).
    pub fn containers(&self, labels: &[String]) -> Result<Vec<String>, DockerError> {
        let filters = HashMap::from([("label".to_owned(), labels.to_vec())]);
        let options = ListContainersOptions {
            all: true,
            filters: (!labels.is_empty()).then_some(filters),
            ..Default::default()
        };
        let found = self.ask(
            Call::get("/containers/json"),
            self.docker.list_containers(Some(options)),
        )?;
        Ok(found.into_iter().filter_map(|found| found.id).collect())
    }

    pub fn container(&self, id: &str) -> Result<Container, DockerError> {
        let call = Call::get(format!("/containers/{id}/json"));
        let found = self.ask(
            call.clone(),
            self.docker
                .inspect_container(id, None::<InspectContainerOptions>),
        )?;
        Container::of(found)
            .ok_or_else(|| DockerError::new(call, Trouble::Garbled, "a container without an id"))
    }

    /// The command lines of what runs in it.
    pub fn processes(&self, id: &str) -> Result<Vec<String>, DockerError> {
        let call = Call::get(format!("/containers/{id}/top"));
        let top = self.ask(
            call,
            self.docker.top_processes(
                id,
                Some(TopOptions {
                    ps_args: "-eo pid,args".to_owned(),
                }),
            ),
        )?;
        let rows = top.processes.unwrap_or_default();
        Ok(rows.into_iter().filter_map(|mut row| row.pop()).collect())
    }

    pub fn volumes(&self, labels: &[String]) -> Result<Vec<Volume>, DockerError> {
        let filters = HashMap::from([("label".to_owned(), labels.to_vec())]);
        let options = ListVolumesOptions {
            filters: (!labels.is_empty()).then_some(filters),
        };
        let found = self.ask(
            Call::get("/volumes"),
            self.docker.list_volumes(Some(options)),
        )?;
        Ok(found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(Volume::of)
            .collect())
    }

    /// Never makes one: a mistyped name is an error here.
    pub fn volume(&self, name: &str) -> Result<Volume, DockerError> {
        let call = Call::get(format!("/volumes/{name}"));
        Ok(Volume::of(
            self.ask(call, self.docker.inspect_volume(name))?,
        ))
    }

    pub fn image(&self, id: &str) -> Result<Image, DockerError> {
        let call = Call::get(format!("/images/{id}/json"));
        Ok(Image::of(self.ask(call, self.docker.inspect_image(id))?))
    }

    pub(super) fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String, DockerError> {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..Default::default()
        };
        let made = self.ask(
            Call::post("/containers/create"),
            self.docker.create_container(Some(options), body),
        )?;
        Ok(made.id)
    }

    /// Kills it if it runs. What it had to itself, volumes without a name, goes with it; one that is gone
    /// already is as good.
    pub(super) fn remove(&self, id: &str) -> Result<(), DockerError> {
        let call = Call::delete(format!("/containers/{id}"));
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        match self.ask(call, self.docker.remove_container(id, Some(options))) {
            Err(error) if error.trouble == Trouble::NotFound => Ok(()),
            result => result,
        }
    }

    pub fn start(&self, id: &str) -> Result<(), DockerError> {
        let call = Call::post(format!("/containers/{id}/start"));
        self.ask(
            call,
            self.docker
                .start_container(id, None::<StartContainerOptions>),
        )
    }

    /// Asks it to end, and kills it after its own grace period.
    pub fn stop(&self, id: &str, patience: Duration) -> Result<(), DockerError> {
        let call = Call::post(format!("/containers/{id}/stop"));
        let patient = self
            .docker
            .clone()
            .with_timeout(patience + Duration::from_secs(ANSWER_SECONDS_MAX));
        self.ask_for(
            patience + Duration::from_secs(ANSWER_SECONDS_MAX),
            call,
            patient.stop_container(id, None::<StopContainerOptions>),
        )
    }

    pub fn pause(&self, id: &str) -> Result<(), DockerError> {
        let call = Call::post(format!("/containers/{id}/pause"));
        self.ask(call, self.docker.pause_container(id))
    }

    pub fn unpause(&self, id: &str) -> Result<(), DockerError> {
        let call = Call::post(format!("/containers/{id}/unpause"));
        self.ask(call, self.docker.unpause_container(id))
    }

    /// The client itself, for what has no method here.
    pub(super) fn client(&self) -> &Docker {
        &self.docker
    }

    pub(super) fn ask<T>(
        &self,
        call: Call,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DockerError> {
        self.ask_for(Duration::from_secs(ANSWER_SECONDS_MAX), call, question)
    }

    fn ask_for<T>(
        &self,
        patience: Duration,
        call: Call,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DockerError> {
        let runtime = self.runtime.0.as_ref().expect("taken only when dropped");
        let answer = runtime.block_on(async { tokio::time::timeout(patience, question).await });
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(understood(call, error)),
            Err(_) => Err(DockerError::new(call, Trouble::TooSlow, "")),
        }
    }
}

/// The client's many errors in the few words that matter.
fn understood(call: Call, error: Error) -> DockerError {
    match error {
        Error::DockerResponseServerError {
            status_code,
            message,
        } => DockerError::of_status(call, status_code, message),
        Error::RequestTimeoutError => DockerError::new(call, Trouble::TooSlow, ""),
        Error::JsonDataError { message, .. } => DockerError::new(call, Trouble::Garbled, message),
        Error::JsonSerdeError { err } => DockerError::new(call, Trouble::Garbled, err.to_string()),
        Error::IOError { err } => DockerError::of_io(call, &err),
        Error::SocketNotFoundError(path) => DockerError::new(
            call,
            Trouble::Unreachable,
            format!("there is no socket {path}"),
        ),
        error => match root(&error) {
            Some(io) => DockerError::of_io(call, io),
            None => DockerError::new(call, Trouble::Unreachable, chain(&error)),
        },
    }
}

/// The system's own error beneath the layers of the client.
fn root(error: &Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = error.source();
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_socket_or_a_host_with_a_port() {
        let unix = |path: &str| Some(Place::Unix(path.into()));
        let tcp = |address: &str| Some(Place::Tcp(address.to_owned()));
        for (host, place) in [
            ("unix:///var/run/docker.sock", unix("/var/run/docker.sock")),
            ("tcp://proxy:2375", tcp("proxy:2375")),
            ("http://127.0.0.1:2375/", tcp("127.0.0.1:2375")),
            ("tcp://[::1]:2375", tcp("[::1]:2375")),
            ("unix://docker.sock", None),
            ("tcp://proxy", None),
            ("tcp://proxy:http", None),
            ("https://proxy:2376", None),
            ("ssh://host", None),
            ("", None),
        ] {
            assert_eq!(Place::parse(host), place, "{host}");
        }
    }

    #[test]
    fn an_engine_that_is_not_there_is_named_with_what_to_do() {
        let error = Engine::connect(Place::Unix("/nowhere/docker.sock".into())).unwrap_err();
        assert_eq!(error.trouble, Trouble::Unreachable);
        let told = error.to_string();
        assert!(
            told.starts_with("GET /version: no engine answers"),
            "{told}"
        );
        assert!(told.contains("/nowhere/docker.sock"), "{told}");
        assert!(error.hint().contains("DOCKER_HOST"), "{}", error.hint());
    }
}
