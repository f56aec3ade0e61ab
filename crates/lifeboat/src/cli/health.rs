//! `lifeboat health`: what Docker's HEALTHCHECK asks, in a process of its own beside the daemon.
//!
//! Twice a minute, so it must cost nothing: the heartbeat says all that is needed. Only when that speaks of
//! a backup that is overdue, the store is asked itself; somebody may have made one by hand.

use super::{port::Port, screen::Screen};
use crate::{
    config::{Config, Loaded},
    exit::{Code, Failure, Result},
    health::{Health, Promise, Verdict},
    heartbeat::Heartbeat,
    job,
};
use chrono::{DateTime, Utc};

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let dir = &loaded.config.near.dir;
    let mut beat = Heartbeat::read(dir).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("no sign of the daemon in {}: {error}", dir.display()),
            "is the daemon running with this BACKUP_DIR? look at its log",
        )
    })?;
    let now = Utc::now();
    let mut verdict = judge(&beat, &loaded.config, now);
    if !verdict.ok
        && let Ok(newest) = look(loaded.clone())
    {
        for (job, seen) in &mut beat.newest_good {
            *seen = newest.get(job).copied().flatten();
        }
        verdict = judge(&beat, &loaded.config, now);
    }
    let Some(error) = &verdict.error else {
        screen.document(&verdict);
        screen.line("healthy");
        return Ok(Code::Done);
    };
    let hint = verdict.hint.unwrap_or("look at the daemon's log");
    let failure = Failure::new(Code::Failed, error, hint);
    screen.fail_with(failure, &verdict)
}

/// By the same rule as the daemon judges itself.
fn judge(beat: &Heartbeat, config: &Config, now: DateTime<Utc>) -> Verdict {
    let health = Health::default();
    let mut known = health.known();
    known.ticked_at = Some(beat.at);
    known.watching_since = beat.since;
    known.grace = job::grace(&config.wake);
    known.trouble = beat.trouble.clone();
    known.engine = beat.engine.clone();
    for job in &config.jobs {
        if let Some(newest_good) = beat.newest_good.get(job.name.as_str()) {
            let promise = Promise {
                schedule: job.schedule.clone(),
                newest_good: *newest_good,
            };
            known.jobs.insert(job.name.to_string(), promise);
        }
    }
    drop(known);
    health.verdict(now)
}

type NewestGood = std::collections::BTreeMap<String, Option<DateTime<Utc>>>;

fn look(loaded: Loaded) -> Result<NewestGood> {
    let port = Port::open(loaded)?;
    let catalog = port.catalog()?;
    let newest = port.jobs().iter().map(|job| {
        let newest = job::newest_good(&catalog, job);
        (job.name.to_string(), newest.map(|m| m.created_at))
    });
    Ok(newest.collect())
}
