//! What others do to a folder while it is read: the archive is whole to its last byte all the same, and
//! says what is not as it should be.

use crate::kit::{Place, child, folder, has, noise, plain, seal_to, sh, with};
use lifeboat_run::{
    Cancel,
    seal::{SealError, Sealed, seal},
    source::{Moment, OnChanged, Options, SourceError, Watch},
};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::{TempDir, tempdir};

struct Scene {
    dir: TempDir,
    tree: PathBuf,
    file: PathBuf,
    out: PathBuf,
}

/// A folder with `victim` of that size between two files that nobody touches.
fn scene(victim_size: usize) -> Scene {
    let dir = tempdir().unwrap();
    let [tree, file, out] = ["tree", "file", "out"].map(|name| dir.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(tree.join("before"), noise(5000, 1)).unwrap();
    fs::write(tree.join("victim"), noise(victim_size, 2)).unwrap();
    fs::write(tree.join("zafter"), noise(5000, 3)).unwrap();
    Scene {
        dir,
        tree,
        file,
        out,
    }
}

/// Does `act` on the victim each time it comes to `moment`, with the count of times.
fn when(moment: Moment, act: impl Fn(usize) + Send + Sync + 'static) -> Options {
    let count = AtomicUsize::new(0);
    Options {
        watch: Watch::new(move |now, path| {
            if now == moment && path == b"./victim" {
                act(count.fetch_add(1, Ordering::SeqCst));
            }
        }),
        ..Options::default()
    }
}

impl Scene {
    fn victim(&self) -> PathBuf {
        self.tree.join("victim")
    }

    fn seal(&self, options: Options) -> Sealed {
        let sealed = seal_to(&with(&self.tree, options), &plain(), &self.file).unwrap();
        sh("tar -C $2 -xf $1", &[&self.file, &self.out]);
        for (name, seed) in [("before", 1), ("zafter", 3)] {
            assert_eq!(fs::read(self.out.join(name)).unwrap(), noise(5000, seed));
        }
        let members = sh("tar -tf $1 | wc -l", &[&self.file]);
        assert_eq!(sealed.entries().unwrap().to_string(), members.trim());
        sealed
    }

    fn restored(&self) -> Option<Vec<u8>> {
        fs::read(self.out.join("victim")).ok()
    }
}

const SMALL: usize = 10_000;
const LARGE: usize = 9 << 20;

fn append(path: &Path, len: usize) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&noise(len, 9)).unwrap();
}

fn cut(path: &Path, len: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(len).unwrap();
}

#[test]
fn v1_a_growing_file_has_the_size_of_its_header_and_is_named() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let victim = scene.victim();
        let sealed = scene.seal(when(Moment::Opened, move |_| append(&victim, 3000)));
        assert_eq!(sealed.warnings(), ["victim: changed while it was read"]);
        let restored = scene.restored().unwrap();
        let now = fs::read(scene.victim()).unwrap();
        assert!(restored.len() >= size && now.starts_with(&restored));
    }
}

#[test]
fn v1_a_small_file_that_grew_far_beyond_a_piece_is_cut_to_one() {
    let scene = scene(SMALL);
    let victim = scene.victim();
    let sealed = scene.seal(when(Moment::Walked, move |_| append(&victim, 20 << 20)));
    assert_eq!(sealed.warnings(), ["victim: changed while it was read"]);
    let restored = scene.restored().unwrap();
    assert!((SMALL..=4 << 20).contains(&restored.len()));
    assert!(fs::read(scene.victim()).unwrap().starts_with(&restored));
}

#[test]
fn v1_a_small_file_that_rests_again_is_read_again_and_needs_no_warning() {
    let scene = scene(SMALL);
    let victim = scene.victim();
    let sealed = scene.seal(when(Moment::Opened, move |time| {
        if time == 0 {
            append(&victim, 3000);
        }
    }));
    assert_eq!(sealed.warnings(), &[] as &[String]);
    assert_eq!(scene.restored(), fs::read(scene.victim()).ok());
}

#[test]
fn v1_a_file_rewritten_in_place_is_named_although_its_size_is_the_same() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let victim = scene.victim();
        let sealed = scene.seal(when(Moment::Opened, move |time| {
            let mut file = OpenOptions::new().write(true).open(&victim).unwrap();
            file.write_all(&noise(size, 40 + time as u64)).unwrap();
        }));
        assert_eq!(sealed.warnings(), ["victim: changed while it was read"]);
    }
}

