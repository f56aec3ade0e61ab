//! Volumes that are restored in place by a container of our own.

use crate::{
    filter::Filter,
    image::PROGRAM,
    project::{BUSYBOX, docker},
    volume::{Scene, forget_trusted, scene, seal_with},
};
use lifeboat::docker::{
    restore::{Spec, VolumeTarget},
    volume::{Exchange, HELPER, Helpers, What},
};
use lifeboat_plan::{Archive, Compression, Encryption};
use lifeboat_run::{
    Cancel,
    source::{Folder, Options},
    target::{Beside, Filled, Target, TargetError},
};
use lifeboat_testkit::{
    SampleTree,
    compare::{Difference, Field, compare_trees},
    noise,
};
use serde_json::json;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    process::Command,
};

const OURS: &str = ".lifeboat-beside-20251227_201500";

fn beside() -> Beside {
    Beside::new("20251227_201500")
}

fn sh(folder: &Path, script: &str) {
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .status();
    assert!(done.unwrap().success(), "{script}");
}

/// A backup of a folder, and a volume that has gone other ways since.
struct Story {
    scene: Scene,
    dir: tempfile::TempDir,
    volume: String,
    live: PathBuf,
    archive: Archive,
}

impl Story {
    fn new(save: impl FnOnce(&Path)) -> Option<Self> {
        let scene = scene()?;
        let dir = tempfile::tempdir().unwrap();
        let saved = dir.path().join("saved");
        fs::create_dir(&saved).unwrap();
        save(&saved);
        let archive = archive_of(&saved, &dir.path().join("saved.tar"));
        let (volume, live) = scene.volume("files");
        let mut story = Story {
            scene,
            dir,
            volume,
            live,
            archive,
        };
        story.go_other_ways();
        Some(story)
    }

    /// What was saved, with files that were removed, added, changed.
    fn go_other_ways(&mut self) {
        sh(
            self.dir.path(),
            &format!(
                "rm -rf was; cp -a saved was; cd was; rm -rf files 'hard links'; mkdir files; printf other > files/text.txt; \
                 printf x > a-new-one; printf mine > .lifeboat-new-x; chown 5:6 . files; chmod 0700 .; \
                 touch -d '2005-05-05 05:05:05.555555555' .; \
                 find {live} -mindepth 1 -delete; chmod g-s {live}; cp -a . {live}",
                live = self.live.display()
            ),
        );
    }

    fn target(&self) -> VolumeTarget {
        self.target_with(self.scene.helpers())
    }

    fn target_with(&self, helpers: Helpers) -> VolumeTarget {
        VolumeTarget::new(helpers, What::Volume(self.volume.clone()))
    }

    fn plain(&self) -> File {
        File::open(self.dir.path().join("saved.tar")).unwrap()
    }

    fn fill(&self, target: &VolumeTarget) -> Filled {
        let filled = target.fill(
            &beside(),
            &self.archive,
            &mut self.plain(),
            &Cancel::default(),
        );
        filled.unwrap()
    }

    fn differences(&self, name: &str) -> Vec<Difference> {
        let mut differences = compare_trees(&self.dir.path().join(name), &self.live).unwrap();
        // What `cp` makes of holes is its own business.
        differences.retain(|d| name == "saved" || d.field != Field::Holes);
        differences
    }

    fn is(&self, name: &str) {
        assert_eq!(self.differences(name), []);
        assert_eq!((self.scene.left(), self.scene.doors()), (Vec::new(), 0));
    }

    /// But for what lies beside.
    fn still_is(&self, name: &str) {
        let mut differences = self.differences(name);
        differences.retain(|d| !d.path.starts_with(OURS));
        assert_eq!(differences, []);
    }
}

