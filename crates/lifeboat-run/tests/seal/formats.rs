//! Whatever the recipe: stock tools open it, and find what is in the folder.

use crate::kit::{folder, has, plain, recipe, sample, seal_to, sh};
use lifeboat_plan::{Compression, Encryption};
use lifeboat_run::{Secret, keys, seal::Recipe};
use std::{fs, path::Path};
use tempfile::tempdir;

const SAME: &str = "diff -r --no-dereference";

fn opens_with(compression: Compression, level: i32, unpack: &str) {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    sample(&tree);
    fs::create_dir(&out).unwrap();
    let recipe = Recipe {
        level,
        ..recipe(compression)
    };
    let sealed = seal_to(&folder(&tree), &recipe, &file).unwrap();
    sh(&format!("{unpack} < $1 | tar -C $2 -xf -"), &[&file, &out]);
    sh(&format!("{SAME} $1 $2"), &[&tree, &out]);

    let stored = sh("sha256sum < $1", &[&file]);
    assert_eq!(stored.split(' ').next(), Some(sealed.sha256()));
    assert_eq!(sealed.object().size, fs::metadata(&file).unwrap().len());
    let size: u64 = sh(&format!("{unpack} < $1 | wc -c"), &[&file])
        .trim()
        .parse()
        .unwrap();
    assert_eq!(sealed.plain_size(), size);
    if has("xxh128sum") {
        let plain = sh(&format!("{unpack} < $1 | xxh128sum"), &[&file]);
        assert_eq!(plain.split(' ').next(), Some(sealed.plain_xxh128()));
    }
    let listed = sh(&format!("{unpack} < $1 | tar -tf - | wc -l"), &[&file]);
    assert_eq!(
        sealed.entries().map(|n| n.to_string()).as_deref(),
        Some(listed.trim())
    );
    assert_eq!(sealed.warnings(), &[] as &[String]);
}

#[test]
fn zstd_opens_every_level() {
    for level in [1, 3, 9, 19] {
        opens_with(Compression::Zstd, level, "zstd -dc");
    }
}

#[test]
fn gzip_opens_every_level() {
    for level in [1, 6, 9] {
        opens_with(Compression::Gzip, level, "gzip -dc");
    }
}

#[test]
fn bzip2_opens_every_level() {
    for level in [1, 9] {
        opens_with(Compression::Bzip2, level, "bzip2 -dc");
    }
}

#[test]
fn xz_opens_every_level() {
    for level in [0, 6, 9] {
        opens_with(Compression::Xz, level, "xz -dc");
    }
}

#[test]
fn an_archive_without_compression_is_a_tar_file() {
    opens_with(Compression::None, 0, "cat");
}

#[test]
fn the_tar_program_finds_the_compression_by_itself() {
    let dir = tempdir().unwrap();
    let [tree, file] = ["tree", "file"].map(|name| dir.path().join(name));
    sample(&tree);
    for compression in Compression::ALL {
        seal_to(&folder(&tree), &recipe(compression), &file).unwrap();
        sh("tar -tf $1", &[&file]);
    }
}

/// A stream that fills more than one chunk, so that the counter and the last chunk's mark matter.
fn age_opens(seal: keys::Seal, tree: &Path, decrypt: &str, with: &Path) {
    let dir = tempdir().unwrap();
    let [file, out] = ["file", "out"].map(|name| dir.path().join(name));
    let recipe = Recipe { seal, ..plain() };
    let sealed = seal_to(&folder(tree), &recipe, &file).unwrap();
    assert_eq!(sealed.encryption(), Encryption::Age);
    fs::create_dir(&out).unwrap();
    sh(
        &format!("{decrypt} < $1 | tar -C $2 -xf -"),
        &[&file, &out, with],
    );
    sh(&format!("{SAME} $1 $2"), &[tree, &out]);
    let stored = sh("sha256sum < $1", &[&file]);
    assert_eq!(stored.split(' ').next(), Some(sealed.sha256()));
}

