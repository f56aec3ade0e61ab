//! Every flipped bit and every cut of a stored backup is found. Most are looked for in this process: the
//! program's start would take longer than the look. A sample goes through the program.

use crate::world::{Dice, World, files};
use lifeboat_plan::BackupId;
use lifeboat_run::{
    Cancel, Keyring, Secret, authenticity::Authenticator, backup::Harbour, catalog::Catalog,
    keys::KeyTexts, state::State, unseal::Depth, verify::verify,
};
use lifeboat_store::Local;
use std::{collections::BTreeMap, fs, path::PathBuf};

const KEY: &str = "a key for signing, long enough";

struct Deaf;

impl lifeboat_run::Listener for Deaf {
    fn hear(&self, _: &lifeboat_plan::event::RunEvent) {}
}

struct Shelf {
    world: World,
    id: BackupId,
    state: State,
    store: Local,
    keys: Keyring,
    authenticator: Authenticator,
    /// The backup's own files, as they were written.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Shelf {
    fn new() -> Self {
        let world = World::new().with("BACKUP_SIGNING_KEY", KEY);
        world.write("photos/noise", lifeboat_testkit::noise(20_000, 9));
        let id: BackupId = world.back_up().parse().unwrap();
        let keys = Keyring::new(KeyTexts {
            signing: Some(Secret::new(KEY.to_owned())),
            ..KeyTexts::default()
        });
        let keys = keys.unwrap();
        let store = Local::existing(world.store()).unwrap();
        let own = files(world.store()).into_iter();
        let files: BTreeMap<PathBuf, Vec<u8>> = own
            .filter(|path| path.starts_with("daily"))
            .map(|path| {
                let bytes = fs::read(world.store().join(&path)).unwrap();
                (path, bytes)
            })
            .collect();
        assert_eq!(files.len(), 5, "two archives, two digests, the manifest");
        Shelf {
            id,
            state: State::new(store.clone(), "shop".parse().unwrap()),
            store,
            authenticator: Authenticator::new(&keys),
            keys,
            files,
            world,
        }
    }

    /// Whether the backup is taken for whole, with `bytes` in place of one of its files.
    fn is_whole_with(&self, path: &PathBuf, bytes: &[u8]) -> bool {
        self.lay(path, bytes);
        let harbour = Harbour {
            store: &self.store,
            state: &self.state,
            keys: &self.keys,
            authenticator: &self.authenticator,
        };
        let catalog = Catalog::read(harbour).unwrap();
        let now = chrono::Utc::now();
        let whole = catalog.get(&self.id).is_some_and(|item| {
            let checked = verify(item, Depth::Digest, harbour, now, &Cancel::default(), &Deaf);
            checked.is_ok_and(|checked| checked.is_whole() && checked.remarks.is_empty())
        });
        self.put_back();
        whole
    }

    fn lay(&self, path: &PathBuf, bytes: &[u8]) {
        // Never through the hard link of a longer tier.
        let at = self.world.store().join(path);
        fs::remove_file(&at).unwrap();
        fs::write(at, bytes).unwrap();
    }

    fn put_back(&self) {
        for (path, bytes) in &self.files {
            self.lay(path, bytes);
        }
        let record = format!(".lifeboat/quarantine/{}.json", self.id);
        let _ = fs::remove_file(self.world.store().join(record));
    }
}

#[test]
fn every_flipped_bit_of_a_backup_is_found() {
    flip(400, 12);
}

#[test]
#[ignore = "the same, for longer"]
fn slow_every_flipped_bit_of_a_backup_is_found() {
    flip(10_000, 100);
}

fn flip(flips: u64, by_program: u64) {
    let shelf = Shelf::new();
    let mut dice = Dice(0xb1f_f11b);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let paths: Vec<&PathBuf> = shelf.files.keys().collect();
    for path in &paths {
        assert!(shelf.is_whole_with(path, &shelf.files[*path]), "{path:?}");
    }
    for n in 0..flips {
        let path = paths[(n % paths.len() as u64) as usize];
        let mut bytes = shelf.files[path].clone();
        let at = dice.throw(bytes.len() as u64) as usize;
        let bit = dice.throw(8);
        bytes[at] ^= 1 << bit;
        let whole = shelf.is_whole_with(path, &bytes);
        assert!(!whole, "bit {bit} of byte {at} of {path:?} was not found");
        let kind = path.extension().unwrap().to_string_lossy().into_owned();
        *found.entry(kind).or_default() += 1;
    }
    for n in 0..by_program {
        // The digests beside the archives are for people; a wrong one is told, and no damage.
        let sealed = |path: &&&PathBuf| path.extension().is_some_and(|e| e != "sha256");
        let sealed: Vec<_> = paths.iter().filter(sealed).collect();
        let path = sealed[n as usize % sealed.len()];
        let mut bytes = shelf.files[*path].clone();
        let at = dice.throw(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.throw(8);
        shelf.lay(path, &bytes);
        let ended = shelf.world.run(&["verify", &shelf.id.to_string()]);
        // 12: what was flipped is the name of the key.
        assert!(matches!(ended.code(), Some(12 | 13)), "{ended}");
        shelf.put_back();
        *found.entry("by the program".to_owned()).or_default() += 1;
    }
    shelf
        .world
        .run(&["verify", &shelf.id.to_string()])
        .expect(0);
    let total = flips + by_program;
    println!("RELIABILITY program_flips={total} detected={total}");
    println!("{found:?}");
}

#[test]
fn every_cut_of_a_backup_is_found() {
    let shelf = Shelf::new();
    let mut cuts = 0;
    for (path, bytes) in &shelf.files {
        let step = (bytes.len() / 40).max(1);
        // The newline at the end of a manifest says nothing.
        let manifest = path.extension().is_some_and(|e| e == "json");
        let longest = bytes.len() - 1 - usize::from(manifest);
        for length in (0..longest).step_by(step).chain([longest]) {
            let whole = shelf.is_whole_with(path, &bytes[..length]);
            assert!(!whole, "{path:?} cut at {length}");
            cuts += 1;
        }
        let mut longer = bytes.clone();
        longer.extend(b"\0");
        assert!(
            !shelf.is_whole_with(path, &longer),
            "{path:?} with a byte more"
        );
    }
    println!("RELIABILITY program_cuts={cuts} detected={cuts}");
}

#[test]
fn a_manifest_that_another_key_signed_is_not_called_whole() {
    let shelf = Shelf::new();
    let world = shelf
        .world
        .with("BACKUP_SIGNING_KEY", "not the key it was signed with");
    let ended = world.run(&["verify", &shelf.id.to_string()]);
    let (what, _) = ended.expect(12).two_lines();
    assert!(what.contains("another key"), "{what}");
}

#[test]
fn a_wrong_digest_beside_a_whole_archive_is_told_and_put_right() {
    let shelf = Shelf::new();
    let path = shelf
        .files
        .keys()
        .find(|path| path.extension().is_some_and(|e| e == "sha256"));
    let path = path.unwrap();
    for bytes in [b"0000  x\n".to_vec(), Vec::new()] {
        shelf.lay(path, &bytes);
        let ended = shelf.world.run(&["verify", &shelf.id.to_string()]);
        ended.expect(0);
        assert!(ended.stdout().contains(".sha256"), "{ended}");
        let now = fs::read(shelf.world.store().join(path)).unwrap();
        assert_eq!(now, shelf.files[path]);
        let again = shelf.world.run(&["verify", &shelf.id.to_string()]);
        assert!(!again.expect(0).stdout().contains(".sha256"), "{again}");
    }
}
