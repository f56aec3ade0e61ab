//! Which database server a service is.
//!
//! What runs in it says it best. Where that cannot be seen (it does not run, the engine does not tell), its
//! image, its environment and the places of its mounts do. A client is no server: neither a password in the
//! environment nor an image that is used for its tools makes one.

use super::{Container, Mount};

/// The servers whose own tools make a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatabaseKind {
    Postgres,
    Mysql,
    Mariadb,
    /// Also Valkey and KeyDB.
    Redis,
    Mongodb,
}

/// By what it was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    Label,
    Process,
    Image,
    Environment,
    /// A mount where such a server keeps its files.
    Mount,
}

/// Programs that are the server itself.
const PROGRAMS: [(&str, DatabaseKind); 7] = [
    ("postgres", DatabaseKind::Postgres),
    ("mariadbd", DatabaseKind::Mariadb),
    ("mysqld", DatabaseKind::Mysql),
    ("redis-server", DatabaseKind::Redis),
    ("valkey-server", DatabaseKind::Redis),
    ("keydb-server", DatabaseKind::Redis),
    ("mongod", DatabaseKind::Mongodb),
];

/// Images by the last part of their path.
const IMAGES: [(&str, DatabaseKind); 33] = [
    ("postgres", DatabaseKind::Postgres),
    ("postgresql", DatabaseKind::Postgres),
    ("postgresql-repmgr", DatabaseKind::Postgres),
    ("postgis", DatabaseKind::Postgres),
    ("timescaledb", DatabaseKind::Postgres),
    ("timescaledb-ha", DatabaseKind::Postgres),
    ("pgvector", DatabaseKind::Postgres),
    ("pgvecto-rs", DatabaseKind::Postgres),
    ("vchord-postgres", DatabaseKind::Postgres),
    ("citus", DatabaseKind::Postgres),
    ("spilo", DatabaseKind::Postgres),
    ("percona-distribution-postgresql", DatabaseKind::Postgres),
    ("mysql", DatabaseKind::Mysql),
    ("mysql-server", DatabaseKind::Mysql),
    ("community-server", DatabaseKind::Mysql),
    ("percona", DatabaseKind::Mysql),
    ("percona-server", DatabaseKind::Mysql),
    ("percona-xtradb-cluster", DatabaseKind::Mysql),
    ("mariadb", DatabaseKind::Mariadb),
    ("mariadb-galera", DatabaseKind::Mariadb),
    ("mariadb-server", DatabaseKind::Mariadb),
    ("redis", DatabaseKind::Redis),
    ("redis-stack", DatabaseKind::Redis),
    ("redis-stack-server", DatabaseKind::Redis),
    ("redis-cluster", DatabaseKind::Redis),
    ("valkey", DatabaseKind::Redis),
    ("valkey-bundle", DatabaseKind::Redis),
    ("keydb", DatabaseKind::Redis),
    ("mongo", DatabaseKind::Mongodb),
    ("mongodb", DatabaseKind::Mongodb),
    ("mongodb-community-server", DatabaseKind::Mongodb),
    ("mongodb-enterprise-server", DatabaseKind::Mongodb),
    ("percona-server-mongodb", DatabaseKind::Mongodb),
];

/// Variables that images of servers set, and clients have no use for.
const VARIABLES: [(&str, DatabaseKind); 13] = [
    ("PGDATA", DatabaseKind::Postgres),
    ("PG_VERSION", DatabaseKind::Postgres),
    ("PG_MAJOR", DatabaseKind::Postgres),
    ("MARIADB_VERSION", DatabaseKind::Mariadb),
    ("MYSQL_VERSION", DatabaseKind::Mysql),
    ("MYSQL_MAJOR", DatabaseKind::Mysql),
    ("MYSQL_SHELL_VERSION", DatabaseKind::Mysql),
    ("REDIS_VERSION", DatabaseKind::Redis),
    ("REDIS_DOWNLOAD_URL", DatabaseKind::Redis),
    ("VALKEY_VERSION", DatabaseKind::Redis),
    ("KEYDB_DOWNLOAD_URL", DatabaseKind::Redis),
    ("MONGO_VERSION", DatabaseKind::Mongodb),
    ("MONGO_MAJOR", DatabaseKind::Mongodb),
];

impl DatabaseKind {
    /// As manifests and labels have it.
    pub fn as_str(self) -> &'static str {
        match self {
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::Mysql => "mysql",
            DatabaseKind::Mariadb => "mariadb",
            DatabaseKind::Redis => "redis",
            DatabaseKind::Mongodb => "mongodb",
        }
    }

    /// Where servers of this kind keep their files, as their images have it.
    fn usual_folders(self) -> &'static [&'static str] {
        match self {
            DatabaseKind::Postgres => &[
                "/var/lib/postgresql",
                "/home/postgres/pgdata",
                "/bitnami/postgresql",
            ],
            DatabaseKind::Mysql | DatabaseKind::Mariadb => {
                &["/var/lib/mysql", "/bitnami/mysql", "/bitnami/mariadb"]
            }
            DatabaseKind::Redis => &["/data", "/bitnami/redis", "/bitnami/valkey"],
            DatabaseKind::Mongodb => &["/data/db", "/data/configdb", "/bitnami/mongodb"],
        }
    }

    /// The option by which its program is told where.
    fn folder_options(self) -> &'static [&'static str] {
        match self {
            DatabaseKind::Postgres => &["-D", "--data_directory", "data_directory"],
            DatabaseKind::Mysql | DatabaseKind::Mariadb => &["--datadir"],
            DatabaseKind::Redis => &["--dir"],
            DatabaseKind::Mongodb => &["--dbpath"],
        }
    }
}

