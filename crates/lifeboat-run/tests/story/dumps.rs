//! Dumps in the story of a backup: what a program does wrong (rows D1 to D14 of the fault matrix), and that
//! nothing of a dump that is not whole is ever taken for one.

use crate::{
    script::{Attempt, Script, Then},
    world::World,
};
use lifeboat_plan::{
    Status,
    event::{Outcome, RunEvent},
};
use lifeboat_run::{
    Cancel, Listener,
    backup::{BackupError, Batch, Report},
    source::{Ended, Fault, Format, Source},
};
use lifeboat_store::Store;
use lifeboat_testkit::{Fault as StoreFault, noise};
use std::{
    fs,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Larger than all that is in hand at once: most of it is written when the program ends.
fn much() -> Vec<u8> {
    noise(21 << 20, 5)
}

pub(crate) fn sql(rows: usize) -> Vec<u8> {
    let rows = "1\tsome text that takes its room\n".repeat(rows);
    format!("{rows}\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n").into_bytes()
}

#[derive(Default)]
struct Heard(Mutex<Vec<RunEvent>>);

impl Listener for Heard {
    fn hear(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    fn retries(&self) -> usize {
        let heard = self.0.lock().unwrap();
        let retries = heard
            .iter()
            .filter(|e| matches!(e, RunEvent::SourceRetried { .. }));
        retries.count()
    }

    fn missed(&self) -> Vec<Option<&'static str>> {
        let heard = self.0.lock().unwrap();
        let codes = heard.iter().filter_map(|event| match event {
            RunEvent::SourceMissed { code, .. } => Some(*code),
            _ => None,
        });
        codes.collect()
    }
}

/// A world with three good backups of which the rules would keep one.
fn world() -> World {
    let mut world = World::new();
    for _ in 0..3 {
        let good = Script::new([Attempt::good(sql(100))]);
        back_up(&world, good.dump(Format::PostgresSql)).unwrap();
        good.assert_played();
        world.days_pass(1);
    }
    world.keep.daily.slots = Some(1);
    world.keep.daily.keep_min = Some(1);
    world
}

/// The folders, and one dump between them.
pub(crate) fn back_up(world: &World, dump: impl Source + 'static) -> Result<Report, BackupError> {
    back_up_heard(world, dump, &())
}

fn back_up_heard(
    world: &World,
    dump: impl Source + 'static,
    listener: &dyn Listener,
) -> Result<Report, BackupError> {
    let mut sources = world.sources();
    sources.insert(1, Box::new(dump));
    world.back_up_heard(&world.local, &Batch::each(&sources), None, listener)
}

/// `attempts` come to nothing, and that harms nobody: the other sources are saved, nothing is pruned,
/// nothing of the dump has a name, the last good backup stays the last good one.
fn comes_to_nothing(attempts: Vec<Attempt>, format: Format, code: &'static str) -> String {
    let mut world = world();
    let (before, latest) = (world.keys_in_store(), latest(&world));
    assert_eq!(
        world.catalog().items.len(),
        3 + 2,
        "three, and the longer tiers"
    );
    let retries = attempts.len() - 1;
    let script = Script::new(attempts);
    let heard = Heard::default();

    let report = back_up_heard(&world, script.dump(format), &heard).unwrap();
    script.assert_played();
    assert_eq!(heard.retries(), retries);
    assert_eq!(heard.missed(), [Some(code)]);
    assert_eq!(report.outcome(), Outcome::Partial);
    let manifest = &report.manifest;
    assert_eq!(manifest.status, Status::Partial);
    assert_eq!(manifest.missed.len(), 1);
    assert_eq!(manifest.missed[0].source, "db.shop");
    assert_eq!(manifest.missed[0].code.as_deref(), Some(code));
    let saved: Vec<_> = manifest
        .archives
        .iter()
        .map(|a| a.source.as_str())
        .collect();
    assert_eq!(saved, ["conf", "storage"]);
    assert!(report.pruned.is_none() && report.promoted.is_empty());
    assert_eq!(self::latest(&world), latest);

    let now = world.keys_in_store();
    assert!(before.iter().all(|key| now.contains(key)), "{now:?}");
    let id = manifest.id.to_string();
    let named = |key: &&String| key.contains(&id) && key.contains("db.shop");
    assert_eq!(now.iter().find(named), None);
    assert_eq!(lost(&world), Vec::<String>::new());

    // The next good one is as good as ever, and only then anything is pruned.
    world.days_pass(1);
    let good = Script::new([Attempt::good(sql(100))]);
    let next = back_up(&world, good.dump(Format::PostgresSql)).unwrap();
    assert_eq!(next.outcome(), Outcome::Ok);
    assert!(!next.pruned.unwrap().dropped.is_empty());
    report.manifest.missed[0].reason.clone()
}

fn latest(world: &World) -> String {
    world
        .catalog()
        .latest(&world.name)
        .unwrap()
        .id()
        .to_string()
}

/// Files without a name that could ever be cleaned up by somebody.
fn lost(world: &World) -> Vec<String> {
    world.local.sweep(true).unwrap()
}

#[test]
fn a_program_that_fails_after_half_of_its_output_is_tried_once_more_and_then_missed() {
    let fails = || Attempt::new(much(), Then::EndWith(Fault::ToolExit));
    let reason = comes_to_nothing(vec![fails(), fails()], Format::Unknown, "tool_exit");
    assert_eq!(
        reason,
        "pg_dump of \"shop\" in service db: it failed: as it was told"
    );
}

#[test]
fn a_program_that_fails_once_costs_nothing_but_a_second_attempt() {
    let world = World::new();
    let script = Script::new([
        Attempt::new(much(), Then::EndWith(Fault::ToolExit)),
        Attempt::good(sql(7)),
    ]);
    let heard = Heard::default();
    let report = back_up_heard(&world, script.dump(Format::PostgresSql), &heard).unwrap();
    script.assert_played();
    assert_eq!(heard.retries(), 1);
    assert_eq!(report.outcome(), Outcome::Ok);
    assert_eq!(saved(&world, &report), sql(7));
    assert_eq!(lost(&world), Vec::<String>::new());
}

#[test]
fn a_refused_password_or_a_missing_database_is_not_asked_for_twice() {
    for (fault, code) in [(Fault::Auth, "auth"), (Fault::NoDb, "no_db")] {
        for output in ["", "-- MariaDB dump 10.19\n"] {
            let refused = Attempt::new(output, Then::EndWith(fault));
            comes_to_nothing(vec![refused], Format::MysqlSql, code);
        }
    }
}

#[test]
fn a_container_that_goes_away_and_comes_back_costs_a_second_attempt() {
    for fault in [Fault::ExecLost, Fault::DockerLost, Fault::StreamLost] {
        let script = Script::new([
            Attempt::new(much(), Then::EndWith(fault)),
            Attempt::good(sql(7)),
        ]);
        let report = back_up(&World::new(), script.dump(Format::PostgresSql)).unwrap();
        script.assert_played();
        assert_eq!(report.outcome(), Outcome::Ok);
    }
    let goes = || Attempt::new(much(), Then::EndWith(Fault::ExecLost));
    comes_to_nothing(vec![goes(), goes()], Format::Unknown, "exec_lost");
}

#[test]
fn a_program_of_which_nothing_comes_any_more_holds_up_nobody() {
    let stalls = || Attempt::new(much(), Then::FailWith(Fault::Stalled));
    comes_to_nothing(vec![stalls(), stalls()], Format::Unknown, "stalled");
}

#[test]
fn half_a_dump_is_not_believed_whatever_the_program_says() {
    let whole = sql(200_000);
    for part in [&whole[..whole.len() - 40], &whole[..1000]] {
        let cut = Attempt::good(part);
        comes_to_nothing(vec![cut], Format::PostgresSql, "no_end_marker");
    }
    for format in [Format::PostgresCustom, Format::Rdb, Format::MongoArchive] {
        let other = Attempt::good(&b"OCI runtime exec failed: no such file"[..]);
        comes_to_nothing(vec![other], format, "no_end_marker");
    }
}

#[test]
fn nothing_at_all_is_no_dump_whatever_the_program_says() {
    let warned = Ended {
        stderr: "warning: no matching tables were found\n".to_owned(),
        ..Ended::default()
    };
    for format in [Format::Unknown, Format::PostgresSql, Format::Rdb] {
        let empty = Attempt::new("", Then::End(warned.clone()));
        let reason = comes_to_nothing(vec![empty], format, "empty");
        assert!(
            reason.ends_with("no matching tables were found"),
            "{reason}"
        );
    }
}

#[test]
fn a_good_exit_without_the_mark_and_the_mark_without_a_good_exit_are_both_refused() {
    // `mysqldump --force` writes its last line all the same.
    let forced = || Attempt::new("-- Dump completed\n", Then::EndWith(Fault::ToolExit));
    comes_to_nothing(vec![forced(), forced()], Format::MysqlSql, "tool_exit");
    let compact = Attempt::good("INSERT INTO t VALUES (1);\n");
    comes_to_nothing(vec![compact], Format::MysqlSql, "no_end_marker");
}

#[test]
fn what_a_good_program_says_on_the_side_is_kept_and_no_warning() {
    let ended = Ended {
        stderr: "pg_dump: warning: there are circular foreign-key constraints\n".to_owned(),
        facts: [("server_version".to_owned(), "15.18".into())]
            .into_iter()
            .collect(),
    };
    let world = World::new();
    let script = Script::new([Attempt::new(sql(3), Then::End(ended.clone()))]);
    let mut dump = script.dump(Format::PostgresSql);
    dump.facts.insert("service".to_owned(), "db".into());
    let report = back_up(&world, dump).unwrap();
    assert_eq!(report.outcome(), Outcome::Ok);
    let archive = &report.manifest.archives[1];
    assert_eq!(archive.facts["stderr"], ended.stderr);
    assert_eq!(archive.facts["server_version"], "15.18");
    assert_eq!(archive.facts["service"], "db");
    assert_eq!((archive.entries, archive.warnings_total), (None, 0));
    assert_eq!(
        archive.file,
        format!("{}.db.shop.dump.zst", report.manifest.id)
    );
}

#[test]
fn a_flood_of_remarks_is_cut_to_its_last_part() {
    let mut stderr = "ä line of the flood\n".repeat(100_000);
    stderr.push_str("the last line\n");
    let ended = Ended {
        stderr,
        ..Ended::default()
    };
    let script = Script::new([Attempt::new(sql(3), Then::End(ended.clone()))]);
    let report = back_up(&World::new(), script.dump(Format::PostgresSql)).unwrap();
    let kept = report.manifest.archives[1].facts["stderr"]
        .as_str()
        .unwrap();
    assert!(
        kept.len() <= 64 << 10 && kept.len() > 60 << 10,
        "{}",
        kept.len()
    );
    assert!(kept.ends_with("flood\nthe last line\n"));
}

#[test]
fn a_wish_to_stop_ends_a_silent_program_and_leaves_nothing() {
    let world = world();
    let before = world.keys_in_store();
    let cancel = Cancel::default();
    /// Wishes to stop as soon as something came of the dump.
    struct Stop<'a>(&'a Cancel);
    impl Listener for Stop<'_> {
        fn hear(&self, event: &RunEvent) {
            if matches!(event, RunEvent::Progress { source, plain_bytes: 1.., .. } if source == "db.shop")
            {
                self.0.cancel();
            }
        }
    }
    let script = Script::new([Attempt::new(much(), Then::Silence)]);
    let sources = [script.source(Format::Unknown)];
    let ended = world.back_up_until(
        &world.local,
        &Batch::each(&sources),
        None,
        &cancel,
        &Stop(&cancel),
    );
    assert!(matches!(ended, Err(BackupError::Cancelled(_))), "{ended:?}");
    script.assert_played();
    assert_eq!(world.keys_in_store(), before);
    assert_eq!(lost(&world), Vec::<String>::new());
}

