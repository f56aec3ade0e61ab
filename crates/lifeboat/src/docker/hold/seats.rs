//! Who has to hold still for which sources.

use crate::docker::{Address, cover::Coverage};
use lifeboat_plan::HoldKind;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What one service is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    pub address: Address,
    pub kind: HoldKind,
    pub pre: Option<String>,
    pub post: Option<String>,
}

/// Sources that are read in one stillness: whoever writes to one of them writes to the others, or holds
/// still for them anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// By name; of a database server the name that its sources begin with.
    pub sources: BTreeSet<String>,
    pub seats: Vec<Seat>,
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            HoldKind::None => write!(f, "prepare {}", self.address),
            kind => write!(f, "{kind} {}", self.address),
        }
    }
}

/// Only users of a source that ask for it are held; sources that nobody holds still for are in no group.
pub fn groups(coverage: &Coverage) -> Vec<Group> {
    let files = coverage.volumes.iter().map(|v| (&v.source, &v.users));
    let folders = coverage.folders.iter().map(|f| (&f.source, &f.users));
    let mut uses: Vec<(&str, Vec<&Address>)> = files
        .chain(folders)
        .map(|(source, users)| (source.as_str(), users.iter().collect()))
        .collect();
    let servers = coverage.servers.iter().map(|s| (&s.source, &s.address));
    let commands = coverage.commands.iter().map(|c| (&c.source, &c.address));
    let alone = servers.chain(commands);
    uses.extend(alone.map(|(source, address)| (source.as_str(), vec![address])));
    let dumped: BTreeSet<&Address> = coverage.servers.iter().map(|s| &s.address).collect();

    let mut groups: Vec<Group> = Vec::new();
    for (source, users) in uses {
        let seats: Vec<Seat> = users
            .into_iter()
            .filter_map(|address| seat(coverage, &dumped, address))
            .collect();
        if seats.is_empty() {
            continue;
        }
        let mut group = Group {
            sources: BTreeSet::from([source.to_owned()]),
            seats,
        };
        let shares = |other: &Group, group: &Group| {
            let named = |seat: &Seat| group.seats.iter().any(|s| s.address == seat.address);
            other.seats.iter().any(named)
        };
        let (joined, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|other| shares(other, &group));
        for other in joined {
            group.sources.extend(other.sources);
            group.seats.extend(other.seats);
        }
        let seats: BTreeMap<Address, Seat> = group
            .seats
            .into_iter()
            .map(|seat| (seat.address.clone(), seat))
            .collect();
        group.seats = seats.into_values().collect();
        groups = apart;
        groups.push(group);
    }
    groups
}

/// `None` for a service that asks for nothing. A server that is dumped cannot be stopped for it.
fn seat(coverage: &Coverage, dumped: &BTreeSet<&Address>, address: &Address) -> Option<Seat> {
    let settings = coverage.settings.get(address)?;
    let kind = match dumped.contains(address) {
        true => HoldKind::None,
        false => settings.hold,
    };
    let asks = kind != HoldKind::None || settings.pre.is_some() || settings.post.is_some();
    asks.then(|| Seat {
        address: address.clone(),
        kind,
        pre: settings.pre.clone(),
        post: settings.post.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{cover::VolumeSource, labels::Settings};

    fn project(services: &[(&str, HoldKind)], volumes: &[(&str, &[&str])]) -> Coverage {
        let address = |service: &str| Address::own("shop", service);
        let mut coverage = Coverage::default();
        for (service, hold) in services {
            let settings = Settings {
                hold: *hold,
                ..Settings::default()
            };
            coverage.settings.insert(address(service), settings);
        }
        for (source, users) in volumes {
            coverage.volumes.push(VolumeSource {
                source: (*source).to_owned(),
                volume: Some((*source).to_owned()),
                path_on_host: None,
                users: users.iter().map(|user| address(user)).collect(),
                hold: HoldKind::None,
                exclude: Vec::new(),
            });
        }
        coverage
    }

    fn told(coverage: &Coverage) -> Vec<(String, String)> {
        let told = groups(coverage).into_iter().map(|group| {
            let sources: Vec<_> = group.sources.into_iter().collect();
            let seats: Vec<_> = group.seats.iter().map(ToString::to_string).collect();
            (sources.join(" "), seats.join(", "))
        });
        told.collect()
    }

    fn pair(sources: &str, seats: &str) -> (String, String) {
        (sources.to_owned(), seats.to_owned())
    }

    #[test]
    fn only_users_of_the_volume_that_ask_for_it_are_held() {
        let services = [
            ("app", HoldKind::Stop),
            ("web", HoldKind::None),
            ("mailer", HoldKind::Stop),
        ];
        let volumes: [(&str, &[&str]); 3] = [
            ("uploads", &["app", "web"]),
            ("cache", &["web"]),
            ("spare", &[]),
        ];
        let coverage = project(&services, &volumes);
        assert_eq!(told(&coverage), [pair("uploads", "stop app")]);
    }

    #[test]
    fn sources_that_share_somebody_who_is_held_are_read_in_one_stillness() {
        let services = [
            ("a", HoldKind::Stop),
            ("b", HoldKind::Pause),
            ("c", HoldKind::Stop),
        ];
        let volumes: [(&str, &[&str]); 4] = [
            ("one", &["a"]),
            ("two", &["b"]),
            ("both", &["a", "b"]),
            ("third", &["c"]),
        ];
        let coverage = project(&services, &volumes);
        assert_eq!(
            told(&coverage),
            [
                pair("both one two", "stop a, pause b"),
                pair("third", "stop c")
            ]
        );
    }

    #[test]
    fn a_command_before_and_after_is_a_stillness_of_its_own() {
        let mut coverage = project(&[("app", HoldKind::None)], &[("uploads", &["app"])]);
        let app = Address::own("shop", "app");
        coverage.settings.get_mut(&app).unwrap().pre = Some("sync".to_owned());
        assert_eq!(told(&coverage), [pair("uploads", "prepare app")]);
    }
}
