//! One name for each source. The first to ask for a name has it; whoever comes later and wants the same one
//! gets another, the same one every time.

use super::super::Address;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
    /// Everything below `db.` may become the name of a database.
    servers: Vec<String>,
}

impl Names {
    /// As it is. For folders: their names were there first.
    pub(super) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// For a server: none of the names so far begins with it and a dot.
    pub(super) fn server(&mut self, wanted: &str, otherwise: &str) -> String {
        let within = |name: &str| {
            let prefix = format!("{name}.");
            self.taken.iter().any(|taken| taken.starts_with(&prefix))
        };
        let name = candidates(wanted, otherwise)
            .find(|name| !self.taken.contains(name) && !within(name))
            .expect("there is no end of candidates");
        self.servers.push(name.clone());
        self.taken.insert(name.clone());
        name
    }

    pub(super) fn other(&mut self, wanted: &str, otherwise: &str) -> String {
        let of_a_server = |name: &str| {
            let mut servers = self.servers.iter();
            servers.any(|server| {
                name.strip_prefix(server.as_str())
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let plain = wanted.replace('.', "-");
        let wanted = if of_a_server(wanted) { &plain } else { wanted };
        let name = candidates(wanted, otherwise)
            .find(|name| !self.taken.contains(name) && !of_a_server(name))
            .expect("there is no end of candidates");
        self.taken.insert(name.clone());
        name
    }
}

/// `uploads`, `uploads-volume`, `uploads-volume-2`, …
fn candidates(wanted: &str, otherwise: &str) -> impl Iterator<Item = String> {
    let second = format!("{wanted}-{otherwise}");
    let more = second.clone();
    let numbered = (2u32..).map(move |number| format!("{more}-{number}"));
    [wanted.to_owned(), second].into_iter().chain(numbered)
}

/// `app.letters` for what `app` has mounted at `/srv/letters`.
pub(super) fn of_mount(address: &Address, destination: &str) -> String {
    let last = destination
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let plain: String = last
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    match plain.trim_start_matches('.') {
        "" => format!("{address}.root"),
        plain => format!("{address}.{plain}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_later_gets_another_name_and_always_the_same() {
        let mut names = Names::default();
        names.reserve("storage");
        assert_eq!(names.other("storage", "volume"), "storage-volume");
        assert_eq!(names.other("storage", "volume"), "storage-volume-2");
        assert_eq!(names.other("storage", "volume"), "storage-volume-3");
        assert_eq!(names.other("uploads", "volume"), "uploads");
    }

    #[test]
    fn nothing_is_called_as_a_database_of_a_server_might_be() {
        let mut names = Names::default();
        names.reserve("crm.old");
        assert_eq!(names.server("db", "postgres"), "db");
        assert_eq!(names.other("db.dumps", "volume"), "db-dumps");
        assert_eq!(names.other("db-dumps", "volume"), "db-dumps-volume");
        assert_eq!(names.server("crm", "postgres"), "crm-postgres");
        assert_eq!(names.other("other.db.x", "volume"), "other.db.x");
    }

    #[test]
    fn a_mount_is_called_by_its_service_and_its_last_word() {
        let app = Address::own("shop", "app");
        for (place, name) in [
            ("/srv/letters", "app.letters"),
            ("/srv/letters/", "app.letters"),
            ("/srv/my files", "app.my_files"),
            ("/home/me/.config", "app.config"),
            ("/", "app.root"),
        ] {
            assert_eq!(of_mount(&app, place), name);
        }
    }
}
