//! `lifeboat backup`: one backup of every job, now. The id is all that goes to stdout.

use super::{args, listeners, port::Port, screen::Screen, signals::Signals, words};
use crate::{
    config::{Config, JobConfig, Loaded},
    exit::{Code, Failure, Result},
    job::{self, Wish},
    sources::{self, Discovery, Planned, Seen},
};
use lifeboat_run::backup::Report;
use serde_json::{Value, json};

pub fn run(args: &args::Backup, loaded: Loaded, signals: &Signals, screen: &mut Screen) -> Result {
    let seen = sources::survey(&loaded.config)?;
    let jobs = jobs_that_take(&args.sources, &loaded.config, &seen)?;
    if args.dry_run {
        return dry_run(args, &jobs, &seen, screen);
    }
    let mut port = Port::open_or_create(loaded)?;
    port.note(&seen)?;
    let jobs = jobs_that_take(&args.sources, port.config(), &seen)?;
    say_what_is_not_covered(&seen, port.jobs(), screen);

    let wish = Wish {
        kind: args.kind.into(),
        only: &args.sources,
        seen: &seen,
        keep_until: None,
    };
    let cancel = signals.cancel();
    let mut reports = Vec::new();
    let mut failures = Vec::new();
    for job in jobs {
        let listener = listeners::of(screen);
        let made = job::back_up(
            port.config(),
            &job,
            &wish,
            port.harbour(),
            chrono::Utc::now(),
            cancel,
            &listener,
        );
        drop(listener);
        match made {
            Ok(report) => {
                say(&report, screen);
                reports.push(report);
            }
            Err(failure) => {
                let over = cancel.is_cancelled();
                failures.push(failure);
                if over {
                    break;
                }
            }
        }
    }
    conclude(&reports, failures, screen)
}

/// Without those of labels: the others take their sources too, and what is made by hand is of everything.
fn jobs_that_take(only: &[String], config: &Config, seen: &Seen) -> Result<Vec<JobConfig>> {
    let given = config.jobs.iter().filter(|job| !job.of_label);
    let jobs: Vec<JobConfig> = given.cloned().collect();
    for name in only {
        let taken = |job: &JobConfig| seen.planned(job).iter().any(|planned| planned.is(name));
        if !jobs.iter().any(taken) {
            let planned = jobs.iter().flat_map(|job| seen.planned(job));
            let names: Vec<String> = planned.map(|planned| planned.name).collect();
            return Err(Failure::new(
                Code::NotFound,
                format!("there is no source {name:?}"),
                format!("there are: {}", names.join(", ")),
            ));
        }
    }
    let takes_one = |job: &JobConfig| {
        let named = |planned: &Planned| only.iter().any(|name| planned.is(name));
        only.is_empty() || seen.planned(job).iter().any(named)
    };
    Ok(jobs.into_iter().filter(takes_one).collect())
}

fn dry_run(args: &args::Backup, jobs: &[JobConfig], seen: &Seen, screen: &mut Screen) -> Result {
    let mut plans = Vec::new();
    for job in jobs {
        let named = |planned: &Planned| args.sources.iter().any(|name| planned.is(name));
        let mut planned = seen.planned(job);
        planned.retain(|planned| args.sources.is_empty() || named(planned));
        screen.line(format_args!(
            "Job {} would back up as {}_…:",
            job.name, job.backups
        ));
        for planned in &planned {
            screen.line(format_args!(
                "  {}  {}",
                words::plain(&planned.name),
                words::plain(&planned.place())
            ));
        }
        plans.push(json!({ "job": job.name, "sources": planned }));
    }
    let uncovered = seen.uncovered(jobs);
    for left_out in &uncovered {
        screen.line(format_args!(
            "  not covered: {}: {}",
            words::plain(&left_out.what),
            left_out.why
        ));
    }
    screen.document(&json!({ "dry_run": true, "jobs": plans, "uncovered": uncovered }));
    Ok(Code::Done)
}

