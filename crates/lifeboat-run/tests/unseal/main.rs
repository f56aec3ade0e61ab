//! The way back: whole archives come back as they were, damaged and hostile ones do not come back at all.

#![allow(
    unreachable_pub,
    reason = "the kit is shared by the modules of this test only"
)]

mod beside;
mod damage;
mod extract;
mod hostile;
mod keys;
mod kit;
mod plain;
mod publish;
mod seal;
mod stock;
