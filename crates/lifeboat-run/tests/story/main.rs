//! The story of a backup, told with real folders and a local store, and with a store that fails.

#![expect(clippy::print_stdout, reason = "figures for the reliability page")]

mod dump_sizes;
mod dumps;
mod every_failure;
mod live;
mod meanwhile;
mod ready;
mod refused;
mod script;
mod stillness;
mod whole;
mod world;
