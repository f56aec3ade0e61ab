//! Callers who ask too much, too slowly, or without the right.

use crate::kit::{Daemon, World};
use rustix::process::Signal;
use std::io::{ErrorKind, Read};

#[test]
fn the_metrics_can_be_closed() {
    let world = World::new();
    let mut daemon = Daemon::start(&world, &[("BACKUP_METRICS_TOKEN", "let me in")]);
    assert_eq!(daemon.get("/metrics").0, 401);
    assert_eq!(
        daemon
            .get_with("/metrics", "Authorization: Bearer let me im\r\n")
            .0,
        401
    );
    assert_eq!(
        daemon
            .get_with("/metrics", "Authorization: Bearer let me in\r\n")
            .0,
        200
    );
    assert!(!daemon.log().contains("let me in"));
    daemon.stop(Signal::TERM);
}

#[test]
fn a_caller_who_never_finishes_asking_is_hung_up_on() {
    let world = World::new();
    let mut daemon = Daemon::start(&world, &[]);
    daemon.wait_for_log("next run at");
    let mut slow: Vec<_> = (0..64).map(|_| daemon.half_a_request()).collect();
    assert_eq!(daemon.get("/healthz").0, 200, "nobody else is disturbed");
    for caller in &mut slow {
        match caller.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn a_flood_of_connections_costs_neither_a_backup_nor_an_answer() {
    let world = World::new();
    world.fill("storage/large", 64 << 20);
    let slow = [
        ("BACKUP_RUN_ON_START", "true"),
        ("BACKUP_COMPRESSION", "xz"),
    ];
    let mut daemon = Daemon::start(&world, &slow);
    daemon.allow_files(256);
    daemon.wait_for_log("source started");
    let flood: Vec<_> = (0..400).map(|_| daemon.half_a_request()).collect();
    daemon.wait_for_log("run finished");
    daemon.wait_for_metric("lifeboat_runs_total{job=\"default\",outcome=\"ok\"} 1");
    assert_eq!(daemon.get("/healthz").0, 200);
    drop(flood);
    assert_eq!(daemon.get("/healthz").0, 200);
    daemon.stop(Signal::TERM);
}

#[test]
fn a_question_with_a_body_is_refused_unread() {
    let world = World::new();
    let mut daemon = Daemon::start(&world, &[]);
    daemon.wait_for_log("next run at");
    for body in [
        "Content-Length: 99999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(daemon.get_with("/healthz", body).0, 413, "{body}");
    }
    assert_eq!(daemon.get_with("/healthz", "Content-Length: 0\r\n").0, 200);
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    assert_eq!(daemon.get_with("/healthz", &long).0, 431);
    daemon.stop(Signal::TERM);
}
