//! One archive file outside of any store: `restore FILE` and `open FILE`.

use crate::kit::{Project, tree};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The archive of `notes`, alone in another folder.
fn taken_away(project: &Project) -> PathBuf {
    let archive = project.stored("daily", ".notes.tar.zst").pop().unwrap();
    let stick = project.path("stick");
    fs::create_dir_all(&stick).unwrap();
    let copy = stick.join(archive.file_name().unwrap());
    fs::copy(&archive, &copy).unwrap();
    copy
}

/// And its manifest beside it.
fn manifest_too(project: &Project, copy: &Path) -> PathBuf {
    let manifest = project.stored("daily", ".json").pop().unwrap();
    let beside = copy.with_file_name(manifest.file_name().unwrap());
    fs::copy(&manifest, &beside).unwrap();
    beside
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_alone_is_enough_to_restore() {
    let project = Project::new();
    project.back_up();
    let file = taken_away(&project);
    fs::rename(project.store(), project.path("elsewhere")).unwrap();
    project
        .run(&["restore", text(&file), "--to", "out", "--yes"])
        .expect(0);
    assert!(tree(&project.path("out/notes")) == tree(&project.data().join("notes")));
    // Nothing is written beside the file, and nothing is left behind at the target.
    assert_eq!(fs::read_dir(project.path("stick")).unwrap().count(), 1);
    let names: Vec<_> = fs::read_dir(project.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().starts_with(".lifeboat")),
        "{names:?}"
    );
}

#[test]
fn a_file_under_another_name_is_restored_under_that() {
    let project = Project::new();
    project.back_up();
    let file = taken_away(&project);
    let renamed = file.with_file_name("from-the-old-host.tar.zst");
    fs::rename(&file, &renamed).unwrap();
    project
        .run(&["restore", text(&renamed), "--to", "out", "--yes"])
        .expect(0);
    let back = project.path("out/from-the-old-host");
    assert!(tree(&back) == tree(&project.data().join("notes")));
}

#[test]
fn its_manifest_beside_it_is_held_against_it() {
    let project = Project::new();
    project.back_up();
    let file = taken_away(&project);
    manifest_too(&project, &file);
    project
        .run(&["restore", text(&file), "--to", "out", "--yes"])
        .expect(0);
    project
        .run(&["open", text(&file), "--to", "whole.tar"])
        .expect(0);

    // A whole archive, but another one than the manifest speaks of.
    project.write("notes/a.txt", "newer\n");
    project.back_up();
    let newer = project.stored("daily", ".notes.tar.zst").pop().unwrap();
    fs::copy(newer, &file).unwrap();
    project
        .run(&["restore", text(&file), "--to", "out2", "--yes"])
        .expect(13);
    project
        .run(&["open", text(&file), "--to", "other.tar"])
        .expect(13);
    assert!(!project.path("out2").exists() && !project.path("other.tar").exists());
}

#[test]
fn a_damaged_file_is_told_and_nothing_is_left() {
    let project = Project::new();
    project.back_up();
    let file = taken_away(&project);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    project
        .run(&["restore", text(&file), "--to", "out", "--yes"])
        .expect(13);
    project
        .run(&["open", text(&file), "--to", "out.tar"])
        .expect(13);
    let left: Vec<_> = fs::read_dir(project.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().contains("out")),
        "{left:?}"
    );
}

#[test]
fn open_gives_the_plain_bytes_and_never_overwrites() {
    let project = Project::new().with("BACKUP_ENCRYPTION_KEY", "the right key, long enough");
    project.back_up();
    let sealed = project.stored("daily", ".notes.tar.zst.age").pop().unwrap();
    let plain = project.run(&["open", text(&sealed)]);
    plain.expect(0);
    assert_eq!(&plain.bytes()[257..262], b"ustar");
    project
        .run(&["open", text(&sealed), "--to", "notes.tar"])
        .expect(0);
    assert_eq!(fs::read(project.path("notes.tar")).unwrap(), plain.bytes());
    let again = project.run(&["open", text(&sealed), "--to", "notes.tar"]);
    again.expect(14).says(
        "lifeboat: notes.tar is there already\n\
         hint: nothing is ever overwritten; give --to a new file",
    );
    let project = project.with("BACKUP_ENCRYPTION_KEY", "another key, as long as it");
    project.run(&["open", text(&sealed)]).expect(12);
}

#[test]
fn a_file_that_is_not_there_ends_with_10() {
    let project = Project::new();
    project.run(&["open", "no/such.tar.zst"]).expect(10);
    project
        .run(&["restore", "no/such.tar.zst", "--to", "out", "--yes"])
        .expect(10);
}
