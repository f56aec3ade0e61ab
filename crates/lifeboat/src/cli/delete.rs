//! `lifeboat delete`: one backup, by its whole id, after asking.

use super::{args, ask, listeners, port::Port, screen::Screen, signals::Signals, words};
use crate::exit::{Code, Failure, Result};
use lifeboat_run::prune;
use serde_json::json;

pub fn run(args: &args::Delete, port: &Port, signals: &Signals, screen: &mut Screen) -> Result {
    if args.id == "latest" {
        return Err(Failure::new(
            Code::Refused,
            "`delete latest` is refused: what that is may change between two looks",
            "give the whole id; `lifeboat latest` prints it",
        ));
    }
    let catalog = port.catalog()?;
    let item = port.find(&catalog, &args.id)?;
    let id = item.id();
    prune::may_delete(id, &catalog, port.harbour(), port.now)?;
    if !args.yes {
        ask::to_type(
            screen,
            "DELETE",
            &format!(
                "{id} ({}, {} old) will be deleted.",
                words::size(item.manifest.size()),
                words::age(item.manifest.created_at, port.now)
            ),
        )?;
    }
    // From here on it is carried through: half a deletion is finished by the next run.
    let _ = signals.cancel();
    let grace = port.grace();
    prune::delete(
        id,
        grace,
        port.harbour(),
        port.now,
        &listeners::quiet(screen),
    )?;
    screen.document(&json!({ "deleted": id, "grace_hours": grace.num_hours() }));
    match grace.num_hours() {
        0 => screen.line(format_args!("{id} is gone.")),
        hours => screen.line(format_args!(
            "{id} is dropped; its archives stay for {hours} h."
        )),
    }
    Ok(Code::Done)
}
