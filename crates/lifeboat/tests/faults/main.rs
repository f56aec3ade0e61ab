//! What is promised about faults, asked of the real program: killed, cut off, without room, lied to,
//! at the wrong time, with damaged and hostile backups.
//!
//! Every figure of the reliability page that begins with `program_` is printed here. Tests whose names
//! begin with `slow_` do the same for longer, and run only when asked for.

#![allow(clippy::print_stdout)]

mod world;

mod clock;
mod flips;
mod full;
mod input;
mod kills;
mod limits;
mod locks;
mod power_cuts;
