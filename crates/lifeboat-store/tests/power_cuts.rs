//! What a store has said "ok" to is there after a power cut; what it has not is there whole or not
//! at all. The cut is a copy of the disk below the file system, taken without asking it for anything.

#![allow(clippy::print_stdout)]

mod story;

use lifeboat_store::Local;
use lifeboat_testkit::{
    Disk, Victim,
    mount::fast_dir,
    victim::{self, How},
};
use std::{fs, path::Path};

#[test]
#[ignore = "a victim of other tests"]
fn storyteller() {
    story::tell();
}

#[test]
fn a_power_cut_on_ext4_takes_nothing_that_was_promised() {
    cut_everywhere("ext4");
}

#[test]
fn a_power_cut_on_xfs_takes_nothing_that_was_promised() {
    cut_everywhere("xfs");
}

#[test]
fn a_power_cut_on_btrfs_takes_nothing_that_was_promised() {
    cut_everywhere("btrfs");
}

/// A disk as it was at some instant, and what must be found on it.
struct Cut {
    disk: Disk,
    folder: String,
    said: usize,
    in_flight: bool,
}

fn cut_everywhere(kind: &'static str) {
    let dir = fast_dir().unwrap();
    let at = dir.path().join("mounted");
    let Some(disk) = Disk::format(kind, dir.path().join("disk")) else {
        return;
    };
    let Some(mount) = disk.mount(&at) else {
        return;
    };
    let mut cuts = Vec::new();
    let mut cut = |folder: &str, said, in_flight| {
        let copy = dir.path().join(format!("cut-{}", cuts.len()));
        cuts.push(Cut {
            disk: disk.cut_power(copy).unwrap(),
            folder: folder.to_owned(),
            said,
            in_flight,
        });
    };

    // What is not synced must be lost, or these cuts prove nothing.
    fs::write(at.join("unsynced"), vec![7; 300_000]).unwrap();
    let promised = Local::open_or_create(at.join("promised")).unwrap();
    cut("promised", 0, false);
    story::go_through(&promised, |said| cut("promised", said, false));
    drop(promised);

    if victim::can_strace() {
        for call in ["fsync", "renameat2", "renameat", "linkat", "unlinkat"] {
            let folder = |nth| format!("{call}-{nth}");
            victim::kill_at_every(
                call,
                |nth| Victim::new("storyteller").order("folder", at.join(folder(nth)).display()),
                |nth, ended| cut(&folder(nth), ended.said.len(), ended.how == How::Killed),
            );
        }
    }
    drop(mount);

    let total = cuts.len();
    let lost_unsynced = cuts.into_iter().filter(|cut| look(cut, &at)).count();
    assert!(lost_unsynced > 0, "the power was never really cut");
    println!("RELIABILITY powercuts={total} lost=0 filesystem={kind}");
}

/// Starts the machine again; whether it has lost what was not synced.
fn look(cut: &Cut, at: &Path) -> bool {
    let mount = cut.disk.mount(at).expect("a disk that was mounted before");
    if let Err(wrong) = story::faithful(&at.join(&cut.folder), cut.said, cut.in_flight) {
        panic!("{}, {}: {wrong}", cut.disk.kind(), cut.folder);
    }
    let unsynced = fs::read(at.join("unsynced")).unwrap_or_default();
    drop(mount);
    fs::remove_file(cut.disk.file()).unwrap();
    unsynced != vec![7; 300_000]
}
