//! Killed at any moment of a backup, with its longer tiers and its pruning, the store shows whole
//! backups only; the next backup cleans up by itself.

use crate::world::{Dice, Ended, World, can_fake_time};
use lifeboat_testkit::{ends_within, victim::can_strace};
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

/// Every call that changes what can be seen, or makes it last.
const TURNING_POINTS: [&str; 8] = [
    "fsync",
    "renameat2",
    "renameat",
    "linkat",
    "unlinkat",
    "mkdirat",
    "pwrite64",
    "flock",
];

#[test]
fn killed_at_every_turning_point_it_leaves_whole_backups_only() {
    let Some(mut history) = History::new() else {
        return;
    };
    for call in TURNING_POINTS {
        for nth in 1.. {
            assert!(nth < 1_000, "{call} never ends");
            if !history.strike(call, nth) {
                assert!(nth > 1 || call == "pwrite64", "no call of {call} at all");
                break;
            }
        }
    }
    history.report("program_kills", 50);
}

#[test]
fn killed_at_any_call_whatever_it_leaves_whole_backups_only() {
    strike_anywhere(60, 0x1234_5678_9abc_def1);
}

#[test]
#[ignore = "the same, for longer"]
fn slow_killed_at_any_call_whatever_it_leaves_whole_backups_only() {
    strike_anywhere(300, 0x5eed_0000_0bad_cafe);
}

fn strike_anywhere(kills: u64, seed: u64) {
    const CALLS: [(&str, u64); 12] = [
        ("write", 40),
        ("read", 160),
        ("openat", 160),
        ("close", 160),
        ("getdents64", 90),
        ("fcntl", 180),
        ("fstat,newfstatat,statx", 60),
        ("clone3", 11),
        ("futex", 20),
        ("fadvise64", 18),
        ("fsync", 40),
        ("munmap", 16),
    ];
    let Some(mut history) = History::new() else {
        return;
    };
    let mut dice = Dice(seed);
    while history.kills < kills {
        let (call, most) = CALLS[dice.throw(CALLS.len() as u64) as usize];
        history.strike(call, 1 + dice.throw(most));
    }
    history.report("program_kills_anywhere", kills);
}

#[test]
fn killed_after_any_time_it_leaves_whole_backups_only() {
    let Some(mut history) = History::new() else {
        return;
    };
    let begun = Instant::now();
    history.attempt(|world| world.run(&["backup"]));
    let mut usual = begun.elapsed().as_micros() as u64;
    let mut dice = Dice(0xfeed_beef_0000_0001);
    let mut attempts = 0;
    while history.kills < 60 {
        attempts += 1;
        assert!(
            attempts < 600,
            "hardly any run lived long enough to be killed"
        );
        let moment = Duration::from_micros(dice.throw(usual));
        let kills = history.kills;
        history.attempt(|world| {
            let mut command = world.command(&["backup"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            ends_within(&child, moment).unwrap();
            child.kill().unwrap();
            Ended::within(Duration::from_secs(60), child)
        });
        if history.kills == kills {
            // It was through before that: the first run had been slower than they usually are.
            usual = (usual * 7 / 8).max(1000);
        }
    }
    history.report("program_kills_by_time", 60);
}

/// A store as it was before the run that is killed, again and again.
struct History {
    world: World,
    before: PathBuf,
    ids: BTreeSet<String>,
    /// What the killed run may drop.
    doomed: BTreeSet<String>,
    kills: u64,
    /// Of those, after how many the killed run's own backup was there.
    committed: u64,
    cleaning: Duration,
}

impl History {
    fn new() -> Option<Self> {
        if !can_strace() || !can_fake_time() {
            return None;
        }
        let world = World::with_history();
        let before = world.copy_store("before");
        let ids = world.all_whole();
        // Undisturbed, it fills a slot and drops a backup: else it would prove little.
        let id = world.back_up();
        let after = world.ids();
        let doomed: BTreeSet<String> = ids.difference(&after).cloned().collect();
        assert!(!doomed.is_empty(), "nothing was dropped: {after:?}");
        assert!(
            after.contains(&id.replace("_daily_", "_weekly_")),
            "{after:?}"
        );
        Some(History {
            world,
            before,
            ids,
            doomed,
            kills: 0,
            committed: 0,
            cleaning: Duration::ZERO,
        })
    }

    /// Kills a backup at the nth such call of one of its threads; whether it came to that.
    fn strike(&mut self, call: &str, nth: u64) -> bool {
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:signal=KILL:when={nth}");
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
        ];
        self.attempt(|world| world.run_under(&strace, &["backup"]))
    }

    fn attempt(&mut self, run: impl FnOnce(&World) -> Ended) -> bool {
        let world = &self.world;
        fs::remove_dir_all(world.store()).unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([&self.before, &world.store().to_owned()])
            .status();
        assert!(copied.unwrap().success());
        let earlier = world.bytes_of(&self.ids);

        let ended = run(world);
        let killed = ended.was_killed();
        if !killed {
            ended.expect(0);
        }
        self.kills += u64::from(killed);

        let kept: BTreeSet<String> = self.ids.difference(&self.doomed).cloned().collect();
        let mut untouched = world.bytes_of(&self.ids);
        untouched.retain(|path, bytes| earlier.get(path) == Some(bytes));
        for path in earlier.keys() {
            let of_kept = kept.iter().any(|id| path.to_string_lossy().contains(id));
            assert!(
                !of_kept || untouched.contains_key(path),
                "{path:?}\n{ended}"
            );
        }
        let visible = world.all_whole();
        assert!(visible.is_superset(&kept), "{visible:?}\n{ended}");
        self.committed += u64::from(killed && visible.difference(&self.ids).next().is_some());

        let begun = Instant::now();
        let next = world.back_up();
        self.cleaning = self.cleaning.max(begun.elapsed());
        world.is_clean();
        let after = world.all_whole();
        assert!(after.contains(&next), "{after:?}");
        // It prunes too, but only what the rules let go.
        let daily = |id: &&String| id.contains("_daily_");
        assert_eq!(after.iter().filter(daily).count(), 3, "{after:?}");
        let lost = kept.difference(&after).find(|id| !daily(id));
        assert_eq!(lost, None, "{after:?}");
        world.run(&["status"]).expect(0);
        killed
    }

    fn report(&self, figure: &str, kills_min: u64) {
        let History {
            kills,
            committed,
            cleaning,
            ..
        } = self;
        assert!(*kills >= kills_min, "only {kills} kills");
        assert!(*cleaning < Duration::from_secs(60), "{cleaning:?}");
        println!("RELIABILITY {figure}={kills} partial_visible=0");
        println!(
            "{committed} of them came after the commit; the longest next run took {cleaning:?}"
        );
    }
}