#[test]
fn v1_a_changing_file_fails_the_source_where_that_is_the_rule() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let victim = scene.victim();
        let options = Options {
            on_changed: OnChanged::Fail,
            ..when(Moment::Opened, move |_| append(&victim, 3000))
        };
        let place = Place::default();
        let ended = seal(
            &with(&scene.tree, options),
            &plain(),
            place.upload(&scene.file),
            &Cancel::default(),
            &(),
        );
        assert!(
            matches!(ended, Err(SealError::Source(SourceError::Refused(_)))),
            "{ended:?}"
        );
        assert!(place.was_abandoned());
    }
}

#[test]
fn v2_a_shrinking_file_is_filled_up_with_zeros_and_named() {
    let scene = scene(SMALL);
    let victim = scene.victim();
    // Never twice the same size, so that reading it again is of no use.
    let sealed = scene.seal(when(Moment::Opened, move |time| match time % 2 {
        0 => cut(&victim, 1),
        _ => append(&victim, SMALL - 1),
    }));
    assert_eq!(
        sealed.warnings(),
        ["victim: shrank while it was read: its last 9999 bytes are zeros"]
    );
    let restored = scene.restored().unwrap();
    assert_eq!(restored.len(), SMALL);
    assert!(restored[1..].iter().all(|byte| *byte == 0));
}

#[test]
fn v2_a_large_file_truncated_to_nothing_keeps_its_size_in_zeros() {
    let scene = scene(LARGE);
    let victim = scene.victim();
    let sealed = scene.seal(when(Moment::Opened, move |_| cut(&victim, 0)));
    assert_eq!(
        sealed.warnings(),
        [format!(
            "victim: shrank while it was read: its last {LARGE} bytes are zeros"
        )]
    );
    assert_eq!(scene.restored(), Some(vec![0; LARGE]));
}

#[test]
fn v3_a_file_that_vanishes_is_named_and_absent() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let victim = scene.victim();
        let sealed = scene.seal(when(Moment::Walked, move |_| {
            fs::remove_file(&victim).unwrap();
        }));
        assert_eq!(sealed.warnings(), ["victim: vanished before it was read"]);
        assert_eq!(sealed.entries(), Some(3));
        assert_eq!(scene.restored(), None);
    }
}

#[test]
fn v3_no_link_points_to_a_name_that_vanished() {
    let scene = scene(SMALL);
    let victim = scene.victim();
    fs::hard_link(&victim, scene.tree.join("other name")).unwrap();
    let tree = scene.tree.clone();
    let options = Options {
        watch: Watch::new(move |moment, path| {
            // Whichever of the two the walk meets first.
            let name = String::from_utf8_lossy(&path[2..]).into_owned();
            let both = ["victim", "other name"];
            if moment == Moment::Walked
                && both.contains(&name.as_str())
                && both.iter().all(|name| tree.join(name).exists())
            {
                fs::remove_file(tree.join(name)).unwrap();
            }
        }),
        ..Options::default()
    };
    let sealed = scene.seal(options);
    assert_eq!(sealed.warnings_total(), 1);
    assert_eq!(sealed.entries(), Some(4));
    let left = sh(
        "cd $1; cat victim 'other name' 2>/dev/null | wc -c || true",
        &[&scene.out],
    );
    assert_eq!(left.trim(), SMALL.to_string());
}

#[test]
fn v4_a_file_replaced_by_a_link_leads_nowhere() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let secret = scene.dir.path().join("secret");
        fs::write(&secret, b"of somebody else").unwrap();
        let victim = scene.victim();
        let sealed = scene.seal(when(Moment::Walked, move |_| {
            fs::remove_file(&victim).unwrap();
            symlink(&secret, &victim).unwrap();
        }));
        assert_eq!(
            sealed.warnings(),
            ["victim: replaced by something else while it was looked at"]
        );
        assert_eq!(
            sh("grep -c 'somebody else' $1 || true", &[&scene.file]).trim(),
            "0"
        );
    }
}

#[test]
fn v4_a_file_replaced_by_a_fifo_or_a_folder_blocks_nobody() {
    for size in [SMALL, LARGE] {
        for make in ["mkfifo $1", "mkdir $1"] {
            let scene = scene(size);
            let victim = scene.victim();
            let sealed = scene.seal(when(Moment::Walked, move |_| {
                fs::remove_file(&victim).unwrap();
                sh(make, &[&victim]);
            }));
            assert_eq!(
                sealed.warnings(),
                ["victim: replaced by something else while it was looked at"]
            );
        }
    }
}

