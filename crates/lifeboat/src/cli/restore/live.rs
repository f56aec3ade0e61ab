//! `lifeboat restore … --to live`: shows what would be replaced, asks, saves that first, replaces it.

use super::choose;
use crate::{
    cli::{args, ask, listeners, port::Port, screen::Screen, signals::Signals, words},
    config::Loaded,
    docker::{
        hold::{Seat, Stillness},
        restore::Places,
    },
    exit::{Code, Failure, Result},
    job,
    sources::{self, Discovery, Found, Seen},
};
use chrono::{DateTime, Utc};
use lifeboat_plan::BackupType;
use lifeboat_run::{
    Cancel, Listener,
    backup::Harbour,
    quiesce::{Quiesce, Undo},
    restore::{
        Wish,
        audit::Audit,
        live::{self, LiveOrder, LivePlan, SAFETY_TIME_MIN, Safety, restore_live},
    },
};
use serde_json::json;

pub(super) fn run(
    wish: Wish,
    args: &args::Restore,
    loaded: Loaded,
    signals: &Signals,
    screen: &mut Screen,
) -> Result {
    let port = Port::open(loaded)?;
    let catalog = port.catalog()?;
    let item = choose(args, &port, &catalog, screen)?;
    if !wish.paths.is_empty() {
        return Err(Failure::usage(
            "--path does not go with --to live",
            "restore what you want into a folder with --to DIR and move it over from there",
        ));
    }
    let seen = sources::survey(port.config())?;
    let found = found(&seen)?;
    let scratch = sources::scratch(port.state())?;
    let places = Places::of(
        found,
        sources::helpers(port.config(), found, &scratch),
        sources::owner(port.config(), found),
    );
    let plan = live::plan(
        item,
        &wish,
        &|archive| places.live(archive),
        signals.cancel(),
    )?;
    let users = places.users(plan.parts.iter().map(|part| part.source.as_str()))?;
    if args.dry_run {
        screen.document(&json!({ "dry_run": true, "plan": plan, "holds": told(&users) }));
        print_plan(&plan, &users, &port, args, |line| screen.line(line));
        return Ok(Code::Done);
    }
    if !screen.json_wanted() {
        print_plan(&plan, &users, &port, args, |line| screen.say(line));
    }
    if !args.yes {
        ask::to_type(
            screen,
            "RESTORE",
            "What is there now is replaced; it is saved first.",
        )?;
    }
    let audit = carry_out(&plan, users, &seen, &port, args, signals, screen)?;
    screen.document(&json!({ "restored": audit }));
    print_done(&audit, screen);
    Ok(match audit.remarks.is_empty() {
        true => Code::Done,
        false => Code::Warnings,
    })
}

fn found(seen: &Seen) -> Result<&Found> {
    match &seen.discovery {
        Discovery::Found(found) => Ok(found),
        Discovery::Lost(error) => Err(Failure::new(
            Code::Refused,
            error.to_string(),
            format!("{}; nothing was touched", error.hint()),
        )),
        Discovery::Off { why, hint, .. } => Err(Failure::new(
            Code::Refused,
            format!("nothing can be restored in place: {why}"),
            format!("{hint}; or restore into a new folder with --to DIR"),
        )),
    }
}

fn carry_out(
    plan: &LivePlan,
    users: Vec<Seat>,
    seen: &Seen,
    port: &Port,
    args: &args::Restore,
    signals: &Signals,
    screen: &mut Screen,
) -> Result<Audit> {
    let now = Utc::now();
    let cancel = signals.cancel();
    let listener = listeners::of(screen);
    let scratch = sources::scratch(port.state())?;
    let undo = job::undoing(port.config(), &seen.discovery, &scratch);
    let quiesce = match (&undo, users.is_empty()) {
        (Some(undo), false) => Some(Stillness::new(
            undo.engine.clone(),
            port.state().clone(),
            users,
        )),
        _ => None,
    };
    let host = job::host();
    let work = Work {
        plan,
        quiesce: quiesce.as_ref().map(|quiesce| quiesce as &dyn Quiesce),
        undo: undo.as_ref().map(|undo| undo as &dyn Undo),
        host: &host,
        harbour: port.harbour(),
        now,
        cancel,
        listener: &listener,
    };
    let replaced = plan.replaced();
    if args.no_safety || replaced.is_empty() {
        return work.restore(match replaced.is_empty() {
            true => Safety::NothingToLose,
            false => Safety::Declined,
        });
    }
    let wish = job::Wish {
        kind: BackupType::PreRestore,
        only: &replaced,
        seen,
        keep_until: Some(now + SAFETY_TIME_MIN),
    };
    // Whatever job saves them usually: a safety backup is a selection of its own, by source.
    let job = port.config().jobs.first().ok_or_else(|| {
        Failure::new(
            Code::Refused,
            "no job is configured that could save what would be replaced",
            "give --no-safety to go on without",
        )
    })?;
    job::with_order(
        port.config(),
        job,
        &wish,
        port.harbour(),
        cancel,
        &listener,
        |safety| work.restore(Safety::Backup(safety)),
    )
}

