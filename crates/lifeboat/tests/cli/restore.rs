use crate::kit::{Ended, Project, tree};
use std::{
    fs,
    process::{Command, Stdio},
};

#[test]
fn everything_comes_back_as_it_was() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&["restore", "latest", "--to", "out", "--yes"]);
    ended.expect(0);
    assert!(tree(&project.path("out")) == tree(&project.data()));
    let answer = project.run(&["history", "--json"]).json();
    assert_eq!(answer["total"], 1);
    assert!(
        answer["restores"][0]["target"]
            .as_str()
            .unwrap()
            .ends_with("/out")
    );
    assert!(project.run(&["history"]).stdout().contains("/out"));
}

#[test]
fn only_what_was_asked_for_comes_back() {
    let project = Project::new();
    project.back_up();
    let arguments = [
        "restore", "latest", "--source", "notes", "--path", "deep/**", "--to", "out", "--yes",
    ];
    project.run(&arguments).expect(0);
    let names: Vec<String> = tree(&project.path("out"))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["notes/deep/er/b.txt"]);
}

#[test]
fn what_is_not_in_it_ends_with_10_and_makes_nothing() {
    let project = Project::new();
    let id = project.back_up();
    let ended = project.run(&["restore", &id, "--source", "nodes", "--to", "out", "--yes"]);
    ended.expect(10).says(&format!(
        "lifeboat: {id} has no source \"nodes\" (it has notes, photos)\n\
         hint: give --source one of these"
    ));
    project
        .run(&["restore", &id, "--path", "no/such", "--to", "out", "--yes"])
        .expect(10);
    assert!(!project.path("out").exists());
}

#[test]
fn a_target_that_holds_something_is_refused_with_14() {
    let project = Project::new();
    project.back_up();
    fs::create_dir(project.path("out")).unwrap();
    fs::write(project.path("out/mine"), "precious").unwrap();
    let ended = project.run(&["restore", "latest", "--to", "out", "--yes"]);
    let out = project.path("out");
    ended.expect(14).says(&format!(
        "lifeboat: {} is not empty; nothing is ever restored over what is there\n\
         hint: nothing was touched; correct that, or restore into a new folder with --to DIR",
        fs::canonicalize(&out).unwrap().display()
    ));
    assert_eq!(tree(&out), [("mine".to_owned(), b"precious".to_vec())]);
}

#[test]
fn it_asks_and_only_the_whole_word_is_a_yes() {
    let project = Project::new();
    let id = project.back_up();
    for answer in ["", "yes\n", "restore\n", "RESTORE now\n"] {
        let ended = project.run_with(&["restore", "latest", "--to", "out"], answer);
        ended.expect(14);
        assert!(
            ended.stderr().contains(&format!("Restore {id}")),
            "the plan comes first"
        );
        assert!(
            !project.path("out").exists(),
            "{answer:?} was taken for a yes"
        );
    }
    project
        .run_with(&["restore", "latest", "--to", "out"], "RESTORE\n")
        .expect(0);
    assert!(project.path("out/notes/a.txt").exists());
}

#[test]
fn a_dry_run_prints_the_plan_and_makes_nothing() {
    let project = Project::new();
    let id = project.back_up();
    let ended = project.run(&["restore", "latest", "--to", "out", "--dry-run", "--json"]);
    ended.expect(0);
    let answer = ended.json();
    assert_eq!(answer["plan"]["id"], id.as_str());
    assert_eq!(answer["plan"]["parts"].as_array().unwrap().len(), 2);
    assert!(!project.path("out").exists());
    let text = project.run(&["restore", "latest", "--to", "out", "--dry-run"]);
    assert!(
        text.expect(0)
            .stdout()
            .starts_with(&format!("Restore {id}"))
    );
}

#[test]
fn a_time_picks_the_newest_that_is_not_after_it() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&[
        "restore",
        "latest",
        "--at",
        "2001-01-01",
        "--to",
        "out",
        "--yes",
    ]);
    ended.expect(10);
    assert!(
        ended.stderr().contains("no good backup that old"),
        "{}",
        ended.stderr()
    );
    project
        .run(&[
            "restore",
            "latest",
            "--at",
            "2999-01-01",
            "--to",
            "out",
            "--yes",
        ])
        .expect(0);
    let ended = project.run(&[
        "restore",
        "shop_daily_20250101_000000",
        "--at",
        "2999-01-01",
        "--to",
        "out2",
    ]);
    ended.expect(2);
}

#[test]
fn in_place_takes_an_engine_and_without_one_nothing_is_touched() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&["restore", "latest", "--to", "live", "--yes"]);
    ended.expect(14);
    let said = ended.stderr();
    assert!(said.contains("nothing can be restored in place"), "{said}");
    assert!(said.contains("--to DIR"), "{said}");
    assert!(!project.path("live").exists());
    let ended = project.run(&[
        "restore", "latest", "--to", "live", "--path", "*.txt", "--yes",
    ]);
    ended.expect(2);
}

#[test]
fn where_to_must_be_said() {
    let project = Project::new();
    project.back_up();
    project.run(&["restore", "latest"]).expect(2).says(
        "lifeboat: where to restore to is not said\n\
         hint: give --to DIR: a folder that is absent or empty",
    );
    for later in ["volume:shop_data", "database:shop"] {
        let ended = project.run(&["restore", "latest", "--to", later, "--yes"]);
        ended.expect(2);
        assert!(
            ended.stderr().contains("not in this version"),
            "{}",
            ended.stderr()
        );
    }
    project
        .run(&["restore", "latest", "--to", "x", "--from", "s3"])
        .expect(2);
}

#[test]
fn a_person_can_pick_from_a_list() {
    let project = Project::new();
    let first = project.back_up();
    project.write("notes/a.txt", "changed\n");
    project.back_up();
    let list = project.run_with(&["restore", "--interactive", "--to", "out"], "99\n");
    list.expect(14);
    let line = list.stderr();
    let mut lines = line.lines();
    let is_first = |line: &&str| line.split_whitespace().any(|word| word == first);
    let line = lines.find(is_first).unwrap();
    let number = line.split_whitespace().next().unwrap();
    let answers = format!("{number}\nRESTORE\n");
    project
        .run_with(&["restore", "--interactive", "--to", "out"], &answers)
        .expect(0);
    assert_eq!(
        fs::read_to_string(project.path("out/notes/a.txt")).unwrap(),
        "first\n"
    );
}

#[test]
fn cat_writes_the_plain_stream() {
    let project = Project::new();
    project.back_up();
    let ended = project.run(&["cat", "latest", "notes"]);
    ended.expect(0);
    let mut tar = Command::new("tar");
    tar.args(["-xO", "./deep/er/b.txt"]).stdin(Stdio::piped());
    let mut child = project.spawn(&mut tar);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), ended.bytes()).unwrap();
    let out = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(out.expect(0).stdout(), "second\n");

    let ended = project.run(&["cat", "latest", "nodes"]);
    ended.expect(10);
    assert!(ended.stderr().contains("it has: notes, photos"));
}

#[test]
fn a_restore_from_a_store_that_is_read_only_works() {
    let project = Project::new();
    project.back_up();
    let store = project.store().display().to_string();
    let line = format!("mount --bind {store} {store} && mount -o remount,bind,ro {store}");
    let ended = project.run_in_mounts(&line, &["restore", "latest", "--to", "out", "--yes"]);
    // Done, with the remark that no record of it could be written.
    ended.expect(3);
    assert!(tree(&project.path("out")) == tree(&project.data()));
}