fn archive_of(folder: &Path, to: &Path) -> Archive {
    let source = Folder::new("data", folder, Options::default()).unwrap();
    let cancel = Cancel::default();
    let sealed = seal_with(Compression::None, &source, to, &cancel, || ()).unwrap();
    Archive {
        source: "data".to_owned(),
        kind: "files".to_owned(),
        file: "shop_daily_20251213_020000.data.tar".to_owned(),
        size: sealed.plain_size(),
        sha256: String::new(),
        plain_size: sealed.plain_size(),
        plain_xxh128: sealed.plain_xxh128().to_owned(),
        compression: Compression::None,
        encryption: Encryption::None,
        entries: sealed.entries(),
        warnings: Vec::new(),
        warnings_total: 0,
        facts: serde_json::Map::new(),
        more: serde_json::Map::new(),
    }
}

/// Files of every kind and owner, but for what no restore makes without being asked.
fn everything(saved: &Path) {
    SampleTree::everything(saved).unwrap();
    forget_trusted(saved);
    sh(
        saved,
        "rm -rf deep; find . \\( -type s -o -type c -o -type b \\) -delete; chown 33:34 .; chmod 2770 .; \
         setfattr -n user.of -v saved .; touch -d '2001-02-03 04:05:06.123456789' .",
    );
}

/// More than fits into all the buffers on the way.
fn large(saved: &Path) {
    fs::create_dir(saved.join("files")).unwrap();
    fs::create_dir(saved.join("hard links")).unwrap();
    fs::write(saved.join("noise"), noise(24 << 20, 7)).unwrap();
}

fn small(saved: &Path) {
    fs::create_dir(saved.join("files")).unwrap();
    fs::write(saved.join("files/text.txt"), "saved").unwrap();
    fs::write(saved.join("note"), "saved").unwrap();
}

#[test]
fn a_volume_is_what_it_was_when_it_was_saved_or_what_it_was_before() {
    let Some(mut story) = Story::new(everything) else {
        return;
    };
    for exchange in [story.scene.exchange(), None] {
        story.go_other_ways();
        let target = story.target_with(Helpers {
            exchange,
            ..story.scene.helpers()
        });
        let outlook = target.look(&story.archive, &Cancel::default()).unwrap();
        assert!(outlook.exists && outlook.size.unwrap() > 0);
        assert!(outlook.free.unwrap() > outlook.needs);
        assert_eq!(outlook.needs, story.archive.plain_size);
        assert_eq!(outlook.remarks, [] as [&str; 0]);
        story.is("was");

        let filled = story.fill(&target);
        assert_eq!(Some(filled.entries), story.archive.entries);
        assert_eq!(filled.remarks, [] as [&str; 0]);
        story.still_is("was");
        target.swap(&beside()).unwrap();
        target.swap(&beside()).unwrap();
        story.still_is("saved");
        target.swap_back(&beside()).unwrap();
        story.still_is("was");
        target.swap(&beside()).unwrap();
        assert_eq!(target.clear(&beside()).unwrap(), [] as [&str; 0]);
        story.is("saved");
        // Whoever finishes it after a kill may come late.
        target.swap(&beside()).unwrap();
        target.clear(&beside()).unwrap();
        story.is("saved");
    }
    story.go_other_ways();
    let target = story.target();
    story.fill(&target);
    target.swap(&beside()).unwrap();
    target.swap_back(&beside()).unwrap();
    target.clear(&beside()).unwrap();
    story.is("was");
}

#[test]
fn a_folder_of_the_host_is_restored_like_a_volume() {
    let Some(story) = Story::new(small) else {
        return;
    };
    let folder = story.live.display().to_string();
    let target = VolumeTarget::new(story.scene.helpers(), What::Folder(folder.clone()));
    assert_eq!(target.spec(), json!(Spec::Folder { folder }));
    story.fill(&target);
    target.swap(&beside()).unwrap();
    target.clear(&beside()).unwrap();
    story.is("saved");
    let volume = story.volume.clone();
    assert_eq!(story.target().spec(), json!(Spec::Volume { volume }));
}

