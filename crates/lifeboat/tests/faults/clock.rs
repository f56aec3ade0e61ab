//! The clock jumps: backups go on being made and keep their order, and nothing is deleted on a doubt.

use crate::world::{World, can_fake_time};
use std::collections::BTreeSet;

impl World {
    /// A backup made at another time; its id.
    #[track_caller]
    fn back_up_at(&self, when: &str) -> String {
        let mut command = self.command(&["backup"]);
        self.shift_clock(&mut command, when);
        self.finish(command).expect(0).last_line()
    }

    /// Sequence numbers of all backups, copies in longer tiers left out.
    fn sequences(&self) -> Vec<(u64, String)> {
        let daily = self.store().join("daily");
        let manifests = std::fs::read_dir(daily).unwrap().map(|e| e.unwrap().path());
        let mut sequences: Vec<(u64, String)> = manifests
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(|path| {
                let bytes = std::fs::read(path).unwrap();
                let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                let id = manifest["id"].as_str().unwrap().to_owned();
                (manifest["sequence"].as_u64().unwrap(), id)
            })
            .collect();
        sequences.sort();
        sequences
    }
}

#[test]
fn wherever_the_clock_jumps_backups_are_made_in_order_and_none_is_dropped_for_it() {
    if !can_fake_time() {
        return;
    }
    for jump in ["+365d", "-1h", "-365d", "@1970-01-02 03:04:05", "+3650d"] {
        let world = World::with_history();
        let before = world.all_whole();
        let daily: BTreeSet<String> = before
            .iter()
            .filter(|id| id.contains("_daily_"))
            .cloned()
            .collect();
        let strange = world.back_up_at(jump);
        let after = world.all_whole();
        assert!(after.contains(&strange), "{jump}");
        let gone: Vec<_> = daily.difference(&after).collect();
        // An hour is not a doubt: there the usual one goes.
        match jump {
            "-1h" => assert!(gone.len() <= 1, "{jump}: {gone:?}"),
            _ => assert!(gone.is_empty(), "{jump}: {gone:?}"),
        }

        let back = world.back_up();
        let next = world.back_up();
        let ids = BTreeSet::from([&strange, &back, &next]);
        assert_eq!(ids.len(), 3, "{jump}: {ids:?}");
        let sequences = world.sequences();
        let numbers: BTreeSet<u64> = sequences.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers.len(), sequences.len(), "{jump}: {sequences:?}");
        let newest: Vec<&String> = sequences.iter().rev().take(2).map(|(_, id)| id).collect();
        assert_eq!(newest, [&next, &back], "{jump}");
        let longer = before.iter().filter(|id| !id.contains("_daily_"));
        let there = world.all_whole();
        let lost: Vec<_> = longer.filter(|id| !there.contains(*id)).collect();
        assert!(lost.is_empty(), "{jump}: {lost:?}");
        // It is not lost: the one from another time stays until the clock can be believed again.
        world.run(&["verify", &strange, "--deep"]).expect(0);
    }
}

#[test]
fn sixty_failing_days_drop_nothing() {
    if !can_fake_time() {
        return;
    }
    let world = World::with_history();
    world.back_up();
    let before = world.all_whole();
    std::fs::rename(world.path("data"), world.path("gone")).unwrap();
    for day in [1, 2, 10, 20, 30, 45, 60] {
        for verb in ["backup", "prune"] {
            let mut command = world.command(&[verb]);
            world.shift_clock(&mut command, &format!("+{day}d"));
            let ended = world.finish(command);
            if verb == "backup" {
                assert!(matches!(ended.code(), Some(1 | 2 | 10)), "{ended}");
            }
        }
        let after = world.ids();
        let lost: Vec<_> = before.difference(&after).collect();
        assert!(lost.is_empty(), "day {day}: {lost:?}");
    }
    std::fs::rename(world.path("gone"), world.path("data")).unwrap();
    world.back_up_at("+61d");
    assert!(world.all_whole().len() > before.len() / 2);
}
