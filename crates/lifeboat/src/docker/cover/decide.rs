//! Service by service, volume by volume, folder by folder: one side or the other.

mod binds;
mod place;
mod volumes;

use super::{
    super::{
        Address, MountKind,
        kind::{Evidence, holds_raw_files, recognise},
        labels::{self, HoldMode, KindLabel, LabelMistake, Settings},
        look::{Remark, Seen, Service},
    },
    CommandSource, Coverage, Failing, FolderUse, Left, LeftToDump, Server, VolumeSource,
    names::Names,
    places::plain,
};
use chrono_tz::Tz;
use lifeboat_run::source::Fault;
use place::{Place, User, same_place};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// A program's output that nobody gave a name.
const EXTENSION: &str = "out";

/// Why a source fails whose label is not understood, for machines.
const LABEL: &str = "label";

/// What the configuration says, and what lies below the sources' folder.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub databases: bool,
    pub volumes: bool,
    pub sources_dir: &'a Path,
    pub backup_dir: &'a Path,
    pub zone: Tz,
    /// Names of the folders directly below `sources_dir`.
    pub folders: &'a [String],
}

pub fn decide(seen: &Seen, given: Given<'_>) -> Coverage {
    let mut decision = Decision {
        seen,
        given,
        coverage: Coverage::default(),
        names: Names::default(),
        broken: BTreeMap::new(),
        raw: Vec::new(),
        told: BTreeSet::new(),
    };
    for folder in given.folders {
        decision.names.reserve(folder);
    }
    decision.labels();
    decision.servers();
    decision.commands();
    decision.mounted();
    decision.volumes();
    decision.binds();
    decision.silent_mistakes();
    decision.unseen();
    decision.needless_holds();
    let coverage = &mut decision.coverage;
    coverage.uncovered.sort_by(|a, b| a.what.cmp(&b.what));
    decision.coverage
}

struct Decision<'a> {
    seen: &'a Seen,
    given: Given<'a>,
    coverage: Coverage,
    names: Names,
    /// Services whose labels have a mistake, with what their sources fail for.
    broken: BTreeMap<Address, String>,
    raw: Vec<RawFiles<'a>>,
    /// Broken services of which a source fails: nobody overlooks them.
    told: BTreeSet<Address>,
}

/// A server, and the program that saves what is in it.
struct RawFiles<'a> {
    service: &'a Service,
    kind: super::DatabaseKind,
    /// `None`: nothing dumps it.
    dump: Option<String>,
}

impl<'a> Decision<'a> {
    fn labels(&mut self) {
        for service in &self.seen.services {
            let labels = &service.container.labels;
            let (settings, mut mistakes) = labels::read(&service.address, labels, self.given.zone);
            mistakes.extend(without_effect(service, &settings));
            if let (Some(first), true) = (mistakes.first(), settings.enable) {
                let reason = format!("{}: {}; {}", first.label, first.what, first.hint);
                self.broken.insert(service.address.clone(), reason);
            }
            if !settings.enable {
                self.leave(format!("service {}", service.address), SWITCHED_OFF, true);
            }
            self.coverage.mistakes.extend(mistakes);
            self.coverage
                .settings
                .insert(service.address.clone(), settings);
        }
    }

    fn servers(&mut self) {
        let seen = self.seen;
        for service in &seen.services {
            let settings = self.settings(&service.address).clone();
            let known = match settings.kind {
                Some(KindLabel::Database(kind)) => Some((kind, Evidence::Label)),
                Some(KindLabel::Sqlite | KindLabel::Files) => None,
                Some(KindLabel::Command) | None => {
                    recognise(&service.container, service.processes.as_deref())
                }
            };
            let Some((kind, evidence)) = known else {
                continue;
            };
            let by_command = settings.kind == Some(KindLabel::Command);
            let dumped = self.given.databases && settings.enable;
            let dump = match (dumped, by_command) {
                (_, true) => settings
                    .command
                    .is_some()
                    .then(|| service.address.to_string()),
                (true, false) => {
                    let wanted = service.address.to_string();
                    Some(self.names.server(&wanted, kind.as_str()))
                }
                (false, false) => None,
            };
            if let (Some(source), false) = (&dump, by_command) {
                match self.broken.get(&service.address) {
                    Some(reason) => {
                        let reason = reason.clone();
                        self.fail(source.clone(), kind.as_str(), reason, &service.address);
                    }
                    None => self.coverage.servers.push(Server {
                        source: source.clone(),
                        kind,
                        evidence,
                        address: service.address.clone(),
                        settings,
                    }),
                }
            }
            self.raw.push(RawFiles {
                service,
                kind,
                dump,
            });
        }
    }

