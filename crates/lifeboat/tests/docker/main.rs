//! What is asked of a real engine. Each of these says SKIP where none answers.

#![expect(clippy::print_stdout, reason = "skips are told, figures are printed")]

mod discover;
mod ends;
mod engine_dies;
mod filter;
mod hold;
mod image;
mod project;
mod proxy;
mod restore_volume;
mod second;
mod sidecar;
mod stub;
mod volume;
mod volume_speed;
mod wire;
