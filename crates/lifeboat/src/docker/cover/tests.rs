//! One project after another, and what becomes of each part of it.

use super::{
    super::{
        Call, Container, DockerError, Mount, MountKind, State, Trouble, Volume,
        look::{Seen, Service, Shape},
        own::Own,
    },
    *,
};
use chrono_tz::Tz;
use lifeboat_run::Secret;
use std::path::Path;

const ANONYMOUS: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A service of the project `shop`, running `image`.
fn service(name: &str, image: &str) -> Service {
    Service {
        address: Address::own("shop", name),
        container: Container {
            id: format!("id-of-{name}"),
            name: format!("shop-{name}-1"),
            image: image.to_owned(),
            state: State::Running,
            ..Container::default()
        },
        replicas: Vec::new(),
        processes: None,
        digests: Vec::new(),
        shapes: BTreeMap::new(),
    }
}

impl Service {
    fn of(mut self, project: &str) -> Self {
        self.address = Address::foreign(project, &self.address.service);
        self
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        let name = format!("lifeboat.{name}");
        self.container.labels.insert(name, value.to_owned());
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.container
            .env
            .push((name.to_owned(), Secret::new(value.to_owned())));
        self
    }

    fn runs(mut self, line: &str) -> Self {
        self.processes.get_or_insert_default().push(line.to_owned());
        self
    }

    fn volume(mut self, name: &str, place: &str) -> Self {
        self.container.mounts.push(volume_mount(name, place));
        self
    }

    fn bind(mut self, path: &str, place: &str) -> Self {
        self.container.mounts.push(bind_mount(path, place, true));
        self
    }

    fn bind_read_only(mut self, path: &str, place: &str) -> Self {
        self.container.mounts.push(bind_mount(path, place, false));
        self
    }

    fn shape(mut self, place: &str, shape: Shape) -> Self {
        self.shapes.insert(place.to_owned(), shape);
        self
    }
}

fn volume_mount(name: &str, place: &str) -> Mount {
    Mount {
        kind: MountKind::Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
        },
        destination: place.to_owned(),
        source: format!("/var/lib/docker/volumes/{name}/_data"),
        writable: true,
    }
}

fn bind_mount(path: &str, place: &str, writable: bool) -> Mount {
    Mount {
        kind: MountKind::Bind,
        destination: place.to_owned(),
        source: path.to_owned(),
        writable,
    }
}

/// `shop_KEY`, as Compose makes it.
fn volume(key: &str) -> Volume {
    let labels = [("project", "shop"), ("volume", key)];
    Volume {
        name: format!("shop_{key}"),
        driver: "local".to_owned(),
        path: format!("/var/lib/docker/volumes/shop_{key}/_data"),
        labels: labels
            .map(|(name, value)| (format!("com.docker.compose.{name}"), value.to_owned()))
            .into(),
        options: BTreeMap::new(),
    }
}

struct Project {
    seen: Seen,
    folders: Vec<String>,
    databases: bool,
    volumes: bool,
}

fn project(
    services: impl IntoIterator<Item = Service>,
    volumes: impl IntoIterator<Item = Volume>,
) -> Project {
    let mut services: Vec<Service> = services.into_iter().collect();
    services.sort_by(|a, b| a.address.cmp(&b.address));
    let own = Own {
        id: "own".to_owned(),
        project: Some("shop".to_owned()),
        service: Some("backup".to_owned()),
        image: "lifeboat".to_owned(),
        image_id: "sha256:own".to_owned(),
        mounts: vec![volume_mount("shop_backups", "/backups")],
    };
    Project {
        seen: Seen {
            own: Some(own),
            kin: Vec::new(),
            project: Some("shop".to_owned()),
            services,
            volumes: volumes.into_iter().collect(),
            unseen: Vec::new(),
            remarks: Vec::new(),
        },
        folders: Vec::new(),
        databases: true,
        volumes: true,
    }
}

impl Project {
    /// Mounted into the sidecar as `/data/NAME`.
    fn folder(mut self, name: &str, mount: Mount) -> Self {
        let destination = format!("/data/{name}");
        let own = self.seen.own.as_mut().unwrap();
        own.mounts.push(Mount {
            destination,
            ..mount
        });
        self.folders.push(name.to_owned());
        self
    }

    fn store(mut self, mount: Mount) -> Self {
        self.seen.own.as_mut().unwrap().mounts[0] = mount;
        self
    }

