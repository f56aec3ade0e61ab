use crate::kit::{Ended, Project, tree};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
};

#[test]
fn a_backup_prints_its_id_last_and_nothing_else_on_stdout() {
    let project = Project::new();
    let ended = project.run(&["backup"]);
    ended.expect(0);
    let id = ended.stdout().trim_end().to_owned();
    assert!(id.starts_with("shop_daily_"), "{id}");
    assert_eq!(ended.stdout().lines().count(), 1);
    assert!(project.store().join(format!("daily/{id}.json")).exists());
    for source in ["notes", "photos"] {
        let archive = project.store().join(format!("daily/{id}.{source}.tar.zst"));
        assert!(archive.exists(), "{} is missing", archive.display());
    }
}

#[test]
fn stock_tools_check_and_open_what_was_made() {
    let project = Project::new();
    let id = project.back_up();
    let script = format!(
        "sha256sum --quiet -c *.sha256 && mkdir out && zstd -dc {id}.notes.tar.zst | tar -x -C out && cat out/deep/er/b.txt"
    );
    let output = std::process::Command::new("sh")
        .args(["-ec", &script])
        .current_dir(project.store().join("daily"))
        .output()
        .unwrap();
    let ended = Ended::of(output);
    ended.expect(0);
    assert_eq!(ended.stdout(), "second\n");
}

#[test]
fn only_the_named_source_is_saved() {
    let project = Project::new();
    project.run(&["backup", "--source", "notes"]).expect(0);
    assert_eq!(project.stored("daily", ".notes.tar.zst").len(), 1);
    assert!(project.stored("daily", ".photos.tar.zst").is_empty());
}

#[test]
fn a_source_that_is_not_there_is_answered_with_those_that_are() {
    let project = Project::new();
    let ended = project.run(&["backup", "--source", "nodes"]);
    ended.expect(10).says(
        "lifeboat: there is no source \"nodes\"\n\
         hint: there are: notes, photos",
    );
    assert!(!project.store().exists(), "a store was made for nothing");
}

#[test]
fn loose_files_are_not_covered_and_that_is_said() {
    let project = Project::new();
    project.write("loose.txt", "nobody saves me");
    let ended = project.run(&["backup"]);
    ended.expect(0);
    let loose = project.data().join("loose.txt");
    let said = format!("! not covered: {}: not a folder", loose.display());
    assert!(ended.stderr().contains(&said), "{}", ended.stderr());
}

#[test]
fn a_source_that_cannot_be_captured_makes_a_partial_backup_and_exit_code_1() {
    let project = Project::new();
    project.back_up();
    // What held something at the last backup and holds nothing now is not believed.
    fs::remove_dir_all(project.data().join("photos")).unwrap();
    fs::create_dir(project.data().join("photos")).unwrap();
    let ended = project.run(&["backup", "--json"]);
    ended.expect(1);
    let answer = ended.json();
    assert_eq!(answer["code"], 1);
    assert_eq!(answer["backups"][0]["status"], "partial");
    assert_eq!(answer["backups"][0]["missed"][0]["source"], "photos");
    let id = answer["id"].as_str().unwrap();
    assert_eq!(
        answer["error"],
        format!("{id} is partial: 1 source was not captured")
    );
}

#[test]
fn warnings_end_with_exit_code_3_and_the_id_all_the_same() {
    let project = Project::new();
    // Root without capabilities is a user like any other: this file is somebody else's.
    project.write("notes/private", "not for you");
    let path = project.data().join("notes/private");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(65_534), Some(65_534)).unwrap();
    let program = project.command(&["backup"]);
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ended = Ended::of(command.output().unwrap());
    ended.expect(3);
    assert!(ended.last_line().starts_with("shop_daily_"));
    assert!(ended.stderr().contains("private"), "{}", ended.stderr());
}

#[test]
fn a_dry_run_shows_what_would_be_saved_and_writes_nothing() {
    let project = Project::new();
    project.write("loose.txt", "x");
    let ended = project.run(&["backup", "--dry-run", "--json"]);
    ended.expect(0);
    let answer = ended.json();
    assert_eq!(answer["jobs"][0]["sources"][0]["name"], "notes");
    assert_eq!(answer["uncovered"].as_array().unwrap().len(), 1);
    assert!(!project.store().exists());
}

#[test]
fn a_store_in_which_another_run_is_at_work_ends_with_11() {
    let project = Project::new();
    project.back_up();
    // The lock is a plain flock on this file, so any program can hold it.
    let lock = fs::File::open(project.store().join(".lifeboat/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = tree(&project.store());
    let ended = project.run(&["backup"]);
    ended.expect(11);
    let hint = "hint: wait until the other run has ended, or look at it with `lifeboat status`";
    ended.says(hint);
    assert!(tree(&project.store()) == before, "the store was touched");
}

#[test]
fn all_mistakes_of_a_configuration_are_told_at_once() {
    let project = Project::new()
        .with("BACKUP_RETENTION_DAYS", "7 dayz")
        .with("BACKUP_SHEDULE", "@daily");
    let ended = project.run(&["backup"]);
    ended.expect(2);
    let stderr = ended.stderr();
    assert!(stderr.starts_with("lifeboat: 2 mistakes in the configuration; nothing was done\n"));
    assert!(stderr.contains("BACKUP_RETENTION_DAYS") && stderr.contains("BACKUP_SCHEDULE"));
    assert!(!project.store().exists());
}

#[test]
fn nothing_to_back_up_is_no_success() {
    let project = Project::new();
    fs::remove_dir_all(project.data()).unwrap();
    project.run(&["backup"]).expect(10);
    fs::create_dir(project.data()).unwrap();
    let ended = project.run(&["backup"]);
    ended.expect(10);
    assert!(ended.stderr().contains("there is nothing to back up"));
}

#[test]
fn without_a_key_everything_works_and_status_says_that_it_is_unsigned() {
    let project = Project::new().without("BACKUP_SIGNING_KEY");
    project.back_up();
    let status = project.run(&["status", "--json"]).json();
    let findings = status["findings"].to_string();
    assert!(findings.contains("unsigned"), "{findings}");
}
