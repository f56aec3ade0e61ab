//! What is picked, where it goes, and what happens when it cannot.

use crate::kit::{Sample, assert_same, count_entries, is_root, odd_tree, sh, temp};
use lifeboat_plan::event::RunEvent;
use lifeboat_run::{
    Cancel, Keyring, Listener,
    unseal::{self, Extracted, Options, Paths, UnsealError},
};
use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
    sync::Mutex,
};

fn packed(tree: &Path) -> Sample {
    let out = temp();
    let tar = out.path().join("x.tar");
    let script = format!(
        "tar --format=pax --xattrs --acls -S --sort=name -cf {} .",
        tar.display()
    );
    sh(tree, &script);
    Sample::new(&fs::read(&tar).unwrap(), Some(count_entries(&tar)))
        .pieces(lifeboat_plan::Compression::Zstd, 1 << 20)
}

fn picked(sample: &Sample, patterns: &[&str], into: &Path) -> Extracted {
    let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
    let options = Options {
        paths: Paths::matching(&patterns).unwrap(),
        ..Options::default()
    };
    sample
        .extract_with(&Keyring::none(), into, &options)
        .unwrap()
}

fn names(root: &Path) -> String {
    String::from_utf8(sh(root, "find . -mindepth 1 | sort | tr '\\n' ' '")).unwrap()
}

#[test]
fn patterns_pick_as_a_gitignore_would_and_folders_bring_what_is_in_them() {
    let source = temp();
    sh(
        source.path(),
        "mkdir -p inv/2024 other; for f in inv/1.txt inv/2.txt inv/7.pdf inv/2024/1.txt other/1.txt; do echo $f > $f; done; ln other/1.txt other/hard; ln -s x inv/2024/link; chmod 0751 inv; touch -d 2001-01-01 inv/2024 inv",
    );
    let sample = packed(source.path());
    for (patterns, expected, entries) in [
        (&["inv/*.txt"][..], "./inv ./inv/1.txt ./inv/2.txt ", 2),
        (&["./inv/*.txt"], "./inv ./inv/1.txt ./inv/2.txt ", 2),
        (
            &["/inv/2024"],
            "./inv ./inv/2024 ./inv/2024/1.txt ./inv/2024/link ",
            3,
        ),
        (
            &["2024/"],
            "./inv ./inv/2024 ./inv/2024/1.txt ./inv/2024/link ",
            3,
        ),
        (&["*.pdf"], "./inv ./inv/7.pdf ", 1),
        (
            &["inv", "!*.txt"],
            "./inv ./inv/2024 ./inv/2024/link ./inv/7.pdf ",
            4,
        ),
        (
            &["inv/**/1.txt"],
            "./inv ./inv/1.txt ./inv/2024 ./inv/2024/1.txt ",
            2,
        ),
    ] {
        let target = temp();
        let extracted = picked(&sample, patterns, target.path());
        assert_eq!(names(target.path()), expected, "{patterns:?}");
        assert_eq!(extracted.entries, entries, "{patterns:?}");
        // Also a folder that was only passed through is as it was.
        let (before, after) = (source.path().join("inv"), target.path().join("inv"));
        let seen = |path: &Path| {
            let stat = fs::metadata(path).unwrap();
            (stat.mode(), stat.mtime(), stat.mtime_nsec())
        };
        assert_eq!(seen(&before), seen(&after), "{patterns:?}");
    }
}

#[test]
fn what_matches_nothing_and_links_to_what_was_not_asked_for_are_told() {
    let source = temp();
    sh(source.path(), "echo a > a; ln a b; echo c > c");
    let sample = packed(source.path());
    let target = temp();
    let extracted = picked(&sample, &["b", "c", "no/such*"], target.path());
    assert_eq!(names(target.path()), "./c ");
    assert_eq!(extracted.warnings_total, 2);
    assert!(
        extracted.warnings[0].contains("a hard link to \"a\""),
        "{extracted:?}"
    );
    assert!(extracted.warnings[1].contains("no/such*"), "{extracted:?}");
}

#[test]
fn patterns_that_are_none_are_refused_before_anything_is_read() {
    for text in ["", "/", "a{b"] {
        assert!(Paths::matching(&[text.to_owned()]).is_err(), "{text:?}");
    }
    // A name may start with a number sign.
    let source = temp();
    sh(source.path(), "echo x > '#1'");
    let target = temp();
    picked(&packed(source.path()), &["#1"], target.path());
    assert_eq!(names(target.path()), "./#1 ");
}

#[test]
fn devices_are_left_out_and_told_unless_somebody_asks_for_them() {
    if !is_root() {
        return;
    }
    let source = temp();
    sh(
        source.path(),
        "mknod null c 1 3; mknod loop b 7 0; mkfifo pipe",
    );
    let sample = packed(source.path());
    let target = temp();
    let extracted = sample.extract(&Keyring::none(), target.path()).unwrap();
    assert_eq!(names(target.path()), "./pipe ");
    assert_eq!(extracted.warnings_total, 2);

    let target = temp();
    let options = Options {
        allow_devices: true,
        ..Options::default()
    };
    sample
        .extract_with(&Keyring::none(), target.path(), &options)
        .unwrap();
    assert_same(source.path(), target.path());
}

