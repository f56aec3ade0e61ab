//! Volumes that are not mounted here, read by a container of our own.

mod ends;
mod scene;
mod waits;

pub(crate) use scene::{Scene, scene, seal_with};

use crate::{
    filter::Filter,
    image::{Image, TESTS},
    project::{BUSYBOX, docker, until},
};
use lifeboat::docker::volume::{Exchange, HELPER, Helpers, How, What};
use lifeboat_run::{
    Cancel,
    source::{Folder, Options, SourceError},
};
use lifeboat_testkit::SampleTree;
use rusqlite::Connection;
use scene::{large, seal_to, sealed};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

#[test]
fn a_volume_comes_as_if_it_were_mounted_here() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    SampleTree::everything(path.join("tree")).unwrap();
    // These are not even listed to whoever is not the whole root; docs/security.md says so.
    forget_trusted(&path);
    let private = path.join("private");
    fs::create_dir(&private).unwrap();
    fs::write(private.join("key"), "of somebody else").unwrap();
    for (path, mode) in [(private.join("key"), 0o600), (private, 0o700)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(999), Some(999)).unwrap();
    }
    let direct = Folder::new("data", &path, Options::default()).unwrap();
    let direct = sealed(&direct).unwrap();
    let folder = What::Folder(path.display().to_string());
    let long_way = Helpers {
        exchange: None,
        ..scene.helpers()
    };
    for source in [
        scene.source(&volume),
        scene
            .helpers()
            .source("data", folder.clone(), How::default()),
        long_way.source("data", folder, How::default()),
    ] {
        let got = sealed(&source).unwrap();
        assert_eq!(got.warnings(), direct.warnings());
        assert_eq!(got.entries(), direct.entries());
        assert_eq!(got.facts(), direct.facts());
        assert_eq!(got.plain_size(), direct.plain_size());
        assert_eq!(got.plain_xxh128(), direct.plain_xxh128());
        assert_eq!((scene.left(), scene.doors()), (Vec::new(), 0));
    }
    assert!(direct.entries().unwrap() > 50 && direct.warnings_total() == 0);
}