#[test]
fn an_empty_volume_is_filled_and_nothing_is_said_to_be_there() {
    let Some(story) = Story::new(small) else {
        return;
    };
    sh(&story.live, "find . -mindepth 1 -delete");
    let target = story.target();
    let outlook = target.look(&story.archive, &Cancel::default()).unwrap();
    assert!(!outlook.exists);
    story.fill(&target);
    target.swap(&beside()).unwrap();
    target.clear(&beside()).unwrap();
    story.is("saved");
}

#[test]
fn what_is_not_there_does_not_come_into_being() {
    let Some(story) = Story::new(small) else {
        return;
    };
    let name = format!("{}_mistyped", story.scene.project.name);
    let nowhere = story.dir.path().join("nowhere");
    for what in [
        What::Volume(name.clone()),
        What::Folder(nowhere.display().to_string()),
    ] {
        let target = VolumeTarget::new(story.scene.helpers(), what);
        let refused = target.look(&story.archive, &Cancel::default()).unwrap_err();
        assert!(matches!(refused, TargetError::Refused(_)), "{refused}");
        let swap = target.swap(&beside()).unwrap_err();
        assert!(swap.to_string().contains("is not there"), "{swap}");
    }
    assert!(story.scene.project.engine.volume(&name).is_err());
    assert!(!nowhere.exists());
    story.is("was");
}

/// Gives out so much, then does something.
struct Meanwhile<'a> {
    plain: File,
    left: usize,
    then: &'a mut dyn FnMut() -> io::Result<()>,
}

impl Read for Meanwhile<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            (self.then)()?;
            self.left = usize::MAX;
        }
        let most = out.len().min(self.left);
        let got = self.plain.read(&mut out[..most])?;
        self.left -= got;
        Ok(got)
    }
}

#[test]
fn a_fill_that_fails_in_the_middle_leaves_everything_as_it_was() {
    let Some(story) = Story::new(large) else {
        return;
    };
    let filter = format!("label={HELPER}={}", story.scene.project.name);
    let end = |signal: &str| {
        let id = docker(&["ps", "-q", "--filter", &filter]);
        docker(&["kill", "-s", signal, &id]);
        Ok(())
    };
    let cancel = Cancel::default();
    for exchange in [story.scene.exchange(), None] {
        let is_short = exchange.is_some();
        let target = story.target_with(Helpers {
            exchange,
            ..story.scene.helpers()
        });
        let fill = |cancel: &Cancel, then: &mut dyn FnMut() -> io::Result<()>| {
            let mut plain = Meanwhile {
                plain: story.plain(),
                left: 8 << 20,
                then,
            };
            let filled = target.fill(&beside(), &story.archive, &mut plain, cancel);
            story.still_is("was");
            assert!(target.swap(&beside()).is_err());
            target.swap_back(&beside()).unwrap();
            target.clear(&beside()).unwrap();
            story.is("was");
            filled.unwrap_err()
        };
        let signals = if is_short {
            &["KILL", "TERM"][..]
        } else {
            &["KILL"]
        };
        for signal in signals {
            let error = fill(&cancel, &mut || end(signal));
            assert!(matches!(error, TargetError::Failed { .. }), "{error}");
        }
        let error = fill(&cancel, &mut || Err(io::Error::other("the store is away")));
        assert!(matches!(error, TargetError::Reading { .. }), "{error}");
        assert!(error.to_string().contains("the store is away"), "{error}");
        let stopped = Cancel::default();
        let told = stopped.clone();
        let error = fill(&stopped, &mut || {
            told.cancel();
            Ok(())
        });
        assert!(matches!(error, TargetError::Cancelled(_)), "{error}");

        if !is_short {
            continue;
        }
        // Its end came too early.
        let mut short = story.plain().take(story.archive.plain_size - 512);
        let filled = target.fill(&beside(), &story.archive, &mut short, &cancel);
        let error = filled.unwrap_err();
        assert!(matches!(error, TargetError::Reading { .. }), "{error}");
        target.clear(&beside()).unwrap();
        // What came is not what was saved.
        for wrong in [
            Archive {
                plain_xxh128: "0".repeat(32),
                ..story.archive.clone()
            },
            Archive {
                entries: Some(3),
                ..story.archive.clone()
            },
        ] {
            let filled = target.fill(&beside(), &wrong, &mut story.plain(), &cancel);
            let error = filled.unwrap_err();
            assert!(matches!(error, TargetError::Disproved { .. }), "{error}");
            target.clear(&beside()).unwrap();
            story.is("was");
        }
    }
}

