//! The story of a backup, told with real folders and a local store, and with a store that fails.

#![expect(clippy::print_stdout, reason = "figures for the reliability page")]

mod every_failure;
mod meanwhile;
mod whole;
mod world;