    fn decide(&self) -> Coverage {
        let given = Given {
            databases: self.databases,
            volumes: self.volumes,
            sources_dir: Path::new("/data"),
            backup_dir: Path::new("/backups"),
            zone: Tz::UTC,
            folders: &self.folders,
        };
        decide(&self.seen, given)
    }
}

impl Coverage {
    /// Every source on a line, then whatever else there is to say.
    fn told(&self) -> String {
        let mut lines = Vec::new();
        for server in &self.servers {
            lines.push(format!("{} {}", server.source, server.kind.as_str()));
        }
        for command in &self.commands {
            lines.push(format!("{} command .{}", command.source, command.extension));
        }
        for folder in &self.folders {
            lines.push(format!(
                "{} folder{}",
                folder.source,
                users(&folder.users, folder.hold)
            ));
        }
        for volume in &self.volumes {
            let place = volume.volume.iter().chain(&volume.path_on_host);
            let place: Vec<&str> = place.map(String::as_str).collect();
            let mut line = format!(
                "{} = {}{}",
                volume.source,
                place.join(" "),
                users(&volume.users, volume.hold)
            );
            if !volume.exclude.is_empty() {
                line.push_str(&format!(" but {}", volume.exclude.join(" ")));
            }
            lines.push(line);
        }
        for failing in &self.failing {
            lines.push(format!("{} fails: {}", failing.source, failing.reason));
        }
        for left in &self.left_to_dumps {
            lines.push(format!("{} left to {}", left.what, left.server));
        }
        for left in &self.uncovered {
            let mark = if left.harmless { "-" } else { "!" };
            lines.push(format!("{mark} {}: {}", left.what, left.why));
        }
        lines.extend(
            self.remarks
                .iter()
                .map(|remark| format!("? {}", remark.what)),
        );
        lines.join("\n")
    }
}

fn users(users: &[Address], hold: HoldMode) -> String {
    let names: Vec<String> = users.iter().map(Address::to_string).collect();
    let hold = if hold == HoldMode::None {
        ""
    } else {
        hold.as_str()
    };
    let mut text = format!(
        " of {}",
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join("+")
        }
    );
    if !hold.is_empty() {
        text.push_str(&format!(" ({hold})"));
    }
    text
}

#[track_caller]
fn expect(project: &Project, lines: &[&str]) {
    let told = project.decide().told();
    assert_eq!(told, lines.join("\n"), "\n{told}");
}

#[test]
fn what_may_not_be_looked_at_fails_and_a_hold_for_a_dump_alone_is_told() {
    let mut shop = project(
        [
            service("db", "postgres:17")
                .label("hold", "stop")
                .volume("shop_db", "/var/lib/postgresql/data"),
            service("app", "acme/app")
                .label("hold", "stop")
                .volume("shop_uploads", "/uploads"),
        ],
        ["db", "uploads"].map(volume),
    );
    let refused = DockerError::new(Call::get("/containers/4f/json"), Trouble::Denied, "");
    shop.seen
        .unseen
        .push((Address::own("shop", "crm"), refused));
    let coverage = shop.decide();
    let [failing] = &coverage.failing[..] else {
        panic!("{:?}", coverage.failing)
    };
    assert_eq!(
        (failing.source.as_str(), failing.code),
        ("crm", "docker_denied")
    );
    assert!(failing.reason.contains("GET /containers/4f/json: refused"));
    let told: Vec<&str> = coverage.remarks.iter().map(|r| r.what.as_str()).collect();
    assert_eq!(
        told,
        ["lifeboat.hold of service db has no effect: its database is dumped while it runs"]
    );
}

#[test]
fn a_project_is_covered_without_a_word_about_any_service() {
    let shop = project(
        [
            service("db", "postgres:17").volume("shop_db", "/var/lib/postgresql/data"),
            service("books", "acme/books")
                .runs("mariadbd")
                .volume("shop_books", "/var/lib/mysql"),
            service("cache", "redis:7").volume("shop_cache", "/data"),
            service("app", "acme/app")
                .env("POSTGRES_PASSWORD", "x")
                .runs("puma")
                .volume("shop_uploads", "/uploads")
                .volume("shop_storage", "/storage"),
        ],
        [
            "backups",
            "db",
            "books",
            "cache",
            "uploads",
            "storage",
            "forgotten",
        ]
        .map(volume),
    )
    .folder("storage", volume_mount("shop_storage", ""));
    expect(
        &shop,
        &[
            "books mariadb",
            "cache redis",
            "db postgres",
            "storage folder of app",
            "forgotten = shop_forgotten of nobody",
            "uploads = shop_uploads of app",
            "volume books left to books",
            "volume cache left to cache",
            "volume db left to db",
        ],
    );
}

