//! What our own seal makes comes back, all of it.

use crate::kit::{Sample, assert_same, key_pair, temp, with_passphrase};
use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel, Keyring, keys,
    seal::{Recipe, seal},
    source::{self, Folder, Source},
    unseal::{Depth, Options},
};
use lifeboat_store::{Key, Memory, Store};
use lifeboat_testkit::SampleTree;
use std::{io::Read, path::Path};

fn sealed(tree: &Path, compression: Compression, seal_with: keys::Seal) -> Sample {
    let source = Folder::new("storage", tree, source::Options::default()).unwrap();
    let store = Memory::new();
    let key = Key::new("daily/x.storage.tar").unwrap();
    let recipe = Recipe {
        compression,
        level: compression.levels().1,
        threads: 2,
        seal: seal_with,
    };
    let cancel = Cancel::default();
    let sealed = seal(&source, &recipe, store.begin(&key).unwrap(), &cancel, &()).unwrap();
    let mut stored = Vec::new();
    store.open(&key).unwrap().read_to_end(&mut stored).unwrap();
    Sample {
        stored,
        archive: sealed.into_archive(&source as &dyn Source, "x.storage.tar"),
    }
}

#[test]
fn a_tree_of_everything_comes_back_through_every_compression_and_encryption() {
    let temp_source = temp();
    let tree = temp_source.path().join("tree");
    SampleTree::everything(&tree).unwrap();
    // Nothing restores a socket: its program makes a new one.
    crate::kit::sh(
        &tree,
        "for s in $(find . -type s -printf '%h\\n' | sort -u); do t=$(stat -c %y $s); find $s -maxdepth 1 -type s -delete; touch -d \"$t\" $s; done",
    );
    let (keys, _) = key_pair();
    let phrase = with_passphrase("correct horse battery staple");
    for compression in Compression::ALL {
        for keys in [&Keyring::none(), &keys, &phrase] {
            let sample = sealed(&tree, compression, keys.seal.clone());
            sample.check(Depth::Digest, keys).unwrap();
            sample.check(Depth::Deep, keys).unwrap();
            let target = temp();
            let options = Options {
                allow_devices: true,
                ..Options::default()
            };
            let extracted = sample.extract_with(keys, target.path(), &options).unwrap();
            assert_eq!(extracted.warnings, [] as [&str; 0]);
            assert_same(&tree, target.path());
        }
    }
}