#[test]
fn a_swap_that_was_killed_half_way_goes_on_or_back_and_is_not_cleared() {
    let Some(mut story) = Story::new(small) else {
        return;
    };
    let half_left = format!("cd {OURS}; mkdir leaving; mv ../files ../note leaving/");
    let half_entered = format!(
        "cd {OURS}; mkdir old; shopt -s dotglob extglob; mv ../!({OURS}) old/; mv new/note .."
    );
    for half in [half_left, half_entered] {
        for back in [false, true] {
            story.go_other_ways();
            story.fill(&story.target());
            sh(&story.live, &format!("shopt -s extglob dotglob\n{half}"));
            let target = story.target();
            let refused = target.clear(&beside()).unwrap_err();
            assert!(matches!(refused, TargetError::Refused(_)), "{refused}");
            match back {
                true => target.swap_back(&beside()).unwrap(),
                false => target.swap(&beside()).unwrap(),
            }
            target.clear(&beside()).unwrap();
            story.is(if back { "was" } else { "saved" });
        }
    }
}

#[test]
fn what_was_filled_and_went_away_is_not_taken_for_swapped() {
    let Some(story) = Story::new(small) else {
        return;
    };
    let target = story.target();
    story.fill(&target);
    sh(&story.live, &format!("rm -rf {OURS}"));
    let error = target.swap(&beside()).unwrap_err();
    assert!(matches!(error, TargetError::Failed { .. }), "{error}");
}

#[test]
fn a_helper_that_a_killed_sidecar_left_is_ended_before_the_next_begins() {
    let Some(story) = Story::new(small) else {
        return;
    };
    let owner = format!("{HELPER}={}", story.scene.project.name);
    let start = |volume: &str| {
        let fills = format!("lifeboat.fills=the volume {volume}");
        let labels = ["--label", &owner, "--label", &fills];
        let idle = crate::project::IDLE;
        let image = [&[BUSYBOX], &idle[..]].concat();
        story
            .scene
            .project
            .start(&format!("left-{}", volume.len()), &labels, &image)
    };
    let (ours, another) = (start(&story.volume), start("another"));
    let target = story.target();
    target.look(&story.archive, &Cancel::default()).unwrap();
    assert_eq!(story.scene.left().len(), 2);
    target.clear(&beside()).unwrap();
    assert_eq!(story.scene.left(), [another]);
    assert!(story.scene.project.engine.container(&ours).is_err());
    story.scene.helpers().sweep().unwrap();
    story.is("was");
}

