//! The program as the service `backup` of a project, and what it remembers when the engine is away.

use crate::{
    image::{Image, PROGRAM},
    project::{BUSYBOX, IDLE, Project, SOCKET, docker, project, until},
};
use serde_json::Value;
use std::{
    fs,
    process::{Command, Output},
};

struct Sidecar {
    project: Project,
    image: Image,
    /// On this host, seen as /backups and /data.
    dir: tempfile::TempDir,
}

fn sidecar() -> Option<Sidecar> {
    beside(&[BUSYBOX])
}

/// With one source that no engine is needed for.
fn beside(images: &[&str]) -> Option<Sidecar> {
    let project = project(images)?;
    let image = Image::of_this_program();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data/notes")).unwrap();
    fs::write(dir.path().join("data/notes/a.txt"), "first").unwrap();
    fs::create_dir(dir.path().join("backups")).unwrap();
    Some(Sidecar {
        project,
        image,
        dir,
    })
}

impl Sidecar {
    fn run(&self, words: &[&str]) -> Output {
        self.run_with(&["-v", &format!("{SOCKET}:{SOCKET}")], words)
    }

    /// Somebody has asked for discovery, and no engine answers.
    fn run_without_engine(&self, words: &[&str]) -> Output {
        self.run_with(&["-e", "DOCKER_HOST=unix:///nowhere/docker.sock"], words)
    }

    fn run_with(&self, options: &[&str], words: &[&str]) -> Output {
        let project = format!("com.docker.compose.project={}", self.project.name);
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--user", "0:0", "--network", "none"]);
        for label in [
            "lifeboat-test=1",
            &project,
            "com.docker.compose.service=backup",
        ] {
            command.args(["--label", label]);
        }
        command.args(["-e", "BACKUP_SIGNING_KEY=a key for signing, long enough"]);
        command.args(["-v", &self.mount("backups"), "-v", &self.mount("data")]);
        command
            .args(options)
            .args([&self.image.id, PROGRAM])
            .args(words);
        command.output().unwrap()
    }

    /// The id that it says.
    fn back_up(&self, run: &Output, code: i32) -> String {
        assert_eq!(run.status.code(), Some(code), "{run:?}");
        let said = String::from_utf8_lossy(&run.stdout);
        said.lines().last().unwrap().to_owned()
    }

    fn mount(&self, name: &str) -> String {
        format!("{}:/{name}", self.dir.path().join(name).display())
    }

    fn manifests(&self) -> usize {
        let daily = fs::read_dir(self.dir.path().join("backups/daily"));
        let names = daily
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name());
        let manifest = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".json");
        names.filter(manifest).count()
    }
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn backups_are_named_after_the_project_also_when_the_engine_is_away() {
    let Some(sidecar) = sidecar() else { return };
    let name = format!("{}_daily_", sidecar.project.name);
    let first = sidecar.back_up(&sidecar.run(&["backup"]), 0);
    assert!(first.starts_with(&name), "{first}");

    let away = sidecar.run_without_engine(&["backup"]);
    let partial = sidecar.back_up(&away, 1);
    assert!(partial.starts_with(&name), "{partial}");
    let latest = sidecar.run_without_engine(&["latest"]);
    assert_eq!(sidecar.back_up(&latest, 0), first);
    let plan = json(&sidecar.run_without_engine(&["plan", "--json"]));
    let settings = plan["settings"].as_array().unwrap();
    let setting = settings
        .iter()
        .find(|s| s["name"] == "BACKUP_NAME")
        .unwrap();
    assert_eq!(setting["value"], sidecar.project.name);
}

#[test]
fn a_store_keeps_the_name_that_its_backups_have() {
    let Some(sidecar) = sidecar() else { return };
    let before = sidecar.run_with(&["-e", "BACKUP_DISCOVER=off"], &["backup"]);
    let before = sidecar.back_up(&before, 0);
    assert!(before.starts_with("backup_daily_"), "{before}");
    for run in [sidecar.run(&["backup"]), sidecar.run(&["backup"])] {
        let id = sidecar.back_up(&run, 0);
        assert!(id.starts_with("backup_daily_"), "{id}");
    }
    // Whoever says it is obeyed.
    let socket = format!("{SOCKET}:{SOCKET}");
    let said = sidecar.run_with(&["-v", &socket, "-e", "BACKUP_NAME=shop"], &["backup"]);
    let said = sidecar.back_up(&said, 0);
    assert!(said.starts_with("shop_daily_"), "{said}");
}

