//! The program: everything that touches the environment, the clock, the terminal and the network.
//!
//! `main.rs` only starts it; it is a library so that tests can hold its parts.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod docker;
pub mod exit;
pub mod health;
pub mod heartbeat;
pub mod http;
pub mod job;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod shell;
pub mod sources;
