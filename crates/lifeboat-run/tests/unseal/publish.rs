//! The last step of a restore.

use crate::kit::{is_root, sh, temp};
use lifeboat_run::unseal::{PublishError, publish};
use std::{fs, os::unix::fs::symlink};

#[test]
fn a_staging_folder_takes_the_place_of_nothing_or_of_an_empty_folder() {
    for exists in [false, true] {
        let temp = temp();
        let (staging, target) = (temp.path().join(".staging"), temp.path().join("target"));
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("file"), "new").unwrap();
        if exists {
            fs::create_dir(&target).unwrap();
        }
        publish(&staging, &target).unwrap();
        assert_eq!(fs::read(target.join("file")).unwrap(), b"new");
        assert!(!staging.exists());
    }
}

#[test]
fn nothing_that_is_there_is_ever_replaced() {
    let temp = temp();
    let staging = temp.path().join(".staging");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("file"), "new").unwrap();
    sh(
        temp.path(),
        "mkdir full empty; echo old > full/file; echo old > file; ln -s empty link; ln -s nowhere dangling; mkfifo pipe",
    );
    for name in ["full", "file", "link", "dangling", "pipe"] {
        let target = temp.path().join(name);
        let error = publish(&staging, &target).unwrap_err();
        assert!(
            matches!(error, PublishError::Occupied { .. }),
            "{name}: {error}"
        );
        assert!(staging.join("file").exists(), "{name}");
    }
    symlink("full", temp.path().join("to-full")).unwrap();
    assert!(publish(&staging, &temp.path().join("to-full")).is_err());
    assert_eq!(fs::read(temp.path().join("full/file")).unwrap(), b"old\n");
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"old\n");
    assert!(
        fs::symlink_metadata(temp.path().join("link"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn another_file_system_is_an_error_that_leaves_both_places_alone() {
    if !is_root() {
        return;
    }
    let temp = temp();
    sh(
        temp.path(),
        "mkdir other staging; mount -t tmpfs none other; echo new > staging/file",
    );
    let result = publish(
        &temp.path().join("staging"),
        &temp.path().join("other/target"),
    );
    let is_absent = !temp.path().join("other/target").exists();
    sh(temp.path(), "umount other");
    assert!(matches!(result, Err(PublishError::Io { .. })), "{result:?}");
    assert!(is_absent && temp.path().join("staging/file").exists());
}
