//! Folder by folder of the host, as services have them mounted.

use super::{
    super::{
        super::{
            Mount, MountKind,
            kind::is_within,
            look::{Service, Shape},
        },
        names::of_mount,
        places::{belongs_to_the_system, guess_shape, plain},
    },
    Decision, LeftToDump, Place,
};
use std::collections::BTreeSet;

impl Decision<'_> {
    pub(super) fn binds(&mut self) {
        let mut paths: BTreeSet<&str> = BTreeSet::new();
        let containers = self.seen.services.iter().flat_map(Service::containers);
        for mount in containers.flat_map(|container| &container.mounts) {
            match &mount.kind {
                // Secrets and configs, as Compose hands them over.
                MountKind::Bind if is_within(&mount.destination, "/run/secrets") => {}
                MountKind::Bind => {
                    paths.insert(plain(&mount.source));
                }
                MountKind::Volume { .. } | MountKind::Other(_) => {}
            }
        }
        let mut saved: Vec<&str> = Vec::new();
        // A folder comes before what lies in it.
        for path in paths {
            let place = self
                .users_of(|mount| mount.kind == MountKind::Bind && plain(&mount.source) == path);
            let inside = saved.iter().any(|folder| is_within(path, folder));
            if inside || self.is_at_hand(|mount| is_bind_around(mount, path)) {
                continue;
            }
            if let Some(source) = self.bind(path, &place) {
                self.save(
                    source,
                    None,
                    Some(path.to_owned()),
                    self.store_within(path),
                    &place,
                );
                saved.push(path);
            }
        }
    }

    /// The name of its source, where it becomes one.
    fn bind(&mut self, path: &str, place: &Place<'_>) -> Option<String> {
        let what = place.told(path);
        let shape = place.shape().unwrap_or_else(|| guess_shape(path));
        if shape == Shape::Special {
            return None;
        }
        if belongs_to_the_system(path) {
            self.leave(
                what,
                "a path of the system; mount the folder that is meant below BACKUP_SOURCES_DIR",
                true,
            );
            return None;
        }
        if shape == Shape::File && is_within(path, "/etc") {
            self.leave(what, "a file of the system", true);
            return None;
        }
        let writer = place.users.iter().find(|user| user.mount.writable);
        let Some(writer) = writer else {
            self.leave(what, "nothing in the project can write to it; if it is data all the same, mount it below BACKUP_SOURCES_DIR", true);
            return None;
        };
        if shape == Shape::File {
            self.leave(
                what,
                "a single file; mount its folder instead, or let lifeboat.command print it",
                false,
            );
            return None;
        }
        if let Some(server) = place.users.iter().find_map(|user| self.dump_of(user)) {
            self.coverage.left_to_dumps.push(LeftToDump {
                what: path.to_owned(),
                server,
            });
            return None;
        }
        let wanted = of_mount(&writer.service.address, &writer.mount.destination);
        match self.may_save(&what, place) {
            true => Some(self.names.other(&wanted, "folder")),
            false => None,
        }
    }

    /// The sidecar's store, where a folder of the host holds it: a backup must not hold the ones before it.
    fn store_within(&self, path: &str) -> Vec<String> {
        let own = self.seen.own.iter().flat_map(|own| &own.mounts);
        let backups = self.given.backup_dir.to_string_lossy();
        own.filter(|mount| {
            mount.kind == MountKind::Bind && is_within(&backups, plain(&mount.destination))
        })
        .filter_map(|mount| {
            let inner = plain(&mount.source).strip_prefix(plain(path))?;
            inner.starts_with('/').then(|| format!("{inner}/"))
        })
        .collect()
    }
}

/// A bind mount of that path, or of a folder that it lies in.
fn is_bind_around(mount: &Mount, path: &str) -> bool {
    mount.kind == MountKind::Bind && is_within(path, plain(&mount.source))
}
