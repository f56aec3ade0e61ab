//! Memory and descriptors, of a whole process: none of them grow with the folder.

use crate::kit::{child, has, noise, plain, recipe, seal_to, sh, with};
use lifeboat_plan::Compression;
use lifeboat_run::{
    seal::Recipe,
    source::{Folder, Options},
};
use std::{collections::BTreeSet, fs, path::Path};
use tempfile::{TempDir, tempdir};

/// What a backup may take, all in all.
const KIB_MAX: u64 = 64 << 10;

/// Runs in a process of its own for the other tests: seals `tree` in the current folder by the words in
/// the file `recipe`, and leaves in `told` what came of it.
#[test]
#[ignore = "is started by other tests"]
fn child_process() {
    // Whoever runs all that is ignored starts it without an order.
    let Ok(words) = fs::read_to_string("recipe") else {
        return;
    };
    let words: Vec<&str> = words.split_whitespace().collect();
    let [compression, level, threads] = words[..] else {
        panic!("{words:?}")
    };
    let recipe = Recipe {
        level: level.parse().unwrap(),
        threads: threads.parse().unwrap(),
        ..recipe(compression.parse().unwrap())
    };
    let source = Folder::new("tree", "tree", Options::default()).unwrap();
    let told = match seal_to(&source, &recipe, Path::new("file")) {
        Ok(sealed) => format!(
            "entries {}\nwarnings {}\n",
            sealed.entries().unwrap(),
            sealed.warnings_total()
        ),
        Err(error) => format!("{error}\n"),
    };
    let status = fs::read_to_string("/proc/self/status").unwrap();
    fs::write("told", told + &status).unwrap();
}

fn peak(told: &str) -> u64 {
    let line = told.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn entries(told: &str) -> u64 {
    let line = told.lines().find(|line| line.starts_with("entries"));
    line.unwrap_or_else(|| panic!("{told}"))
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// In memory where that is a place for files: a million of them wear out a disk.
fn roomy() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| tempdir().unwrap())
}

fn many(dir: &Path, files: usize) {
    let make = "import os, sys
root, files = sys.argv[1], int(sys.argv[2])
for first in range(0, files, 5000):
    folder = f'{root}/{first // 5000:04d}'
    os.makedirs(folder)
    for n in range(first, min(first + 5000, files)):
        with open(f'{folder}/{n:07d} with a name of usual length.txt', 'wb') as file:
            file.write(b'%d' % n)
";
    fs::write(dir.join("make.py"), make).unwrap();
    sh(&format!("python3 $1/make.py $1/tree {files}"), &[dir]);
}

#[test]
fn a_hundred_thousand_files_fit_into_the_bound() {
    let dir = roomy();
    many(dir.path(), 100_000);
    let told = child(dir.path(), "zstd 3 2", "");
    assert_eq!(entries(&told), 100_000 + 20 + 1);
    assert!(peak(&told) <= KIB_MAX, "{} KiB", peak(&told));
}

#[test]
#[ignore = "takes a minute: scripts/test runs it by name"]
fn slow_a_million_files_in_one_folder_fit_into_the_bound() {
    let dir = roomy();
    sh(
        "mkdir $1/tree && cd $1/tree && seq -f 'a file with a name of usual length %.0f' 1000000 | xargs -d '\\n' touch",
        &[dir.path()],
    );
    for recipe in ["zstd 3 2", "zstd 3 32"] {
        let told = child(dir.path(), recipe, "");
        assert_eq!(entries(&told), 1_000_001);
        assert!(peak(&told) <= KIB_MAX, "{recipe}: {} KiB", peak(&told));
    }
}

#[test]
fn v12_ten_thousand_folders_deep_with_sixty_four_descriptors() {
    if !has("python3") {
        return;
    }
    let dir = tempdir().unwrap();
    let make = "import os, sys
os.mkdir(sys.argv[1]); os.chdir(sys.argv[1])
for n in range(10000):
    open('file', 'w').close()
    os.mkdir('d'); os.chdir('d')
";
    fs::write(dir.path().join("make.py"), make).unwrap();
    sh("python3 $1/make.py $1/tree", &[dir.path()]);
    let told = child(dir.path(), "zstd 3 2", "ulimit -n 64;");
    sh("rm -rf $1/tree", &[dir.path()]);
    assert_eq!(entries(&told), 20_001);
    assert!(told.contains("warnings 0"), "{told}");
    assert!(peak(&told) <= KIB_MAX, "{} KiB", peak(&told));
}

#[test]
fn many_folders_links_and_large_files_with_sixty_four_descriptors() {
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    for n in 0..500 {
        let folder = tree.join(format!("{n}/inner"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("one"), noise(100, n)).unwrap();
        fs::hard_link(folder.join("one"), folder.join("two")).unwrap();
    }
    for n in 0..50 {
        fs::write(tree.join(format!("large {n}")), noise(1 << 20, n)).unwrap();
    }
    let told = child(dir.path(), "zstd 3 2", "ulimit -n 64;");
    assert_eq!(entries(&told), 1 + 500 * 4 + 50);
    assert!(told.contains("warnings 0"), "{told}");
}

#[test]
fn every_recipe_fits_into_the_bound_on_two_cores_and_on_thirty_two() {
    let dir = roomy();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    // Nothing of it can be compressed: frames are as large as they can be.
    fs::write(tree.join("noise"), noise(16 << 20, 1)).unwrap();
    for compression in Compression::ALL {
        let (levels, usual) = compression.levels();
        for level in BTreeSet::from([usual, *levels.end()]) {
            for threads in [2, 32] {
                let recipe = format!("{compression} {level} {threads}");
                let told = child(dir.path(), &recipe, "");
                println!("{recipe}: {} KiB", peak(&told));
                assert_eq!(entries(&told), 2, "{recipe}");
                assert!(peak(&told) <= KIB_MAX, "{recipe}: {} KiB", peak(&told));
            }
        }
    }
}

#[test]
fn attributes_far_larger_than_their_files_do_not_pile_up() {
    let dir = roomy();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(dir.path().join("value"), noise(3000, 1)).unwrap();
    let set = "cd $1/tree && python3 -c \"
import os
value = open('../value', 'rb').read()
for n in range(20000):
    open(str(n), 'w').close()
    os.setxattr(str(n), 'user.large', value)
\"";
    let done = crate::kit::try_sh(set, &[dir.path()]);
    if !done.status.success() {
        eprintln!("SKIPPED: no attributes here");
        return;
    }
    let told = child(dir.path(), "zstd 3 2", "");
    assert_eq!(entries(&told), 20_001);
    assert!(peak(&told) <= KIB_MAX, "{} KiB", peak(&told));
    let _ = seal_to(
        &with(&tree, Options::default()),
        &plain(),
        &dir.path().join("x"),
    );
}
