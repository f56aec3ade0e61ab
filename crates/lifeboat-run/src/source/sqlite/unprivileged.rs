//! A thread that cannot do what we promise not to do.
//!
//! SQLite opens the `-wal` of a database for writing, and creates it, even where the database itself
//! is opened read-only; and as root it gives the companions the database's owner, each time. So the
//! connection to the live database lives on a thread that is not root (on Linux that is a matter of
//! each thread) and, where our capabilities allow, may read everything and write nothing.

use rustix::{
    fs::Uid,
    process::geteuid,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_keep_capabilities,
        set_thread_res_uid,
    },
};
use std::{panic, thread};

/// Owns nothing, but is within the range of ids that a container usually has.
const OWNER_OF_NOTHING: u32 = 64_999;

pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Without the right to step down, we are as harmless as we were started.
            let _ = step_down();
            work()
        });
        worker
            .join()
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}

fn step_down() -> rustix::io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let ours = capabilities(None)?.permitted;
    let Some(kept) = [CapabilitySet::DAC_READ_SEARCH, CapabilitySet::DAC_OVERRIDE]
        .into_iter()
        .find(|one| ours.contains(*one))
    else {
        return Ok(()); // a root that reads only what is its own would read nothing after this
    };
    let nobody = Uid::from_raw(OWNER_OF_NOTHING);
    set_keep_capabilities(true)?;
    set_thread_res_uid(nobody, nobody, nobody)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )
}
