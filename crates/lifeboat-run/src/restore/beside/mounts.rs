//! Other file systems that are mounted inside. They would travel with the folders that they are in, and
//! whatever removes those would empty them.

use super::{BesideError, Result};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

pub(super) fn refuse_inner(path: &Path) -> Result<()> {
    let failed = |action, what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| BesideError::Io {
            action,
            what,
            error,
        }
    };
    let real = fs::canonicalize(path).map_err(failed("look at", path))?;
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read(table).map_err(failed("read", table))?;
    match inner(&text, &real).first() {
        None => Ok(()),
        Some(point) => Err(BesideError::Refused(format!(
            "something else is mounted at {} in it; unmount that, or restore with --to DIR",
            point.strip_prefix(&real).unwrap_or(point).display()
        ))),
    }
}

fn inner(table: &[u8], folder: &Path) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    let is_inner = |point: &PathBuf| point != folder && point.starts_with(folder);
    points.filter(is_inner).collect()
}

/// `\040` is a blank.
fn unescaped(point: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(point.len());
    let mut rest = point;
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| first == b'\\');
        let code = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_inside_is_found_and_the_folder_itself_is_not() {
        let table = b"22 1 0:20 / / rw - ext4 /dev/vda rw\n\
            23 22 0:21 / /srv/app rw - ext4 /dev/vda rw\n\
            24 22 0:22 / /srv/app/a\\040b rw - nfs nas:/ rw\n\
            25 22 0:23 / /srv/apple rw - nfs nas:/ rw\n";
        let found = inner(table, Path::new("/srv/app"));
        assert_eq!(found, [PathBuf::from("/srv/app/a b")]);
        assert!(inner(table, Path::new("/srv/apple")).is_empty());
    }
}