/// Everything but the safety backup, whose order lives only as long as what it is made of is open.
struct Work<'a> {
    plan: &'a LivePlan,
    quiesce: Option<&'a dyn Quiesce>,
    undo: Option<&'a dyn Undo>,
    host: &'a str,
    harbour: Harbour<'a>,
    now: DateTime<Utc>,
    cancel: &'a Cancel,
    listener: &'a dyn Listener,
}

impl Work<'_> {
    fn restore(&self, safety: Safety<'_>) -> Result<Audit> {
        let order = LiveOrder {
            plan: self.plan,
            quiesce: self.quiesce,
            undo: self.undo,
            safety,
            host: self.host,
        };
        let Work {
            harbour,
            now,
            cancel,
            listener,
            ..
        } = *self;
        Ok(restore_live(&order, harbour, now, cancel, listener)?)
    }
}

fn told(users: &[Seat]) -> Vec<String> {
    users.iter().map(|seat| seat.address.to_string()).collect()
}

fn print_plan(
    plan: &LivePlan,
    users: &[Seat],
    port: &Port,
    args: &args::Restore,
    mut line: impl FnMut(String),
) {
    line(format!(
        "Restore {} ({}) in place",
        plan.id,
        words::time(plan.created_at, port.zone())
    ));
    for part in &plan.parts {
        let fate = match (part.outlook.exists, part.outlook.size) {
            (true, Some(size)) => format!("replaces {} that are there", words::size(size)),
            (true, None) => "replaces what is there".to_owned(),
            (false, _) => "nothing is there now".to_owned(),
        };
        line(format!(
            "  {}  {} → {}; {fate}",
            words::plain(&part.source),
            words::size(part.plain_size),
            words::plain(&part.what),
        ));
        let needs = part.outlook.needs;
        if needs > 0 {
            let free = part.outlook.free;
            let free = free.map_or_else(|| "an unknown amount is".to_owned(), words::size);
            line(format!(
                "    needs up to {} beside it, {free} free",
                words::size(needs)
            ));
        }
        for remark in &part.outlook.remarks {
            line(format!("    ! {}", words::plain(remark)));
        }
    }
    match &told(users)[..] {
        [] => line("  nobody has to be stopped for it".to_owned()),
        users => line(format!("  stopped meanwhile: {}", users.join(", "))),
    }
    match (args.no_safety, plan.replaced().is_empty()) {
        (_, true) => {}
        (true, false) => line("  ! --no-safety: what is replaced is NOT saved first".to_owned()),
        (false, false) => line(format!(
            "  what is replaced is saved first, and kept for {} days",
            SAFETY_TIME_MIN.num_days()
        )),
    }
    for remark in &plan.remarks {
        line(format!("  ! {}", words::plain(remark)));
    }
}

fn print_done(audit: &Audit, screen: &mut Screen) {
    screen.line(format_args!(
        "Restored {} in place: {}",
        audit.id,
        audit.replaced.join(", ")
    ));
    if let Some(safety) = &audit.safety {
        screen.line(format_args!(
            "What was there before is {safety}; `lifeboat restore {safety} --to live` brings it back."
        ));
    }
    for line in &audit.stays {
        screen.line(format_args!("  {}", words::plain(line)));
    }
    for remark in &audit.remarks {
        screen.line(format_args!("  ! {}", words::plain(remark)));
    }
}
