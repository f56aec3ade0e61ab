//! Services that hold still while their files are read, and go on exactly as they were.
//!
//! ```text
//! may they be started again? → `pre` → written down → stopped or paused, dependents first
//!      … the files are read …
//! started or unpaused in order → well again → struck off → `post`
//! ```
//!
//! What did not run before is not touched, and so does not run afterwards either. A service that lives in
//! the network of one that is stopped is stopped too: it would come back to a network that is gone.

mod order;
mod seats;
mod undo;

pub use order::needs;
pub use seats::{Group, Seat, groups};
pub use undo::Undoing;

use super::{
    Address, Command, Container, DockerError, Engine, ExecError, Health, PROJECT, SERVICE,
    State as Standing, Trouble, Verdict,
};
use lifeboat_plan::HoldKind;
use lifeboat_run::{
    Cancel,
    quiesce::{Held, Hold, HoldError, OpenHold, Quiesce, Released},
    state::State,
};
use order::Part;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use undo::go_on;

/// What a `pre` or `post` command may take.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// What a service may take to be well again before somebody has to look.
const WELL_TIME_MAX: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Can make a group of services hold still.
#[derive(Debug)]
pub struct Stillness {
    engine: Engine,
    state: State,
    seats: Vec<Seat>,
}

impl Stillness {
    pub fn new(engine: Engine, state: State, seats: Vec<Seat>) -> Self {
        Stillness {
            engine,
            state,
            seats,
        }
    }
}

impl Quiesce for Stillness {
    fn what(&self) -> String {
        let told: Vec<String> = self.seats.iter().map(ToString::to_string).collect();
        told.join(", ")
    }

    fn hold(&self, cancel: &Cancel) -> Result<Box<dyn Hold>, HoldError> {
        let parts = self.parts().map_err(failed)?;
        for part in &parts {
            self.may_go_on_again(part).map_err(failed)?;
        }
        let mut still = Still {
            engine: self.engine.clone(),
            state: self.state.clone(),
            what: self.what(),
            posts: Vec::new(),
            held: Vec::new(),
            over: false,
        };
        let made = self
            .prepare(&mut still, cancel)
            .and_then(|()| hold_each(parts, &mut still, cancel));
        match made {
            Ok(()) => Ok(Box::new(still)),
            Err(error) => {
                // What was held is let go at once, also when the wish to stop came in between.
                match still.let_go(cancel).trouble {
                    None => Err(error),
                    Some(more) => Err(HoldError::Failed(format!("{error}; and {more}"))),
                }
            }
        }
    }
}

impl Stillness {
    /// Whom to hold, in that order. Only what runs now.
    fn parts(&self) -> Result<Vec<Part>, DockerError> {
        let mut parts = Vec::new();
        for seat in self.seats.iter().filter(|seat| seat.kind != HoldKind::None) {
            for container in self.engine.replicas(&seat.address)? {
                if matches!(container.state, Standing::Running | Standing::Restarting) {
                    parts.push(Part::new(seat.address.clone(), seat.kind, container));
                }
            }
        }
        let stopped: Vec<String> = parts
            .iter()
            .filter(|part| part.kind == HoldKind::Stop)
            .map(|part| part.container.id.clone())
            .collect();
        if !stopped.is_empty() {
            parts.extend(self.guests(&stopped)?);
        }
        Ok(order::dependents_first(parts))
    }

    /// Those who live in the network of somebody who is stopped.
    fn guests(&self, hosts: &[String]) -> Result<Vec<Part>, DockerError> {
        let mut guests = Vec::new();
        let projects: BTreeMap<&str, bool> = self
            .seats
            .iter()
            .map(|seat| (seat.address.project.as_str(), seat.address.foreign))
            .filter(|(project, _)| !project.is_empty())
            .collect();
        for (project, foreign) in projects {
            let label = format!("{PROJECT}={project}");
            for id in self.engine.containers(&[label])? {
                let container = match self.engine.container(&id) {
                    Ok(container) => container,
                    Err(error) if error.trouble == Trouble::NotFound => continue,
                    Err(error) => return Err(error),
                };
                let host = container.network_mode.strip_prefix("container:");
                let service = container.label(SERVICE);
                let (Some(host), Some(service)) = (host, service) else {
                    continue;
                };
                if hosts.iter().any(|id| id == host) && container.state == Standing::Running {
                    let address = Address {
                        foreign,
                        ..Address::own(project, service)
                    };
                    guests.push(Part::new(address, HoldKind::Stop, container));
                }
            }
        }
        Ok(guests)
    }

    /// Asked of what is running, where it changes nothing: a filter that would refuse it later refuses now.
    fn may_go_on_again(&self, part: &Part) -> Result<(), DockerError> {
        let id = &part.container.id;
        let asked = match part.kind {
            HoldKind::Stop => self.engine.start(id),
            HoldKind::Pause => self.engine.unpause(id),
            HoldKind::None => Ok(()),
        };
        match asked {
            Err(error) if matches!(error.trouble, Trouble::Denied | Trouble::Unreachable) => {
                Err(error)
            }
            // "It is not paused" is the answer that was wanted.
            _ => Ok(()),
        }
    }

    fn prepare(&self, still: &mut Still, cancel: &Cancel) -> Result<(), HoldError> {
        for seat in &self.seats {
            if seat.pre.is_none() && seat.post.is_none() {
                continue;
            }
            // What is undone by `post` was perhaps begun by a `pre` that failed.
            if let Some(post) = &seat.post {
                still.posts.push((seat.address.clone(), post.clone()));
            }
            if let Some(pre) = &seat.pre {
                run(&self.engine, &seat.address, "pre", pre, cancel)?;
            }
        }
        Ok(())
    }
}

