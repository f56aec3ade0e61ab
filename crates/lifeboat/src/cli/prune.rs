//! `lifeboat prune`: drops what the keep rules do not keep, with a reason for every backup.

use super::{args, listeners, port::Port, screen::Screen, signals::Signals, table::Table};
use crate::exit::{Code, Failure, Result};
use lifeboat_plan::{BackupId, PrunePlan};
use lifeboat_run::prune::{self, Done, Occasion, PruneError};
use serde_json::{Value, json};

pub fn run(args: &args::Prune, port: &Port, signals: &Signals, screen: &mut Screen) -> Result {
    let mut answers = Vec::new();
    let mut failures = Vec::new();
    for job in port.jobs() {
        let rules = port.rules(job);
        let (name, now) = (&job.backups, port.now);
        let made = if args.dry_run {
            let catalog = port.catalog()?;
            prune::plan(&catalog, name, &rules, Occasion::Asked, port.harbour(), now)
                .map(|plan| (plan, Done::default()))
        } else {
            // Carried through: every drop stands for itself.
            let _ = signals.cancel();
            let listener = listeners::quiet(screen);
            prune::prune(name, &rules, port.harbour(), now, &listener)
        };
        match made {
            Ok((plan, done)) => {
                print(&plan, screen);
                answers.push(Answer {
                    plan,
                    dropped: done.dropped,
                    in_use: done.in_use,
                });
            }
            Err(error) => failures.push(Failure::from(error)),
        }
    }
    conclude(args.dry_run, &answers, failures, screen)
}

struct Answer {
    plan: PrunePlan,
    dropped: Vec<BackupId>,
    in_use: Vec<BackupId>,
}

fn conclude(
    dry_run: bool,
    answers: &[Answer],
    mut failures: Vec<Failure>,
    screen: &mut Screen,
) -> Result {
    let of = |take: fn(&Answer) -> Value| -> Vec<Value> {
        let lists = answers.iter().map(take);
        lists
            .flat_map(|list| match list {
                Value::Array(items) => items,
                other => vec![other],
            })
            .collect()
    };
    let answer = json!({
        "dry_run": dry_run,
        "keep": of(|a| json!(a.plan.kept().collect::<Vec<_>>())),
        "drop": of(|a| json!(a.plan.dropped())),
        "dropped": of(|a| json!(a.dropped)),
        "in_use": of(|a| json!(a.in_use)),
    });
    if !failures.is_empty() {
        return screen.fail_with(failures.remove(0), &answer);
    }
    screen.document(&answer);
    let planned: usize = answers.iter().map(|a| a.plan.dropped().len()).sum();
    let dropped: usize = answers.iter().map(|a| a.dropped.len()).sum();
    match dry_run {
        true => screen.line(format_args!("{planned} would be dropped.")),
        false => screen.line(format_args!("{dropped} dropped.")),
    }
    for id in answers.iter().flat_map(|a| &a.in_use) {
        screen.line(format_args!(
            "! {id} is being read, it stays until next time"
        ));
    }
    Ok(Code::Done)
}

pub fn print(plan: &PrunePlan, screen: &mut Screen) {
    let mut table = Table::new(&["", "backup", "because"]);
    for dropped in plan.dropped() {
        table.row([
            "drop".to_owned(),
            dropped.id.to_string(),
            dropped.reason.to_string(),
        ]);
    }
    for kept in plan.kept() {
        let reasons: Vec<String> = kept.reasons.iter().map(ToString::to_string).collect();
        table.row(["keep".to_owned(), kept.id.to_string(), reasons.join("; ")]);
    }
    table.print(screen);
}

/// `Some` when it is retention that said no: then the rest of a report can still be shown.
pub fn refusal(error: &PruneError) -> Option<Value> {
    match error {
        PruneError::Refused(refusal) => Some(json!({
            "reason": refusal.to_string(),
            "hint": refusal.hint(),
        })),
        PruneError::DeleteRefused(_) | PruneError::Store(_) => None,
    }
}