#[test]
fn without_a_database_to_dump_its_raw_files_are_saved_and_doubted() {
    let mut shop = project(
        [service("db", "postgres:17").volume("shop_db", "/var/lib/postgresql/data")],
        [volume("db")],
    );
    shop.databases = false;
    expect(
        &shop,
        &[
            "db = shop_db of db",
            "? source db: the raw files of postgres in service db, and nothing dumps it: a copy made while it \
             runs may be worth nothing",
        ],
    );
    shop.seen.services[0] = shop.seen.services[0].clone().label("hold", "stop");
    expect(&shop, &["db = shop_db of db (stop)"]);
}

#[test]
fn a_service_that_is_called_files_is_no_server() {
    let shop = project(
        [service("db", "postgres:17")
            .label("kind", "files")
            .volume("shop_db", "/var/lib/postgresql/data")],
        [volume("db")],
    );
    expect(&shop, &["db = shop_db of db"]);
}

#[test]
fn volumes_that_are_not_discovered_are_told() {
    let mut shop = project(
        [service("app", "acme/app").volume("shop_uploads", "/uploads")],
        [volume("uploads")],
    );
    shop.volumes = false;
    expect(
        &shop,
        &[
            "- volume uploads (app): BACKUP_DISCOVER leaves volumes out; mount it below BACKUP_SOURCES_DIR",
        ],
    );
}

#[test]
fn raw_files_that_are_mounted_into_the_sidecar_are_left_to_the_dump_too() {
    let shop = project(
        [service("db", "postgres:17").volume("shop_db", "/var/lib/postgresql/data")],
        [volume("db")],
    )
    .folder("db", volume_mount("shop_db", ""));
    let coverage = shop.decide();
    assert_eq!(coverage.left_to_dumps[0].what, "/data/db");
    assert_eq!(coverage.folders, []);
    // The folder was there first, and keeps its name.
    assert_eq!(coverage.servers[0].source, "db-postgres");
}

#[test]
fn the_sidecars_own_store_is_never_a_source() {
    let by_volume = project(
        [service("app", "acme/app").volume("shop_backups", "/look")],
        [volume("backups")],
    );
    expect(&by_volume, &[]);
    let by_folder = project(
        [service("app", "acme/app").bind("/srv/shop/backups", "/look")],
        [],
    )
    .store(bind_mount("/srv/shop/backups", "/backups", true));
    expect(&by_folder, &[]);
    let around = project([service("app", "acme/app").bind("/srv/shop", "/code")], [])
        .store(bind_mount("/srv/shop/backups", "/backups", true));
    expect(&around, &["app.code = /srv/shop of app but /backups/"]);
}

#[test]
fn the_store_of_another_sidecar_is_never_a_source() {
    let mut shop = project([], [volume("archive"), volume("uploads")]);
    shop.seen.kin.push(volume_mount("shop_archive", "/backups"));
    expect(&shop, &["uploads = shop_uploads of nobody"]);
}

#[test]
fn folders_of_the_host_are_sources_where_somebody_writes_to_them() {
    let shop = project(
        [
            service("app", "acme/app")
                .bind("/srv/shop/letters", "/letters")
                .bind_read_only("/srv/shop/app.conf", "/etc/app.conf")
                .bind("/var/run/docker.sock", "/var/run/docker.sock")
                .bind("/etc/localtime", "/etc/localtime")
                .shape("/etc/localtime", Shape::File)
                .bind("/srv/shop/acme.json", "/acme.json")
                .bind("/srv/shop/talk", "/talk")
                .shape("/talk", Shape::Special)
                .bind_read_only("/srv/shop/secret", "/run/secrets/pw")
                .bind("/", "/host"),
            service("web", "acme/web")
                .bind_read_only("/srv/shop/letters", "/srv/letters")
                .bind("/srv/shop/letters/new", "/new")
                .bind_read_only("/srv/shop/pages", "/pages"),
        ],
        [],
    );
    let system = "a path of the system; mount the folder that is meant below BACKUP_SOURCES_DIR";
    let nobody = "nothing in the project can write to it; if it is data all the same, mount it below BACKUP_SOURCES_DIR";
    expect(
        &shop,
        &[
            "app.letters = /srv/shop/letters of app+web",
            &format!("- / (app): {system}"),
            "- /etc/localtime (app): a file of the system",
            "! /srv/shop/acme.json (app): a single file; mount its folder instead, or let lifeboat.command print it",
            &format!("- /srv/shop/app.conf (app): {nobody}"),
            &format!("- /srv/shop/pages (web): {nobody}"),
        ],
    );
}

