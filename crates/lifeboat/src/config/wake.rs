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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    Off,
    /// Five fields, or `@daily` and the like.
    Cron(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneWhen {
    AfterBackup,
    /// `Schedule::Off`: only when somebody says `lifeboat prune`.
    At(Schedule),
}

pub(super) fn read(reader: &mut Reader<'_>) -> Read<Wake> {
    let enabled = reader.flag(&ENABLED);
    let zone = reader.value(&TZ, zone);
    let prune = reader.optional(&PRUNE_SCHEDULE, |raw| schedule(&raw.to_string()));
    let catch_up = reader.flag(&CATCH_UP);
    let run_on_start = reader.flag(&RUN_ON_START);
    let jitter_seconds = reader.number(&JITTER_SECONDS);
    let cleanup_on_start = reader.flag(&CLEANUP_ON_START);
    let minutes_max: Read<u64> = reader.number(&JOB_TIMEOUT_MINUTES);
    Ok(Wake {
        enabled: enabled?,
        zone: zone?,
        prune: prune?.map_or(PruneWhen::AfterBackup, PruneWhen::At),
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

pub(super) fn read_schedule(reader: &mut Reader<'_>) -> Read<Schedule> {
    reader.value(&SCHEDULE, schedule)
}

fn zone(name: &str) -> Result<Tz, Complaint> {
    name.trim().parse().map_err(|_| {
        let nearest = chrono_tz::TZ_VARIANTS
            .iter()
            .map(|zone| (zone.name(), likeness(zone.name(), name)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, likeness)| *likeness > 0.85);
        let hint = match nearest {
            Some((zone, _)) => format!("did you mean {zone}?"),
            None => "write it as Europe/Berlin or UTC".to_owned(),
        };
        Complaint::new("there is no such zone", hint)
    })
}

/// People know the city better than the continent.
fn likeness(zone: &str, name: &str) -> f64 {
    let (zone, name) = (
        zone.to_lowercase(),
        name.trim().to_lowercase().replace(' ', "_"),
    );
    let city = zone.rsplit('/').next().unwrap_or(&zone);
    strsim::jaro_winkler(&zone, &name).max(strsim::jaro_winkler(city, &name) - 0.01)
}

fn schedule(text: &str) -> Result<Schedule, Complaint> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("off") {
        return Ok(Schedule::Off);
    }
    match text.starts_with('@') || text.split_whitespace().count() == 5 {
        true => Ok(Schedule::Cron(text.to_owned())),
        false => Err(Complaint::new(
            "is not a schedule",
            "write five fields (minute hour day month weekday), for example 0 2 * * *",
        )),
    }
}
