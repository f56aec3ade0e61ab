//! Is this daemon doing its work? Freshness counts, not events: a daemon that runs and backs nothing up
//! is not healthy.
//!
//! `/healthz` asks the living daemon; Docker's HEALTHCHECK starts the `health` verb beside it, which reads
//! the heartbeat in the state folder and judges freshness by the same rule.

use crate::heartbeat::SILENCE_MAX;
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Freshness, Schedule};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What the daemon knows of itself, shared between its loop and its HTTP answers.
#[derive(Debug, Default)]
pub struct Health(Mutex<Known>);

#[derive(Debug, Default)]
pub struct Known {
    /// The scheduler's newest tick.
    pub ticked_at: Option<DateTime<Utc>>,
    /// Since when the store is being asked something that it has not answered yet.
    pub asking_since: Option<DateTime<Utc>>,
    /// Since when backups are expected.
    pub watching_since: DateTime<Utc>,
    /// What a run may take before its backup is overdue.
    pub grace: TimeDelta,
    pub jobs: BTreeMap<String, Promise>,
    /// Why it cannot do its work at all.
    pub trouble: Option<String>,
    /// Why what the engine runs cannot be saved; folders are, all the same.
    pub engine: Option<String>,
}

/// What a job's schedule promises, and what is there.
#[derive(Debug, Clone)]
pub struct Promise {
    pub schedule: Schedule,
    pub newest_good: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'static str>,
    /// The newest good backup of each job.
    pub newest_good: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Health {
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store, and lets callers know since when.
    pub fn while_asking<T>(&self, now: DateTime<Utc>, ask: impl FnOnce() -> T) -> T {
        self.known().asking_since = Some(now);
        let answer = ask();
        self.known().asking_since = None;
        answer
    }

    pub fn verdict(&self, now: DateTime<Utc>) -> Verdict {
        let known = self.known();
        let (error, hint) = known.complaint(now).unzip();
        let newest_good = known
            .jobs
            .iter()
            .map(|(job, promise)| (job.clone(), promise.newest_good))
            .collect();
        Verdict {
            ok: error.is_none(),
            error,
            hint,
            newest_good,
        }
    }

    /// Why this daemon could not take a backup right now.
    pub fn not_ready(&self, now: DateTime<Utc>) -> Option<String> {
        let known = self.known();
        if let Some(silence) = known.silence(now) {
            return Some(silence);
        }
        match (&known.trouble, known.ticked_at) {
            (Some(trouble), _) => Some(trouble.clone()),
            (None, None) => Some("the scheduler has not started yet".to_owned()),
            (None, Some(_)) => None,
        }
    }
}

impl Known {
    /// A network file system whose server is gone neither answers nor fails.
    fn silence(&self, now: DateTime<Utc>) -> Option<String> {
        let asked = self.asking_since.filter(|at| now - at > SILENCE_MAX)?;
        Some(format!(
            "the store has not answered since {}",
            minute(asked)
        ))
    }

    fn complaint(&self, now: DateTime<Utc>) -> Option<(String, &'static str)> {
        if let Some(silence) = self.silence(now) {
            return Some((
                silence,
                "look at the file system of BACKUP_DIR (a network share whose server is away?); the daemon goes on when it answers",
            ));
        }
        if let Some(trouble) = &self.trouble {
            return Some((
                trouble.clone(),
                "`lifeboat doctor` tries every part by itself",
            ));
        }
        match self.ticked_at {
            None => {
                return Some((
                    "the scheduler has not started".to_owned(),
                    "look at the log of the backup service",
                ));
            }
            // A clock that went back makes the tick lie in the future: that is alive.
            Some(tick) if now - tick > SILENCE_MAX => {
                return Some((
                    format!("the scheduler has stood still since {}", minute(tick)),
                    "restart the backup service and look at its log",
                ));
            }
            Some(_) => {}
        }
        if let Some(engine) = &self.engine {
            return Some((
                format!("what the engine runs cannot be saved: {engine}"),
                "is the engine up, and does it allow that call? `lifeboat doctor` tries all of them",
            ));
        }
        self.jobs.iter().find_map(|(job, promise)| {
            let freshness = Freshness::of(
                &promise.schedule,
                promise.newest_good,
                self.watching_since,
                now,
                self.grace,
            );
            let what = match freshness {
                Freshness::Stale { since } => format!(
                    "a good backup of job {job} is overdue since {}",
                    minute(since)
                ),
                Freshness::Future { created_at } => {
                    format!(
                        "the newest backup of job {job} claims to be from the future ({})",
                        minute(created_at)
                    )
                }
                Freshness::Fresh { .. } | Freshness::Waiting { .. } | Freshness::Unscheduled => {
                    return None;
                }
            };
            Some((
                what,
                "`lifeboat status` says what went wrong and what to do",
            ))
        })
    }
}

fn minute(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000 + day) + TimeDelta::hours(hour)
    }

    fn health(ticked_at: DateTime<Utc>, newest_good: Option<DateTime<Utc>>) -> Health {
        let schedule = Schedule::parse("0 2 * * *", chrono_tz::Tz::UTC).unwrap();
        Health(Mutex::new(Known {
            ticked_at: Some(ticked_at),
            asking_since: None,
            watching_since: at(0, 0),
            grace: TimeDelta::hours(1),
            jobs: BTreeMap::from([(
                "default".to_owned(),
                Promise {
                    schedule,
                    newest_good,
                },
            )]),
            trouble: None,
            engine: None,
        }))
    }

    #[test]
    fn a_daemon_that_ticks_and_has_a_fresh_backup_is_healthy_until_either_ends() {
        let health = health(at(5, 3), Some(at(5, 2)));
        assert!(health.verdict(at(5, 3)).ok);
        assert!(!health.verdict(at(5, 4)).ok, "the scheduler stood still");
        health.known().ticked_at = Some(at(7, 12));
        let verdict = health.verdict(at(7, 12));
        assert!(verdict.error.is_some_and(|e| e.contains("overdue")));
    }

    #[test]
    fn a_store_that_does_not_answer_makes_it_neither_healthy_nor_ready_until_it_does() {
        let health = health(at(5, 3), Some(at(5, 2)));
        health.known().asking_since = Some(at(5, 3));
        let soon = at(5, 3) + TimeDelta::minutes(1);
        assert!(health.verdict(soon).ok && health.not_ready(soon).is_none());
        let late = at(5, 3) + TimeDelta::minutes(4);
        let complaint = health.verdict(late).error.unwrap();
        assert!(complaint.contains("the store has not answered since"));
        assert_eq!(health.not_ready(late), Some(complaint));
        health.known().asking_since = None;
        assert!(health.not_ready(late).is_none());
    }

    #[test]
    fn a_lost_engine_is_told_with_the_call_until_it_is_back() {
        let health = health(at(5, 3), Some(at(5, 2)));
        health.known().engine = Some("GET /containers/json: refused".to_owned());
        let error = health.verdict(at(5, 3)).error.unwrap();
        assert!(error.contains("GET /containers/json: refused"), "{error}");
        health.known().engine = None;
        assert!(health.verdict(at(5, 3)).ok);
    }

    #[test]
    fn a_new_daemon_has_until_its_first_slot() {
        assert!(health(at(0, 1), None).verdict(at(0, 1)).ok);
        assert!(!health(at(2, 12), None).verdict(at(2, 12)).ok);
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_the_scheduler_dead() {
        assert!(health(at(5, 9), Some(at(5, 2))).verdict(at(5, 3)).ok);
    }
}
