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
    docker::look::Remark,
    exit::{Code, Result},
    memory,
    sources::{self, Discovery, Planned, Seen, jobs_of_labels},
};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use lifeboat_plan::PrunePlan;
use lifeboat_run::prune::{Occasion, plan};
use serde::Serialize;
use serde_json::{Value, json};

const RUNS_SHOWN: usize = 3;

pub fn run(mut loaded: Loaded, screen: &mut Screen) -> Result {
    let now = Utc::now();
    let seen = sources::survey(&loaded.config);
    let (seen, blind) = match seen {
        Ok(seen) => (seen, None),
        Err(failure) => (Seen::default(), Some(failure)),
    };
    let mut remarks = remarks(&seen);
    if let Some(found) = seen.discovery.found() {
        remarks.extend(jobs_of_labels(&loaded.config, found).1);
        memory::see_jobs(&mut loaded.config, found);
    }
    let jobs = &loaded.config.jobs;
    let uncovered = seen.uncovered(jobs);
    let unmatched = seen.unmatched(jobs);
    let planned: Vec<Planned> = jobs.iter().flat_map(|job| seen.planned(job)).collect();
    let schedules: Vec<Timetable> = jobs.iter().map(|job| Timetable::of(job, now)).collect();

    if let Some(failure) = &blind {
        print_blind(&failure.what, &failure.hint, screen);
    }
    if let Discovery::Lost(error) = &seen.discovery {
        let what = format!("what the engine runs is not saved: {error}");
        print_blind(&what, &error.hint(), screen);
    }
    print_sources(&planned, screen);
    print_left_to_dumps(&seen, screen);
    print_uncovered(&uncovered, &unmatched, screen);
    print_remarks(&remarks, screen);
    print_schedules(&schedules, loaded.config.wake.zone, screen);
    screen.heading("Where to");
    let dir = loaded.config.near.dir.clone();
    screen.line(format_args!("  near  {}", dir.display()));
    screen.line("");
    let pruning = print_pruning(&loaded, screen)?;
    print_settings(&loaded, screen);

    screen.document(&json!({
        "sources": planned,
        "left_to_dumps": left_to_dumps(&seen).iter().map(|(what, server)| json!({ "what": what, "server": server })).collect::<Vec<_>>(),
        "uncovered": uncovered,
        "discovery": discovery_json(&seen.discovery),
        "remarks": remarks.iter().map(|r| json!({ "what": r.what, "hint": r.hint })).collect::<Vec<_>>(),
        "unmatched": unmatched,
        "schedules": schedules,
        "stores": [{ "name": "near", "url": format!("file://{}", dir.display()) }],
        "prune": pruning,
        "settings": loaded.effective,
        "warnings": loaded.warnings.iter().map(|w| json!({ "what": w.what, "hint": w.hint })).collect::<Vec<_>>(),
    }));
    // A folder that cannot be looked into means that the next backup fails.
    match (blind, &seen.discovery) {
        (Some(failure), _) => Ok(failure.code),
        (None, Discovery::Lost(_)) => Ok(Code::Failed),
        (None, _) => Ok(Code::Done),
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

/// What is not as one would wish: calls that were refused, labels with mistakes, doubtful sources.
fn remarks(seen: &Seen) -> Vec<Remark> {
    match &seen.discovery {
        Discovery::Off { decided: true, .. } | Discovery::Lost(_) => Vec::new(),
        Discovery::Off { why, hint, .. } => vec![Remark {
            what: format!("nothing is discovered: {why}"),
            hint: hint.clone(),
        }],
        Discovery::Found(found) => found.remarks(),
    }
}

fn left_to_dumps(seen: &Seen) -> Vec<(String, String)> {
    let coverage = seen.discovery.found().map(|found| &found.coverage);
    let left = coverage
        .into_iter()
        .flat_map(|coverage| &coverage.left_to_dumps);
    left.map(|left| (left.what.clone(), left.server.clone()))
        .collect()
}

fn discovery_json(discovery: &Discovery) -> Value {
    match discovery {
        Discovery::Off { why, hint, .. } => json!({ "state": "off", "why": why, "hint": hint }),
        Discovery::Lost(error) => {
            json!({ "state": "lost", "why": error.to_string(), "hint": error.hint() })
        }
        Discovery::Found(found) => json!({
            "state": "found",
            "project": found.seen.project,
            "services": found.seen.services.iter().map(|s| s.address.to_string()).collect::<Vec<_>>(),
        }),
    }
}

fn print_blind(what: &str, hint: &str, screen: &mut Screen) {
    let what = screen.paint(Paint::Bad, &format!("✗ {what}"));
    screen.line(what);
    screen.line(format_args!("  {hint}"));
    screen.line("");
}

fn print_sources(planned: &[Planned], screen: &mut Screen) {
    screen.heading("What is saved");
    let mut table = Table::new(&["source", "kind", "job", "from", "users", "hold"]);
    for planned in planned {
        table.row([
            words::plain(&planned.name),
            planned.kind.clone(),
            planned.job.clone(),
            words::plain(&planned.place()),
            words::plain(&planned.services.join(", ")),
            planned.hold.to_owned(),
        ]);
    }
    match table.is_empty() {
        true => screen.line("  nothing"),
        false => table.print(screen),
    }
    for planned in planned {
        if let Some(reason) = &planned.fails {
            let what = format!("  ✗ {} cannot be saved: {reason}", planned.name);
            let what = screen.paint(Paint::Bad, &words::plain(&what));
            screen.line(what);
        }
    }
    screen.line("");
}

fn print_left_to_dumps(seen: &Seen, screen: &mut Screen) {
    let left = left_to_dumps(seen);
    if left.is_empty() {
        return;
    }
    screen.heading("Left to the dump");
    for (what, server) in left {
        screen.line(format_args!(
            "  {}: raw files of the database, left to the dump of {}",
            words::plain(&what),
            words::plain(&server)
        ));
    }
    screen.line("");
}

fn print_remarks(remarks: &[Remark], screen: &mut Screen) {
    for remark in remarks {
        screen.line(format_args!("! {}", words::plain(&remark.what)));
        screen.line(format_args!("  {}", words::plain(&remark.hint)));
    }
    if !remarks.is_empty() {
        screen.line("");
    }
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
            "  {}: the configuration names it, and there is no such source",
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
