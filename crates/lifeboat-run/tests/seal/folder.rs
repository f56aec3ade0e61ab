//! A folder comes back as it was, out of the hands of every stock tool.

use crate::kit::{folder, has, noise, plain, recipe, seal_to, sh, with};
use lifeboat_plan::Compression;
use lifeboat_run::{
    seal::SealError,
    source::{Folder, Options, SourceError},
};
use lifeboat_testkit::{Difference, SampleTree, compare::Field, compare_trees};
use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, symlink},
    path::Path,
};
use tempfile::{TempDir, tempdir};

/// Seals everything that a folder can hold, but for what matches `without`, and lets `tool` restore it.
fn restored_by(tool: &str, without: &str) -> (TempDir, Vec<Difference>) {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    SampleTree::everything(&tree).unwrap();
    // No stock tool takes a path that the kernel does not take whole.
    sh(
        &format!("cd $1 && rm -r deep {without} && touch -d '2025-01-01 02:03:04.5' ."),
        &[&tree],
    );
    fs::create_dir(&out).unwrap();
    let sealed = seal_to(&folder(&tree), &plain(), &file).unwrap();
    assert_eq!(sealed.warnings(), &[] as &[String]);
    sh(tool, &[&file, &out]);
    let differences = compare_trees(&tree, &out).unwrap();
    (dir, differences)
}

fn without_sockets(differences: Vec<Difference>) -> Vec<String> {
    differences
        .into_iter()
        .filter(|d| d.path != Path::new("special/socket"))
        .map(|d| d.to_string())
        .collect()
}

#[test]
fn gnu_tar_restores_everything() {
    let (_dir, differences) =
        restored_by("tar -C $2 --xattrs --xattrs-include='*' --acls -xpf $1", "");
    assert_eq!(without_sockets(differences), [""; 0]);
}

#[test]
fn gnu_tar_restores_acls_from_their_text_alone() {
    let (_dir, differences) = restored_by("tar -C $2 --acls -xpf $1", "");
    let acls: Vec<_> = differences
        .into_iter()
        .filter(|d| d.a.contains("posix_acl") && !d.b.contains("posix_acl"))
        .map(|d| d.to_string())
        .collect();
    assert_eq!(acls, [""; 0]);
}

#[test]
fn bsdtar_restores_everything() {
    if !has("bsdtar") {
        return;
    }
    // It does not set the time of `./`, and is a second off for fractions of seconds before 1970.
    let (_dir, mut differences) = restored_by(
        "LC_ALL=C.UTF-8 bsdtar -C $2 --acls --xattrs -xpf $1",
        "'files/before 1970'",
    );
    differences.retain(|d| d.path != Path::new("") || d.field != Field::Modified);
    assert_eq!(without_sockets(differences), [""; 0]);
}

#[test]
fn python_restores_names_contents_links_and_holes() {
    // It knows neither extended attributes nor nanoseconds, and for the second name of a symbolic link
    // it changes the mode of the link's target.
    let (_dir, differences) = restored_by(
        "python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2], numeric_owner=True)' $1 $2",
        "'hard links too/symlink too'",
    );
    let others: Vec<_> = differences
        .into_iter()
        .filter(|d| !matches!(d.field, Field::Xattrs | Field::Modified | Field::Holes))
        .collect();
    assert_eq!(without_sockets(others), [""; 0]);
}

/// What the `tar` crate's reader makes of it, since ours is built on it.
#[test]
fn the_tar_crate_reads_every_member_whole() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    SampleTree::everything(&tree).unwrap();
    let sealed = seal_to(&folder(&tree), &plain(), &file).unwrap();
    let mut archive = tar::Archive::new(fs::File::open(&file).unwrap());
    let mut members = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        members += 1;
        let path = std::os::unix::ffi::OsStringExt::from_vec(entry.path_bytes().into_owned());
        let path: std::ffi::OsString = path;
        if entry.header().entry_type().is_file() || entry.header().entry_type().is_gnu_sparse() {
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            let original = tree.join(path);
            // The kernel takes no path of more than 4,096 bytes.
            if original.as_os_str().len() < 4096 {
                assert!(content == fs::read(&original).unwrap(), "{original:?}");
            }
        }
    }
    assert_eq!(sealed.entries(), Some(members));
}

