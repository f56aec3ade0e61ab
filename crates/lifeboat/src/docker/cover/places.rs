//! Paths of the host that services have mounted: which are data, and which are not.

use super::super::{kind::is_within, look::Shape};

/// Themselves and all that lies in them.
const SYSTEM: [&str; 14] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/var/lock",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/boot",
];

/// Themselves: what lies in them may well be data (`/etc/letsencrypt`, `/var/www`).
const SYSTEM_TOPS: [&str; 7] = ["/", "/etc", "/var", "/var/lib", "/lib64", "/lib32", "/tmp"];

/// Endings of what is never a folder.
const FILE_ENDINGS: [&str; 24] = [
    "conf",
    "cnf",
    "cfg",
    "ini",
    "json",
    "yml",
    "yaml",
    "toml",
    "xml",
    "env",
    "properties",
    "txt",
    "sh",
    "py",
    "js",
    "php",
    "sql",
    "html",
    "pem",
    "crt",
    "key",
    "list",
    "pid",
    "log",
];

pub(super) fn belongs_to_the_system(path: &str) -> bool {
    let path = plain(path);
    SYSTEM_TOPS.contains(&path) || SYSTEM.iter().any(|folder| is_within(path, folder))
}

/// Without a slash at its end.
pub(super) fn plain(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    }
}

/// Where the engine does not tell.
pub(super) fn guess_shape(path: &str) -> Shape {
    let name = plain(path).rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if ending == "sock" || ending == "socket" {
        Shape::Special
    } else if FILE_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) {
        Shape::File
    } else {
        Shape::Folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_told_from_what_people_keep_in_it() {
        for (path, system) in [
            ("/", true),
            ("/etc", true),
            ("/etc/", true),
            ("/etc/letsencrypt", false),
            ("/var/run/docker.sock", true),
            ("/var/lib/docker/volumes/x/_data", true),
            ("/var/lib/dockerhub", false),
            ("/usr/share/zoneinfo", true),
            ("/lib/modules", true),
            ("/library", false),
            ("/srv/shop/letters", false),
            ("/tmp", true),
            ("/tmp/shop/letters", false),
            ("/home/me/data", false),
        ] {
            assert_eq!(belongs_to_the_system(path), system, "{path}");
        }
    }

    #[test]
    fn a_shape_is_guessed_from_a_name_and_is_a_folder_when_in_doubt() {
        for (path, shape) in [
            ("/srv/app.sock", Shape::Special),
            ("/srv/acme.json", Shape::File),
            ("/srv/app/.env", Shape::File),
            ("/srv/conf.d", Shape::Folder),
            ("/srv/shop.example", Shape::Folder),
            ("/srv/letters/", Shape::Folder),
        ] {
            assert_eq!(guess_shape(path), shape, "{path}");
        }
    }
}