fn hold_each(parts: Vec<Part>, still: &mut Still, cancel: &Cancel) -> Result<(), HoldError> {
    for part in parts {
        cancel.check().map_err(|_| HoldError::Cancelled)?;
        let open = OpenHold {
            service: part.address.to_string(),
            container: part.container.id.clone(),
            kind: part.kind,
        };
        still
            .state
            .begin_hold(&open)
            .map_err(|error| HoldError::Failed(format!("it cannot be written down: {error}")))?;
        let since = Instant::now();
        let patience = Duration::from_secs(part.container.stop_seconds.unwrap_or(10).max(0) as u64);
        let id = part.container.id.clone();
        // From here on it may be held, also when the answer was an error.
        still.held.push(HeldPart {
            part,
            open,
            since,
            holds: false,
        });
        let done = match still.held.last().map(|held| held.part.kind) {
            Some(HoldKind::Pause) => still.engine.pause(&id),
            _ => still.engine.stop(&id, patience),
        };
        done.map_err(failed)?;
        if let Some(held) = still.held.last_mut() {
            held.holds = true;
        }
    }
    Ok(())
}

/// Services that hold still.
#[derive(Debug)]
struct Still {
    engine: Engine,
    state: State,
    what: String,
    /// To be run when everybody goes on.
    posts: Vec<(Address, String)>,
    /// In the order in which they were held.
    held: Vec<HeldPart>,
    over: bool,
}

#[derive(Debug)]
struct HeldPart {
    part: Part,
    open: OpenHold,
    since: Instant,
    /// The engine said so.
    holds: bool,
}

impl Hold for Still {
    fn what(&self) -> String {
        self.what.clone()
    }

    fn release(mut self: Box<Self>, cancel: &Cancel) -> Released {
        self.let_go(cancel)
    }

    fn leave(mut self: Box<Self>) {
        self.over = true;
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if !self.over
            && let Some(trouble) = self.let_go(&Cancel::default()).trouble
        {
            tracing::error!(trouble, "could not be let go; the next run tries again");
        }
    }
}

impl Still {
    /// Everybody, whatever becomes of the one before. Those that others wait for come first.
    fn let_go(&mut self, cancel: &Cancel) -> Released {
        self.over = true;
        let mut told = Vec::new();
        let mut troubles = Vec::new();
        let mut going = Vec::new();
        while let Some(held) = self.held.pop() {
            let service = held.part.address.to_string();
            match go_on(&self.engine, &held.open) {
                Ok(was_still) => {
                    told.push(Held {
                        service: service.clone(),
                        took: held.since.elapsed(),
                        broken: held.holds && !was_still,
                    });
                    if let Err(error) = self.state.end_hold(&held.open) {
                        troubles.push(format!("that {service} goes on was not noted: {error}"));
                    }
                    let waited_for = self
                        .held
                        .iter()
                        .any(|other| other.part.wants_well(&held.part));
                    if waited_for && let Err(trouble) = well(&self.engine, &held.part, cancel) {
                        troubles.push(trouble);
                    } else if !waited_for {
                        going.push(held.part);
                    }
                }
                Err(error) => troubles.push(format!("{service} does not go on: {error}")),
            }
        }
        for part in going {
            troubles.extend(well(&self.engine, &part, cancel).err());
        }
        for (address, post) in std::mem::take(&mut self.posts) {
            // Also when the run is stopped: what was prepared is put back.
            let done = run(&self.engine, &address, "post", &post, &Cancel::default());
            troubles.extend(done.err().map(|error| error.to_string()));
        }
        Released {
            held: told,
            trouble: (!troubles.is_empty()).then(|| troubles.join("; ")),
        }
    }
}

/// Waits until it is as well as it was before.
fn well(engine: &Engine, part: &Part, cancel: &Cancel) -> Result<(), String> {
    let begun = Instant::now();
    let mut last = String::from("nothing was heard of it");
    while begun.elapsed() < WELL_TIME_MAX {
        match engine.container(&part.container.id) {
            Ok(now) if part.is_as_before(&now) => return Ok(()),
            Ok(now) => last = format!("it is {:?}, its health {:?}", now.state, now.health),
            Err(error) if error.trouble == Trouble::NotFound => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        // Whoever stops us has no time for that; it was started, which is what counts.
        if cancel.wait(LOOK_AGAIN).is_err() {
            return Ok(());
        }
    }
    Err(format!(
        "{} is not well since it goes on: {last}",
        part.address
    ))
}

fn run(
    engine: &Engine,
    address: &Address,
    label: &str,
    line: &str,
    cancel: &Cancel,
) -> Result<(), HoldError> {
    let failed = |what: String| HoldError::Failed(format!("{label} of {address}: {what}"));
    let container = engine.running(address).map_err(|e| failed(e.to_string()))?;
    let output = engine.run(
        &container.id,
        &Command::shell(line),
        COMMAND_TIME_MAX,
        cancel,
    );
    match output {
        Ok(output) if output.verdict == Verdict::Done => Ok(()),
        Ok(output) => Err(failed(format!(
            "{:?}: {}",
            output.verdict,
            output.stderr.trim()
        ))),
        Err(ExecError::Cancelled) => Err(HoldError::Cancelled),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn failed(error: DockerError) -> HoldError {
    HoldError::Failed(error.to_string())
}

impl Part {
    /// Healthy again if it was; where it has no check, or was not well before, running is all there was.
    fn is_as_before(&self, now: &Container) -> bool {
        now.is_running()
            && (self.kind == HoldKind::Pause
                || self.container.health != Health::Healthy
                || now.health == Health::Healthy)
    }
}