#[test]
fn a_job_that_a_service_asks_for_is_known_when_the_engine_is_away() {
    let Some(sidecar) = sidecar() else { return };
    let ledger = ["--label", "lifeboat.command=echo of the ledger"];
    let hourly = ["--label", "lifeboat.schedule=0 * * * *"];
    let idle = [&[BUSYBOX], &IDLE[..]].concat();
    let id = sidecar
        .project
        .start("ledger", &[ledger, hourly].concat(), &idle);
    let made = sidecar.back_up(&sidecar.run(&["backup"]), 0);
    // One backup of everything, and none of the job's own.
    assert!(made.starts_with(&format!("{}_daily_", sidecar.project.name)));
    assert_eq!(sidecar.manifests(), 1);

    let knows = |run: &Output, known: bool| {
        let said = String::from_utf8_lossy(&run.stdout);
        assert_eq!(said.contains("ledger"), known, "{said}");
    };
    let plan = json(&sidecar.run_without_engine(&["plan", "--json"]));
    let jobs: Vec<&Value> = plan["schedules"].as_array().unwrap().iter().collect();
    assert_eq!((jobs.len(), &jobs[1]["job"]), (2, &Value::from("ledger")));
    knows(&sidecar.run_without_engine(&["status"]), true);

    // Its label is gone: so is the job, as soon as the engine says so.
    sidecar
        .project
        .engine
        .stop(&id, std::time::Duration::ZERO)
        .unwrap();
    docker(&["rm", "-f", &id]);
    sidecar.run(&["backup"]);
    knows(&sidecar.run_without_engine(&["status"]), false);
}

/// Without compression of its own, so that a slow reader slows it down.
const POSTGRES: &str = "lifeboat-bed/postgres:15";

/// Of the programs called `pg_dump`: the number, the state, and how much it has written.
const DUMPS: &str = r#"
for p in /proc/[0-9]*; do
  [ "$(cat $p/comm 2>/dev/null)" = pg_dump ] || continue
  echo "${p#/proc/} $(sed 's/.*) //; s/ .*//' $p/stat) $(sed -n 's/^wchar: //p' $p/io)"
done"#;

#[test]
fn a_daemon_that_is_killed_in_the_middle_of_a_dump_leaves_nothing_and_the_next_run_is_whole() {
    let Some(sidecar) = beside(&[BUSYBOX, POSTGRES]) else {
        return;
    };
    let project = &sidecar.project;
    let options = ["--network", "none", "-e", "POSTGRES_PASSWORD=x"];
    let db = project.start("db", &options, &[POSTGRES]);
    let inside = |words: &[&str]| {
        let words = [&["exec", &db], words].concat();
        Command::new("docker").args(words).output().unwrap()
    };
    let up = ["pg_isready", "-q", "-h", "127.0.0.1"];
    until("the server is up", || inside(&up).status.success());
    let lines = "create table lines as select n, md5(n::text) || md5((-n)::text) as line \
                 from generate_series(1, 700000) n";
    let made = inside(&["psql", "-qX", "-U", "postgres", "-c", lines]);
    assert!(made.status.success(), "{made:?}");
    let dumps = || {
        let told = inside(&["sh", "-c", DUMPS]);
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let rows = told
            .lines()
            .map(|line| line.split(' ').map(str::to_owned).collect());
        rows.collect::<Vec<Vec<String>>>()
    };

    let socket = format!("{SOCKET}:{SOCKET}");
    let (store, data) = (sidecar.mount("backups"), sidecar.mount("data"));
    let mut options = vec!["--user", "0:0", "--network", "none"];
    options.extend(["-v", &socket, "-v", &store, "-v", &data]);
    for setting in [
        "BACKUP_SIGNING_KEY=a key for signing, long enough",
        "BACKUP_RUN_ON_START=true",
        // Nothing is slower.
        "BACKUP_COMPRESSION=xz",
        "BACKUP_COMPRESSION_LEVEL=9",
    ] {
        options.extend(["-e", setting]);
    }
    let daemon = project.start("backup", &options, &[&sidecar.image.id, PROGRAM, "daemon"]);
    let written = |row: &Vec<String>| row[2].parse::<u64>().is_ok_and(|bytes| bytes > 1 << 20);
    until("half a dump", || dumps().iter().any(written));
    // It goes on to the end by itself otherwise.
    let process = dumps()[0][0].clone();
    let stop = format!("kill -s STOP {process}");
    assert!(inside(&["sh", "-c", &stop]).status.success());
    docker(&["kill", "-s", "KILL", &daemon]);
    until("it is dead", || !project.inspect(&daemon).is_running());
    assert_eq!((dumps().len(), dumps()[0][1].as_str()), (1, "T"));
    let list = json(&sidecar.run_without_engine(&["list", "--tier", "daily", "--json"]));
    assert_eq!((&list["total"], sidecar.manifests()), (&Value::from(0), 0));

    let next = sidecar.run(&["backup"]);
    sidecar.back_up(&next, 0);
    assert_eq!(dumps(), Vec::<Vec<String>>::new());
    let list = json(&sidecar.run_without_engine(&["list", "--tier", "daily", "--json"]));
    let backup = &list["backups"][0];
    assert_eq!(
        (&list["total"], &backup["status"]),
        (&Value::from(1), &Value::from("completed"))
    );
    let archives = backup["archives"].as_array().unwrap();
    let rows = archives
        .iter()
        .find(|archive| archive["source"] == "db.postgres")
        .unwrap();
    assert_eq!(rows["facts"]["rows"]["public.lines"], 700_000);
    println!("RELIABILITY sidecar_kills_in_a_dump=1 left_running=0");
}