#[test]
fn v4_a_file_replaced_by_a_newer_one_is_archived_as_the_newer_one() {
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let victim = scene.victim();
        let sealed = scene.seal(when(Moment::Walked, move |_| {
            let new = victim.with_extension("new");
            fs::write(&new, noise(size + 5, 77)).unwrap();
            fs::rename(&new, &victim).unwrap();
        }));
        assert_eq!(sealed.warnings(), &[] as &[String]);
        assert_eq!(scene.restored(), Some(noise(size + 5, 77)));
    }
}

#[test]
fn v5_what_may_not_be_read_is_named() {
    let scene = scene(SMALL);
    fs::create_dir(scene.tree.join("closed")).unwrap();
    fs::write(scene.tree.join("closed/inside"), b"x").unwrap();
    fs::set_permissions(scene.victim(), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(scene.tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(scene.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if fs::metadata(&scene.tree).unwrap().uid() != 0 {
        return check_unreadable(&scene);
    }
    // Root may read everything; a thread of root's need not. Its children inherit that.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let nobody = rustix::fs::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            let place = Place::default();
            let upload = place.upload(Path::new("/dev/null"));
            let source = folder(&scene.tree);
            let sealed = seal(&source, &plain(), upload, &Cancel::default(), &()).unwrap();
            expect_unreadable(&sealed);
        });
    });
}

fn check_unreadable(scene: &Scene) {
    let sealed = seal_to(&folder(&scene.tree), &plain(), &scene.file).unwrap();
    expect_unreadable(&sealed);
}

fn expect_unreadable(sealed: &Sealed) {
    let mut warnings = sealed.warnings().to_vec();
    warnings.sort();
    assert_eq!(
        warnings,
        [
            "closed: unreadable: permission denied",
            "victim: unreadable: permission denied"
        ]
    );
    // The folder is there, what is in it is not.
    assert_eq!(sealed.entries(), Some(4));
}

#[test]
fn v6_a_disk_error_in_the_middle_of_a_file_fails_the_source() {
    if !has("strace") {
        return;
    }
    for size in [SMALL, LARGE] {
        let scene = scene(size);
        let strace = format!(
            "strace -f -o /dev/null -P {} -e trace=pread64 -e inject=pread64:error=EIO:when=1+",
            scene.victim().display()
        );
        let told = child(scene.dir.path(), "none 0 2", &strace);
        assert!(told.contains("cannot read victim"), "{told}");
        assert!(told.contains("Input/output error"), "{told}");
    }
}

#[test]
fn a_folder_that_vanishes_is_named() {
    let scene = scene(SMALL);
    fs::create_dir_all(scene.tree.join("sub/of")).unwrap();
    let sub = scene.tree.join("sub");
    let sealed = scene.seal(when(Moment::Walked, move |_| {
        fs::remove_dir_all(&sub).unwrap();
    }));
    assert_eq!(sealed.warnings(), ["sub: vanished before it was read"]);
}

#[test]
fn a_folder_that_is_moved_away_while_it_is_walked_does_not_mislead_the_walk() {
    // So deep that the way back leads through `..`, and to another folder by then.
    let dir = tempdir().unwrap();
    let [tree, file, away] = ["tree", "file", "away"].map(|name| dir.path().join(name));
    fs::create_dir_all(&away).unwrap();
    fs::write(away.join("stray"), b"not of this tree").unwrap();
    let mut deep = tree.clone();
    for n in 0..40 {
        deep.push(format!("d{n}"));
        fs::create_dir_all(deep.join("sibling")).unwrap();
        fs::write(deep.join("sibling/file"), b"x").unwrap();
    }
    fs::write(deep.join("bottom"), b"x").unwrap();
    let moved = tree.join("d0/d1/d2");
    let (from, to) = (moved.clone(), away.join("d2"));
    let options = Options {
        watch: Watch::new(move |moment, path| {
            if moment == Moment::Walked && path.ends_with(b"/bottom") {
                fs::rename(&from, &to).unwrap();
            }
        }),
        ..Options::default()
    };
    let sealed = seal_to(&with(&tree, options), &plain(), &file).unwrap();
    let listed = sh("tar -tf $1", &[&file]);
    assert!(!listed.contains("stray"));
    assert!(listed.contains("bottom"));
    // What lies above the moved folder is complete.
    assert!(listed.contains("./d0/sibling/file"));
    assert!(listed.contains("./d0/d1/sibling/file"));
    assert!(sealed.warnings_total() <= 1, "{:?}", sealed.warnings());
}
