//! The watches that judge whether a dump is whole: real dumps where their programs are at hand, cut
//! everywhere, flipped and in every stretch; crafted ones where not.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod kit;
mod mongo;
mod postgres;
mod postgres_server;
mod rdb;
mod stock;
mod text;
