//! The daemon as its users meet it: a process with a schedule, signals, and a few answers over HTTP.

mod http;
mod hung;
mod kit;

use kit::{Daemon, World};
use rustix::process::Signal;
use serde_json::json;
use std::{fs, time::Duration};

#[test]
fn it_backs_up_answers_and_stops() {
    let world = World::new();
    let mut daemon = Daemon::start(&world, &[("BACKUP_RUN_ON_START", "true")]);
    daemon.wait_for_log("run finished");
    // The last that is told of a run.
    daemon.wait_for_metric("lifeboat_archive_bytes{source=\"storage\",stage=\"stored\"} ");

    assert_eq!(daemon.get("/healthz").0, 200);
    assert_eq!(daemon.get("/readyz").0, 200);
    assert_eq!(daemon.get("/somewhere").0, 404);
    let (_, page) = daemon.get("/metrics");
    for metric in [
        "lifeboat_last_success_timestamp_seconds{source=\"storage\"} ",
        "lifeboat_next_run_timestamp_seconds{job=\"default\"} ",
        "lifeboat_backups{store=\"near\",tier=\"daily\"} 1",
        "lifeboat_store_up{store=\"near\"} 1",
        "lifeboat_archive_bytes{source=\"storage\",stage=\"plain\"} ",
        "lifeboat_run_duration_seconds_count 1",
        "lifeboat_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(page.contains(metric), "{metric} is missing in\n{page}");
    }
    assert!(world.lifeboat(&["health"]).success());

    let (code, took) = daemon.stop(Signal::TERM);
    assert_eq!(code, Some(0), "idle, it has nothing to abandon");
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn what_was_missed_is_made_up_for_once_and_the_rest_is_counted() {
    let world = World::new();
    world.remember(json!({ "jobs": { "default": { "last_started": kit::days_ago(4) } } }));
    let mut daemon = Daemon::start(&world, &[("BACKUP_SCHEDULE", "0 0 * * *")]);
    daemon.wait_for_log("made up for");
    daemon.wait_for_metric("lifeboat_runs_total{job=\"default\",outcome=\"ok\"} 1");
    let (_, page) = daemon.get("/metrics");
    assert!(
        page.contains("lifeboat_runs_total{job=\"default\",outcome=\"missed\"} 3"),
        "{page}"
    );
    daemon.stop(Signal::TERM);
    assert_eq!(world.backups().len(), 1);

    // Started again, it owes nothing, and still knows the numbers.
    let mut daemon = Daemon::start(&world, &[("BACKUP_SCHEDULE", "0 0 * * *")]);
    daemon.wait_for_metric("lifeboat_runs_total{job=\"default\",outcome=\"missed\"} 3");
    daemon.stop(Signal::TERM);
    assert_eq!(world.backups().len(), 1);
}

#[test]
fn without_catching_up_all_that_was_missed_is_counted_and_nothing_runs() {
    let world = World::new();
    world.remember(json!({ "jobs": { "default": { "last_started": kit::days_ago(4) } } }));
    let mut daemon = Daemon::start(
        &world,
        &[
            ("BACKUP_SCHEDULE", "0 0 * * *"),
            ("BACKUP_CATCH_UP", "false"),
        ],
    );
    daemon.wait_for_metric("lifeboat_runs_total{job=\"default\",outcome=\"missed\"} 4");
    daemon.stop(Signal::TERM);
    assert!(world.backups().is_empty());
}

#[test]
fn an_overdue_backup_makes_it_unhealthy_although_it_lives() {
    let world = World::new();
    let long_ago = kit::days_ago(5);
    world.remember(json!({ "watching_since": long_ago, "jobs": { "default": { "last_started": kit::days_ago(0) } } }));
    let mut daemon = Daemon::start(
        &world,
        &[
            ("BACKUP_SCHEDULE", "0 0 * * *"),
            ("BACKUP_CATCH_UP", "false"),
        ],
    );
    daemon.wait_for_log("next run at");
    let (status, body) = daemon.get("/healthz");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("overdue") && body.contains("hint"), "{body}");
    assert_eq!(daemon.get("/readyz").0, 200);
    daemon.stop(Signal::TERM);
}

