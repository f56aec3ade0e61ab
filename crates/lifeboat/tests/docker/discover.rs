//! What a project runs, found by asking: from outside, from within a container of its own, and through
//! filters that refuse.

use crate::{
    filter::Filter,
    image::{Image, PROGRAM},
    project::{BUSYBOX, IDLE, Project, SOCKET, docker, project, until},
};
use lifeboat::docker::{
    Address, Container, Place, SERVICE, Trouble,
    cover::{Coverage, Given, decide},
    look::{Scope, Seen, Shape, look},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

const REDIS: &str = "lifeboat-bed/redis:7";

fn scope(project: &Project) -> Scope {
    Scope::Projects(vec![project.name.clone()])
}

fn seen(project: &Project) -> Seen {
    look(&project.engine, &scope(project), &[], None).unwrap()
}

fn covered(seen: &Seen) -> Coverage {
    let given = Given {
        databases: true,
        volumes: true,
        sources_dir: Path::new("/data"),
        backup_dir: Path::new("/backups"),
        zone: chrono_tz::Tz::UTC,
        folders: &[],
    };
    decide(seen, given)
}

fn volume(project: &Project, key: &str) -> String {
    let name = format!("{}_{key}", project.name);
    docker(&[
        "volume",
        "create",
        "--label",
        "lifeboat-test=1",
        "--label",
        &format!("com.docker.compose.project={}", project.name),
        "--label",
        &format!("com.docker.compose.volume={key}"),
        &name,
    ]);
    name
}

/// The program on this host, asking as `settings` say.
fn lifeboat(words: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(words).env_clear().env("TZ", "UTC");
    command.envs(settings.iter().copied());
    command.output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {output:?}");
    })
}

/// A folder for the sources, with one in it, and one for the backups.
struct Places(tempfile::TempDir);

impl Places {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data/notes")).unwrap();
        fs::write(dir.path().join("data/notes/a.txt"), "first").unwrap();
        Places(dir)
    }

    fn run(&self, words: &[&str], host: &str, scope: &str) -> Output {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        let (data, backups) = (path("data"), path("backups"));
        let settings = [
            ("BACKUP_SOURCES_DIR", data.as_str()),
            ("BACKUP_DIR", &backups),
            ("BACKUP_SIGNING_KEY", "a key for signing, long enough"),
            ("BACKUP_NAME", "shop"),
            ("DOCKER_HOST", host),
            ("BACKUP_SCOPE", scope),
        ];
        lifeboat(words, &settings)
    }

    fn manifest(&self) -> Value {
        let daily = self.0.path().join("backups/daily");
        let mut manifests: Vec<_> = fs::read_dir(daily)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .collect();
        manifests.sort();
        serde_json::from_slice(&fs::read(manifests.pop().unwrap()).unwrap()).unwrap()
    }
}

fn host(place: &Place) -> String {
    place.to_string()
}

#[test]
fn a_server_in_an_image_of_ones_own_is_found_with_its_raw_files() {
    let Some(project) = project(&[BUSYBOX, REDIS]) else {
        return;
    };
    let data = volume(&project, "things");
    let uploads = volume(&project, "uploads");
    let own_image = format!("{}:1", project.name);
    docker(&["tag", REDIS, &own_image]);
    let mount = format!("{data}:/data");
    project.start("store", &["-v", &mount], &[&own_image]);
    let mount = format!("{uploads}:/uploads");
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    project.start("app", &["-v", &mount, "-e", "REDIS_PASSWORD=x"], &app);
    let one_off = ["--label", "com.docker.compose.oneoff=True"];
    project.start("task", &one_off, &app);
    until("the server runs", || {
        let coverage = covered(&seen(&project));
        coverage
            .servers
            .iter()
            .any(|server| server.source == "store")
    });
    docker(&["rmi", &own_image]);

    let seen = seen(&project);
    let names: Vec<&str> = seen
        .services
        .iter()
        .map(|s| s.address.service.as_str())
        .collect();
    assert_eq!(names, ["app", "store"]);
    assert_eq!(seen.remarks, []);
    let coverage = covered(&seen);
    assert_eq!(coverage.left_to_dumps.len(), 1);
    assert_eq!(coverage.left_to_dumps[0].server, "store");
    let volumes: Vec<(&str, Option<&str>)> = coverage
        .volumes
        .iter()
        .map(|volume| (volume.source.as_str(), volume.volume.as_deref()))
        .collect();
    assert_eq!(volumes, [("uploads", Some(uploads.as_str()))]);
}

