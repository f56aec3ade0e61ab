use crate::kit::Project;
use std::{fs, time::Instant};

#[test]
fn the_demo_shows_everything_in_less_than_ten_seconds_and_leaves_nothing() {
    let project = Project::new();
    let begun = Instant::now();
    let ended = project.run(&["demo"]);
    ended.expect(0);
    let took = begun.elapsed();
    let text = ended.stdout();
    for step in [
        "✓ backed up as demo_daily_",
        "✓ verified",
        "✓ one bit of a copy flipped",
        "exit code 13",
        "is damaged",
        "exit code 12",
        "✓ restored to a new folder",
        "✓ compared",
        "no cent lost",
        ".tar.zst.age",
        "All as it must be",
    ] {
        assert!(text.contains(step), "{step:?} is missing from\n{text}");
    }
    // The ten seconds are promised for the program as it is shipped.
    let seconds_max = if cfg!(debug_assertions) { 30 } else { 10 };
    assert!(took.as_secs() < seconds_max, "it took {took:?}");
    let left: Vec<_> = fs::read_dir(project.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "data")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_needs_no_configuration_and_minds_none() {
    let project = Project::new().with("BACKUP_RETENTION_DAYS", "nonsense");
    project.run(&["demo", "--json"]).expect(0);
}

#[test]
fn what_is_to_be_kept_is_kept_and_nothing_is_overwritten() {
    let project = Project::new();
    let ended = project.run(&["demo", "--keep", "show", "--json"]);
    ended.expect(0);
    assert_eq!(ended.json()["ok"], true);
    assert!(project.path("show/restored/documents/backup.sh").exists());
    project.run(&["demo", "--keep", "show"]).expect(14);
}
