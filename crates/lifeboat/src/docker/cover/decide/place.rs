//! A place that files lie in, and everybody who has it mounted.

use super::{
    super::super::{
        Address, Container, Mount, MountKind,
        kind::is_within,
        look::{Service, Shape},
    },
    super::places::plain,
    Decision,
};
use std::collections::BTreeSet;

/// A volume or a folder of the host, with everybody who has it mounted.
pub(super) struct Place<'a> {
    pub(super) users: Vec<User<'a>>,
}

pub(super) struct User<'a> {
    pub(super) service: &'a Service,
    pub(super) container: &'a Container,
    pub(super) mount: &'a Mount,
}

impl Place<'_> {
    /// Each once.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let addresses = self.users.iter().map(|user| user.service.address.clone());
        let sorted: BTreeSet<Address> = addresses.collect();
        sorted.into_iter().collect()
    }

    pub(super) fn container(&self) -> Option<&str> {
        self.users.first().map(|user| user.container.name.as_str())
    }

    /// With who uses it.
    pub(super) fn told(&self, what: &str) -> String {
        let users: Vec<String> = self.addresses().iter().map(Address::to_string).collect();
        match users.is_empty() {
            true => what.to_owned(),
            false => format!("{what} ({})", users.join(", ")),
        }
    }

    pub(super) fn shape(&self) -> Option<Shape> {
        let mut users = self.users.iter();
        users.find_map(|user| user.service.shapes.get(&user.mount.destination).copied())
    }
}

impl<'a> Decision<'a> {
    pub(super) fn users_of(&self, is_it: impl Fn(&Mount) -> bool) -> Place<'a> {
        let services = self.seen.services.iter();
        let mounts = services.flat_map(|service| {
            service.containers().flat_map(move |container| {
                let mounts = container.mounts.iter();
                mounts.map(move |mount| User {
                    service,
                    container,
                    mount,
                })
            })
        });
        Place {
            users: mounts.filter(|user| is_it(user.mount)).collect(),
        }
    }

    /// Is it mounted into the sidecar, as a source or as its store? Or is it the store of another one?
    pub(super) fn is_at_hand(&self, is_it: impl Fn(&Mount) -> bool) -> bool {
        if self.seen.kin.iter().any(&is_it) {
            return true;
        }
        let own = self.seen.own.iter().flat_map(|own| &own.mounts);
        let (sources, backups) = (
            self.given.sources_dir.to_string_lossy(),
            self.given.backup_dir.to_string_lossy(),
        );
        own.filter(|mount| {
            is_within(plain(&mount.destination), &sources)
                || is_within(plain(&mount.destination), &backups)
                || is_within(&backups, plain(&mount.destination))
        })
        .any(is_it)
    }
}

pub(super) fn same_place(a: &Mount, b: &Mount) -> bool {
    match (&a.kind, &b.kind) {
        (MountKind::Volume { name: a, .. }, MountKind::Volume { name: b, .. }) => a == b,
        (MountKind::Bind, MountKind::Bind) => is_within(plain(&b.source), plain(&a.source)),
        _ => false,
    }
}