#[test]
fn a_service_that_was_made_anew_is_the_same_service() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    let first = project.start("app", &[], &app);
    let address = Address::own(&project.name, "app");
    assert_eq!(project.engine.running(&address).unwrap().id, first);
    docker(&["rm", "-f", &first]);
    let gone = project.engine.running(&address).unwrap_err();
    assert_eq!(gone.trouble, Trouble::NotFound);
    let second = project.start("app", &[], &app);
    assert_eq!(project.engine.running(&address).unwrap().id, second);
    docker(&["pause", &second]);
    let paused = project.engine.running(&address).unwrap_err();
    assert!(paused.to_string().contains("is paused"), "{paused}");
    docker(&["unpause", &second]);
}

#[test]
fn what_is_mounted_from_the_host_is_known_by_its_shape() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("certs.json")).unwrap();
    fs::write(path("settings"), "x").unwrap();
    let options = [
        format!("{}:/certs.json", path("certs.json")),
        format!("{}:/settings", path("settings")),
        format!("{SOCKET}:/talk"),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-v", option]).collect();
    project.start("app", &options, &[&[BUSYBOX], &IDLE[..]].concat());
    let seen = seen(&project);
    let shapes = &seen.services[0].shapes;
    assert_eq!(shapes["/certs.json"], Shape::Folder);
    assert_eq!(shapes["/settings"], Shape::File);
    assert_eq!(shapes["/talk"], Shape::Special);
}

#[test]
fn a_call_that_discovery_can_do_without_may_be_refused() {
    let Some(project) = project(&[BUSYBOX, REDIS]) else {
        return;
    };
    let data = volume(&project, "data");
    volume(&project, "alone");
    project.start("cache", &["-v", &format!("{data}:/data")], &[REDIS]);
    let filter = Filter::new(|call| {
        let without = ["/top", "/archive"].iter().any(|end| call.ends_with(end));
        without || call == "GET /volumes" || call.starts_with("GET /images/")
    });
    let seen = look(&filter.engine(), &scope(&project), &[], None).unwrap();
    let told: Vec<&str> = seen
        .remarks
        .iter()
        .map(|remark| remark.what.as_str())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter()
            .any(|told| told.starts_with("GET /volumes: refused")),
        "{told:?}"
    );
    let coverage = covered(&seen);
    assert_eq!(coverage.servers[0].source, "cache");
    assert_eq!(coverage.left_to_dumps[0].what, "volume data");
    assert!(coverage.volumes.is_empty());
}

#[test]
fn the_calls_that_are_made_are_those_that_the_manual_lists() {
    let Some(project) = project(&[BUSYBOX, REDIS]) else {
        return;
    };
    let uploads = volume(&project, "uploads");
    let dir = tempfile::tempdir().unwrap();
    let bind = format!("{}:/letters", dir.path().display());
    project.start(
        "app",
        &["-v", &format!("{uploads}:/u"), "-v", &bind],
        &[&[BUSYBOX], &IDLE[..]].concat(),
    );
    project.start("cache", &[], &[REDIS]);
    let filter = Filter::new(|_| false);
    let plan = Places::new().run(&["plan", "--json"], &host(&filter.place()), &project.name);
    assert!(plan.status.success(), "{plan:?}");

    let listed = listed_calls(&["any", "discovery"]);
    let made: BTreeSet<String> = filter.seen().iter().map(|call| shape_of(call)).collect();
    assert_eq!(
        made, listed,
        "docs/security.md lists what is made, and nothing more"
    );
    // What a proxy would refuse shows in `plan` with method and path.
    let refusing = Filter::new(|call| call == "GET /containers/json");
    let places = Places::new();
    let plan = places.run(&["plan"], &host(&refusing.place()), &project.name);
    let said = String::from_utf8_lossy(&plan.stdout);
    assert_eq!(plan.status.code(), Some(1), "{said}");
    assert!(said.contains("GET /containers/json: refused"), "{said}");
}