#[test]
fn a_wish_to_stop_ends_the_wait_before_a_second_attempt() {
    let mut world = World::new();
    world.retry = Some(Duration::from_secs(3600));
    let cancel = Cancel::default();
    struct Stop<'a>(&'a Cancel);
    impl Listener for Stop<'_> {
        fn hear(&self, event: &RunEvent) {
            if matches!(event, RunEvent::SourceRetried { .. }) {
                self.0.cancel();
            }
        }
    }
    let script = Script::new([Attempt::new("x", Then::EndWith(Fault::ExecLost))]);
    let sources = [script.source(Format::Unknown)];
    let begun = Instant::now();
    let ended = world.back_up_until(
        &world.local,
        &Batch::each(&sources),
        None,
        &cancel,
        &Stop(&cancel),
    );
    assert!(matches!(ended, Err(BackupError::Cancelled(_))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(600));
    script.assert_played();
    assert_eq!(world.keys_in_store(), Vec::<String>::new());
}

#[test]
fn without_a_retry_nothing_is_tried_twice() {
    let mut world = World::new();
    world.retry = None;
    let script = Script::new([Attempt::new("x", Then::EndWith(Fault::ToolExit))]);
    let report = back_up(&world, script.dump(Format::Unknown)).unwrap();
    script.assert_played();
    assert_eq!(report.outcome(), Outcome::Partial);
}