    fn commands(&mut self) {
        let seen = self.seen;
        for service in &seen.services {
            let settings = self.settings(&service.address);
            let (Some(command), true) = (settings.command.clone(), settings.enable) else {
                continue;
            };
            let extension = settings.extension.clone();
            let source = self.names.other(&service.address.to_string(), "command");
            if let Some(raw) = self.raw.iter_mut().find(|raw| {
                raw.service.address == service.address && settings_are_command(&self.coverage, raw)
            }) {
                raw.dump = Some(source.clone());
            }
            match self.broken.get(&service.address) {
                Some(reason) => {
                    let reason = reason.clone();
                    self.fail(source, "command", reason, &service.address);
                }
                None => self.coverage.commands.push(CommandSource {
                    source,
                    address: service.address.clone(),
                    command,
                    extension: extension.unwrap_or_else(|| EXTENSION.to_owned()),
                }),
            }
        }
    }

    /// What the sidecar has mounted below the sources' folder is a source already.
    fn mounted(&mut self) {
        let Some(own) = &self.seen.own else { return };
        for folder in self.given.folders {
            let place = self.given.sources_dir.join(folder);
            let place = place.to_string_lossy();
            let of_all = self.given.sources_dir.to_string_lossy();
            let exact = own
                .mounts
                .iter()
                .find(|mount| plain(&mount.destination) == place);
            let whole = || {
                own.mounts
                    .iter()
                    .find(|mount| plain(&mount.destination) == of_all)
            };
            let Some(mount) = exact.or_else(whole) else {
                continue;
            };
            let users = self.users_of(|other| same_place(mount, other));
            let dumped = users.users.iter().find_map(|user| self.dump_of(user));
            if let (Some(server), true) = (dumped, exact.is_some()) {
                self.coverage.left_to_dumps.push(LeftToDump {
                    what: place.into_owned(),
                    server,
                });
                continue;
            }
            let (volume, path_on_host) = match &mount.kind {
                MountKind::Volume { name, .. } => (Some(name.clone()), None),
                _ => (None, Some(mount.source.clone())),
            };
            let folder_use = FolderUse {
                source: folder.clone(),
                volume,
                path_on_host,
                hold: self.hold(&users),
                users: users.addresses(),
            };
            self.coverage.folders.push(folder_use);
        }
    }

    /// Nobody decided otherwise.
    fn may_save(&mut self, what: &str, place: &Place<'_>) -> bool {
        let mut users = place.users.iter();
        let all_off = !place.users.is_empty()
            && users.all(|user| !self.settings(&user.service.address).enable);
        if all_off {
            self.leave(what, SWITCHED_OFF, true);
            false
        } else if !self.given.volumes {
            self.leave(
                what,
                "BACKUP_DISCOVER leaves volumes out; mount it below BACKUP_SOURCES_DIR",
                true,
            );
            false
        } else {
            true
        }
    }

    fn save(
        &mut self,
        source: String,
        volume: Option<String>,
        path_on_host: Option<String>,
        mut exclude: Vec<String>,
        place: &Place<'_>,
    ) {
        let broken = place.users.iter().find_map(|user| {
            let reason = self.broken.get(&user.service.address)?;
            Some((reason.clone(), user.service.address.clone()))
        });
        if let Some((reason, address)) = broken {
            return self.fail(source, "files", reason, &address);
        }
        if let Some(raw) = place.users.iter().find_map(|user| self.raw_of(user))
            && self.hold(place) != HoldMode::Stop
        {
            let (kind, address) = (raw.kind.as_str(), &raw.service.address);
            self.coverage.remarks.push(Remark {
                what: format!("source {source}: the raw files of {kind} in service {address}, and nothing dumps it: a copy made while it runs may be worth nothing"),
                hint: "let BACKUP_DISCOVER have databases, or label the service lifeboat.hold=stop".to_owned(),
            });
        }
        for user in &place.users {
            // Of a server they are the names of databases.
            if self
                .raw
                .iter()
                .all(|raw| raw.service.address != user.service.address)
            {
                exclude.extend(self.settings(&user.service.address).exclude.iter().cloned());
            }
        }
        let mut seen = BTreeSet::new();
        exclude.retain(|pattern| seen.insert(pattern.clone()));
        self.coverage.volumes.push(VolumeSource {
            source,
            volume,
            path_on_host,
            users: place.addresses(),
            hold: self.hold(place),
            exclude,
        });
    }

