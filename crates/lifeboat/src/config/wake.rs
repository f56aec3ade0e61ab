//! When the program wakes, and how long a run may take.

use super::{
    mistake::Complaint,
    reader::{Read, Reader},
    register::{
        CATCH_UP, CLEANUP_ON_START, ENABLED, JITTER_SECONDS, JOB_TIMEOUT_MINUTES, PRUNE_SCHEDULE,
        RUN_ON_START, SCHEDULE, TZ,
    },
};
use chrono_tz::Tz;
use lifeboat_plan::{Schedule, parse_zone};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Wake {
    pub enabled: bool,
    pub zone: Tz,
    pub prune: PruneWhen,
    pub catch_up: bool,
    pub run_on_start: bool,
    pub jitter_max: Duration,
    pub cleanup_on_start: bool,
    /// `None`: as long as it takes.
    pub run_time_max: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PruneWhen {
    AfterBackup,
    /// When this is off: only when somebody says `lifeboat prune`.
    Schedule(Schedule),
}

pub(super) fn read(zone: Read<Tz>, reader: &mut Reader<'_>) -> Read<Wake> {
    let enabled = reader.flag(&ENABLED);
    let prune = reader.optional(&PRUNE_SCHEDULE, |raw| schedule(&raw.to_string(), zone));
    let catch_up = reader.flag(&CATCH_UP);
    let run_on_start = reader.flag(&RUN_ON_START);
    let jitter_seconds = reader.number(&JITTER_SECONDS);
    let cleanup_on_start = reader.flag(&CLEANUP_ON_START);
    let minutes_max: Read<u64> = reader.number(&JOB_TIMEOUT_MINUTES);
    Ok(Wake {
        enabled: enabled?,
        zone: zone?,
        prune: prune?.map_or(PruneWhen::AfterBackup, PruneWhen::Schedule),
        catch_up: catch_up?,
        run_on_start: run_on_start?,
        jitter_max: Duration::from_secs(jitter_seconds?),
        cleanup_on_start: cleanup_on_start?,
        run_time_max: match minutes_max? {
            0 => None,
            minutes => Some(Duration::from_secs(60 * minutes)),
        },
    })
}

pub(super) fn read_zone(reader: &mut Reader<'_>) -> Read<Tz> {
    reader.value(&TZ, |name| {
        parse_zone(name).map_err(|error| Complaint::new("is not a time zone", error.hint()))
    })
}

pub(super) fn read_schedule(zone: Read<Tz>, reader: &mut Reader<'_>) -> Read<Schedule> {
    reader.value(&SCHEDULE, |text| schedule(text, zone))
}

/// Looked at in any zone when there is none: it can be wrong besides.
fn schedule(text: &str, zone: Read<Tz>) -> Result<Schedule, Complaint> {
    Schedule::parse(text, zone.unwrap_or(Tz::UTC)).map_err(|error| {
        let what = format!("is not a schedule: {}", error.problem());
        Complaint::new(what, error.hint())
    })
}