#[test]
fn a_full_disk_is_no_fault_of_a_program_and_does_not_wait_for_a_silent_one() {
    let world = World::new();
    // Less than may be in hand at once: the program is read, and silent, when the first write fails.
    for nth in 1.. {
        let faults = lifeboat_testkit::Faults::at(StoreFault::Full, nth);
        let store = faults.wrap(world.local.clone());
        let script = Script::new([Attempt::new(noise(3 << 20, 5), Then::Silence)]);
        let sources = [script.source(Format::Unknown)];
        let ended = world.back_up_into(&store, &sources);
        assert!(
            matches!(ended, Err(BackupError::Store(_))),
            "{nth}: {ended:?}"
        );
        assert_eq!(world.catalog().items.len(), 0);
        if faults
            .struck()
            .is_some_and(|struck| struck.starts_with("write"))
        {
            script.assert_played();
            return;
        }
    }
}

/// The plain bytes of the dump in this backup.
fn saved(world: &World, report: &Report) -> Vec<u8> {
    let mut archives = report.manifest.archives.iter();
    let archive = archives.find(|a| a.source == "db.shop").unwrap();
    let file = world.store_path().join("daily").join(&archive.file);
    let plain = decompressed(&file);
    assert_eq!(plain.len() as u64, archive.plain_size);
    plain
}