/// As `scripts/allowed_calls.sh` reads them.
fn listed_calls(features: &[&str]) -> BTreeSet<String> {
    let manual = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/security.md"
    ))
    .unwrap();
    let rows = manual.lines().filter(|line| {
        let feature = line.strip_prefix("| ").unwrap_or_default();
        features.iter().any(|wanted| feature.starts_with(wanted))
    });
    let cells = rows.filter_map(|row| row.split('|').nth(2));
    let words = cells.flat_map(|cell| cell.split('`'));
    words
        .filter(|word| word.contains(" /"))
        .map(str::to_owned)
        .collect()
}

/// `GET /containers/4f…/json` as the manual writes it.
fn shape_of(call: &str) -> String {
    let (method, path) = call.split_once(' ').unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["", kind, _, last] => format!("{method} /{kind}/{{id}}/{last}"),
        _ => call.to_owned(),
    }
}

#[test]
fn a_refused_engine_costs_its_own_sources_and_no_others() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let filter = Filter::new(|call| call == "GET /containers/json");
    let places = Places::new();
    let run = places.run(&["backup"], &host(&filter.place()), &project.name);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let manifest = places.manifest();
    assert_eq!(manifest["status"], "partial");
    assert_eq!(manifest["archives"][0]["source"], "notes");
    let missed = &manifest["missed"][0];
    assert_eq!(missed["code"], "docker_denied");
    let reason = missed["reason"].as_str().unwrap();
    assert!(reason.contains("GET /containers/json"), "{reason}");

    let gone = "unix:///nowhere/docker.sock";
    let run = Places::new();
    let output = run.run(&["backup"], gone, &project.name);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(run.manifest()["missed"][0]["code"], "docker_lost");
    let doctor = run.run(&["doctor", "--json"], gone, &project.name);
    assert_eq!(json(&doctor)["ok"], false);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("GET /version: no engine answers"));
}

#[test]
fn a_service_that_may_not_be_looked_at_is_a_source_that_is_missed() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    project.start("app", &[], &[&[BUSYBOX], &IDLE[..]].concat());
    let looks = |call: &str| call.ends_with("/json") && call != "GET /containers/json";
    let filter = Filter::new(looks);
    let places = Places::new();
    let run = places.run(&["backup"], &host(&filter.place()), &project.name);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let manifest = places.manifest();
    assert_eq!(manifest["status"], "partial");
    let missed = &manifest["missed"][0];
    assert_eq!(
        (&missed["source"], &missed["code"]),
        (&Value::from("app"), &Value::from("docker_denied"))
    );
    let doctor = places.run(&["doctor"], &host(&filter.place()), &project.name);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("source app cannot be saved"), "{said}");
    assert!(said.contains("allow GET /containers/"), "{said}");

    // Of what was never ours it is only said.
    let all = look(&filter.engine(), &Scope::All, &[], Some("another")).unwrap();
    assert!(all.unseen.is_empty());
    let told = format!("so service {}.app is not saved", project.name);
    assert!(all.remarks.iter().any(|remark| remark.what.contains(&told)));
}

