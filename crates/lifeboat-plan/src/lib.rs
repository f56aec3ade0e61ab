//! The words of Lifeboat: what a backup is, when one is due, which ones stay.
//!
//! Everything here is meaning without IO. Nothing in this crate opens a file, looks at the clock
//! or reads the environment; `now` is always an argument. What comes out is a value that can be
//! printed for a person, compared in a test, and handed unchanged to the crate that acts on it.
//!
//! Modules in reading order: the nouns first, then the decisions.

pub mod id;
pub mod tier;

pub mod manifest;
pub mod recipe;

pub mod event;
pub mod hold;

pub mod schedule;
pub mod zone;

pub mod calendar;
pub mod freshness;

pub mod keep;
pub mod standing;

pub mod slot;

pub mod prune;
pub mod reason;

pub mod clock;
mod view;

pub mod delete;

pub use calendar::{Anomaly, Due};
pub use clock::{ClockDoubt, ClockEvidence};
pub use delete::{DeleteRefusal, may_delete};
pub use freshness::Freshness;
pub use hold::HoldKind;
pub use id::{BackupId, IdError, Name};
pub use keep::{KeepError, KeepRules};
pub use manifest::{Archive, BackupType, Manifest, Missed, Proof, Status};
pub use prune::{Dropped, Kept, PruneInput, PrunePlan};
pub use reason::{DropReason, KeepReason, Refusal, Span};
pub use recipe::{Compression, Encryption};
pub use schedule::{Schedule, ScheduleError};
pub use slot::{Promotion, promotions};
pub use standing::Standing;
pub use tier::Tier;
pub use zone::{UnknownZone, parse_zone};
