//! What the tests of all crates share: one suite for every store, a store that fails on purpose, and
//! trees of files of every kind with a comparison that misses nothing.
//!
//! A dev-dependency only. What cannot be made on this machine is said aloud, never passed over.

pub mod compare;
mod ends;
pub mod faulty;
mod folder;
pub mod mount;
pub mod sample;
pub mod suite;
pub mod victim;

pub use compare::{Difference, compare_trees};
pub use ends::ends_within;
pub use faulty::{Fault, Faults, FaultyStore, at_every_step};
pub use mount::{Disk, Mount};
pub use sample::SampleTree;
pub use suite::{noise, store_suite};
pub use victim::Victim;