#[test]
fn what_labels_say_happens_and_a_mistake_in_them_fails_loudly() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    let labels = [
        "--label",
        "lifeboat.command=echo of the ledger",
        "--label",
        "lifeboat.extension=txt",
        "--label",
        "lifeboat.schedule=@hourly",
    ];
    project.start("ledger", &labels, &app);
    let canary = "canary-4711";
    let env = format!("TOKEN={canary}");
    project.start(
        "wrong",
        &["--label", "lifeboat.comand=date", "-e", &env],
        &app,
    );
    let places = Places::new();
    let place = format!("unix://{SOCKET}");

    let plan = json(&places.run(&["plan", "--json"], &place, &project.name));
    let jobs: Vec<&str> = plan["schedules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["job"].as_str().unwrap())
        .collect();
    assert_eq!(jobs, ["default", "ledger"]);
    let said = plan.to_string();
    assert!(said.contains("did you mean lifeboat.command?"), "{said}");

    let run = places.run(&["backup"], &place, &project.name);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let manifest = places.manifest();
    let archives: Vec<&str> = manifest["archives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["source"].as_str().unwrap())
        .collect();
    assert_eq!(archives, ["ledger", "notes"]);
    assert_eq!(manifest["missed"][0]["source"], "wrong");
    assert_eq!(manifest["missed"][0]["code"], "label");
    assert_eq!(manifest["compose"]["project"], project.name.as_str());
    assert!(
        manifest["compose"]["definition"]["services"]["wrong"]["environment"]
            .get("TOKEN")
            .is_some()
    );
    assert!(!manifest.to_string().contains(canary));
    assert!(!said.contains(canary));
}

#[test]
fn databases_do_not_drop_out_because_a_socket_is_not_mounted_any_more() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    project.start("ledger", &["--label", "lifeboat.command=echo x"], &app);
    let places = Places::new();
    let run = places.run(&["backup"], &format!("unix://{SOCKET}"), &project.name);
    assert!(run.status.success(), "{run:?}");

    let path = |name: &str| places.0.path().join(name).display().to_string();
    let (data, backups) = (path("data"), path("backups"));
    let plain = [
        ("BACKUP_SOURCES_DIR", data.as_str()),
        ("BACKUP_DIR", &backups),
        ("BACKUP_SIGNING_KEY", "a key for signing, long enough"),
        ("BACKUP_NAME", "shop"),
    ];
    for _ in 0..2 {
        let run = lifeboat(&["backup"], &plain);
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert_eq!(places.manifest()["missed"][0]["source"], "docker");
    }
    let decided = [&plain[..], &[("BACKUP_DISCOVER", "off")]].concat();
    let run = lifeboat(&["backup"], &decided);
    assert!(run.status.success(), "{run:?}");
}

/// In a container of this program, as a service of the project.
#[test]
fn the_sidecar_knows_itself_on_any_network_and_under_any_name() {
    let Some(project) = project(&[BUSYBOX]) else {
        return;
    };
    let image = Image::of_this_program();
    let (storage, uploads, backups) = (
        volume(&project, "storage"),
        volume(&project, "uploads"),
        volume(&project, "backups"),
    );
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    let mounts = [format!("{storage}:/storage"), format!("{uploads}:/uploads")];
    let options = [
        "-v",
        &mounts[0],
        "-v",
        &mounts[1],
        "--label",
        "lifeboat.hold=pause",
    ];
    project.start("app", &options, &app);
    let own = [
        format!("{storage}:/data/storage:ro"),
        format!("{backups}:/backups"),
        format!("{SOCKET}:{SOCKET}"),
    ];
    for network in ["bridge", "host", "none"] {
        let service = format!("{SERVICE}=backup");
        let of = format!("com.docker.compose.project={}", project.name);
        let mut words = vec![
            "run",
            "--rm",
            "--label",
            "lifeboat-test=1",
            "--label",
            &service,
            "--label",
            &of,
        ];
        words.extend([
            "--network",
            network,
            "--user",
            "0:0",
            "-e",
            "BACKUP_NAME=shop",
        ]);
        if network != "host" {
            words.extend(["--hostname", "backup"]);
        }
        words.extend(own.iter().flat_map(|mount| ["-v", mount.as_str()]));
        words.extend([image.id.as_str(), PROGRAM, "plan", "--json"]);
        let plan: Value = serde_json::from_str(&docker(&words)).unwrap();
        let sources = plan["sources"].as_array().unwrap();
        let told: Vec<[&str; 4]> = sources
            .iter()
            .map(|source| {
                ["name", "volume", "service", "hold"].map(|key| source[key].as_str().unwrap_or("-"))
            })
            .collect();
        assert_eq!(
            told,
            [
                ["storage", storage.as_str(), "app", "pause"],
                ["uploads", uploads.as_str(), "app", "pause"],
            ],
            "{network}"
        );
        assert_eq!(plan["uncovered"], serde_json::json!([]));
        assert_eq!(plan["discovery"]["project"], project.name.as_str());
    }
    let alive: Container = project
        .engine
        .running(&Address::own(&project.name, "app"))
        .unwrap();
    assert!(alive.is_running());
}