#[test]
fn names_are_those_of_tar_in_the_folder() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    SampleTree::everything(&tree).unwrap();
    seal_to(&folder(&tree), &plain(), &file).unwrap();
    let list = "LC_ALL=C sort";
    let ours = sh(&format!("tar -tf $1 | {list}"), &[&file]);
    let theirs = sh(
        &format!("tar -C $1 -c . 2>/dev/null | tar -tf - | {list}"),
        &[&tree],
    );
    assert_eq!(ours, theirs);
}

#[test]
fn sockets_are_facts_and_not_warnings() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("mysqld.sock")).unwrap();
    let sealed = seal_to(&folder(&tree), &plain(), &file).unwrap();
    assert_eq!(sealed.warnings_total(), 0);
    assert_eq!(sealed.facts()["skipped"][0], "mysqld.sock: a socket");
    assert_eq!(sealed.facts()["skipped_total"], 1);
}

#[test]
fn excluded_files_and_folders_are_left_out() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    for path in [
        "cache/a",
        "keep/cache/b",
        "keep/x.tmp",
        "keep/y.txt",
        "top.tmp",
    ] {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), path).unwrap();
    }
    let options = Options {
        exclude: ["/cache/", "*.tmp", "!top.tmp"].map(str::to_owned).to_vec(),
        ..Options::default()
    };
    seal_to(&with(&tree, options), &plain(), &file).unwrap();
    let listed = sh("tar -tf $1 | sort", &[&file]);
    assert_eq!(
        listed.split_whitespace().collect::<Vec<_>>(),
        [
            "./",
            "./keep/",
            "./keep/cache/",
            "./keep/cache/b",
            "./keep/y.txt",
            "./top.tmp"
        ]
    );
}

#[test]
fn a_pattern_that_means_nothing_is_refused() {
    let options = Options {
        exclude: vec!["[z-a]".to_owned()],
        ..Options::default()
    };
    let error = Folder::new("x", "/", options).unwrap_err();
    assert!(error.to_string().contains("[z-a]"), "{error}");
}

#[test]
fn a_bundle_holds_each_folder_below_its_name() {
    let dir = tempdir().unwrap();
    let [one, two, file] = ["one", "two", "file"].map(|name| dir.path().join(name));
    for tree in [&one, &two] {
        fs::create_dir(tree).unwrap();
        fs::write(tree.join("file"), b"x").unwrap();
    }
    let folders = [("storage".to_owned(), one), ("logs".to_owned(), two)];
    let bundle = Folder::bundle("all", folders, Options::default()).unwrap();
    let sealed = seal_to(&bundle, &plain(), &file).unwrap();
    assert_eq!(
        sh("tar -tf $1", &[&file]),
        "./storage/\n./storage/file\n./logs/\n./logs/file\n"
    );
    assert_eq!(sealed.entries(), Some(4));
}

#[test]
fn a_folder_that_is_not_there_is_missing() {
    let dir = tempdir().unwrap();
    let gone = dir.path().join("gone");
    let not_a_folder = dir.path().join("file");
    fs::write(&not_a_folder, b"").unwrap();
    for path in [gone, not_a_folder] {
        let ended = seal_to(&folder(&path), &plain(), &dir.path().join("out"));
        assert!(
            matches!(ended, Err(SealError::Source(SourceError::Missing { .. }))),
            "{ended:?}"
        );
    }
}

#[test]
fn a_folder_that_is_suddenly_empty_is_not_believed() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    let before = |entries| Options {
        entries_before: entries,
        ..Options::default()
    };
    let ended = seal_to(&with(&tree, before(Some(12))), &plain(), &file);
    assert!(
        matches!(
            ended,
            Err(SealError::Source(SourceError::SuddenlyEmpty {
                before: 12,
                ..
            }))
        ),
        "{ended:?}"
    );
    // It was empty before, or nobody knows.
    for entries in [None, Some(0), Some(1)] {
        let sealed = seal_to(&with(&tree, before(entries)), &plain(), &file).unwrap();
        assert_eq!(sealed.entries(), Some(1));
    }
    fs::write(tree.join("one"), b"").unwrap();
    seal_to(&with(&tree, before(Some(12))), &plain(), &file).unwrap();
}