#[test]
fn a_folder_that_is_not_empty_is_not_extracted_into() {
    let source = temp();
    sh(source.path(), "echo a > a");
    let target = temp();
    fs::write(target.path().join("mine"), "mine").unwrap();
    let result = packed(source.path()).extract(&Keyring::none(), target.path());
    assert!(matches!(result, Err(UnsealError::Io { .. })), "{result:?}");
    assert_eq!(names(target.path()), "./mine ");
}

#[test]
fn a_full_disk_ends_in_an_error_that_names_the_file() {
    if !is_root() {
        return;
    }
    let source = temp();
    sh(source.path(), "head -c 3000000 /dev/urandom > large");
    for small in [false, true] {
        if small {
            sh(source.path(), "split -b 4096 -a 4 large s; rm large");
        }
        let sample = packed(source.path());
        let target = temp();
        sh(target.path(), "mkdir t; mount -t tmpfs -o size=1m none t");
        let result = sample.extract(&Keyring::none(), &target.path().join("t"));
        sh(target.path(), "umount t");
        let Err(UnsealError::Io { error, what, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert!(
            what.starts_with(if small { "\"s" } else { "\"large" }),
            "{what}"
        );
    }
}

#[test]
fn a_deep_tree_and_many_folders_are_no_trouble() {
    let source = temp();
    // 600 folders in one another, each with a file, deeper than a path that Linux takes at once.
    sh(
        source.path(),
        "python3 - <<'END'\nimport os\nfor i in range(600):\n  os.mkdir('folder%d' % i, 0o711); os.chdir('folder%d' % i); open('f','w').write(str(i))\nEND",
    );
    let sample = packed(source.path());
    let target = temp();
    let extracted = sample.extract(&Keyring::none(), target.path()).unwrap();
    assert_eq!(extracted.entries, 1201);
    assert_same(source.path(), target.path());
}

#[test]
fn files_without_entries_for_their_folders_come_back() {
    let source = temp();
    sh(
        source.path(),
        "mkdir -p a/b c; echo 1 > a/b/f; echo 2 > a/g; echo 3 > c/h; chmod 0700 a",
    );
    let out = temp();
    let tar = out.path().join("x.tar");
    let script = format!("tar -cf {0} --no-recursion a/b/f c/h a/g a", tar.display());
    sh(source.path(), &script);
    let sample = Sample::new(&fs::read(&tar).unwrap(), Some(4));
    let target = temp();
    sample.extract(&Keyring::none(), target.path()).unwrap();
    assert_eq!(names(target.path()), "./a ./a/b ./a/b/f ./a/g ./c ./c/h ");
    let mode = |name: &str| fs::metadata(target.path().join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("a"), mode("a/b")), (0o700, 0o755));
}

#[test]
fn an_ordinary_user_keeps_everything_but_the_owners() {
    const CHILD: &str = "UNSEAL_AS_NOBODY";
    #[expect(
        clippy::disallowed_methods,
        reason = "tells a child of this test what it is"
    )]
    let child = std::env::var_os(CHILD);
    if let Some(dir) = child {
        let dir = Path::new(&dir);
        let sample = Sample::new(&fs::read(dir.join("x.tar")).unwrap(), Some(5));
        fs::create_dir(dir.join("target")).unwrap();
        let extracted = sample
            .extract(&Keyring::none(), &dir.join("target"))
            .unwrap();
        assert_eq!(extracted.warnings_total, 1, "{extracted:?}");
        assert!(extracted.warnings[0].starts_with("5 entries belong to this user"));
        return;
    }
    if !is_root() {
        return;
    }
    let dir = temp();
    sh(
        dir.path(),
        "mkdir tree tree/shut; echo s > tree/suid; chmod 4755 tree/suid; echo x > tree/shut/x; ln -s x tree/link; chmod 0111 tree/shut; chown -hR 12:34 tree; chmod u+s tree/suid; tar -C tree -cf x.tar .; chmod 777 .",
    );
    // The test binary may lie where only root can go.
    let program = dir.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let status = Command::new(&program)
        .args([
            "--exact",
            "extract::an_ordinary_user_keeps_everything_but_the_owners",
            "--nocapture",
        ])
        .env(CHILD, dir.path())
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stderr)
    );
    let target = dir.path().join("target");
    let stat = fs::metadata(target.join("suid")).unwrap();
    // A program that ran as somebody else must not run as this user.
    assert_eq!((stat.mode() & 0o7777, stat.uid()), (0o755, 65534));
    assert_eq!(
        fs::metadata(target.join("shut")).unwrap().mode() & 0o7777,
        0o111
    );
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u64, u64)>>);

impl Listener for Heard {
    fn hear(&self, event: &RunEvent) {
        if let RunEvent::Progress {
            plain_bytes,
            entries,
            ..
        } = event
        {
            self.0.lock().unwrap().push((*plain_bytes, *entries));
        }
    }
}

#[test]
fn progress_is_told_and_ends_at_the_truth() {
    let source = temp();
    odd_tree(source.path());
    sh(source.path(), "rm -f holes allhole char block");
    let sample = packed(source.path());
    let (heard, target) = (Heard::default(), temp());
    let extracted = unseal::extract(
        sample.reader(),
        &sample.archive,
        &Keyring::none(),
        target.path(),
        &Options::default(),
        &Cancel::default(),
        &heard,
    )
    .unwrap();
    let heard = heard.0.into_inner().unwrap();
    assert_eq!(heard.last(), Some(&(extracted.bytes, extracted.entries)));
    assert!(heard.is_sorted());
}