/// `processes`: the command lines of what runs in it; `None` where they could not be seen.
pub fn recognise(
    container: &Container,
    processes: Option<&[String]>,
) -> Option<(DatabaseKind, Evidence)> {
    let processes = processes.filter(|lines| !lines.is_empty());
    if let Some(kind) = processes
        .into_iter()
        .flatten()
        .find_map(|line| by_process(line))
    {
        let kind = match kind {
            // MariaDB's own program was called so until 10.5.
            DatabaseKind::Mysql if looks_like_mariadb(container) => DatabaseKind::Mariadb,
            kind => kind,
        };
        return Some((kind, Evidence::Process));
    }
    // Something else runs in it, and nothing says that a server is about to.
    if processes.is_some() && !is_about_to_serve(container, processes.unwrap_or_default()) {
        return None;
    }
    let by_image = by_image(&container.image).map(|kind| (kind, Evidence::Image));
    let by_environment = || by_environment(container).map(|kind| (kind, Evidence::Environment));
    let by_mount = || by_mount(container).map(|kind| (kind, Evidence::Mount));
    by_image.or_else(by_environment).or_else(by_mount)
}

/// `postgres: checkpointer`, `/usr/sbin/mysqld --user=mysql`.
fn by_process(line: &str) -> Option<DatabaseKind> {
    let program = program(line.split_whitespace().next()?);
    // Watches other servers, and holds nothing.
    if line.contains("[sentinel]") || line.contains("--sentinel") {
        return None;
    }
    let known = PROGRAMS.iter().find(|(name, _)| *name == program);
    known.map(|(_, kind)| *kind)
}

fn program(word: &str) -> &str {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.trim_end_matches(':')
}

/// A server's container that is still being set up runs its entry point, with the server as an argument.
fn is_about_to_serve(container: &Container, processes: &[String]) -> bool {
    let names_a_server = |word: &str| PROGRAMS.iter().any(|(name, _)| *name == program(word));
    let mut lines = processes.iter().flat_map(|line| line.split_whitespace());
    lines.any(names_a_server) || container.command.iter().any(|word| names_a_server(word))
}

fn by_image(image: &str) -> Option<DatabaseKind> {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.split(':').next().unwrap_or(last);
    let known = IMAGES.iter().find(|(name, _)| *name == last);
    known.map(|(_, kind)| *kind)
}

fn by_environment(container: &Container) -> Option<DatabaseKind> {
    let known = VARIABLES
        .iter()
        .find(|(name, _)| container.env(name).is_some());
    known.map(|(_, kind)| *kind)
}

/// `/data` is too common a name to say anything.
fn by_mount(container: &Container) -> Option<DatabaseKind> {
    const TELLING: [(&str, DatabaseKind); 9] = [
        ("/var/lib/postgresql", DatabaseKind::Postgres),
        ("/var/lib/postgresql/data", DatabaseKind::Postgres),
        ("/bitnami/postgresql", DatabaseKind::Postgres),
        ("/var/lib/mysql", DatabaseKind::Mysql),
        ("/bitnami/mysql", DatabaseKind::Mysql),
        ("/bitnami/mariadb", DatabaseKind::Mariadb),
        ("/data/db", DatabaseKind::Mongodb),
        ("/bitnami/mongodb", DatabaseKind::Mongodb),
        ("/bitnami/redis", DatabaseKind::Redis),
    ];
    let place = |mount: &&Mount| mount.writable;
    container.mounts.iter().filter(place).find_map(|mount| {
        let known = TELLING.iter().find(|(path, _)| *path == mount.destination);
        known.map(|(_, kind)| *kind)
    })
}

fn looks_like_mariadb(container: &Container) -> bool {
    by_image(&container.image) == Some(DatabaseKind::Mariadb)
        || container
            .env
            .iter()
            .any(|(name, _)| name == "MARIADB_VERSION")
}

/// Does the mount hold the raw files of a server of this kind?
pub fn holds_raw_files(
    kind: DatabaseKind,
    container: &Container,
    processes: Option<&[String]>,
    mount: &Mount,
) -> bool {
    let place = mount.destination.trim_end_matches('/');
    let mut given = Vec::new();
    if kind == DatabaseKind::Postgres
        && let Some(folder) = container.env("PGDATA")
    {
        given.push(folder.reveal().clone());
    }
    let lines = processes
        .unwrap_or_default()
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let command = container
        .command
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>();
    for words in lines.chain([command]) {
        given.extend(folders_in(kind, &words));
    }
    let usual = kind.usual_folders().iter().copied();
    // The folder itself, or a part of it that has a volume of its own (a tablespace, a log).
    let inside = usual
        .chain(given.iter().map(String::as_str))
        .any(|folder| is_within(place, folder));
    // Its parent: images tell people to mount the parent and to set PGDATA to a folder in it.
    inside
        || given.iter().any(|folder| {
            folder
                .rsplit_once('/')
                .is_some_and(|(parent, _)| parent == place && !parent.is_empty())
        })
}

fn folders_in(kind: DatabaseKind, words: &[&str]) -> Vec<String> {
    let options = kind.folder_options();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (*word, words.get(at + 1).copied()),
        };
        if options.contains(&name)
            && let Some(value) = value.filter(|value| value.starts_with('/'))
        {
            found.push(value.trim_end_matches('/').to_owned());
        }
    }
    found
}

/// Is `path` that folder, or something in it?
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path == folder
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
