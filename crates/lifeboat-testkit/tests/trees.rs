//! The comparison must see whatever a restore could get wrong.

#![allow(clippy::print_stdout)]

use lifeboat_testkit::{
    SampleTree,
    compare::{Difference, Field},
    compare_trees,
};
use std::{
    fs, io,
    os::unix::fs::{FileExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

fn two_trees() -> (TempDir, SampleTree, SampleTree) {
    let dir = TempDir::new().unwrap();
    let a = SampleTree::everything(dir.path().join("a")).unwrap();
    let b = SampleTree::everything(dir.path().join("b")).unwrap();
    (dir, a, b)
}

fn fields(differences: &[Difference]) -> Vec<(&Path, Field)> {
    differences
        .iter()
        .map(|d| (d.path.as_path(), d.field))
        .collect()
}

/// Changes what is at `path` and gives it back its time, if it still is there.
fn change(path: &Path, change: impl FnOnce(&Path) -> io::Result<()>) {
    let before = fs::symlink_metadata(path).unwrap().modified().unwrap();
    let folder = path.parent().unwrap();
    let folder_before = fs::metadata(folder).unwrap().modified().unwrap();
    change(path).unwrap();
    if let Ok(file) = fs::File::open(path) {
        file.set_modified(before).unwrap();
    }
    fs::File::open(folder)
        .unwrap()
        .set_modified(folder_before)
        .unwrap();
}

#[test]
fn two_trees_made_alike_are_the_same() {
    let (_dir, a, b) = two_trees();
    assert_eq!(compare_trees(a.root(), b.root()).unwrap(), []);
    let names = fs::read_dir(a.root()).unwrap().count();
    assert_eq!(names, 14, "folders at the top");
}

#[test]
fn every_kind_of_difference_is_seen() {
    let (_dir, a, b) = two_trees();
    if !b.skipped().is_empty() {
        println!("SKIPPED: not every kind of file can be made here");
        return;
    }
    let at = |path: &str| b.root().join(path);
    type Change<'a> = (&'a str, Field, &'a dyn Fn(&Path) -> io::Result<()>);
    let changes: &[Change<'_>] = &[
        ("files/empty", Field::Presence, &|p| fs::remove_file(p)),
        ("files/noise-512", Field::Content, &|p| {
            fs::OpenOptions::new()
                .write(true)
                .open(p)?
                .write_all_at(b"x", 511)
        }),
        ("files/program", Field::Mode, &|p| {
            fs::set_permissions(p, fs::Permissions::from_mode(0o754))
        }),
        ("rights/setuid", Field::Mode, &|p| {
            fs::set_permissions(p, fs::Permissions::from_mode(0o755))
        }),
        ("owners/service", Field::Owner, &|p| {
            std::os::unix::fs::chown(p, Some(998), None)
        }),
        ("sparse/hole first", Field::Holes, &|p| {
            fs::OpenOptions::new()
                .write(true)
                .open(p)?
                .write_all_at(&[0; 8192], 0)
        }),
        ("xattrs/text", Field::Xattrs, &|p| {
            run("setfattr", &["-n", "user.origin", "-v", "else"], p)
        }),
        ("xattrs/acl", Field::Xattrs, &|p| {
            run("setfacl", &["-m", "u:1001:r"], p)
        }),
    ];
    for (path, _, edit) in changes {
        change(&at(path), edit);
    }
    change(&at("files/one byte"), |p| {
        fs::File::options().append(true).open(p)?.set_len(2)
    });
    fs::File::open(at("files/zeros"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    change(&at("hard links too/c"), |p| {
        let bytes = fs::read(p)?;
        fs::remove_file(p)?;
        fs::write(p, bytes)
    });
    change(&at("symlinks/dangling"), |p| {
        fs::remove_file(p)?;
        symlink("/nowhere/else", p)
    });
    change(&at("special/null"), |p| {
        fs::remove_file(p)?;
        run(
            "mknod",
            &["-m", "640", p.to_str().unwrap(), "c", "1"],
            Path::new("5"),
        )
    });
    change(&at("special/fifo"), |p| {
        fs::remove_file(p)?;
        fs::create_dir(p)
    });

    let found = compare_trees(a.root(), b.root()).unwrap();
    let found = fields(&found);
    for (path, field, _) in changes {
        assert!(
            found.contains(&(Path::new(path), *field)),
            "{path}: {field:?}"
        );
    }
    for (path, field) in [
        ("files/one byte", Field::Size),
        ("files/zeros", Field::Modified),
        ("hard links/a", Field::Links),
        ("hard links too/c", Field::Links),
        ("symlinks/dangling", Field::Target),
        ("special/null", Field::Device),
        ("special/fifo", Field::Type),
    ] {
        assert!(
            found.contains(&(Path::new(path), field)),
            "{path}: {field:?}"
        );
    }
    let untouched = found
        .iter()
        .filter(|(path, _)| path.starts_with("odd names") || path.starts_with("deep"));
    assert_eq!(untouched.count(), 0);
}

#[test]
fn a_copy_by_cp_is_the_same() {
    let dir = TempDir::new().unwrap();
    let plain = SampleTree::plain(dir.path().join("a")).unwrap();
    run(
        "cp",
        &["-a", plain.root().to_str().unwrap()],
        &dir.path().join("b"),
    )
    .unwrap();
    assert_eq!(
        compare_trees(plain.root(), &dir.path().join("b")).unwrap(),
        []
    );
}

fn run(program: &str, args: &[&str], last: &Path) -> io::Result<()> {
    let done = Command::new(program).args(args).arg(last).status()?;
    assert!(done.success(), "{program} {args:?}");
    Ok(())
}
