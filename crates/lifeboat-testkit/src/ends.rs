//! Waiting for a process without asking again and again.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{io, process::Child, time::Duration};

/// Whether it is over within that time; returns at once when it is.
pub fn ends_within(child: &Child, patience: Duration) -> io::Result<bool> {
    let process = match pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
        // Somebody has waited for it already.
        Err(Errno::SRCH) => return Ok(true),
        opened => opened?,
    };
    let time = Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: patience.subsec_nanos().into(),
    };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&time))?;
    Ok(ended > 0)
}