#[test]
fn a_folder_of_the_host_that_the_sidecar_has_is_not_saved_twice() {
    let shop = project(
        [service("app", "acme/app")
            .bind("/srv/shop/letters/in", "/in")
            .label("hold", "pause")],
        [],
    )
    .folder("letters", bind_mount("/srv/shop/letters", "", false));
    expect(&shop, &["letters folder of app (pause)"]);
}

#[test]
fn raw_files_in_a_folder_of_the_host_are_left_to_the_dump() {
    let shop = project(
        [service("db", "mariadb:11").bind("/srv/mysql", "/var/lib/mysql")],
        [],
    );
    expect(&shop, &["db mariadb", "/srv/mysql left to db"]);
}

#[test]
fn an_anonymous_volume_is_called_by_its_service_and_its_place() {
    let mut app = service("app", "acme/app").volume(ANONYMOUS, "/var/cache/app");
    let second = Container {
        name: "shop-app-2".to_owned(),
        mounts: vec![volume_mount(&ANONYMOUS.replace('0', "f"), "/var/cache/app")],
        ..app.container.clone()
    };
    app.replicas.push(second);
    let shop = project([app], []);
    expect(
        &shop,
        &[
            &format!("app.app = {ANONYMOUS} of app"),
            &format!("app.app-volume = {} of app", ANONYMOUS.replace('0', "f")),
        ],
    );
}

#[test]
fn volumes_in_memory_and_volumes_from_outside() {
    let mut memory = volume("scratch");
    memory.options.insert("type".to_owned(), "tmpfs".to_owned());
    let mut external = volume("x");
    external.name = "media".to_owned();
    external.labels.clear();
    let shop = project(
        [service("app", "acme/app").volume("media", "/media")],
        [memory, external],
    );
    expect(
        &shop,
        &[
            "media = media of app",
            "- volume scratch: it lies in memory",
        ],
    );
}

#[test]
fn where_the_engine_does_not_list_volumes_those_in_use_are_still_known() {
    let shop = project(
        [service("app", "acme/app")
            .volume("shop_uploads", "/uploads")
            .volume("other", "/other")],
        [],
    );
    expect(
        &shop,
        &["other = other of app", "uploads = shop_uploads of app"],
    );
}

#[test]
fn a_service_that_is_switched_off_is_told_with_its_volumes() {
    let shop = project(
        [
            service("db", "postgres:17")
                .label("enable", "false")
                .volume("shop_db", "/var/lib/postgresql/data"),
            service("app", "acme/app")
                .label("enable", "false")
                .volume("shop_shared", "/x"),
            service("web", "acme/web").volume("shop_shared", "/x"),
        ],
        ["db", "shared"].map(volume),
    );
    expect(
        &shop,
        &[
            "shared = shop_shared of app+web",
            "- service app: switched off by its label lifeboat.enable",
            "- service db: switched off by its label lifeboat.enable",
            "- volume db (db): switched off by its label lifeboat.enable",
        ],
    );
}

#[test]
fn what_a_service_leaves_out_is_left_out_of_its_own_volumes() {
    let shop = project(
        [
            service("app", "acme/app")
                .label("exclude", "cache/, thumbs")
                .volume("shop_uploads", "/uploads")
                .volume("shop_thumbs", "/thumbs"),
            service("web", "acme/web").volume("shop_pages", "/pages"),
            // Names of databases.
            service("db", "postgres:17")
                .label("exclude", "scratch")
                .volume("shop_dumps", "/dumps"),
        ],
        ["uploads", "thumbs", "pages", "dumps"].map(volume),
    );
    expect(
        &shop,
        &[
            "db postgres",
            "dumps = shop_dumps of db",
            "pages = shop_pages of web",
            "uploads = shop_uploads of app but cache/ thumbs",
            "- volume thumbs (app): left out by lifeboat.exclude of app",
        ],
    );
    assert_eq!(shop.decide().servers[0].settings.exclude, ["scratch"]);
}

#[test]
fn the_strongest_hold_of_all_users_is_what_a_volume_gets() {
    let shop = project(
        [
            service("app", "acme/app")
                .label("hold", "pause")
                .volume("shop_x", "/x"),
            service("web", "acme/web")
                .label("hold", "stop")
                .volume("shop_x", "/x"),
            service("job", "acme/job").volume("shop_x", "/x"),
        ],
        [volume("x")],
    );
    let coverage = shop.decide();
    assert_eq!(coverage.told(), "x = shop_x of app+job+web (stop)");
    assert_eq!(
        coverage.settings[&Address::own("shop", "app")].hold,
        HoldMode::Pause
    );
}