#[test]
fn age_opens_what_is_sealed_to_its_recipients() {
    if !has("age") {
        return;
    }
    let dir = tempdir().unwrap();
    let [tree, key, other] = ["tree", "key", "other"].map(|name| dir.path().join(name));
    sample(&tree);
    sh("age-keygen -o $1 2>/dev/null", &[&key]);
    sh("age-keygen -o $1 2>/dev/null", &[&other]);
    let recipients: Vec<String> = [&key, &other]
        .iter()
        .map(|key| sh("age-keygen -y $1", &[key]).trim().to_owned())
        .collect();
    for key in [&key, &other] {
        let seal = keys::Seal::Recipients(recipients.clone());
        age_opens(seal, &tree, "age -d -i $3", key);
    }
}

#[test]
fn age_opens_what_is_sealed_to_an_ssh_key() {
    if !has("age") || !has("ssh-keygen") {
        return;
    }
    let dir = tempdir().unwrap();
    let [tree, key] = ["tree", "key"].map(|name| dir.path().join(name));
    sample(&tree);
    sh("ssh-keygen -q -t ed25519 -N '' -f $1", &[&key]);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    age_opens(
        keys::Seal::Recipients(vec![public]),
        &tree,
        "age -d -i $3",
        &key,
    );
}

#[test]
fn age_opens_what_is_sealed_with_a_passphrase() {
    // Stock `age` asks a terminal for it, which `script` pretends to be.
    if !has("age") || !has("script") {
        return;
    }
    let dir = tempdir().unwrap();
    let tree = dir.path().join("tree");
    sample(&tree);
    let seal = keys::Seal::Passphrase(Secret::new("correct horse".to_owned()));
    let (file, out) = (dir.path().join("file"), dir.path().join("out"));
    let recipe = Recipe { seal, ..plain() };
    seal_to(&folder(&tree), &recipe, &file).unwrap();
    sh(
        "(sleep 1; echo 'correct horse') | timeout 60 script -qec \"age -d -o '$2' '$1'\" /dev/null",
        &[&file, &out],
    );
    let listed = sh("tar -tf $1 | wc -l", &[&out]);
    assert_eq!(listed.trim(), "309");
}

/// The age crate reads what our own payload writes, at every size around the borders of a chunk.
#[test]
fn streams_of_every_awkward_length_decrypt_to_themselves() {
    use age::x25519::Identity;
    const CHUNK: usize = 64 * 1024;
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let identity = Identity::generate();
    for len in [
        0,
        1,
        CHUNK - 1,
        CHUNK,
        CHUNK + 1,
        2 * CHUNK,
        3 * CHUNK + 17,
        40 * CHUNK,
    ] {
        for cut in [1, 4099, CHUNK, 5 * CHUNK] {
            let bytes = crate::kit::noise(len, len as u64);
            if len / cut > 10_000 {
                continue;
            }
            let source = crate::pipeline::Bytes::cut(&bytes, cut);
            let recipe = Recipe {
                seal: keys::Seal::Recipients(vec![identity.to_public().to_string()]),
                ..plain()
            };
            seal_to(&source, &recipe, &file).unwrap();
            let stored = fs::read(&file).unwrap();
            assert_eq!(
                age::decrypt(&identity, &stored).unwrap(),
                bytes,
                "{len} {cut}"
            );
        }
    }
}

#[test]
fn an_empty_stream_is_a_whole_file_in_every_format() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    let tools = ["zstd -dc", "gzip -dc", "bzip2 -dc", "xz -dc", "cat"];
    for (compression, unpack) in Compression::ALL.into_iter().zip(tools) {
        let source = crate::pipeline::Bytes::cut(b"", 1);
        let sealed = seal_to(&source, &recipe(compression), &file).unwrap();
        assert_eq!(sealed.plain_size(), 0);
        assert_eq!(sealed.entries(), None);
        assert_eq!(sh(&format!("{unpack} < $1"), &[&file]), "");
    }
}

#[test]
fn what_is_no_recipient_is_refused_before_anything_is_written() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    for text in [
        "",
        "age1nonsense",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC9",
    ] {
        let recipe = Recipe {
            seal: keys::Seal::Recipients(vec![text.to_owned()]),
            ..plain()
        };
        let source = crate::pipeline::Bytes::cut(b"x", 1);
        let error = seal_to(&source, &recipe, &file).unwrap_err();
        assert!(error.to_string().contains("is not a recipient"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"");
    }
    let recipe = Recipe {
        seal: keys::Seal::Recipients(vec![]),
        ..plain()
    };
    let source = crate::pipeline::Bytes::cut(b"x", 1);
    seal_to(&source, &recipe, &file).unwrap_err();
}
