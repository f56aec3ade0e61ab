//! A store that neither answers nor fails: a network file system whose server is gone. What hangs here is a
//! FIFO where the daemon writes its heartbeat: to open it takes as long as nobody reads.

use crate::kit::{Daemon, World};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use std::{fs, path::PathBuf, time::Duration};

/// A daemon that waits for its store, and what it waits for.
fn hung(world: &World) -> (Daemon, PathBuf) {
    assert!(world.lifeboat(&["backup"]).success());
    let fifo = world.store().join(".lifeboat/heartbeat.new");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let daemon = Daemon::start(world, &[]);
    daemon.wait_for_log("next run at");
    (daemon, fifo)
}

#[test]
fn while_the_store_hangs_callers_are_answered_and_afterwards_all_goes_on() {
    let world = World::new();
    let (mut daemon, fifo) = hung(&world);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            daemon.get(path).0,
            200,
            "it may still be a slow store: {path}"
        );
    }
    // Whoever reads lets it go on.
    let beat = fs::read_to_string(&fifo).unwrap();
    assert!(beat.contains("newest_good"), "{beat}");
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("the configuration was read again");
    daemon.stop(Signal::TERM);
}

#[test]
fn told_to_stop_while_the_store_hangs_it_does_so_before_docker_kills_it() {
    let world = World::new();
    let (mut daemon, _fifo) = hung(&world);
    let (code, took) = daemon.stop(Signal::TERM);
    assert_eq!(code, Some(143));
    assert!(took < Duration::from_secs(10), "{took:?}");
}
