//! Archives of stock tools come back as they were.

use crate::kit::{Sample, assert_same, count_entries, has, key_pair, odd_tree, pipe, sh, temp};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Keyring,
    unseal::{Depth, Options},
};

fn tarred(source: &std::path::Path, command: &str) -> Sample {
    let out = temp();
    let tar = out.path().join("x.tar");
    sh(source, &command.replace("$OUT", &tar.display().to_string()));
    Sample::new(&std::fs::read(&tar).unwrap(), Some(count_entries(&tar)))
}

fn everything() -> Options {
    Options {
        allow_devices: true,
        ..Options::default()
    }
}

#[test]
fn archives_of_gnu_tar_in_both_of_its_dialects_come_back_whole() {
    let source = temp();
    odd_tree(source.path());
    for format in ["pax", "gnu"] {
        // GNU tar's own dialect knows no attributes and no parts of seconds.
        let extra = if format == "pax" {
            "--xattrs --xattrs-include='*' --acls"
        } else {
            ""
        };
        let sample = tarred(
            source.path(),
            &format!("tar --format={format} {extra} -S -cf $OUT ."),
        );
        let target = temp();
        let extracted = sample
            .extract_with(&Keyring::none(), target.path(), &everything())
            .unwrap();
        assert_eq!(extracted.warnings, [] as [&str; 0], "{format}");
        assert_eq!(extracted.entries, sample.archive.entries.unwrap());
        sample.check(Depth::Deep, &Keyring::none()).unwrap();
        if format == "pax" {
            assert_same(source.path(), target.path());
        } else {
            let reference = temp();
            let tar = reference.path().join("x.tar");
            let unpacked = reference.path().join("tree");
            std::fs::create_dir(&unpacked).unwrap();
            std::fs::write(&tar, &sample.stored).unwrap();
            sh(&unpacked, "tar -xpf ../x.tar --numeric-owner");
            assert_same(&unpacked, target.path());
        }
    }
}

#[test]
fn every_stock_compressor_is_read_whole_in_one_stream_and_in_pieces() {
    let source = temp();
    odd_tree(source.path());
    // Holes are slow to read again and again, and nothing to a compressor.
    sh(source.path(), "rm holes allhole; truncate -s 500k noise");
    let plain = tarred(
        source.path(),
        "tar --format=pax -S --sort=name --xattrs --xattrs-include='*' --acls -cf $OUT .",
    );
    let (keys, recipient) = key_pair();
    for (compression, program, args) in [
        (Compression::None, "cat", &[][..]),
        (Compression::Zstd, "zstd", &["-q", "-c"]),
        (Compression::Zstd, "zstd", &["-q", "-c", "--long=27", "-T2"]),
        (Compression::Gzip, "gzip", &["-c", "-1"]),
        (Compression::Gzip, "pigz", &["-c", "-1"]),
        (Compression::Bzip2, "bzip2", &["-c", "-1"]),
        (Compression::Xz, "xz", &["-c", "-1"]),
    ] {
        if !has(program) {
            continue;
        }
        let stock = plain.clone().stock(compression, program, args);
        let ours = plain.clone().pieces(compression, 1 << 20);
        for sample in [stock, ours.clone(), ours.age(&recipient)] {
            assert_eq!(
                sample.open(&keys).unwrap().len() as u64,
                plain.archive.plain_size
            );
            sample.check(Depth::Digest, &keys).unwrap();
            sample.check(Depth::Deep, &keys).unwrap();
            let target = temp();
            sample
                .extract_with(&keys, target.path(), &everything())
                .unwrap();
            assert_same(source.path(), target.path());
        }
    }
}

#[test]
fn files_of_the_age_program_are_opened_and_it_opens_what_our_keys_seal() {
    if !has("age") || !has("age-keygen") {
        return;
    }
    let dir = temp();
    sh(
        dir.path(),
        "age-keygen -o key 2>/dev/null; age-keygen -y key > recipient; ssh-keygen -q -t ed25519 -N '' -f ssh",
    );
    let plain = crate::kit::Random(3).bytes(300_000);
    for (recipient, identity) in [("-R recipient", "key"), ("-R ssh.pub", "ssh")] {
        std::fs::write(dir.path().join("plain"), &plain).unwrap();
        sh(dir.path(), &format!("age {recipient} -o sealed plain"));
        let text = std::fs::read_to_string(dir.path().join(identity)).unwrap();
        let keys = Keyring::new(lifeboat_run::keys::KeyTexts {
            identity: Some(lifeboat_run::Secret::new(text)),
            ..Default::default()
        })
        .unwrap();
        let mut sample = Sample::new(&plain, None);
        sample.stored = std::fs::read(dir.path().join("sealed")).unwrap();
        sample.archive.encryption = lifeboat_plan::Encryption::Age;
        sample.restore_digest();
        assert_eq!(sample.open(&keys).unwrap(), plain);
        sample.check(Depth::Deep, &keys).unwrap();
        assert!(keys.confirm().unwrap());
    }
    let (keys, recipient) = key_pair();
    let key_file = dir.path().join("ours");
    std::fs::write(&key_file, keys.identities[0].reveal()).unwrap();
    let sealed = Sample::new(&plain, None).age(&recipient);
    let back = pipe(
        &sealed.stored,
        "age",
        &["-d", "-i", &key_file.display().to_string()],
    );
    assert_eq!(back, plain);
}

#[test]
fn archives_of_bsdtar_and_python_come_back_as_those_programs_restore_them() {
    let source = temp();
    odd_tree(source.path());
    for (program, create, restore) in [
        (
            "bsdtar",
            "bsdtar --format=pax -cf $OUT .",
            "bsdtar -xpf ../x.tar --numeric-owner",
        ),
        (
            "python3",
            "python3 -c 'import tarfile,sys; t = tarfile.open(sys.argv[1], \"w\", format=tarfile.PAX_FORMAT); t.add(\".\"); t.close()' $OUT",
            "tar -xpf ../x.tar --numeric-owner",
        ),
        (
            "python3",
            "python3 -c 'import tarfile,sys; t = tarfile.open(sys.argv[1], \"w\", format=tarfile.GNU_FORMAT); t.add(\".\"); t.close()' $OUT",
            "tar -xpf ../x.tar --numeric-owner",
        ),
    ] {
        if !has(program) {
            continue;
        }
        if program == "bsdtar" {
            // It writes the half second before 1970 as the half second after.
            sh(
                source.path(),
                "touch -d '1970-01-02' inv/2.txt; touch -r . inv",
            );
        }
        let sample = tarred(source.path(), create);
        let reference = temp();
        let unpacked = reference.path().join("tree");
        std::fs::create_dir(&unpacked).unwrap();
        std::fs::write(reference.path().join("x.tar"), &sample.stored).unwrap();
        sh(&unpacked, restore);
        let target = temp();
        sample
            .extract_with(&Keyring::none(), target.path(), &everything())
            .unwrap();
        sample.check(Depth::Deep, &Keyring::none()).unwrap();
        // bsdtar leaves the time of the folder that it works in.
        sh(
            &unpacked,
            &format!("touch -r {} .", target.path().display()),
        );
        assert_same(&unpacked, target.path());
    }
}
