//! The program: everything that touches the environment, the clock, the terminal and the network.
//!
//! `main.rs` only starts it; it is a library so that tests can hold its parts.

pub mod cli;
pub mod config;
pub mod demo;
pub mod exit;
pub mod heartbeat;
pub mod job;
pub mod log;
pub mod sources;
