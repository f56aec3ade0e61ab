//! A volume or a folder of the host that is not mounted into the sidecar, read by a container of our own, or
//! filled by one ([`filling`]).
//!
//! ```text
//! is it there? → created → attached to → started → read to its end frame → exit code 0? → removed
//! ```
//!
//! Where somebody has to hold still meanwhile it is started before that, and waits for a word.
//!
//! The container lives for one source, is made of the sidecar's own image, and sees what it is to read and
//! nothing else ([`rights`]). However it ends it is removed; those that a killed sidecar left behind are
//! known by their label and removed at the next start ([`Helpers::sweep`]).

mod exchange;
pub(super) mod filling;
mod reading;
mod removal;
mod rights;

pub use exchange::Exchange;

use super::{DockerError, Engine, Trouble, exec::fresh_mark};
use exchange::Door;
use lifeboat_run::{
    Cancel,
    source::{Fault, OnChanged, Poured, Program, Running, SourceError, Waiting},
};
use reading::Reading;
use std::{fmt, time::Duration};

/// By this label a helper is known, and by its value whose it is.
pub const HELPER: &str = "lifeboat.helper";

/// What is filled by it, on those that fill.
const FILLS: &str = "lifeboat.fills";

/// Without a word for so long, it has stalled: while it lives it tells several times a second how far it is.
const PATIENCE: Duration = Duration::from_secs(120);

/// How helpers are made.
#[derive(Debug, Clone)]
pub struct Helpers {
    pub engine: Engine,
    /// The sidecar's own, by id: a name may stand for another one meanwhile.
    pub image: String,
    /// This program, in that image.
    pub program: String,
    /// Whose they are. Another one for every store, whose lock keeps two runs apart.
    pub owner: String,
    /// Where there is one, the bytes do not pass through the engine.
    pub exchange: Option<Exchange>,
}

/// What is to be read, or filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A volume, by the engine's name of it.
    Volume(String),
    /// A folder of the host.
    Folder(String),
}

/// As for a folder that is mounted.
#[derive(Debug, Clone, Default)]
pub struct How {
    pub exclude: Vec<String>,
    pub on_changed: OnChanged,
    pub entries_before: Option<u64>,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Volume(name) => write!(f, "the volume {name}"),
            What::Folder(path) => write!(f, "the folder {path}"),
        }
    }
}

impl Helpers {
    /// A source that starts a helper when it is opened.
    pub fn source(&self, name: &str, what: What, how: How) -> Poured {
        Poured {
            name: name.to_owned(),
            kind: "files".to_owned(),
            ending: "tar".to_owned(),
            program: Box::new(Helper {
                helpers: self.clone(),
                what,
                duty: Duty::Pour(how),
                patience: PATIENCE,
            }),
        }
    }

    /// Removes the helpers that a killed sidecar left behind; says how many. For whoever holds the lock of
    /// the store: no helper of another run is alive then.
    pub fn sweep(&self) -> Result<usize, DockerError> {
        if let Some(exchange) = &self.exchange
            && let Err(error) = exchange.sweep()
        {
            tracing::warn!(%error, folder = %exchange.here.display(), "what helpers left stays");
        }
        let label = format!("{HELPER}={}", self.owner);
        let left = self.engine.containers(&[label])?;
        // One that cannot be removed is no reason to leave the others.
        let removed = left.iter().map(|id| removal::remove(&self.engine, id));
        let removed: Vec<_> = removed.collect();
        removed.into_iter().collect::<Result<(), _>>()?;
        Ok(left.len())
    }
}

/// What a helper is there for.
#[derive(Debug)]
enum Duty {
    Pour(How),
    Look,
    /// `words` are its command line; one that is fed reads an archive.
    Fill {
        words: Vec<String>,
        is_fed: bool,
    },
}

impl Duty {
    fn word(&self) -> &'static str {
        match self {
            Duty::Pour(_) => "pour",
            Duty::Look | Duty::Fill { .. } => "fill",
        }
    }

    fn is_fed(&self) -> bool {
        matches!(self, Duty::Fill { is_fed: true, .. })
    }

    fn has_door(&self) -> bool {
        matches!(self, Duty::Pour(_)) || self.is_fed()
    }
}

#[derive(Debug)]
struct Helper {
    helpers: Helpers,
    what: What,
    duty: Duty,
    patience: Duration,
}

impl Program for Helper {
    fn what(&self) -> String {
        self.what.to_string()
    }

    fn start(&self, cancel: &Cancel) -> Result<Box<dyn Running>, SourceError> {
        Ok(Box::new(self.begin(Begin::AtOnce, cancel)?))
    }

