//! The seal from end to end: real folders, real threads, and the stock tools as judges.

#![allow(unreachable_pub, clippy::print_stdout, clippy::print_stderr)]

mod kit;

mod bounds;
mod databases;
mod faults;
mod folder;
mod formats;
mod pipeline;
mod poured;
