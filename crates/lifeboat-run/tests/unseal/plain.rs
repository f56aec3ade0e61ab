//! Plain bytes that somebody else unseals: all of them as they were sealed, or nothing counts.

use crate::kit::{Sample, assert_same, count_entries, odd_tree, sh, temp};
use lifeboat_run::{
    Cancel,
    unseal::{Extracted, Options, Promise, UnsealError, extract_plain},
};
use std::{fs, io::Cursor};

fn extracted(plain: &[u8], promise: &Promise) -> Result<Extracted, UnsealError> {
    let into = temp();
    extract_plain(
        Cursor::new(plain),
        promise,
        into.path(),
        &Options::default(),
        &Cancel::default(),
        &(),
    )
}

#[test]
fn plain_bytes_are_believed_when_all_of_them_came_as_they_were_sealed() {
    let (source, out, into) = (temp(), temp(), temp());
    odd_tree(source.path());
    // These are left out without being asked for.
    sh(
        source.path(),
        "rm -f char block; touch -d '2003-03-03 03:03:03.333333333' .",
    );
    let tar = out.path().join("x.tar");
    let script = format!(
        "tar --format=pax --xattrs --xattrs-include='*' --acls -S --sort=name -cf {} .",
        tar.display()
    );
    sh(source.path(), &script);
    let plain = fs::read(&tar).unwrap();
    let sample = Sample::new(&plain, Some(count_entries(&tar)));
    let promise = Promise::of(&sample.archive).unwrap();

    // What follows belongs to somebody else, and is not read.
    let mut longer = Cursor::new([&plain[..], b"more"].concat());
    let done = extract_plain(
        &mut longer,
        &promise,
        into.path(),
        &Options::default(),
        &Cancel::default(),
        &(),
    )
    .unwrap();
    assert_eq!(longer.position(), plain.len() as u64);
    assert_eq!(Some(done.entries), sample.archive.entries);
    assert!(done.has_root);
    assert_same(source.path(), into.path());

    for end in [0, 512, plain.len() / 2, plain.len() - 512, plain.len() - 1] {
        let error = extracted(&plain[..end], &promise).unwrap_err();
        assert!(
            matches!(error, UnsealError::Damaged { .. }),
            "{end}: {error}"
        );
    }
    let mut other = plain.clone();
    let at = plain.windows(3).position(|three| three == b"far").unwrap();
    other[at] = b'c';
    let error = extracted(&other, &promise).unwrap_err();
    assert!(error.to_string().contains("XXH3"), "{error}");
    let fewer = Promise {
        entries: promise.entries + 1,
        ..promise
    };
    assert!(extracted(&plain, &fewer).is_err());
}
