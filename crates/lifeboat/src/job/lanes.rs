//! Which sources are captured together: those for whom the same services hold still.

use crate::{
    config::Config,
    docker::{
        Engine,
        cover::Coverage,
        hold::{Group, Stillness, groups},
    },
    sources::{Found, Opened},
};
use lifeboat_run::{backup::Batch, quiesce::Quiesce, source::Source, state::State};
use std::collections::BTreeSet;

/// Sources that are captured one after the other.
#[derive(Debug)]
pub(super) struct Lane {
    sources: Vec<Box<dyn Source>>,
    quiesce: Option<Stillness>,
}

impl Lane {
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            quiesce: self.quiesce.as_ref().map(|still| still as &dyn Quiesce),
            sources: &self.sources,
        }
    }
}

/// Those for whom the same services hold still together, all others by themselves.
pub(super) fn of(
    opened: Vec<Opened>,
    config: &Config,
    found: Option<&Found>,
    state: &State,
) -> Vec<Lane> {
    let coverage = found.map(|found| &found.coverage);
    let mut groups = coverage.map(groups).unwrap_or_default();
    if let (true, Some(coverage)) = (config.sources.bundle, coverage) {
        groups = bundled(groups, coverage);
    }
    let mut lanes: Vec<(Option<usize>, Lane)> = Vec::new();
    for Opened { whole, source } in opened {
        let group = groups
            .iter()
            .position(|group| group.sources.contains(&whole));
        let joined = lanes
            .iter_mut()
            .find(|(of, _)| group.is_some() && *of == group);
        match joined {
            Some((_, lane)) => lane.sources.push(source),
            None => {
                let still = |engine: &Engine, at: usize| {
                    Stillness::new(engine.clone(), state.clone(), groups[at].seats.clone())
                };
                let lane = Lane {
                    quiesce: found.zip(group).map(|(found, at)| still(&found.engine, at)),
                    sources: vec![source],
                };
                lanes.push((group, lane));
            }
        }
    }
    lanes.into_iter().map(|(_, lane)| lane).collect()
}

/// One archive of all folders: whoever uses any of them holds still for it.
fn bundled(groups: Vec<Group>, coverage: &Coverage) -> Vec<Group> {
    let folders: BTreeSet<&String> = coverage.folders.iter().map(|f| &f.source).collect();
    let (of_bundle, mut others): (Vec<Group>, Vec<Group>) = groups
        .into_iter()
        .partition(|group| group.sources.iter().any(|source| folders.contains(source)));
    let joined = of_bundle.into_iter().reduce(|mut whole, group| {
        whole.sources.extend(group.sources);
        whole.seats.extend(group.seats);
        whole
    });
    if let Some(mut whole) = joined {
        // The bundle has no name of its own.
        whole.sources.insert(String::new());
        others.push(whole);
    }
    others
}
