//! `lifeboat plan`: what would be captured and what not, when, where to, what would go, and why.

use super::{
    port::Port,
    prune,
    screen::{Paint, Screen},
    table::Table,
    words,
};
use crate::{
    config::{JobConfig, Loaded},
    exit::{Code, Failure, Result},
    sources::{self, Seen},
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lifeboat_plan::PrunePlan;
use lifeboat_run::prune::{Occasion, plan};
use serde::Serialize;
use serde_json::{Value, json};

const RUNS_SHOWN: usize = 3;

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let now = Utc::now();
    let seen = sources::look(&loaded.config.sources.dir);
    let (seen, blind) = match seen {
        Ok(seen) => (seen, None),
        Err(failure) => (Seen::default(), Some(failure)),
    };
    let jobs = loaded.config.jobs.clone();
    let schedules: Vec<Timetable> = jobs.iter().map(|job| Timetable::of(job, now)).collect();
    let uncovered = seen.uncovered(&jobs);
    let unmatched = seen.unmatched(&jobs);

    if let Some(failure) = &blind {
        print_blind(failure, screen);
    }
    print_sources(&jobs, &seen, screen);
    print_uncovered(&uncovered, &unmatched, screen);
    print_schedules(&schedules, loaded.config.wake.zone, screen);
    screen.heading("Where to");
    let dir = loaded.config.near.dir.clone();
    screen.line(format_args!("  near  {}", dir.display()));
    screen.line("");
    let pruning = print_pruning(&loaded, screen)?;
    print_settings(&loaded, screen);

    screen.document(&json!({
        "sources": sources_json(&jobs, &seen),
        "uncovered": uncovered,
        "unmatched": unmatched,
        "schedules": schedules,
        "stores": [{ "name": "near", "url": format!("file://{}", dir.display()) }],
        "prune": pruning,
        "settings": loaded.effective,
        "warnings": loaded.warnings.iter().map(|w| json!({ "what": w.what, "hint": w.hint })).collect::<Vec<_>>(),
    }));
    // A folder that cannot be looked into means that the next backup fails.
    match blind {
        Some(failure) => Ok(failure.code),
        None => Ok(Code::Done),
    }
}

#[derive(Serialize)]
struct Timetable {
    job: String,
    cron: String,
    zone: String,
    next: Vec<DateTime<Utc>>,
}

impl Timetable {
    fn of(job: &JobConfig, now: DateTime<Utc>) -> Self {
        Timetable {
            job: job.name.to_string(),
            cron: job.schedule.to_string(),
            zone: job.schedule.zone().to_string(),
            next: job.schedule.upcoming(now, RUNS_SHOWN),
        }
    }
}

fn sources_json(jobs: &[JobConfig], seen: &Seen) -> Vec<Value> {
    let of_job = |job: &JobConfig| {
        let name = job.name.clone();
        let folders = seen.of_job(job).cloned().collect::<Vec<_>>();
        folders.into_iter().map(move |folder| {
            json!({
                "name": folder.name,
                "kind": "files",
                "service": null,
                "volume": null,
                "path": folder.path,
                "hold": "none",
                "job": name,
            })
        })
    };
    jobs.iter().flat_map(of_job).collect()
}

fn print_blind(failure: &Failure, screen: &mut Screen) {
    let what = screen.paint(Paint::Bad, &format!("✗ {}", failure.what));
    screen.line(what);
    screen.line(format_args!("  {}", failure.hint));
    screen.line("");
}

fn print_sources(jobs: &[JobConfig], seen: &Seen, screen: &mut Screen) {
    screen.heading("What is saved");
    let mut table = Table::new(&["source", "job", "path"]);
    for job in jobs {
        for folder in seen.of_job(job) {
            table.row([
                folder.name.clone(),
                job.name.to_string(),
                folder.path.display().to_string(),
            ]);
        }
    }
    match table.is_empty() {
        true => screen.line("  nothing"),
        false => table.print(screen),
    }
    screen.line("");
}

fn print_uncovered(uncovered: &[sources::Uncovered], unmatched: &[String], screen: &mut Screen) {
    if uncovered.is_empty() && unmatched.is_empty() {
        return;
    }
    let heading = screen.paint(Paint::Careful, "What is NOT saved");
    screen.line(heading);
    for left_out in uncovered {
        screen.line(format_args!(
            "  {}: {}",
            words::plain(&left_out.what),
            left_out.why
        ));
    }
    for name in unmatched {
        screen.line(format_args!(
            "  {}: the configuration names it, and there is no such folder",
            words::plain(name)
        ));
    }
    screen.line("");
}

fn print_schedules(schedules: &[Timetable], zone: Tz, screen: &mut Screen) {
    screen.heading("When");
    for timetable in schedules {
        screen.line(format_args!(
            "  {}  {} ({})",
            timetable.job, timetable.cron, timetable.zone
        ));
        for at in &timetable.next {
            screen.line(format_args!("    {}", words::time(*at, zone)));
        }
    }
    screen.line("");
}

/// As far as it is known: before the first backup there is nothing to prune.
fn print_pruning(loaded: &Loaded, screen: &mut Screen) -> Result<Value> {
    screen.heading("What would be pruned");
    let port = match Port::open(loaded.clone()) {
        Ok(port) => port,
        Err(failure) if failure.code == Code::NotFound => {
            screen.line(format_args!("  nothing yet: {}", failure.what));
            screen.line("");
            return Ok(json!({ "keep": [], "drop": [] }));
        }
        Err(failure) => return Err(failure),
    };
    let catalog = port.catalog()?;
    let (mut keep, mut drop, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for job in port.jobs() {
        let rules = port.rules(job);
        let made: std::result::Result<PrunePlan, _> = plan(
            &catalog,
            &job.backups,
            &rules,
            Occasion::Asked,
            port.harbour(),
            port.now,
        );
        match made {
            Ok(plan) => {
                prune::print(&plan, screen);
                keep.extend(plan.kept().map(|kept| json!(kept)));
                drop.extend(plan.dropped().iter().map(|dropped| json!(dropped)));
            }
            Err(error) => match prune::refusal(&error) {
                Some(refusal) => {
                    screen.line(format_args!("  nothing ({}): {error}", job.name));
                    refused.push(refusal);
                }
                None => return Err(error.into()),
            },
        }
    }
    screen.line("");
    Ok(json!({ "keep": keep, "drop": drop, "refused": refused }))
}

fn print_settings(loaded: &Loaded, screen: &mut Screen) {
    screen.heading("Settings");
    let mut table = Table::new(&["name", "value", "from"]);
    for setting in &loaded.effective {
        table.row([
            setting.name.clone(),
            setting.value.clone().unwrap_or_else(|| "-".to_owned()),
            setting.origin.clone(),
        ]);
    }
    table.print(screen);
    for warning in &loaded.warnings {
        screen.line(format_args!("! {}", words::plain(&warning.what)));
        screen.line(format_args!("  {}", words::plain(&warning.hint)));
    }
}
