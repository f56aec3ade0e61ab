//! `lifeboat health`: what Docker's HEALTHCHECK asks, in a process of its own beside the daemon.
//!
//! Two questions, both needed: has the scheduler given a sign of life lately, and is the newest good backup
//! of every job as young as its schedule promises? A daemon that lives and backs nothing up is not healthy.

use super::{port::Port, screen::Screen, words};
use crate::{
    config::Loaded,
    exit::{Code, Failure, Result},
    heartbeat::Heartbeat,
    job,
};
use chrono::{DateTime, Utc};
use lifeboat_plan::Freshness;
use serde_json::{Map, Value, json};

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let dir = &loaded.config.near.dir;
    let beat = Heartbeat::read(dir).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("no sign of the daemon in {}: {error}", dir.display()),
            "is the daemon running with this BACKUP_DIR? look at its log",
        )
    })?;
    let port = Port::open(loaded)?;
    let mut newest_good = Map::new();
    let mut failure = None;
    if !beat.is_alive(port.now) {
        failure = Some(Failure::new(
            Code::Failed,
            format!(
                "the scheduler has been silent for {}",
                words::age(beat.at, port.now)
            ),
            "restart the backup service, and look at its log",
        ));
    }
    let catalog = port.catalog()?;
    for job in port.jobs() {
        let newest = job::newest_good(&catalog, job);
        let at = newest.map(|manifest| manifest.created_at);
        newest_good.insert(job.name.to_string(), json!(at));
        let fresh = job::freshness(port.config(), job, at, beat.since, port.now);
        if !fresh.is_healthy() && failure.is_none() {
            failure = Some(overdue(job.name.as_str(), fresh, at, &port));
        }
    }
    let answer = |ok: bool| json!({ "ok": ok, "last_sign_of_life": beat.at, "newest_good": Value::Object(newest_good.clone()) });
    match failure {
        Some(failure) => screen.fail_with(failure, &answer(false)),
        None => {
            screen.document(&answer(true));
            screen.line("healthy");
            Ok(Code::Done)
        }
    }
}

fn overdue(job: &str, fresh: Freshness, newest: Option<DateTime<Utc>>, port: &Port) -> Failure {
    let last = newest.map_or_else(
        || "there is none".to_owned(),
        |at| format!("the newest is of {}", words::time(at, port.zone())),
    );
    let what = match fresh {
        Freshness::Stale { since } => format!(
            "job {job}: a good backup is overdue since {}; {last}",
            words::time(since, port.zone())
        ),
        _ => format!("job {job}: the newest good backup claims to be from the future; {last}"),
    };
    Failure::new(Code::Failed, what, "`lifeboat status` says what went wrong")
}