#[test]
fn a_command_is_a_source_and_may_stand_for_the_dump() {
    let plain = service("ledger", "acme/ledger")
        .label("command", "seq 1 3")
        .label("extension", "txt");
    expect(&project([plain], []), &["ledger command .txt"]);

    let both = service("db", "postgres:17").label("command", "date");
    expect(
        &project([both], []),
        &["db postgres", "db-command command .out"],
    );

    let instead = service("db", "postgres:17")
        .label("kind", "command")
        .label("command", "pg_dumpall")
        .volume("shop_db", "/var/lib/postgresql/data");
    expect(
        &project([instead], [volume("db")]),
        &["db command .out", "volume db left to db"],
    );
}

#[test]
fn a_mistake_in_a_label_fails_every_source_of_its_service_and_no_other() {
    let shop = project(
        [
            service("db", "postgres:17")
                .label("hodl", "stop")
                .volume("shop_db", "/var/lib/postgresql/data"),
            service("app", "acme/app")
                .label("hold", "freeze")
                .volume("shop_uploads", "/uploads"),
            service("web", "acme/web").volume("shop_pages", "/pages"),
            // Nothing else of it would be noticed.
            service("ledger", "acme/ledger").label("comand", "seq 1 3"),
        ],
        ["db", "uploads", "pages"].map(volume),
    );
    let coverage = shop.decide();
    let failing: Vec<&str> = coverage
        .failing
        .iter()
        .map(|failing| failing.source.as_str())
        .collect();
    assert_eq!(failing, ["db", "uploads", "ledger"]);
    assert!(
        coverage.failing[0].reason.contains("lifeboat.hodl"),
        "{:?}",
        coverage.failing[0]
    );
    assert_eq!(coverage.mistakes.len(), 3);
    assert_eq!(coverage.servers, []);
    assert_eq!(coverage.volumes.len(), 1);
    assert_eq!(coverage.left_to_dumps.len(), 1);
}

#[test]
fn labels_for_servers_on_what_is_none_are_a_mistake() {
    let shop = project(
        [service("app", "acme/app")
            .label("databases", "shop")
            .runs("puma")],
        [],
    );
    let coverage = shop.decide();
    assert_eq!(coverage.mistakes[0].label, "lifeboat.databases");
    assert!(coverage.mistakes[0].hint.contains("lifeboat.kind"));
    assert_eq!(coverage.failing[0].source, "app");
}

#[test]
fn names_that_meet_are_told_apart_the_same_way_every_time() {
    let services = || {
        [
            service("storage", "postgres:17"),
            service("uploads", "acme/x").label("command", "true"),
            service("db", "postgres:17").bind("/srv/dumps", "/dumps"),
            service("app", "acme/app").volume("shop_uploads", "/uploads"),
        ]
    };
    let lines = ["app.old folder of nobody", "storage folder of nobody"];
    let one = project(services(), [volume("uploads")])
        .folder("storage", bind_mount("/x", "", false))
        .folder("app.old", bind_mount("/y", "", false));
    let other = project(services().into_iter().rev(), [volume("uploads")])
        .folder("storage", bind_mount("/x", "", false));
    let told = one.decide().told();
    for line in lines.into_iter().chain([
        "db postgres",
        "storage-postgres postgres",
        "uploads command .out",
        "uploads-volume = shop_uploads of app",
        "db-dumps = /srv/dumps of db",
    ]) {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let mut first: Vec<String> = other
        .decide()
        .volumes
        .into_iter()
        .map(|v| v.source)
        .collect();
    first.sort();
    assert_eq!(first, ["db-dumps", "uploads-volume"]);
}

#[test]
fn what_belongs_to_another_project_bears_its_name() {
    let mut theirs = volume("pages");
    theirs.name = "wiki_pages".to_owned();
    theirs
        .labels
        .insert("com.docker.compose.project".to_owned(), "wiki".to_owned());
    let both = project(
        [
            service("db", "postgres:17"),
            service("db", "postgres:17").of("wiki"),
            service("web", "acme/web")
                .of("wiki")
                .volume("wiki_pages", "/pages"),
            service("lone", "redis:7").of(""),
        ],
        [theirs],
    );
    expect(
        &both,
        &[
            "lone redis",
            "db postgres",
            "wiki.db postgres",
            "wiki.pages = wiki_pages of wiki.web",
        ],
    );
}