pub(crate) fn forget_trusted(tree: &Path) {
    let line = "getfattr -Rhm ^trusted --absolute-names \"$1\" 2>/dev/null \
        | sed -n 's/^# file: //p' | while read -r f; do \
          getfattr -hm ^trusted --absolute-names \"$f\" | grep ^trusted \
          | while read -r n; do setfattr -hx \"$n\" \"$f\"; done; done";
    let done = Command::new("sh")
        .args(["-c", line, "sh"])
        .arg(tree)
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_helper_may_read_one_folder_and_nothing_else() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let how = How {
        exclude: vec!["*.tmp".to_owned(), "--not-an-option".to_owned()],
        entries_before: Some(2),
        ..How::default()
    };
    let what = What::Volume(volume.clone());
    let source = scene.helpers().source("data", what, how);
    let running = source.program.start(&Cancel::default()).unwrap();
    let [id] = &scene.left()[..] else {
        panic!("{:?}", scene.left())
    };
    let told: serde_json::Value = serde_json::from_str(&docker(&["inspect", id])).unwrap();
    let (host, config) = (&told[0]["HostConfig"], &told[0]["Config"]);
    let is = |of: &serde_json::Value, name: &str, value: serde_json::Value| {
        assert_eq!(of[name], value, "{name}");
    };
    use serde_json::json;
    is(host, "NetworkMode", json!("none"));
    is(host, "CapDrop", json!(["ALL"]));
    let added = host["CapAdd"][0].as_str().unwrap();
    assert_eq!(added.trim_start_matches("CAP_"), "DAC_READ_SEARCH");
    assert_eq!(host["CapAdd"].as_array().unwrap().len(), 1);
    is(host, "SecurityOpt", json!(["no-new-privileges"]));
    is(host, "ReadonlyRootfs", json!(true));
    is(host, "Privileged", json!(false));
    is(host, "LogConfig", json!({"Type": "none", "Config": {}}));
    is(
        host,
        "RestartPolicy",
        json!({"Name": "no", "MaximumRetryCount": 0}),
    );
    is(host, "Memory", json!(256 << 20));
    is(host, "PidsLimit", json!(512));
    is(host, "AutoRemove", json!(false));
    is(host, "Binds", json!(null));
    is(host, "PidMode", json!(""));
    is(host, "Devices", json!(null));
    is(config, "User", json!("0:0"));
    is(
        config,
        "Labels",
        json!({"lifeboat.test": "1", (HELPER): scene.project.name}),
    );
    is(&config["Healthcheck"], "Test", json!(["NONE"]));
    let env = config["Env"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = env
        .iter()
        .filter_map(|v| v.as_str()?.split('=').next())
        .collect();
    assert!(names.iter().all(|name| *name == "PATH"), "{names:?}");
    // /backups is the image's own, empty, and goes with the container.
    let mounts = told[0]["Mounts"].as_array().unwrap();
    for mount in mounts {
        let own = mount["Destination"] == "/scratch" || mount["Destination"] == "/backups";
        assert_eq!(mount["RW"], json!(own), "{mount}");
        let source = mount["Name"] == json!(volume);
        assert_eq!(source, mount["Destination"] == "/source", "{mount}");
    }
    assert_eq!(mounts.len(), 4);
    let scratch: Vec<String> = mounts
        .iter()
        .filter_map(|m| Some(m["Name"].as_str()?.to_owned()))
        .collect();
    drop(running);
    assert_eq!(scene.left(), Vec::<String>::new());
    for name in scratch {
        let there = scene.project.engine.volume(&name).is_ok();
        assert_eq!(there, name == volume, "{name}");
    }
}

#[test]
fn what_is_not_there_does_not_come_into_being() {
    let Some(scene) = scene() else { return };
    let name = format!("{}_mistyped", scene.project.name);
    let error = sealed(&scene.source(&name)).unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    assert_eq!(error.to_string(), format!("the volume {name} is not there"));
    assert!(scene.project.engine.volume(&name).is_err());

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mistyped");
    let what = What::Folder(path.display().to_string());
    let source = scene.helpers().source("data", what, How::default());
    let error = sealed(&source).unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    assert!(!path.exists());
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[test]
fn rules_of_the_configuration_hold_for_a_helper_too() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    let with = |how| {
        scene
            .helpers()
            .source("data", What::Volume(volume.clone()), how)
    };
    let before = How {
        entries_before: Some(7),
        ..How::default()
    };
    let error = sealed(&with(before)).unwrap_err();
    assert_eq!(error.code(), Some("source_missing"));
    assert_eq!(
        error.to_string(),
        format!("the volume {volume} is empty, and held 7 entries at the last backup")
    );
    fs::write(path.join("keep"), "a").unwrap();
    fs::write(path.join("leave.tmp"), "b").unwrap();
    let how = How {
        exclude: vec!["*.tmp".to_owned()],
        ..How::default()
    };
    assert_eq!(sealed(&with(how)).unwrap().entries(), Some(2));
    let how = How {
        exclude: vec!["[z-a]".to_owned()],
        ..How::default()
    };
    let error = sealed(&with(how)).unwrap_err();
    assert_eq!(error.code(), Some("tool_exit"), "{error}");
    assert!(
        error.to_string().contains("exclude pattern \"[z-a]\""),
        "{error}"
    );
    assert_eq!(scene.left(), Vec::<String>::new());
}

#[test]
fn where_there_is_no_short_way_the_long_one_is_taken() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    large(&path);
    let expected = sealed(&Folder::new("data", &path, Options::default()).unwrap()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let with = |here: &Path, on_host: &Path| Helpers {
        exchange: Some(Exchange {
            here: here.to_owned(),
            on_host: on_host.to_owned(),
        }),
        ..scene.helpers()
    };
    let here = scene.dir.path();
    let too_deep = here.join("a folder whose name is so long that no socket fits".repeat(2));
    fs::create_dir(&too_deep).unwrap();
    for (what, helpers) in [
        ("it cannot be made", with(&too_deep, &too_deep)),
        (
            "there is no folder",
            with(Path::new("/nowhere"), Path::new("/nowhere")),
        ),
        (
            "the host has no such folder",
            with(here, Path::new("/nowhere")),
        ),
    ] {
        let source = helpers.source("data", What::Volume(volume.clone()), How::default());
        let got = sealed(&source).unwrap();
        assert_eq!(got.plain_xxh128(), expected.plain_xxh128(), "{what}");
    }
    // Another folder of that name: the helper finds no socket in it.
    let helpers = with(here, elsewhere.path());
    let source = helpers.source("data", What::Volume(volume), How::default());
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, from, to) = (stop.clone(), here.to_owned(), elsewhere.path().to_owned());
    let mirror = std::thread::spawn(move || {
        while !stopped.load(Ordering::SeqCst) {
            for entry in fs::read_dir(&from).unwrap().flatten() {
                let _ = fs::create_dir(to.join(entry.file_name()));
            }
        }
    });
    let got = sealed(&source);
    stop.store(true, Ordering::SeqCst);
    mirror.join().unwrap();
    assert_eq!(got.unwrap().plain_xxh128(), expected.plain_xxh128());
    assert_eq!(scene.left(), Vec::<String>::new());
    fs::remove_dir(&too_deep).unwrap();
    assert_eq!(scene.doors(), 0);
}

