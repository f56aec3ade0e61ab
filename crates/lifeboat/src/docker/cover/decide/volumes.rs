//! Volume by volume, also those that nobody has mounted.

use super::{
    super::super::{Mount, MountKind, PROJECT, Volume, look::Service},
    super::names::of_mount,
    Decision, LeftToDump, Place,
};
use std::collections::BTreeMap;

/// By what Compose knows a volume inside its file.
const VOLUME: &str = "com.docker.compose.volume";

impl Decision<'_> {
    pub(super) fn volumes(&mut self) {
        let mut volumes: BTreeMap<&str, Option<&Volume>> = BTreeMap::new();
        for volume in &self.seen.volumes {
            volumes.insert(&volume.name, Some(volume));
        }
        let containers = self.seen.services.iter().flat_map(Service::containers);
        for mount in containers.flat_map(|container| &container.mounts) {
            if let MountKind::Volume { name, .. } = &mount.kind {
                volumes.entry(name).or_insert(None);
            }
        }
        let mut candidates: Vec<_> = volumes
            .into_iter()
            .filter(|(name, _)| !self.is_at_hand(|mount| is_volume(mount, name)))
            .map(|(name, volume)| {
                let place = self.users_of(|mount| is_volume(mount, name));
                let wanted = self.wanted_name(name, volume, &place);
                (wanted, place, name, volume)
            })
            .collect();
        // An anonymous volume has another name after every `up`; its container has not.
        candidates.sort_by(|a, b| (&a.0, a.1.container(), a.2).cmp(&(&b.0, b.1.container(), b.2)));
        for (wanted, place, name, volume) in candidates {
            let in_memory = volume
                .is_some_and(|volume| volume.options.get("type").is_some_and(|t| t == "tmpfs"));
            let what = place.told(&format!("volume {wanted}"));
            let excluded_by = place.users.iter().find(|user| {
                let exclude = &self.settings(&user.service.address).exclude;
                exclude.iter().any(|item| *item == wanted || item == name)
            });
            if in_memory {
                self.leave(what, "it lies in memory", true);
            } else if let Some(server) = place.users.iter().find_map(|user| self.dump_of(user)) {
                self.coverage.left_to_dumps.push(LeftToDump {
                    what: format!("volume {wanted}"),
                    server,
                });
            } else if let Some(user) = excluded_by {
                let why = format!("left out by lifeboat.exclude of {}", user.service.address);
                self.leave(what, why, true);
            } else if self.may_save(&what, &place) {
                let source = self.names.other(&wanted, "volume");
                self.save(source, Some(name.to_owned()), None, Vec::new(), &place);
            }
        }
    }

    /// Its key in the Compose file; for an anonymous one, who has it where.
    fn wanted_name(&self, name: &str, volume: Option<&Volume>, place: &Place<'_>) -> String {
        let project = |project: &str| match self.seen.project.as_deref() == Some(project) {
            true => String::new(),
            false => format!("{project}."),
        };
        if let Some(volume) = volume
            && let (Some(key), Some(of)) = (volume.labels.get(VOLUME), volume.labels.get(PROJECT))
        {
            return format!("{}{key}", project(of));
        }
        let anonymous = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(user) = place.users.first() else {
            return name.to_owned();
        };
        let address = &user.service.address;
        if anonymous {
            return of_mount(address, &user.mount.destination);
        }
        // The engine told nothing of it but its name, which Compose makes of two.
        let key = name.strip_prefix(&format!("{}_", address.project));
        match (volume, key) {
            (None, Some(key)) => format!("{}{key}", project(&address.project)),
            _ => name.to_owned(),
        }
    }
}

fn is_volume(mount: &Mount, name: &str) -> bool {
    matches!(&mount.kind, MountKind::Volume { name: mounted, .. } if mounted == name)
}