/// Every kind of source in one backup, through the engine: nothing but the socket and the store is mounted.
#[test]
fn a_project_is_saved_whole_from_within() {
    const POSTGRES: &str = "lifeboat-bed/postgres:17";
    let Some(project) = project(&[BUSYBOX, REDIS, POSTGRES]) else {
        return;
    };
    let image = Image::of_this_program();
    let [data, uploads, backups] = ["data", "uploads", "backups"].map(|key| volume(&project, key));
    let app = [&[BUSYBOX], &IDLE[..]].concat();
    let mount = format!("{uploads}:/uploads");
    let options = ["-v", &mount, "--label", "lifeboat.hold=stop"];
    let held = project.start("app", &options, &app);
    docker(&["exec", &held, "sh", "-c", "echo kept >/uploads/a.txt"]);
    let secret = "hard to guess 4711";
    let password = format!("POSTGRES_PASSWORD={secret}");
    let mount = format!("{data}:/var/lib/postgresql/data");
    let database = project.start("db", &["-v", &mount, "-e", &password], &[POSTGRES]);
    project.start(
        "cache",
        &[],
        &[REDIS, "redis-server", "--requirepass", secret],
    );
    project.start("ledger", &["--label", "lifeboat.command=seq 1 100"], &app);
    let ready = [
        "exec",
        &database,
        "pg_isready",
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
    ];
    until("the database is up", || {
        Command::new("docker")
            .args(ready)
            .output()
            .unwrap()
            .status
            .success()
    });
    let service = format!("{SERVICE}=backup");
    let of = format!("com.docker.compose.project={}", project.name);
    let (store, socket) = (format!("{backups}:/backups"), format!("{SOCKET}:{SOCKET}"));
    let sidecar = |verb: &[&str]| {
        let mut words = vec!["run", "--rm", "--label", "lifeboat-test=1"];
        words.extend(["--label", &service, "--label", &of, "--user", "0:0"]);
        words.extend(["-e", "BACKUP_NAME=shop", "-v", &store, "-v", &socket]);
        words.extend([image.id.as_str(), PROGRAM]);
        words.extend(verb);
        let output = Command::new("docker").args(&words).output().unwrap();
        let code = output.status.code().unwrap();
        let (said, told) = (
            output.stdout,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        (code, String::from_utf8_lossy(&said).into_owned(), told)
    };
    let (code, plan, told) = sidecar(&["plan"]);
    assert_eq!(code, 0, "{told}");
    assert!(plan.contains("left to the dump of db"), "{plan}");

    let (code, said, told) = sidecar(&["backup"]);
    // 3: with remarks, such as on a file that changed meanwhile.
    assert!([0, 3].contains(&code), "{said}{told}");
    let (_, listed, _) = sidecar(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let backup = &listed["backups"][0];
    assert_eq!(backup["status"], "completed", "{backup}");
    let sources: BTreeSet<&str> = backup["archives"]
        .as_array()
        .unwrap()
        .iter()
        .map(|archive| archive["source"].as_str().unwrap())
        .collect();
    let all = ["cache", "db.globals", "db.postgres", "ledger", "uploads"];
    assert_eq!(sources, BTreeSet::from(all));

    let path = docker(&["volume", "inspect", "-f", "{{.Mountpoint}}", &backups]);
    let manifest = fs::read_dir(Path::new(&path).join("daily"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "json"))
        .unwrap();
    let manifest = fs::read_to_string(manifest).unwrap();
    assert!(
        manifest.contains("POSTGRES_PASSWORD") && !manifest.contains(secret),
        "{manifest}"
    );
    // Who was stopped runs again, as the same container.
    assert!(project.inspect(&held).is_running());

    docker(&["stop", "-t", "1", &database]);
    let (code, said, _) = sidecar(&["doctor"]);
    assert_eq!(code, 1);
    assert!(said.contains("service db is stopped"), "{said}");
}
