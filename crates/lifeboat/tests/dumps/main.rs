//! The databases' own dump tools, in containers of real servers. Without an engine or its images these tests
//! say `SKIP` and why.

#![allow(clippy::print_stdout)]

mod faults;
mod kit;
mod mysql;
mod others;
mod postgres;
mod restore_postgres;
mod verdict;
mod ways;