#[test]
fn a_large_file_is_the_same_in_every_piece_size() {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    for (n, size) in [(1, 64 << 20), (2, (4 << 20) + 1), (3, 9_999_999)] {
        fs::write(tree.join(n.to_string()), noise(size, n)).unwrap();
    }
    for threads in [1, 2, 32] {
        let recipe = lifeboat_run::seal::Recipe {
            threads,
            ..recipe(Compression::Zstd)
        };
        seal_to(&folder(&tree), &recipe, &file).unwrap();
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        sh("zstd -dc < $1 | tar -C $2 -xf -", &[&file, &out]);
        assert_eq!(compare_trees(&tree, &out).unwrap(), []);
    }
}

/// Two hundred gigabytes, of which next to nothing takes room.
#[test]
fn a_file_beyond_every_octal_field_keeps_its_size() {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&out).unwrap();
    let huge = fs::File::create(tree.join("huge")).unwrap();
    huge.set_len(200 << 30).unwrap();
    huge.write_all_at(b"near the end", (199 << 30) + 4096)
        .unwrap();
    let sealed = seal_to(&folder(&tree), &plain(), &file).unwrap();
    assert!(sealed.plain_size() < 1 << 20, "{}", sealed.plain_size());
    sh("tar -C $2 -xf $1", &[&file, &out]);
    assert_eq!(compare_trees(&tree, &out).unwrap(), []);
    assert!(fs::metadata(out.join("huge")).unwrap().blocks() < 1000);
}

#[test]
fn a_file_torn_to_a_hundred_thousand_pieces_keeps_its_content() {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&out).unwrap();
    let torn = fs::File::create(tree.join("torn")).unwrap();
    let pieces = 20_000;
    torn.set_len(pieces * 8192).unwrap();
    for n in 0..pieces {
        torn.write_all_at(&n.to_le_bytes(), n * 8192).unwrap();
    }
    seal_to(&folder(&tree), &plain(), &file).unwrap();
    sh("tar -C $2 -xf $1", &[&file, &out]);
    sh("cmp $1/torn $2/torn", &[&tree, &out]);
}

#[test]
fn a_second_name_is_a_link_to_the_first() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), noise(100_000, 1)).unwrap();
    for n in 0..50 {
        fs::hard_link(tree.join("a"), tree.join(n.to_string())).unwrap();
    }
    symlink("a", tree.join("s")).unwrap();
    let sealed = seal_to(&folder(&tree), &plain(), &file).unwrap();
    assert!(sealed.plain_size() < 200_000);
    let links = sh("tar -tvf $1 | grep -c ^h", &[&file]);
    assert_eq!(links.trim(), "50");
}

#[test]
fn mounts_below_the_folder_belong_to_it_but_the_kernels_own_do_not() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    fs::create_dir_all(tree.join("mounted")).unwrap();
    fs::create_dir_all(tree.join("proc")).unwrap();
    let mounted = crate::kit::try_sh("mount -t tmpfs tmpfs $1/mounted", &[&tree]);
    if !mounted.status.success() {
        eprintln!("SKIPPED: may not mount");
        return;
    }
    sh("mount -t proc proc $1/proc", &[&tree]);
    fs::write(tree.join("mounted/file"), b"x").unwrap();
    let ended = seal_to(&folder(&tree), &plain(), &file);
    sh("umount $1/mounted $1/proc", &[&tree]);
    let sealed = ended.unwrap();
    assert_eq!(
        sh("tar -tf $1 | sort", &[&file]),
        "./\n./mounted/\n./mounted/file\n"
    );
    assert_eq!(sealed.facts()["skipped"][0], "proc/: a pseudo file system");
}

#[test]
fn reading_leaves_access_times_alone() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), b"x").unwrap();
    // Older than the modification, which is when "relatime" would write it.
    sh("touch -a -d 2001-01-01 $1/a $1", &[&tree]);
    seal_to(&folder(&tree), &plain(), &file).unwrap();
    for path in [tree.join("a"), tree] {
        assert!(fs::metadata(path).unwrap().atime() < 1_000_000_000);
    }
}
