//! The verbs that take away: prune, delete, sweep; and rebuild, which puts in order.

use crate::kit::{Project, backups, tree};
use std::fs;

fn few() -> Project {
    Project::new()
        .with("BACKUP_MAX_COUNT", "2")
        .with("BACKUP_KEEP_MIN", "1")
        .with("BACKUP_ENABLE_WEEKLY", "false")
        .with("BACKUP_ENABLE_MONTHLY", "false")
        .with("BACKUP_PRUNE_SCHEDULE", "off")
}

#[test]
fn prune_drops_what_the_rules_do_not_keep_and_says_why() {
    let project = few();
    let ids = [project.back_up(), project.back_up(), project.back_up()];
    let before = tree(&project.store());
    let plan = project.run(&["prune", "--dry-run", "--json"]);
    plan.expect(0);
    let plan = plan.json();
    assert_eq!(plan["drop"].as_array().unwrap().len(), 1);
    assert_eq!(plan["drop"][0]["id"], ids[0].as_str());
    assert_eq!(plan["dropped"], serde_json::json!([]));
    assert!(
        tree(&project.store()) == before,
        "a dry run touched the store"
    );

    let ended = project.run(&["prune"]);
    ended.expect(0);
    assert!(ended.stdout().contains("1 dropped."), "{}", ended.stdout());
    let list = project.run(&["list", "--json"]).json();
    assert_eq!(list["total"], 2);
    assert!(
        project
            .stored("daily", &format!("{}.json", ids[0]))
            .is_empty()
    );
    assert_eq!(project.stored("daily", ".notes.tar.zst").len(), 2);
}

#[test]
fn prune_refuses_with_14_when_nothing_is_good() {
    let project = few();
    let id = project.back_up();
    project.damage("notes");
    project.run(&["verify", &id]).expect(13);
    project.run(&["prune"]).expect(14);
    assert_eq!(project.stored("daily", ".notes.tar.zst").len(), 1);
}

#[test]
fn delete_asks_and_takes_exactly_one_away() {
    let project = few();
    let ids = [project.back_up(), project.back_up()];
    let ended = project.run_with(&["delete", &ids[0]], "y\n");
    ended.expect(14);
    assert_eq!(project.run(&["list", "--json"]).json()["total"], 2);
    project.run_with(&["delete", &ids[0]], "DELETE\n").expect(0);
    let list = project.run(&["list", "--json"]).json();
    assert_eq!(list["total"], 1);
    assert_eq!(list["backups"][0]["id"], ids[1].as_str());
    assert!(
        project
            .stored("daily", ".zst")
            .iter()
            .all(|path| path.to_string_lossy().contains(&ids[1]))
    );
    // A gap that a person made is none.
    project.run(&["status"]).expect(0);
}

#[test]
fn the_last_good_backup_is_not_deleted_and_latest_is_no_name_for_a_deletion() {
    let project = few();
    let id = project.back_up();
    project.run(&["delete", &id, "--yes"]).expect(14);
    project.run(&["delete", "latest", "--yes"]).expect(14);
    project
        .run(&["delete", "shop_daily_20200101_000000", "--yes"])
        .expect(10);
    assert_eq!(project.run(&["list", "--json"]).json()["total"], 1);
}

#[test]
fn sweep_removes_old_strays_and_nothing_else() {
    let project = few();
    project.back_up();
    let before = backups(&project.store());
    let daily = project.store().join("daily");
    let stray = daily.join("shop_daily_20200101_000000.notes.tar.zst");
    fs::write(&stray, "left behind").unwrap();
    fs::write(daily.join("a foreign file.txt"), "not ours").unwrap();

    let ended = project.run(&["sweep"]);
    ended.expect(0);
    assert!(stray.exists(), "a young file may be somebody's work");
    let ended = project.run(&["sweep", "--older-than", "0s", "--dry-run", "--json"]);
    let key = "daily/shop_daily_20200101_000000.notes.tar.zst";
    assert_eq!(ended.expect(0).json()["removed"], serde_json::json!([key]));
    assert!(stray.exists());
    project.run(&["sweep", "--older-than", "0s"]).expect(0);
    assert!(!stray.exists());
    assert!(daily.join("a foreign file.txt").exists());
    fs::remove_file(daily.join("a foreign file.txt")).unwrap();
    assert!(backups(&project.store()) == before);
}

#[test]
fn sweep_keeps_the_archives_of_a_backup_whose_manifest_was_lost() {
    let project = few();
    let id = project.back_up();
    project.back_up();
    fs::remove_file(project.store().join(format!("daily/{id}.json"))).unwrap();
    let ended = project.run(&["sweep", "--older-than", "0s"]);
    ended.expect(0);
    assert!(
        ended.stdout().contains("its manifest was lost"),
        "{}",
        ended.stdout()
    );
    let archive = project.store().join(format!("daily/{id}.notes.tar.zst"));
    let archive = archive.to_str().unwrap();
    project
        .run(&["restore", archive, "--to", "out", "--yes"])
        .expect(0);
}

#[test]
fn rebuild_writes_the_catalogue_from_the_manifests() {
    let project = few();
    project.back_up();
    let catalogue = project.store().join("manifest.json");
    let before = fs::read(&catalogue).unwrap();
    fs::write(&catalogue, "garbage").unwrap();
    let ended = project.run(&["rebuild", "--json"]);
    assert_eq!(ended.expect(0).json()["backups"], 1);
    assert_eq!(fs::read(&catalogue).unwrap(), before);
}