#[test]
fn told_to_stop_in_the_middle_it_leaves_nothing_behind() {
    let world = World::new();
    world.fill("storage/large", 400 << 20);
    let slow = [
        ("BACKUP_RUN_ON_START", "true"),
        ("BACKUP_COMPRESSION", "xz"),
        ("BACKUP_COMPRESSION_LEVEL", "9"),
    ];
    let mut daemon = Daemon::start(&world, &slow);
    daemon.wait_for_log("source started");
    let (code, took) = daemon.stop(Signal::TERM);
    assert_eq!(code, Some(143));
    assert!(took < Duration::from_secs(9), "{took:?}");
    assert!(world.backups().is_empty());
    assert_eq!(world.objects(), Vec::<String>::new());
}

#[test]
fn killed_in_the_middle_the_next_start_cleans_up_and_says_so() {
    let world = World::new();
    world.fill("storage/large", 400 << 20);
    let slow = [
        ("BACKUP_RUN_ON_START", "true"),
        ("BACKUP_COMPRESSION", "xz"),
        ("BACKUP_COMPRESSION_LEVEL", "9"),
    ];
    let mut daemon = Daemon::start(&world, &slow);
    daemon.wait_for_log("source started");
    daemon.stop(Signal::KILL);
    fs::remove_file(world.data().join("storage/large")).unwrap();

    let mut daemon = Daemon::start(&world, &[]);
    daemon.wait_for_log("killed before its end");
    daemon.stop(Signal::TERM);
    assert_eq!(world.objects(), Vec::<String>::new());
}

#[test]
fn a_new_configuration_is_taken_whole_or_not_at_all() {
    let world = World::new();
    let file = world.path().join("lifeboat.toml");
    fs::write(&file, "schedule = \"0 3 * * *\"\n").unwrap();
    let mut daemon = Daemon::start_with(&world, &["--config", file.to_str().unwrap()], &[]);
    daemon.wait_for_log("03:00");

    fs::write(
        &file,
        "schedule = \"0 25 * * *\"\nretention_days = \"soon\"\n",
    )
    .unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("the old one stays in force");
    assert_eq!(daemon.get("/readyz").0, 200);

    fs::write(&file, "schedule = \"0 4 * * *\"\n").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("04:00");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_store_that_is_away_is_told_and_the_daemon_lives_on() {
    let world = World::new();
    // A file where the store's folder should be.
    fs::write(world.store(), "").unwrap();
    let mut daemon = Daemon::start(&world, &[("BACKUP_RUN_ON_START", "true")]);
    daemon.wait_for_metric("lifeboat_runs_total{job=\"default\",outcome=\"failed\"} 1");
    let (status, body) = daemon.get("/readyz");
    assert_eq!(status, 503, "{body}");
    let (_, page) = daemon.get("/metrics");
    assert!(
        page.contains("lifeboat_store_up{store=\"near\"} 0"),
        "{page}"
    );
    daemon.stop(Signal::TERM);
}

#[test]
fn a_store_that_is_unmounted_meanwhile_is_missed_and_not_begun_again_in_the_empty_folder() {
    let world = World::new();
    let mut daemon = Daemon::start(&world, &[("BACKUP_RUN_ON_START", "true")]);
    daemon.wait_for_metric("lifeboat_backups{store=\"near\",tier=\"daily\"} 1");
    assert_eq!(
        daemon.open_below(&world.store()),
        0,
        "it could not be unmounted"
    );

    let away = world.path().join("away");
    fs::rename(world.store(), &away).unwrap();
    fs::create_dir(world.store()).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_metric("lifeboat_store_up{store=\"near\"} 0");
    assert_eq!(daemon.get("/readyz").0, 503);
    assert_eq!(fs::read_dir(world.store()).unwrap().count(), 0);

    fs::remove_dir(world.store()).unwrap();
    fs::rename(&away, world.store()).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for_metric("lifeboat_store_up{store=\"near\"} 1");
    daemon.stop(Signal::TERM);
}

#[test]
fn switched_off_it_neither_runs_at_its_start_nor_promises_a_run() {
    let world = World::new();
    let off = [("BACKUP_ENABLED", "false"), ("BACKUP_RUN_ON_START", "true")];
    let mut daemon = Daemon::start(&world, &off);
    daemon.signal(Signal::HUP);
    daemon.wait_for_log("read again");
    let (_, page) = daemon.get("/metrics");
    assert!(
        !page.contains("lifeboat_next_run_timestamp_seconds{"),
        "{page}"
    );
    daemon.stop(Signal::TERM);
    assert!(world.backups().is_empty());
    assert!(!daemon.log().contains("source started"), "{}", daemon.log());
}
