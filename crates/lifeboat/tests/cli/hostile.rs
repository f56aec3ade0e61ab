//! A store whose manifests somebody else wrote. Unsigned, so that nothing but their content speaks against
//! them.

use crate::kit::Project;
use serde_json::{Value, json};
use std::fs;

/// Every verb that reads manifests; `ID` stands for the backup's.
const READERS: [&[&str]; 15] = [
    &["list"],
    &["list", "--json"],
    &["latest"],
    &["latest", "--path", "--source", "notes"],
    &["status"],
    &["plan"],
    &["doctor"],
    &["verify", "ID"],
    &["verify", "--all", "--deep"],
    &["cat", "ID", "notes"],
    &["restore", "ID", "--to", "out", "--yes"],
    &["restore", "ID", "--to", "out", "--yes", "--force"],
    &["sweep"],
    &["rebuild"],
    &["prune"],
];

fn unsigned() -> Project {
    Project::new().without("BACKUP_SIGNING_KEY")
}

fn rewrite(project: &Project, id: &str, change: impl Fn(&mut Value)) {
    let path = project.store().join(format!("daily/{id}.json"));
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

#[track_caller]
fn ends_with_an_answer(project: &Project, id: &str, verb: &[&str], case: &str) -> i32 {
    let arguments: Vec<&str> = verb
        .iter()
        .map(|word| if *word == "ID" { id } else { word })
        .collect();
    let ended = project.run(&arguments);
    let code = ended.code();
    assert!(
        code.is_some_and(|code| code != 101) && !ended.stderr().contains("panicked"),
        "{arguments:?} of {case}: {code:?}\n{}",
        ended.stderr()
    );
    assert!(!project.path("out").exists(), "{arguments:?} of {case}");
    code.unwrap()
}

#[test]
fn a_manifest_whose_files_have_impossible_names_is_damage_and_never_a_crash() {
    let long = "x".repeat(250);
    for name in [
        "..",
        "/etc/passwd",
        "",
        "a\0b",
        "../../notes",
        "sub/notes.tar.zst",
        long.as_str(),
    ] {
        let project = unsigned();
        let id = project.back_up();
        let elsewhere = fs::read_dir(project.path("")).unwrap().count();
        rewrite(&project, &id, |manifest| {
            for archive in manifest["archives"].as_array_mut().unwrap() {
                archive["file"] = json!(name);
            }
        });
        for verb in READERS {
            let code = ends_with_an_answer(&project, &id, verb, name);
            if matches!(verb[0], "cat" | "restore" | "verify") {
                assert_eq!(code, 13, "{verb:?} of {name:?}");
            }
        }
        ends_with_an_answer(&project, &id, &["backup"], name);
        assert_eq!(
            fs::read_dir(project.path("")).unwrap().count(),
            elsewhere,
            "nothing came to be outside of the store ({name:?})"
        );
    }
}

#[test]
fn a_manifest_of_impossible_figures_is_never_a_crash() {
    for figures in [
        &["size"] as &[&str],
        &["plain_size", "entries", "warnings_total"],
    ] {
        let project = unsigned();
        let id = project.back_up();
        rewrite(&project, &id, |manifest| {
            manifest["sequence"] = json!(u64::MAX);
            for archive in manifest["archives"].as_array_mut().unwrap() {
                for figure in figures {
                    archive[*figure] = json!(u64::MAX);
                }
            }
        });
        let case = figures.join(" ");
        for verb in READERS
            .into_iter()
            .chain([&["backup"] as &[&str], &["list"]])
        {
            ends_with_an_answer(&project, &id, verb, &case);
        }
    }
}

#[test]
fn an_archive_file_whose_name_no_store_could_have_is_refused_by_name() {
    let project = unsigned();
    project.back_up();
    let archive = project.stored("daily", ".notes.tar.zst").remove(0);
    let odd = project.path("notes\nof mine.tar.zst");
    fs::copy(archive, &odd).unwrap();
    let ended = project.run(&["restore", odd.to_str().unwrap(), "--to", "out", "--yes"]);
    assert!(!ended.stderr().contains("panicked"), "{}", ended.stderr());
    ended.expect(2);
}