    /// The word comes through the socket. On the long way there is no place for one.
    fn start_waiting(&self, cancel: &Cancel) -> Result<Option<Box<dyn Waiting>>, SourceError> {
        if self.helpers.exchange.is_none() {
            return Ok(None);
        }
        let reading = self.begin(Begin::AtAWord, cancel)?;
        Ok(reading
            .is_inside()
            .then(|| -> Box<dyn Waiting> { Box::new(reading) }))
    }
}

/// When a helper reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    AtOnce,
    /// When it is told to. One that cannot be told reads nothing.
    AtAWord,
}

impl Helper {
    fn begin(&self, begin: Begin, cancel: &Cancel) -> Result<Reading, SourceError> {
        let (mut reading, door) = self.launch(begin, cancel)?;
        if let Some(door) = door {
            reading.let_in(door, cancel)?;
        }
        Ok(reading)
    }

    /// Started, and listened to.
    fn launch(
        &self,
        begin: Begin,
        cancel: &Cancel,
    ) -> Result<(Reading, Option<Door>), SourceError> {
        cancel.check()?;
        let engine = &self.helpers.engine;
        // A container that is to have a volume which is not there would bring it into being.
        self.look()?;
        let mark = &fresh_mark()[..12];
        let (made, door) = self.create(mark, begin)?;
        let mut reading = Reading::of_new(engine, made, self.what.to_string(), self.patience);
        if begin == Begin::AtAWord && door.is_none() {
            return Ok((reading, None));
        }
        let born = self.look()?;
        if born.is_some_and(|born| born == mark) {
            return Err(self.missing());
        }
        let attached = reading.attach(self.duty.is_fed());
        attached.map_err(|error| self.refused(error))?;
        cancel.check()?;
        engine.start(&reading.id).map_err(|error| {
            match error.trouble {
                // What cannot be executed is a bad request, or whatever the engine's version makes of it.
                Trouble::Status(400 | 500) | Trouble::NotFound
                    if error.detail.contains(&self.helpers.program) =>
                {
                    self.fault(Fault::ToolMissing, error.to_string())
                }
                _ => self.refused(error),
            }
        })?;
        Ok((reading, door))
    }

    /// The container, and the door that it is to knock at.
    fn create(&self, mark: &str, begin: Begin) -> Result<(String, Option<Door>), SourceError> {
        let engine = &self.helpers.engine;
        let name = format!("lifeboat-{}-{mark}", self.duty.word());
        let create = |door: Option<&Door>| {
            engine.create(
                &name,
                rights::body(&self.helpers, &self.what, &self.duty, door, begin, mark),
            )
        };
        let no_path = |error: &DockerError| error.detail.contains("source path does not exist");
        let exchange = self.helpers.exchange.as_ref();
        let door = exchange
            .filter(|_| self.duty.has_door())
            .and_then(|exchange| {
                exchange
                    .open(mark)
                    .inspect_err(|error| tracing::debug!(%error, "the bytes take the long way"))
                    .ok()
            });
        let mut made = create(door.as_ref()).map(|id| (id, door.is_some()));
        // The host may know the folder by another name than we think.
        if door.is_some() && made.as_ref().is_err_and(no_path) {
            made = create(None).map(|id| (id, false));
        }
        match made {
            Ok((id, seen)) => Ok((id, door.filter(|_| seen))),
            Err(error) if matches!(self.what, What::Folder(_)) && no_path(&error) => {
                Err(self.missing())
            }
            Err(error) => {
                if matches!(
                    error.trouble,
                    Trouble::TooSlow | Trouble::Unreachable | Trouble::Garbled
                ) {
                    removal::remove_unsure(engine, &name);
                }
                Err(self.refused(error))
            }
        }
    }

    /// By which helper the volume came into being, if by one. Its date would not do: the engine takes it from
    /// the folder, where it changes with every file.
    fn look(&self) -> Result<Option<String>, SourceError> {
        let What::Volume(name) = &self.what else {
            return Ok(None);
        };
        match self.helpers.engine.volume(name) {
            Ok(mut volume) => Ok(volume.labels.remove(rights::BORN)),
            Err(error) if error.trouble == Trouble::NotFound => Err(self.missing()),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn missing(&self) -> SourceError {
        SourceError::Missing {
            what: self.what.to_string(),
        }
    }

    fn refused(&self, error: DockerError) -> SourceError {
        self.fault(fault_of(&error), error.to_string())
    }

    fn fault(&self, fault: Fault, detail: String) -> SourceError {
        SourceError::Dump {
            what: self.what.to_string(),
            fault,
            detail,
        }
    }
}

fn fault_of(error: &DockerError) -> Fault {
    match error.trouble {
        Trouble::Denied | Trouble::OneWay => Fault::DockerDenied,
        Trouble::Unreachable | Trouble::TooSlow => Fault::DockerLost,
        Trouble::NotFound | Trouble::Conflict => Fault::ExecLost,
        Trouble::Garbled => Fault::StreamCorrupt,
        Trouble::Status(_) => Fault::ToolExit,
    }
}