fn decompressed(file: &Path) -> Vec<u8> {
    zstd::decode_all(fs::File::open(file).unwrap()).unwrap()
}

#[test]
fn the_mark_behind_a_snapshot_is_not_saved_wherever_it_falls() {
    let mark = [b'a'; 40];
    // Around the size of the pieces that the seal takes.
    for size in [
        18,
        40,
        60,
        (2 << 20) - 41,
        (2 << 20) - 40,
        (2 << 20) - 20,
        2 << 20,
        (2 << 20) + 1,
    ] {
        let mut snapshot = b"REDIS0011".to_vec();
        snapshot.resize(size - 9, 0x5a);
        snapshot.push(0xff);
        snapshot.resize(size, 0);
        for marked in [false, true] {
            let mut output = snapshot.clone();
            output.extend(marked.then_some(mark).into_iter().flatten());
            let world = World::new();
            let script = Script::new([Attempt::good(output)]);
            let report = back_up(&world, script.dump(Format::Rdb)).unwrap();
            assert_eq!(report.outcome(), Outcome::Ok);
            assert!(
                saved(&world, &report) == snapshot,
                "{size}, marked: {marked}"
            );
        }
    }
}

#[test]
fn a_large_dump_is_saved_byte_for_byte() {
    let world = World::new();
    let script = Script::new([Attempt::good(much())]);
    let report = back_up(&world, script.dump(Format::Unknown)).unwrap();
    assert!(saved(&world, &report) == much());
}
