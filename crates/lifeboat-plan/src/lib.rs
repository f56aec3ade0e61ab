//! The words of Lifeboat: what a backup is, when one is due, which ones stay.
//!
//! Everything here is meaning without IO. Nothing in this crate opens a file, looks at the clock
//! or reads the environment; `now` is always an argument. What comes out is a value that can be
//! printed for a person, compared in a test, and handed unchanged to the crate that acts on it.
//!
//! Modules in reading order: the nouns first, then the decisions.

pub mod event;
pub mod id;
pub mod manifest;
pub mod recipe;
pub mod tier;

pub use id::{BackupId, IdError, Name};
pub use manifest::{Archive, BackupType, Manifest, Missed, Proof, Status};
pub use recipe::{Compression, Encryption};
pub use tier::Tier;