fn say_what_is_not_covered(seen: &Seen, jobs: &[JobConfig], screen: &Screen) {
    if screen.json_wanted() {
        return;
    }
    if let Discovery::Lost(error) = &seen.discovery {
        screen.say(format_args!(
            "! what the engine runs is not covered: {error}"
        ));
        screen.say(format_args!("  {}", error.hint()));
    }
    for left_out in seen.uncovered.iter().filter(|left| !left.harmless) {
        screen.say(format_args!(
            "! not covered: {}: {}",
            words::plain(&left_out.what),
            left_out.why
        ));
    }
    for name in seen.unmatched(jobs) {
        screen.say(format_args!(
            "! the configuration names {name:?}, and there is no such source"
        ));
    }
}

/// What a person should know of it. The id follows on stdout, after everything else.
fn say(report: &Report, screen: &Screen) {
    if screen.json_wanted() {
        return;
    }
    let manifest = &report.manifest;
    screen.say(format_args!(
        "{}: {} → {} in {}{}",
        words::many(manifest.archives.len() as u64, "archive", "archives"),
        words::size(manifest.plain_size()),
        words::size(manifest.size()),
        words::took(report.took),
        match &report.pruned {
            Some(done) if !done.dropped.is_empty() => format!(
                ", {} dropped",
                words::many(done.dropped.len() as u64, "old backup", "old backups")
            ),
            _ => String::new(),
        }
    ));
    for archive in &manifest.archives {
        if archive.warnings_total > 0 {
            screen.say(format_args!(
                "! {}: {}; the manifest names the first of them",
                words::plain(&archive.source),
                words::many(archive.warnings_total, "warning", "warnings")
            ));
        }
    }
    for afterthought in &report.afterthoughts {
        screen.say(format_args!("! {}", words::plain(afterthought)));
    }
}

fn conclude(reports: &[Report], failures: Vec<Failure>, screen: &mut Screen) -> Result {
    for report in reports {
        screen.line(&report.manifest.id);
    }
    let codes = reports.iter().map(|report| Code::from(report.outcome()));
    let worst = codes.max_by_key(|code| match code {
        Code::Failed => 2,
        Code::Warnings => 1,
        _ => 0,
    });
    let answer = json!({
        "id": reports.last().map(|report| &report.manifest.id),
        "backups": reports.iter().map(as_json).collect::<Vec<_>>(),
    });
    let partial = reports
        .iter()
        .find(|report| !report.manifest.is_completed());
    let failure = match (&failures[..], partial) {
        ([first, rest @ ..], _) => {
            let details = rest.iter().map(|failure| failure.what.clone());
            let details = first.details.iter().cloned().chain(details).collect();
            Some(first.clone().with_details(details))
        }
        ([], Some(report)) => Some(without_some_sources(report)),
        ([], None) => None,
    };
    match failure {
        Some(failure) => screen.fail_with(failure, &answer),
        None => {
            screen.document(&answer);
            Ok(worst.unwrap_or(Code::Done))
        }
    }
}

fn without_some_sources(report: &Report) -> Failure {
    let manifest = &report.manifest;
    let missed = manifest.missed.iter();
    Failure::new(
        Code::Failed,
        format!(
            "{} is partial: {} not captured",
            manifest.id,
            words::many(manifest.missed.len() as u64, "source was", "sources were")
        ),
        "correct that and run `lifeboat backup` again; until then nothing is pruned",
    )
    .with_details(
        missed
            .map(|m| format!("{}: {}", m.source, m.reason))
            .collect(),
    )
}

fn as_json(report: &Report) -> Value {
    let manifest = &report.manifest;
    json!({
        "id": manifest.id,
        "type": manifest.kind,
        "status": manifest.status,
        "outcome": report.outcome().as_str(),
        "size": manifest.size(),
        "seconds": report.took.as_secs_f64(),
        "archives": manifest.archives,
        "missed": manifest.missed,
        "promoted": report.promoted,
        "pruned": report.pruned.as_ref().map(|done| &done.dropped),
        "remarks": report.afterthoughts,
        "verified_at": manifest.verified_at,
    })
}