#[test]
fn a_helper_may_change_one_folder_and_nothing_else() {
    let Some(story) = Story::new(large) else {
        return;
    };
    let mut told = Vec::new();
    let mut look = || {
        let [id] = &story.scene.left()[..] else {
            panic!("{:?}", story.scene.left())
        };
        told.push(docker(&["inspect", id]));
        Ok(())
    };
    let mut plain = Meanwhile {
        plain: story.plain(),
        left: 1 << 20,
        then: &mut look,
    };
    let target = story.target();
    target
        .fill(&beside(), &story.archive, &mut plain, &Cancel::default())
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
    let (host, config) = (&told[0]["HostConfig"], &told[0]["Config"]);
    let mut added: Vec<&str> = host["CapAdd"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().trim_start_matches("CAP_"))
        .collect();
    added.sort_unstable();
    let wanted = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"];
    assert_eq!(added, wanted);
    for (name, value) in [
        ("NetworkMode", json!("none")),
        ("CapDrop", json!(["ALL"])),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("ReadonlyRootfs", json!(true)),
        ("Privileged", json!(false)),
        ("Memory", json!(256 << 20)),
        ("PidsLimit", json!(512)),
        ("Binds", json!(null)),
        ("PidMode", json!("")),
        ("Devices", json!(null)),
    ] {
        assert_eq!(host[name], value, "{name}");
    }
    assert_eq!(config["User"], json!("0:0"));
    assert_eq!(config["Entrypoint"], json!([PROGRAM]));
    let env = config["Env"].as_array().cloned().unwrap_or_default();
    assert!(env.iter().all(|v| v.as_str().unwrap().starts_with("PATH=")));
    // /backups is the image's own, empty, and goes with the container.
    let mounts = told[0]["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 3, "{mounts:?}");
    for mount in mounts {
        let writable = mount["Destination"] == "/target" || mount["Destination"] == "/backups";
        assert_eq!(mount["RW"], json!(writable), "{mount}");
        let ours = mount["Name"] == json!(story.volume);
        assert_eq!(ours, mount["Destination"] == "/target", "{mount}");
    }
}

#[test]
fn every_call_that_is_refused_is_named_and_nothing_is_touched() {
    let Some(story) = Story::new(small) else {
        return;
    };
    for refused in [
        "GET /volumes/",
        "GET /containers/json",
        "POST /containers/create",
        "/attach",
        "/start",
    ] {
        let filter = Filter::new(move |call| call.contains(refused));
        let target = story.target_with(story.scene.helpers_through(filter.engine()));
        let filled = target.fill(
            &beside(),
            &story.archive,
            &mut story.plain(),
            &Cancel::default(),
        );
        let error = filled.unwrap_err().to_string();
        assert!(error.contains(refused), "{refused}: {error}");
        story.is("was");
    }
}

#[test]
fn where_there_is_no_short_way_in_the_long_one_is_taken() {
    let Some(mut story) = Story::new(large) else {
        return;
    };
    let nowhere = PathBuf::from("/nowhere");
    for (here, on_host) in [
        (nowhere.clone(), nowhere.clone()),
        (story.scene.dir.path().to_owned(), nowhere.clone()),
    ] {
        story.go_other_ways();
        let target = story.target_with(Helpers {
            exchange: Some(Exchange { here, on_host }),
            ..story.scene.helpers()
        });
        story.fill(&target);
        target.swap(&beside()).unwrap();
        target.clear(&beside()).unwrap();
        story.is("saved");
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_touched() {
    let Some(story) = Story::new(large) else {
        return;
    };
    let name = format!("{}_tiny", story.scene.project.name);
    let project = format!("com.docker.compose.project={}", story.scene.project.name);
    let options = ["type=tmpfs", "device=tmpfs", "o=size=4m"];
    let mut words = vec!["volume", "create", "--label", &project];
    words.extend(options.iter().flat_map(|option| ["--opt", option]));
    docker(&[&words[..], &[&name]].concat());
    // It is there as long as somebody has it.
    let mount = format!("{name}:/tiny");
    let line = "echo live > /tiny/file; trap 'exit 0' TERM; while :; do sleep 1 & wait; done";
    let holder = story
        .scene
        .project
        .start("holder", &["-v", &mount], &[BUSYBOX, "sh", "-c", line]);
    for exchange in [story.scene.exchange(), None] {
        let target = VolumeTarget::new(
            Helpers {
                exchange,
                ..story.scene.helpers()
            },
            What::Volume(name.clone()),
        );
        let outlook = target.look(&story.archive, &Cancel::default()).unwrap();
        assert!(outlook.needs > outlook.free.unwrap());
        let filled = target.fill(
            &beside(),
            &story.archive,
            &mut story.plain(),
            &Cancel::default(),
        );
        let error = filled.unwrap_err();
        assert!(error.to_string().contains("No space left"), "{error}");
        target.clear(&beside()).unwrap();
        let there = docker(&["exec", &holder, "ls", "-A", "/tiny"]);
        assert_eq!(there, "file");
    }
}
