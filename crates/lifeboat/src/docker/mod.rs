//! The engine that runs the project: what it is asked, and how its answers are taken.
//!
//! ```text
//! engine     one call: method, path, time limit; every refusal names both
//! container  what of an engine's answer matters to a backup, in our words
//! service    a service by its name: which container is it right now?
//! wire       the raw stream behind an upgrade: whole frames or an error
//! exec       a program in a container, from its start to its verdict
//!
//! own        who am I?
//! look       what runs, as plain values
//! labels     what a service says of itself
//! kind       which database server it is
//! definition what the project is, for the manifest
//! cover      what is saved, what is not, and why
//!
//! hold       services that hold still, and go on as they were
//! volume     volumes that are not mounted here, read by a container of our own
//! restore    where archives go back to
//! ```
//!
//! Everything here blocks: a backup runs on threads of its own. The engine's client is async, and lives on
//! one thread that is there only while somebody holds an [`Engine`].

mod container;
pub mod cover;
pub mod definition;
pub mod dumps;
mod engine;
mod error;
mod exec;
pub mod hold;
pub mod kind;
pub mod labels;
pub mod look;
pub mod own;
pub mod restore;
mod service;
pub mod volume;
mod wire;

pub use container::{Container, Health, Image, Mount, MountKind, State, Volume};
pub use engine::{Engine, Place};
pub use error::{Call, DockerError, Trouble};
pub use exec::{Command, Exec, ExecError, Feed, FeedError, MARK, Output, Verdict};
pub use service::{Address, ONE_OFF, PROJECT, SERVICE};
pub use wire::Part;
