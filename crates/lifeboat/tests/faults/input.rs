//! Wrong names, wrong keys, wrong places, archives that somebody else put there.

use crate::world::{World, files};
use lifeboat_testkit::{Mount, noise};
use std::{fs, path::PathBuf};

fn archive_of(world: &World, id: &str, source: &str) -> PathBuf {
    let tier = id.split('_').nth(1).unwrap();
    world.store().join(format!("{tier}/{id}.{source}.tar.zst"))
}

#[test]
fn an_unknown_id_ends_with_10_and_names_the_nearest() {
    let world = World::new();
    let id = world.back_up();
    let wrong = format!("{id}_7");
    for arguments in [
        &["verify", &wrong][..],
        &["restore", &wrong, "--to", "out", "--yes"],
        &["cat", &wrong, "notes"],
    ] {
        let ended = world.run(arguments);
        ended.expect(10);
        let (_, hint) = ended.two_lines();
        assert!(hint.contains(&id), "{hint}");
    }
    assert!(!world.path("out").exists());
}

#[test]
fn a_target_that_is_not_empty_or_too_small_is_refused_and_left_as_it_is() {
    let world = World::new();
    world.write("photos/large", noise(3 << 20, 1));
    let id = world.back_up();
    fs::create_dir(world.path("full")).unwrap();
    fs::write(world.path("full/mine"), "mine").unwrap();
    let restore = |to: &str| world.run(&["restore", &id, "--to", to, "--yes"]);
    restore("full").expect(14).two_lines();
    assert_eq!(files(&world.path("full")), [PathBuf::from("mine")]);

    let Some(mount) = Mount::tmpfs("size=1m") else {
        return;
    };
    restore(mount.path().to_str().unwrap())
        .expect(14)
        .two_lines();
    assert_eq!(files(mount.path()), [] as [PathBuf; 0]);
    restore(mount.path().join("new").to_str().unwrap()).expect(14);
    assert_eq!(files(mount.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_replaced_archive_is_found_although_its_digest_fits() {
    let world = World::new().with("BACKUP_SIGNING_KEY", "a key for signing, long enough");
    let id = world.back_up();
    world.write("notes/a.txt", "something else\n");
    let other = world.back_up();
    let (at, from) = (
        archive_of(&world, &id, "notes"),
        archive_of(&world, &other, "notes"),
    );
    // Not through a hard link.
    fs::remove_file(&at).unwrap();
    fs::copy(&from, &at).unwrap();
    let digest = |path: &PathBuf| PathBuf::from(format!("{}.sha256", path.display()));
    let line = fs::read_to_string(digest(&from)).unwrap();
    fs::write(digest(&at), line.replace(&other, &id)).unwrap();
    world.run(&["verify", &id]).expect(13);
    world
        .run(&["restore", &id, "--to", "out", "--yes"])
        .expect(13);
    assert!(!world.path("out").exists());

    // The manifest with it: its signature does not fit.
    let manifest = |id: &str| world.store().join(format!("daily/{id}.json"));
    let forged = fs::read_to_string(manifest(&other)).unwrap();
    fs::write(manifest(&id), forged.replace(&other, &id)).unwrap();
    world.run(&["verify", &id]).expect(13);
    world
        .run(&["restore", &id, "--to", "out", "--yes"])
        .expect(13);
    // Without any signature: not ours either.
    let mut bare: serde_json::Value =
        serde_json::from_slice(&fs::read(manifest(&id)).unwrap()).unwrap();
    bare.as_object_mut().unwrap().remove("mac");
    fs::write(manifest(&id), serde_json::to_vec(&bare).unwrap()).unwrap();
    world.run(&["verify", &id]).expect(13);
    world
        .run(&["restore", &id, "--to", "out", "--yes"])
        .expect(13);
    assert!(!world.path("out").exists());
}

#[test]
fn backups_that_somebody_removed_are_missed() {
    let world = World::new();
    world.back_up();
    let newest = world.back_up();
    world.run(&["status"]).expect(0);
    for path in files(world.store()) {
        if path.to_string_lossy().contains(&newest) && path.starts_with("daily") {
            fs::remove_file(world.store().join(path)).unwrap();
        }
    }
    let told = |world: &World| {
        let ended = world.run(&["status"]);
        ended.expect(3);
        assert!(ended.stdout().contains(&newest), "{ended}");
    };
    told(&world);
    // The catalogue too: the chain remembers.
    fs::remove_file(world.store().join("manifest.json")).unwrap();
    told(&world);
}

#[test]
fn a_hostile_archive_under_our_own_signature_writes_nothing_outside() {
    let world = World::new();
    let outside = world.path("outside");
    fs::create_dir(&outside).unwrap();
    let up = "../".repeat(12);
    let target = outside.to_str().unwrap();
    let hostile: [&[&str]; 4] = [
        // A path upwards, an absolute one, a link that is then written through, a hard link outwards.
        &["--transform", "s,^x$,../../escaped,", "x"],
        &[
            "-P",
            "--transform",
            &format!("s,^x$,{target}/escaped,"),
            "x",
        ],
        &["--transform", "s,^x$,link/escaped,", "link", "x"],
        &[
            "-P",
            "--transform",
            &format!("s,^x$,{up}{target}/escaped,"),
            "x",
        ],
    ];
    let stuff = world.path("stuff");
    fs::create_dir(&stuff).unwrap();
    fs::write(stuff.join("x"), "escaped").unwrap();
    std::os::unix::fs::symlink(&outside, stuff.join("link")).unwrap();
    for (n, words) in hostile.iter().enumerate() {
        let id = world.back_up();
        let at = archive_of(&world, &id, "notes");
        fs::remove_file(&at).unwrap();
        let made = std::process::Command::new("tar")
            .args(["--zstd", "-cf", at.to_str().unwrap()])
            .args(*words)
            .current_dir(&stuff)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        forge(&world, &id, &at);
        // An unsigned manifest that fits: nothing but the archive itself speaks against it.
        let to = format!("out-{n}");
        let ended = world.run(&["restore", &id, "--to", &to, "--yes"]);
        ended.expect(13);
        assert!(!world.path(&to).exists(), "{ended}");
        assert_eq!(files(&outside), [] as [PathBuf; 0], "{words:?}");
        let strays: Vec<_> = files(&world.path(""))
            .into_iter()
            .filter(|path| path.ends_with("escaped"))
            .collect();
        assert_eq!(strays, [] as [PathBuf; 0]);
    }
}

/// Lets the manifest say of the archive what is true now.
fn forge(world: &World, id: &str, at: &PathBuf) {
    let manifest = world.store().join(format!("daily/{id}.json"));
    let mut forged: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let sum = |command: &str| {
        let out = std::process::Command::new("sh")
            .args(["-c", command, "sh", at.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        text.split_whitespace().next().unwrap().to_owned()
    };
    let plain = sum("zstd -dc \"$1\" | wc -c").parse::<u64>().unwrap();
    let name = at.file_name().unwrap().to_str().unwrap();
    for archive in forged["archives"].as_array_mut().unwrap() {
        if archive["file"] == name {
            archive["size"] = fs::metadata(at).unwrap().len().into();
            archive["sha256"] = sum("sha256sum \"$1\"").into();
            archive["plain_size"] = plain.into();
            archive["plain_xxh128"] = sum("zstd -dc \"$1\" | xxhsum -H2").into();
        }
    }
    fs::write(manifest, serde_json::to_vec(&forged).unwrap()).unwrap();
}
