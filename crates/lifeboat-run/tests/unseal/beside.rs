//! A folder whose content is replaced: killed after every step, it is finished or taken back, and nothing
//! is ever lost.

use crate::kit::{assert_same, sh, temp};
use lifeboat_run::{
    restore::beside::{BesideError, LiveFolder, Seen, Swapped, look},
    target::Beside,
    unseal::{Extracted, UnsealError},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

const OLD: &str = r#"
    printf old > a; printf 'only old' > b; mkdir c; printf in > c/inner; chmod 0 c; ln -s a d; ln b e
    printf 'a user made this' > .lifeboat-new-x; mkdir .lifeboat-beside-x; printf x > .lifeboat-beside-x/old
    printf y > $'latin\xff\xfe'; printf z > $'new\nline'; mkdir -p new/old/leaving
    setfattr -n user.of -v old . || true
    chmod 2750 .; touch -d '2001-02-03 04:05:06.123456789' .
"#;
const NEW: &str = r#"
    printf new > a; mkdir b; printf in > b/inner; ln -s nowhere c; printf 0 > -rf; mkfifo pipe
    chmod 1777 .; touch -d '2002-02-02 02:02:02.222222222' .
"#;

/// What a folder holds, what it is to hold, and the folder.
struct Scene {
    dir: tempfile::TempDir,
    has_root: bool,
}

impl Scene {
    fn new(old: &str, new: &str) -> Self {
        let dir = temp();
        for (name, script) in [("old", old), ("new", new)] {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            sh(&path, script);
        }
        let scene = Scene {
            dir,
            has_root: true,
        };
        scene.start();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything is as it was in the beginning.
    fn start(&self) {
        sh(self.dir.path(), "rm -rf live; cp -a old live");
    }

    fn with<T>(
        &self,
        watch: impl Fn() -> io::Result<()> + Sync,
        act: impl FnOnce(&LiveFolder<'_>) -> T,
    ) -> T {
        let beside = Beside::new("20251227_201500");
        act(&LiveFolder::open(&self.path("live"), &beside, &watch).unwrap())
    }

    fn now<T>(&self, act: impl FnOnce(&LiveFolder<'_>) -> T) -> T {
        self.with(|| Ok(()), act)
    }

    fn extract(&self, into: &Path) -> Result<Extracted, UnsealError> {
        let from = self.path("new");
        let copy = format!("cp -a {}/. {}", from.display(), into.display());
        sh(self.dir.path(), &copy);
        Ok(Extracted {
            entries: 7,
            bytes: 0,
            warnings: Vec::new(),
            warnings_total: 0,
            has_root: self.has_root,
        })
    }

    fn fill(&self) {
        self.start();
        self.now(|live| live.fill(|into| self.extract(into)))
            .unwrap();
    }

    fn swapped(&self) {
        self.fill();
        assert_eq!(self.now(|live| live.swap()).unwrap(), Swapped::There);
    }

    fn is(&self, name: &str) {
        assert_same(&self.path(name), &self.path("live"));
    }

    /// Whoever was killed while it removed the last of its own cannot put the root's time back.
    fn is_but_for_its_time(&self, name: &str, killed: bool) {
        if killed {
            sh(self.dir.path(), &format!("touch -r {name} live"));
        }
        self.is(name);
    }

    fn cleared_is(&self, name: &str) {
        self.now(|live| live.clear()).unwrap();
        self.is(name);
    }
}

/// As if it were killed before its `n`th change.
fn killed_at(n: usize) -> impl Fn() -> io::Result<()> + Sync {
    let count = AtomicUsize::new(0);
    move || match count.fetch_add(1, Ordering::SeqCst) == n {
        true => Err(io::Error::other("killed")),
        false => Ok(()),
    }
}

#[test]
fn a_swap_that_is_killed_after_any_step_is_finished_or_taken_back() {
    let scene = Scene::new(OLD, NEW);
    let mut kills = 0;
    loop {
        scene.fill();
        let killed = scene.with(killed_at(kills), |live| live.swap()).is_err();
        // Whoever clears in the middle would lose what was there.
        if let Err(error) = scene.now(|live| live.clear()) {
            assert!(matches!(error, BesideError::Refused(_)), "{error}");
            assert_eq!(scene.now(|live| live.swap()).unwrap(), Swapped::There);
            scene.cleared_is("new");

            scene.fill();
            scene
                .with(killed_at(kills), |live| live.swap())
                .unwrap_err();
            scene.now(|live| live.swap_back()).unwrap();
            scene.cleared_is("old");
        } else {
            scene.is(if killed { "old" } else { "new" });
        }
        if !killed {
            break;
        }
        kills += 1;
    }
    assert!(kills > 15, "{kills}");
}

#[test]
fn a_swap_back_that_is_killed_after_any_step_is_finished() {
    let scene = Scene::new(
        "printf old > a; printf b > b",
        "printf new > a; mkdir c; chmod 711 .",
    );
    for swap_kill in 0.. {
        scene.fill();
        let half = scene
            .with(killed_at(swap_kill), |live| live.swap())
            .is_err();
        for kills in 0.. {
            scene.fill();
            let swap = scene.with(killed_at(swap_kill), |live| live.swap());
            assert_eq!(swap.is_err(), half);
            let back = scene.with(killed_at(kills), |live| live.swap_back());
            scene.now(|live| live.swap_back()).unwrap();
            scene.now(|live| live.swap_back()).unwrap();
            scene.cleared_is("old");
            if back.is_ok() {
                break;
            }
            // Or it is wanted after all.
            scene.fill();
            let _ = scene.with(killed_at(swap_kill), |live| live.swap());
            scene
                .with(killed_at(kills), |live| live.swap_back())
                .unwrap_err();
            scene.now(|live| live.swap()).unwrap();
            scene.cleared_is("new");
        }
        if !half {
            assert!(swap_kill > 5);
            return;
        }
    }
}

#[test]
fn what_was_filled_and_swapped_can_be_swapped_back_and_again() {
    let scene = Scene::new(OLD, NEW);
    scene.swapped();
    for _ in 0..2 {
        scene.now(|live| live.swap_back()).unwrap();
        scene.now(|live| live.swap()).unwrap();
    }
    scene.now(|live| live.swap_back()).unwrap();
    scene.cleared_is("old");
}

#[test]
fn a_fill_that_is_killed_after_any_step_changes_nothing_and_is_never_swapped_in() {
    let scene = Scene::new(OLD, NEW);
    for kills in 0.. {
        scene.start();
        let filled = scene.with(killed_at(kills), |live| {
            live.fill(|into| scene.extract(into))
        });
        if filled.is_ok() {
            assert!(kills > 4);
            break;
        }
        match scene.now(|live| live.swap()) {
            Ok(swapped) => assert_eq!(swapped, Swapped::Nothing),
            Err(error) => assert!(matches!(error, BesideError::Refused(_)), "{error}"),
        }
        scene.now(|live| live.swap_back()).unwrap();
        scene.now(|live| live.clear()).unwrap();
        // Its time may be another one only where nobody could write it down.
        if kills < 2 {
            sh(
                &scene.path("live"),
                "touch -d '2001-02-03 04:05:06.123456789' .",
            );
        }
        scene.is("old");
    }
    // Nor one whose extraction failed.
    scene.start();
    let failed = scene.now(|live| {
        live.fill(|into| {
            scene.extract(into)?;
            Err(UnsealError::Damaged {
                file: "x".to_owned(),
                reason: "it ends too early".to_owned(),
            })
        })
    });
    assert!(failed.is_err());
    assert!(scene.now(|live| live.swap()).is_err());
    scene.cleared_is("old");
}

#[test]
fn a_clear_that_is_killed_after_any_step_goes_on() {
    let scene = Scene::new(OLD, NEW);
    for kills in 0.. {
        scene.swapped();
        let killed = scene.with(killed_at(kills), |live| live.clear()).is_err();
        // What is half removed is nothing to go back to.
        scene.now(|live| live.swap()).unwrap();
        if killed && kills > 0 && kills < 10 {
            assert!(scene.now(|live| live.swap_back()).is_err(), "{kills}");
        }
        scene.now(|live| live.clear()).unwrap();
        scene.is_but_for_its_time("new", killed);
        if !killed {
            assert!(kills > 10);
            break;
        }
    }
    for kills in 0.. {
        scene.fill();
        let killed = scene.with(killed_at(kills), |live| live.clear()).is_err();
        scene.now(|live| live.swap_back()).unwrap();
        scene.now(|live| live.clear()).unwrap();
        scene.is_but_for_its_time("old", killed);
        if !killed {
            break;
        }
    }
}

#[test]
fn an_empty_folder_and_an_empty_archive_are_like_all_others() {
    for (old, new) in [("", NEW), (OLD, ""), ("", "")] {
        let scene = Scene::new(old, new);
        scene.swapped();
        scene.cleared_is("new");
        scene.swapped();
        scene.now(|live| live.swap_back()).unwrap();
        scene.cleared_is("old");
    }
}

#[test]
fn an_archive_that_does_not_say_how_the_folder_itself_looks_leaves_that_as_it_is() {
    let mut scene = Scene::new(OLD, NEW);
    scene.has_root = false;
    scene.swapped();
    let like_old = "getfattr -h --absolute-names -n user.of ../old >/dev/null 2>&1 && setfattr -n user.of -v old .;
        chmod 2750 .; touch -d '2001-02-03 04:05:06.123456789' .";
    sh(&scene.path("new"), like_old);
    scene.cleared_is("new");
}

#[test]
fn trees_of_any_depth_are_removed_with_few_open_files() {
    let deep = "python3 -c 'import os\nfor n in range(3000):\n os.mkdir(\"d\"); open(\"f\", \"w\").close(); os.chdir(\"d\")'";
    let scene = Scene::new("printf a > a", "printf b > b");
    sh(&scene.path("live"), deep);
    scene
        .now(|live| live.fill(|into| scene.extract(into)))
        .unwrap();
    scene.now(|live| live.swap()).unwrap();
    scene.cleared_is("new");
}

#[test]
fn nobody_else_s_folder_is_taken_for_ours() {
    let scene = Scene::new(OLD, NEW);
    let name = ".lifeboat-beside-20251227_201500";
    for path in ["old", "live"] {
        let make = format!(
            "mkdir {name}; echo mine > {name}/file; touch -d 2001-01-01 {name}/file {name} ."
        );
        sh(&scene.path(path), &make);
    }
    let filled = scene.now(|live| live.fill(|into| scene.extract(into)));
    assert!(matches!(filled, Err(BesideError::Refused(_))));
    scene.cleared_is("old");

    let scene = Scene::new("", &format!("mkdir {name}"));
    scene.start();
    let filled = scene.now(|live| live.fill(|into| scene.extract(into)));
    assert!(filled.unwrap_err().to_string().contains(name));
    scene.cleared_is("old");
}

#[test]
fn two_never_work_in_one_folder() {
    let scene = Scene::new(OLD, NEW);
    let (watch, beside) = (|| Ok(()), Beside::new("20251227_201501"));
    scene.now(|_| {
        let other = LiveFolder::open(&scene.path("live"), &beside, &watch);
        assert!(matches!(other, Err(BesideError::Refused(_))));
    });
    for word in ["", "..", "a/b", "a b"] {
        let opened = LiveFolder::open(&scene.path("live"), &Beside::new(word), &watch);
        assert!(matches!(opened, Err(BesideError::Refused(_))), "{word}");
    }
}

#[test]
fn a_look_says_what_is_there_and_changes_nothing() {
    let scene = Scene::new(
        "printf a > a; ln a b; mkdir c; mkdir .lifeboat-beside-1; touch -d 2001-01-01 .",
        "",
    );
    let seen = look(&scene.path("live"), &|| Ok(())).unwrap();
    assert_eq!(seen.entries, 4);
    assert_eq!(seen.left, [".lifeboat-beside-1"]);
    assert!(seen.free > 0 && seen.bytes < 1 << 20);
    scene.is("old");
    let empty = Scene::new("", "");
    let seen = look(&empty.path("live"), &|| Ok(())).unwrap();
    assert_eq!((seen.entries, seen.bytes), (0, 0));
    assert!(matches!(
        look(Path::new("/nowhere"), &|| Ok(())),
        Err(BesideError::Io { .. })
    ));
    let _: Seen = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
}
