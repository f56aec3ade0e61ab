use super::{super::MountKind, *};
use lifeboat_run::Secret;

fn container(image: &str) -> Container {
    Container {
        image: image.to_owned(),
        ..Container::default()
    }
}

fn with_env(image: &str, env: &[(&str, &str)]) -> Container {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
    Container {
        env: env.collect(),
        ..container(image)
    }
}

fn volume_at(destination: &str) -> Mount {
    Mount {
        kind: MountKind::Volume {
            name: "v".to_owned(),
            driver: "local".to_owned(),
        },
        destination: destination.to_owned(),
        source: String::new(),
        writable: true,
    }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn a_server_in_a_custom_image_is_known_by_its_processes() {
    use DatabaseKind::*;
    for (line, kind) in [
        ("postgres: walwriter ", Postgres),
        (
            "/usr/lib/postgresql/15/bin/postgres -D /var/lib/postgresql/data",
            Postgres,
        ),
        ("mariadbd --user=mysql", Mariadb),
        ("/usr/sbin/mysqld", Mysql),
        ("redis-server *:6379", Redis),
        ("valkey-server 0.0.0.0:6379", Redis),
        ("/usr/bin/mongod --bind_ip_all", Mongodb),
    ] {
        let processes = lines(&["tini -- /start.sh", line]);
        let known = recognise(&container("registry:5000/acme/things:3"), Some(&processes));
        assert_eq!(known, Some((kind, Evidence::Process)), "{line}");
    }
}

#[test]
fn the_program_that_mariadb_had_from_mysql_is_told_by_what_surrounds_it() {
    let processes = lines(&["mysqld"]);
    for old in [
        container("mariadb:10.4"),
        with_env("acme/db", &[("MARIADB_VERSION", "10.4")]),
    ] {
        let known = recognise(&old, Some(&processes)).unwrap();
        assert_eq!(known.0, DatabaseKind::Mariadb);
    }
}

#[test]
fn a_server_that_does_not_run_is_known_by_its_image() {
    use DatabaseKind::*;
    for (image, kind) in [
        ("postgres:17-alpine", Some(Postgres)),
        ("postgres", Some(Postgres)),
        ("localhost:5000/postgres", Some(Postgres)),
        ("postgis/postgis:16-3.4", Some(Postgres)),
        ("timescale/timescaledb:latest-pg16", Some(Postgres)),
        ("pgvector/pgvector:pg17", Some(Postgres)),
        ("bitnami/postgresql@sha256:aa", Some(Postgres)),
        ("docker.io/library/mariadb:11", Some(Mariadb)),
        ("mysql:8.4", Some(Mysql)),
        ("percona:8", Some(Mysql)),
        ("valkey/valkey:8", Some(Redis)),
        ("redis/redis-stack-server:7", Some(Redis)),
        ("eqalpha/keydb", Some(Redis)),
        ("mongo:7", Some(Mongodb)),
        ("prodrigestivill/postgres-backup-local", None),
        ("mongo-express", None),
        ("phpmyadmin", None),
        ("oliver006/redis_exporter", None),
        ("edoburu/pgbouncer", None),
    ] {
        assert_eq!(
            recognise(&container(image), None).map(|(kind, _)| kind),
            kind,
            "{image}"
        );
    }
}

#[test]
fn a_server_of_an_own_image_that_does_not_run_is_known_by_its_environment_or_its_mount() {
    let known = recognise(&with_env("acme/db", &[("PGDATA", "/x")]), None);
    assert_eq!(known, Some((DatabaseKind::Postgres, Evidence::Environment)));
    let mounted = Container {
        mounts: vec![volume_at("/var/lib/mysql")],
        ..container("acme/db")
    };
    let known = recognise(&mounted, None);
    assert_eq!(known, Some((DatabaseKind::Mysql, Evidence::Mount)));
}

#[test]
fn a_client_is_no_server_whatever_it_holds() {
    let passwords = [
        ("POSTGRES_PASSWORD", "x"),
        ("POSTGRES_USER", "x"),
        ("MYSQL_ROOT_PASSWORD", "x"),
        ("DATABASE_URL", "postgres://db/shop"),
    ];
    assert_eq!(recognise(&with_env("acme/app:1", &passwords), None), None);

    // The image of a server, for its tools.
    let nightly = Container {
        command: lines(&["sleep", "infinity"]),
        ..with_env("postgres:17", &[("PGDATA", "/var/lib/postgresql/data")])
    };
    assert_eq!(recognise(&nightly, Some(&lines(&["sleep infinity"]))), None);
    let rails = with_env("acme/rails", &[("PG_MAJOR", "17")]);
    assert_eq!(
        recognise(&rails, Some(&lines(&["puma 6.4 (tcp://0.0.0.0:3000)"]))),
        None
    );
    // Talks to a server, and names it.
    let worker = recognise(
        &container("acme/app"),
        Some(&lines(&["node server.js postgres"])),
    );
    assert_eq!(worker, None);
}

#[test]
fn a_server_that_is_still_being_set_up_is_known() {
    let processes = lines(&[
        "bash /usr/local/bin/docker-entrypoint.sh postgres",
        "initdb",
    ]);
    let known = recognise(&container("postgres:17"), Some(&processes));
    assert_eq!(known, Some((DatabaseKind::Postgres, Evidence::Image)));
}

#[test]
fn a_sentinel_holds_nothing() {
    let processes = lines(&["redis-server *:26379 [sentinel]"]);
    assert_eq!(recognise(&container("acme/ha"), Some(&processes)), None);
}

#[test]
fn raw_files_lie_where_the_image_the_environment_or_the_command_says() {
    use DatabaseKind::*;
    let official = with_env("postgres:17", &[("PGDATA", "/var/lib/postgresql/data")]);
    let moved = with_env("postgres:17", &[("PGDATA", "/srv/pg/data")]);
    let told = Container {
        command: lines(&["postgres", "-D", "/elsewhere"]),
        ..container("acme/pg")
    };
    let plain = container("x");
    for (kind, container, place, raw) in [
        (Postgres, &official, "/var/lib/postgresql/data", true),
        (Postgres, &official, "/var/lib/postgresql", true),
        (Postgres, &official, "/var/lib/postgresql/data/pg_wal", true),
        (Postgres, &official, "/dumps", false),
        (Postgres, &official, "/var/lib", false),
        (Postgres, &moved, "/srv/pg/data", true),
        (Postgres, &moved, "/srv/pg", true),
        (Postgres, &moved, "/srv", false),
        (Postgres, &told, "/elsewhere", true),
        (Postgres, &plain, "/bitnami/postgresql", true),
        (Mariadb, &plain, "/var/lib/mysql", true),
        (Mariadb, &plain, "/var/lib/mysql-files", false),
        (Redis, &plain, "/data", true),
        (Redis, &plain, "/data2", false),
        (Mongodb, &plain, "/data/db", true),
        (Mongodb, &plain, "/data/configdb", true),
        (Mongodb, &plain, "/data", false),
    ] {
        assert_eq!(
            holds_raw_files(kind, container, None, &volume_at(place)),
            raw,
            "{place}"
        );
    }
    let running = lines(&["mysqld --datadir=/mnt/db --port 3306"]);
    assert!(holds_raw_files(
        Mysql,
        &plain,
        Some(&running),
        &volume_at("/mnt/db")
    ));
    let running = lines(&["mongod --dbpath /mnt/m"]);
    assert!(holds_raw_files(
        Mongodb,
        &plain,
        Some(&running),
        &volume_at("/mnt/m")
    ));
}
