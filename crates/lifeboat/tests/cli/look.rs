//! The verbs that only look.

use crate::kit::Project;
use std::{
    fs,
    process::{Command, Stdio},
};

#[test]
fn the_list_has_the_shape_that_programs_rely_on() {
    let project = Project::new();
    let id = project.back_up();
    let answer = project.run(&["list", "--tier", "daily", "--json"]).json();
    assert_eq!(answer["total"], 1);
    assert_eq!(answer["offset"], 0);
    let item = &answer["backups"][0];
    assert_eq!(item["id"], id.as_str());
    assert_eq!(item["filename"], format!("{id}.json"));
    assert_eq!(item["type"], "manual");
    assert_eq!(item["status"], "completed");
    assert_eq!(item["tier"], "daily");
    assert!(item["size"].as_u64().unwrap() > 0);
    assert!(item["verified_at"].is_string());
    assert!(item["proven_at"].is_null());
    assert_eq!(item["archives"].as_array().unwrap().len(), 2);
    assert_eq!(item["store"], project.store().display().to_string());
    for member in ["checksum", "created_at", "completed_at"] {
        assert!(item.get(member).is_some(), "{member} is missing");
    }
}

#[test]
fn one_archive_lends_its_name_and_checksum_to_the_item() {
    let project = Project::new();
    project.run(&["backup", "--source", "notes"]).expect(0);
    let answer = project.run(&["list", "--limit", "1", "--json"]).json();
    let item = &answer["backups"][0];
    assert_eq!(item["filename"], item["archives"][0]["file"]);
    assert_eq!(item["checksum"], item["archives"][0]["sha256"]);
    assert_eq!(answer["limit"], 1);
}

#[test]
fn limit_and_offset_page_from_the_newest() {
    let project = Project::new();
    let ids = [project.back_up(), project.back_up(), project.back_up()];
    let page = |offset: &str| {
        let arguments = [
            "list", "--tier", "daily", "--limit", "1", "--offset", offset, "--json",
        ];
        let answer = project.run(&arguments).json();
        assert_eq!(answer["total"], 3);
        answer["backups"][0]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!([page("2"), page("1"), page("0")], ids);
}

#[test]
fn a_person_sees_size_age_and_marks() {
    let project = Project::new();
    let id = project.back_up();
    let ended = project.run(&["list"]);
    ended.expect(0);
    let text = ended.stdout();
    let line = text.lines().find(|line| line.contains(&id)).unwrap();
    assert!(
        line.contains(" B  ") && line.contains("✓ verified"),
        "{line}"
    );
    assert!(text.contains(&format!("newest  {id}")), "{text}");
}

#[test]
fn a_manifest_that_cannot_be_read_is_listed_loudly_and_never_counted() {
    let project = Project::new();
    let id = project.back_up();
    fs::write(project.store().join(format!("daily/{id}.json")), "{").unwrap();
    let ended = project.run(&["list"]);
    ended.expect(0);
    assert!(
        ended.stdout().contains("Not understood"),
        "{}",
        ended.stdout()
    );
    let answer = project.run(&["list", "--tier", "daily", "--json"]).json();
    assert_eq!(answer["total"], 0);
    assert_eq!(answer["suspects"][0]["id"], id.as_str());
}

#[test]
fn no_store_and_no_backup_are_two_different_answers_with_one_code() {
    let project = Project::new();
    let ended = project.run(&["list"]);
    ended.expect(10);
    assert!(ended.stderr().contains("backups"), "{}", ended.stderr());
    project.back_up();
    let ended = project.run(&["latest", "--source", "nodes"]);
    ended.expect(10).says(
        "lifeboat: no good backup holds the source \"nodes\"\n\
         hint: `lifeboat list --json` shows the archives of each backup",
    );
}

#[test]
fn the_latest_is_an_id_or_a_path_that_is_there() {
    let project = Project::new();
    project.back_up();
    let id = project.back_up();
    assert_eq!(project.run(&["latest"]).last_line(), id);
    let path = project.run(&["latest", "--path", "--source", "notes"]);
    let path = path.expect(0).last_line();
    assert!(path.ends_with(&format!("{id}.notes.tar.zst")), "{path}");
    assert!(fs::exists(path).unwrap());
    let answer = project.run(&["latest", "--json"]).json();
    assert_eq!(answer["id"], id.as_str());
}

#[test]
fn an_id_that_is_not_there_is_answered_with_the_nearest() {
    let project = Project::new();
    let id = project.back_up();
    let wrong = format!("{}9", &id[..id.len() - 1]);
    let wrong = if wrong == id {
        format!("{}8", &id[..id.len() - 1])
    } else {
        wrong
    };
    let ended = project.run(&["verify", &wrong]);
    ended.expect(10);
    let stderr = ended.stderr();
    assert!(
        stderr.contains(&format!("there is no backup {wrong:?}")),
        "{stderr}"
    );
    assert!(stderr.contains(&format!("did you mean {id}")), "{stderr}");
}

#[test]
fn status_is_good_after_a_backup_and_urgent_without() {
    let project = Project::new();
    let ended = project.run(&["status", "--json"]);
    ended.expect(3);
    assert_eq!(ended.json()["ok"], false);

    project.back_up();
    let ended = project.run(&["status", "--json"]);
    ended.expect(0);
    let answer = ended.json();
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["tiers"][0]["count"], 1);
    for finding in answer["findings"].as_array().unwrap() {
        assert!(finding["level"].is_string() && finding["what"].is_string());
        assert!(finding.get("hint").is_some());
    }
    assert!(answer["disk"]["free"].as_u64().unwrap() > 0);
}