    /// A typing error in the one label that a service has must not leave it out unseen.
    fn silent_mistakes(&mut self) {
        for (address, reason) in self.broken.clone() {
            if !self.told.contains(&address) {
                let source = self.names.other(&address.to_string(), "service");
                self.fail(source, "service", reason, &address);
            }
        }
    }

    /// What cannot be looked at is perhaps the database.
    fn unseen(&mut self) {
        for (address, error) in &self.seen.unseen {
            let source = self.names.other(&address.to_string(), "service");
            self.coverage.failing.push(Failing {
                source,
                kind: "service".to_owned(),
                reason: format!("service {address}: {error}"),
                hint: error.hint(),
                code: Fault::DockerDenied.as_str(),
            });
        }
    }

    /// A server is dumped while it runs, and nobody stops it for that.
    fn needless_holds(&mut self) {
        let coverage = &mut self.coverage;
        for server in &coverage.servers {
            if server.settings.hold != HoldMode::None {
                coverage.remarks.push(Remark {
                    what: format!(
                        "lifeboat.hold of service {} has no effect: its database is dumped while it runs",
                        server.address
                    ),
                    hint: "take the label away; lifeboat.pre and lifeboat.post run before and after the dump"
                        .to_owned(),
                });
            }
        }
    }

    fn fail(&mut self, source: String, kind: &str, reason: String, address: &Address) {
        self.told.insert(address.clone());
        self.coverage.failing.push(Failing {
            source,
            kind: kind.to_owned(),
            reason: format!("service {address}: {reason}"),
            hint: "correct the label, and recreate the container (`docker compose up -d`)"
                .to_owned(),
            code: LABEL,
        });
    }

    fn leave(&mut self, what: impl Into<String>, why: impl Into<String>, harmless: bool) {
        self.coverage.uncovered.push(Left {
            what: what.into(),
            why: why.into(),
            harmless,
        });
    }

    fn settings(&self, address: &Address) -> &Settings {
        &self.coverage.settings[address]
    }

    /// The strongest that any user asks for.
    fn hold(&self, place: &Place<'_>) -> HoldMode {
        let modes = place
            .users
            .iter()
            .map(|user| self.settings(&user.service.address).hold);
        modes.max().unwrap_or_default()
    }

    /// The server whose raw files the user has there.
    fn raw_of(&self, user: &User<'_>) -> Option<&RawFiles<'a>> {
        self.raw.iter().find(|raw| {
            raw.service.address == user.service.address
                && holds_raw_files(
                    raw.kind,
                    user.container,
                    raw.service.processes.as_deref(),
                    user.mount,
                )
        })
    }

    /// The source that makes raw files superfluous.
    fn dump_of(&self, user: &User<'_>) -> Option<String> {
        self.raw_of(user)?.dump.clone()
    }
}

const SWITCHED_OFF: &str = "switched off by its label lifeboat.enable";

/// Labels that only mean something for a server, on what is none.
fn without_effect(service: &Service, settings: &Settings) -> Vec<LabelMistake> {
    let is_server = match settings.kind {
        Some(KindLabel::Database(_)) => true,
        Some(_) => false,
        None => recognise(&service.container, service.processes.as_deref()).is_some(),
    };
    let set = [
        ("databases", !settings.databases.is_empty()),
        ("user", settings.user.is_some()),
        ("password-file", settings.password_file.is_some()),
    ];
    let needless = set.into_iter().filter(|(_, set)| *set && !is_server);
    needless
        .map(|(label, _)| LabelMistake {
            address: service.address.clone(),
            label: format!("{}{label}", labels::PREFIX),
            what: "no database server can be seen in this service".to_owned(),
            hint: "set lifeboat.kind (postgres, mysql, mariadb, mongodb, redis), or take it away"
                .to_owned(),
        })
        .collect()
}

fn settings_are_command(coverage: &Coverage, raw: &RawFiles<'_>) -> bool {
    coverage.settings[&raw.service.address].kind == Some(KindLabel::Command)
}
