//! When each job ran last, and what that makes due: the calendar's memory.

use super::work::{self, Store, Task};
use crate::config::{Config, PruneWhen};
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Anomaly, Due, Schedule, event::Outcome};
use lifeboat_run::state::State;
use std::sync::Arc;
use tracing::{info, warn};

#[derive(Debug)]
pub(super) struct Book {
    config: Arc<Config>,
    watching_since: DateTime<Utc>,
    catch_up: bool,
    jitter_seconds_max: u32,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    task: Task,
    schedule: Schedule,
    /// The later of the slot that was served last and the time its run began.
    last_run: DateTime<Utc>,
    /// A slot that has come, and the moment up to which chance puts its run off.
    put_off: Option<DateTime<Utc>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Start(Task),
    Lost { job: String, slots: u32 },
}

impl Book {
    /// What happened before this process is read from the state folder.
    pub(super) fn open(config: &Arc<Config>, store: Store, now: DateTime<Utc>) -> Self {
        let state = work::open(config, store)
            .ok()
            .map(|port| port.state().clone());
        let runs = state
            .as_ref()
            .and_then(|state| state.runs().ok())
            .unwrap_or_default();
        let watching_since = runs.watching_since.unwrap_or(now).min(now);
        if let (Some(state), None) = (&state, runs.watching_since)
            && let Err(error) = state.note_watching(now)
        {
            warn!(%error, "the first start could not be noted");
        }
        let last_run = |name: &str| {
            runs.jobs
                .get(name)
                .and_then(|job| job.last_started)
                .unwrap_or(watching_since)
        };
        let mut lines: Vec<Line> = config
            .jobs
            .iter()
            .map(|job| Line {
                task: Task::BackUp {
                    job: job.name.to_string(),
                },
                schedule: job.schedule.clone(),
                last_run: last_run(job.name.as_str()),
                put_off: None,
            })
            .collect();
        if let PruneWhen::Schedule(schedule) = &config.wake.prune {
            lines.push(Line {
                task: Task::Prune,
                schedule: schedule.clone(),
                last_run: last_run(Task::Prune.job()),
                put_off: None,
            });
        }
        Book {
            config: Arc::clone(config),
            watching_since,
            catch_up: config.wake.catch_up,
            jitter_seconds_max: u32::try_from(config.wake.jitter_max.as_secs()).unwrap_or(u32::MAX),
            lines,
        }
    }

    pub(super) fn watching_since(&self) -> DateTime<Utc> {
        self.watching_since
    }

    pub(super) fn job_names(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter(|line| matches!(line.task, Task::BackUp { .. }))
            .map(|line| line.task.job().to_owned())
            .collect()
    }

    /// What is to be done at `now`. What is told here is not told again.
    pub(super) fn due(&mut self, now: DateTime<Utc>) -> Vec<Entry> {
        let mut entries = Vec::new();
        let put_off_max = TimeDelta::seconds(self.jitter_seconds_max.into());
        for line in &mut self.lines {
            if let Some(until) = line.put_off {
                if has_come(until, put_off_max, now) {
                    line.put_off = None;
                    entries.push(Entry::Start(line.task.clone()));
                }
                continue;
            }
            let (slot, lost) = match line.schedule.due(Some(line.last_run), now) {
                Due::Never => continue,
                Due::NotYet { anomaly, .. } => {
                    if let Some(Anomaly::StartOver { by }) = anomaly {
                        warn!(
                            job = line.task.job(),
                            "the last run lies {} h in the future: the clock was moved; the schedule starts over from now",
                            by.num_hours()
                        );
                        line.last_run = now;
                    }
                    continue;
                }
                Due::Now { slot, missed } => (Some(slot), missed),
                Due::Missed { missed, catch_up } if self.catch_up => {
                    info!(
                        job = line.task.job(),
                        "the run of {} was missed; it is made up for now",
                        catch_up.format("%Y-%m-%d %H:%M UTC")
                    );
                    (Some(catch_up), missed)
                }
                Due::Missed { missed, catch_up } => {
                    line.last_run = catch_up;
                    (None, missed.saturating_add(1))
                }
            };
            if lost > 0 {
                entries.push(Entry::Lost {
                    job: line.task.job().to_owned(),
                    slots: lost,
                });
            }
            let Some(slot) = slot else { continue };
            // Served from now on, whatever comes of it: a run that fails is not tried every minute.
            line.last_run = slot.max(line.last_run);
            let start = line
                .schedule
                .jittered(slot, self.jitter_seconds_max, chance());
            if start > now {
                line.put_off = Some(start);
            } else {
                entries.push(Entry::Start(line.task.clone()));
            }
        }
        entries
    }

    pub(super) fn started(&mut self, task: &Task, now: DateTime<Utc>) {
        for line in self.lines.iter_mut().filter(|line| line.task == *task) {
            line.last_run = line.last_run.max(now);
        }
        if matches!(task, Task::CleanUp) {
            return;
        }
        let noted = self.state().map(|state| state.note_start(task.job(), now));
        if let Some(Err(error)) = noted {
            warn!(%error, "the start of the run could not be noted");
        }
    }

    pub(super) fn note(&self, job: &str, outcome: Outcome, count: u64, now: DateTime<Utc>) {
        let noted = self
            .state()
            .map(|state| state.note_end(job, now, outcome, count));
        if let Some(Err(error)) = noted {
            warn!(%error, "the end of the run could not be noted");
        }
    }

    /// `None` while the store is away: then only this process remembers.
    fn state(&self) -> Option<State> {
        let port = work::open(&self.config, Store::WasThere).ok()?;
        Some(port.state().clone())
    }

    pub(super) fn next(&self, now: DateTime<Utc>) -> Vec<(String, Option<DateTime<Utc>>)> {
        self.lines
            .iter()
            .map(|line| {
                (
                    line.task.job().to_owned(),
                    line.put_off.or_else(|| line.schedule.next_after(now)),
                )
            })
            .collect()
    }
}

/// Also when it is further off than chance ever puts it: the clock has gone back meanwhile.
fn has_come(until: DateTime<Utc>, put_off_max: TimeDelta, now: DateTime<Utc>) -> bool {
    now >= until || until - now > put_off_max
}

/// Any number. Not a secret: it only keeps a fleet from waking all at once.
fn chance() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chance_put_off_by_a_minute_does_not_wait_a_year_for_a_clock_that_went_back() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let minute = TimeDelta::minutes(1);
        assert!(!has_come(now + minute, minute, now));
        assert!(has_come(now + minute, minute, now + minute));
        assert!(has_come(now + minute, minute, now - TimeDelta::days(365)));
    }
}