#[test]
fn every_call_that_is_refused_is_named() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    let through = |engine| {
        let what = What::Volume(volume.clone());
        scene
            .helpers_through(engine)
            .source("data", what, How::default())
    };
    let open = Filter::new(|_| false);
    sealed(&through(open.engine())).unwrap();
    let shape = |call: &str| {
        let words: Vec<&str> = call.split('/').collect();
        match words[..] {
            [method, "containers", _, last] => format!("{method}/containers/ID/{last}"),
            ["DELETE ", "containers", _] => "DELETE /containers/ID".to_owned(),
            _ => call.to_owned(),
        }
    };
    let look = format!("GET /volumes/{volume}");
    let mut seen: Vec<String> = open.seen().iter().map(|call| shape(call)).collect();
    // It may be asked twice how it ended.
    seen.dedup();
    assert_eq!(
        seen,
        [
            "GET /version",
            &look,
            "POST /containers/create",
            &look,
            "POST /containers/ID/attach",
            "POST /containers/ID/start",
            "GET /containers/ID/json",
            "DELETE /containers/ID",
        ]
    );
    for refused in [
        "GET /volumes/",
        "POST /containers/create",
        "/attach",
        "/start",
        "/json",
    ] {
        let filter = Filter::new(move |call| call.contains(refused));
        let error = sealed(&through(filter.engine())).unwrap_err();
        assert_eq!(error.code(), Some("docker_denied"), "{refused}: {error}");
        assert!(error.to_string().contains(refused), "{refused}: {error}");
        assert_eq!(scene.left(), Vec::<String>::new(), "{refused}");
    }
    // All was read: that the helper stays until the next run is no reason to have no backup.
    let filter = Filter::new(|call| call.starts_with("DELETE"));
    sealed(&through(filter.engine())).unwrap();
    assert_eq!(scene.helpers().sweep().unwrap(), 1);
}

#[test]
fn a_program_that_is_not_there_or_says_something_else_is_no_source() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("file"), "content").unwrap();
    for (program, code) in [
        ("/nowhere/lifeboat", "tool_missing"),
        ("/bin/echo", "stream_corrupt"),
        ("/bin/true", "no_end_marker"),
        ("/bin/false", "tool_exit"),
    ] {
        let helpers = Helpers {
            image: BUSYBOX.to_owned(),
            program: program.to_owned(),
            ..scene.helpers()
        };
        let what = What::Volume(volume.clone());
        let error = sealed(&helpers.source("data", what, How::default())).unwrap_err();
        assert_eq!(error.code(), Some(code), "{program}: {error}");
        assert_eq!(scene.left(), Vec::<String>::new());
    }
}

/// Moves money between two accounts until it is killed.
#[test]
#[ignore = "is started by another test, in a container"]
fn bank() {
    if !Path::new("/bank").is_dir() {
        return;
    }
    let shop = Connection::open("/bank/shop.db").unwrap();
    let set_up = "pragma journal_mode = wal; create table account (id integer primary key, money integer);
        insert into account values (1, 500), (2, 500); create table transfer (n integer primary key)";
    shop.execute_batch(set_up).unwrap();
    for n in 0i64.. {
        let transfer = format!(
            "begin immediate; update account set money = money - 1 where id = {};
             update account set money = money + 1 where id = {};
             insert into transfer values ({n}); commit",
            n % 2 + 1,
            (n + 1) % 2 + 1
        );
        shop.execute_batch(&transfer).unwrap();
        if n == 100 {
            fs::write("/bank/open", "").unwrap();
        }
    }
}

#[test]
fn a_database_that_another_container_writes_to_comes_as_a_whole() {
    let Some(mut scene) = scene() else { return };
    scene.image = Image::with_these_tests();
    let (volume, path) = scene.volume("bank");
    let mount = format!("{volume}:/bank");
    let options = [
        "-v",
        &mount,
        "-u",
        "0",
        "--entrypoint",
        TESTS,
        "--no-healthcheck",
    ];
    let run = [&scene.image.id, "--exact", "volume::bank", "--ignored"];
    let bank = scene.project.start("bank", &options, &run);
    until("the bank is open", || path.join("open").exists());

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sealed.tar");
    let captured = seal_to(&scene.source(&volume), &file, &Cancel::default(), || ()).unwrap();
    assert_eq!(captured.warnings(), &[] as &[String]);
    assert_eq!(captured.facts()["sqlite"], serde_json::json!(["shop.db"]));
    let unpacked = Command::new("tar")
        .arg("-C")
        .arg(dir.path())
        .arg("-xf")
        .arg(&file)
        .status();
    assert!(unpacked.unwrap().success());
    assert!(!dir.path().join("shop.db-wal").exists());
    let copy = Connection::open(dir.path().join("shop.db")).unwrap();
    let number = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("select sum(money) from account"), 1000);
    assert!(number("select count(*) from transfer") > 100);
    // It was not disturbed.
    assert!(scene.project.inspect(&bank).is_running());
    docker(&["rm", "-f", "-v", &bank]);
}

#[test]
fn a_volume_whose_files_come_and_go_is_the_same_volume_all_the_time() {
    let Some(scene) = scene() else { return };
    let (volume, path) = scene.volume("files");
    fs::write(path.join("kept"), "kept").unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let restless = path.join("restless");
            while !over.load(Ordering::SeqCst) {
                fs::write(&restless, "here").unwrap();
                fs::remove_file(&restless).unwrap();
            }
        });
        let ended: Vec<_> = (0..5).map(|_| sealed(&scene.source(&volume))).collect();
        over.store(true, Ordering::SeqCst);
        for ended in ended {
            assert!(ended.is_ok(), "{ended:?}");
        }
    });
}