#[test]
fn status_is_urgent_about_a_backup_that_went_missing() {
    let project = Project::new();
    project.back_up();
    let id = project.back_up();
    fs::remove_file(project.store().join(format!("daily/{id}.json"))).unwrap();
    let ended = project.run(&["status"]);
    ended.expect(3);
    assert!(ended.stdout().contains(&id), "{}", ended.stdout());
}

#[test]
fn a_source_that_is_in_no_backup_yet_is_named() {
    let project = Project::new();
    project.back_up();
    let young = project.data().join("letters");
    fs::create_dir(&young).unwrap();
    fs::write(young.join("a"), "dear").unwrap();
    let ended = project.run(&["status"]);
    ended.expect(0);
    let said = "! source letters is in no good backup yet";
    assert!(ended.stdout().contains(said), "{}", ended.stdout());
    project.back_up();
    let ended = project.run(&["status"]);
    assert!(!ended.stdout().contains("letters"), "{}", ended.stdout());
}

#[test]
fn the_plan_tells_what_when_where_and_with_which_settings() {
    let project = Project::new().with("BACKUP_EXCLUDE", "photos");
    let ended = project.run(&["plan", "--json"]);
    ended.expect(0);
    let plan = ended.json();
    assert_eq!(plan["sources"][0]["name"], "notes");
    assert_eq!(plan["sources"].as_array().unwrap().len(), 1);
    assert!(
        plan["uncovered"][0]["what"]
            .as_str()
            .unwrap()
            .ends_with("photos")
    );
    assert_eq!(plan["schedules"][0]["cron"], "0 2 * * *");
    assert_eq!(plan["schedules"][0]["next"].as_array().unwrap().len(), 3);
    assert_eq!(plan["stores"][0]["name"], "near");
    assert_eq!(plan["prune"]["keep"], serde_json::json!([]));
    let settings = plan["settings"].as_array().unwrap();
    let key = settings
        .iter()
        .find(|s| s["name"] == "BACKUP_SIGNING_KEY")
        .unwrap();
    assert_eq!(key["origin"], "environment");
    assert!(!ended.stdout().contains("long enough"), "the key was shown");

    project.back_up();
    let plan = project.run(&["plan", "--json"]).json();
    assert!(
        !plan["prune"]["keep"].as_array().unwrap().is_empty(),
        "{plan}"
    );
    project.run(&["plan"]).expect(0);
}

#[test]
fn the_doctor_finds_a_name_that_fits_no_folder() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&["doctor", "--json"]);
    let answer = ended.json();
    assert_eq!(answer["ok"], true, "{answer}");

    let project = project.with("BACKUP_EXCLUDE", "fotos");
    let ended = project.run(&["doctor"]);
    ended.expect(3);
    assert!(ended.stdout().contains("\"fotos\""), "{}", ended.stdout());
}

#[test]
fn the_doctor_is_urgent_where_nothing_can_be_written() {
    let project = Project::new();
    fs::write(project.store(), "a file where the store should be").unwrap();
    project.run(&["doctor"]).expect(1);
}

#[test]
fn the_doctor_warns_of_a_source_that_is_mounted_read_write() {
    let project = Project::new();
    project.back_up();
    let notes = project.data().join("notes").display().to_string();
    for (how, warned) in [("rw", true), ("ro", false)] {
        let line = format!("mount --bind {notes} {notes} && mount -o remount,bind,{how} {notes}");
        let ended = project.run_in_mounts(&line, &["doctor", "--json"]);
        let findings = ended.json()["findings"].to_string();
        let said = findings.contains("source notes is mounted read-write");
        assert_eq!(said, warned, "{how}: {findings}");
    }
}

#[test]
fn health_needs_a_sign_of_life() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&["health"]);
    ended.expect(1);
    assert!(ended.stderr().contains("no sign of the daemon"));

    let beat = |at: chrono::DateTime<chrono::Utc>| {
        let beat = serde_json::json!({ "at": at, "since": at, "newest_good": { "default": at } });
        let path = project.store().join(".lifeboat/heartbeat.json");
        fs::write(path, beat.to_string()).unwrap();
    };
    beat(chrono::Utc::now());
    project.run(&["health"]).expect(0);
    beat(chrono::Utc::now() - chrono::TimeDelta::hours(1));
    let ended = project.run(&["health"]);
    ended.expect(1);
    assert!(ended.stderr().contains("stood still"), "{}", ended.stderr());
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let project = Project::new();
    project.back_up();
    for verb in ["list", "plan", "status"] {
        // Nobody reads at all: the pipe is closed before the program starts.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = project.command(&[verb]).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{verb}");
    }
}

#[test]
fn an_answer_that_could_not_be_written_is_a_failure() {
    let project = Project::new();
    project.back_up();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = project
        .command(&["list"])
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the answer"));
}

#[test]
fn nothing_is_coloured_where_no_terminal_is() {
    let project = Project::new();
    project.back_up();
    for verb in ["list", "plan", "status", "doctor"] {
        let ended = project.run(&[verb]);
        assert!(
            !ended.stdout().contains('\x1b'),
            "{verb}: {}",
            ended.stdout()
        );
    }
    // `script` gives it a terminal; without NO_COLOR it paints.
    let on_a_terminal = |setting: &str| {
        let mut command = Command::new("script");
        let program = project.command(&[]);
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let line = format!("{setting} {} list", env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    };
    assert!(on_a_terminal("").contains("\x1b[1m"));
    assert!(!on_a_terminal("NO_COLOR=1").contains('\x1b'));
}
