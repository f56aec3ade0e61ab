//! The real program, from its arguments to its exit code, on folders of its own.

mod kit;

mod backup;
mod demo;
mod hostile;
mod integrity;
mod killed;
mod look;
mod loose;
mod restore;
mod thin;
mod usage;
