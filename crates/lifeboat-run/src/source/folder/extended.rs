//! Extended attributes, ACLs and capabilities, as PAX records.
//!
//! Every attribute becomes a `SCHILY.xattr.NAME` record, its value byte for byte: GNU tar (`--xattrs`),
//! bsdtar and we restore those. ACLs are written a second time as text (`SCHILY.acl.access`,
//! `SCHILY.acl.default`), which is what `tar --acls` looks for. Not written: labels that belong to the
//! host's policy or to the inode (`security.selinux`, `security.evm`).

use super::header;
use rustix::{buffer::spare_capacity, fs, io::Errno};
use std::{
    ffi::CStr,
    fmt::Write,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::PathBuf,
};

/// The kernel's own limits for the list of names and for one value.
const LIST_MAX: usize = 64 << 10;
const VALUE_MAX: usize = 64 << 10;

/// Whose attributes are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    Open(BorrowedFd<'a>),
    /// What cannot or must not be opened: links, FIFOs, devices.
    Named(BorrowedFd<'a>, &'a CStr),
}

/// Reads attributes; its buffers serve one file after the other.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    names: Vec<u8>,
    value: Vec<u8>,
    records: Vec<u8>,
}

impl Attributes {
    /// The records of one file. An attribute that cannot be read is told to `lost` by name.
    pub(super) fn records(&mut self, of: Of<'_>, mut lost: impl FnMut(&str, Errno)) -> &[u8] {
        self.records.clear();
        let place = match of {
            Of::Open(_) => PathBuf::new(),
            Of::Named(dir, name) => {
                let mut place = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
                place.push(
                    <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name.to_bytes()),
                );
                place
            }
        };
        self.names.clear();
        self.names.reserve(LIST_MAX.min(1024));
        loop {
            let list = spare_capacity(&mut self.names);
            let listed = match of {
                Of::Open(fd) => fs::flistxattr(fd, list),
                Of::Named(..) => fs::llistxattr(&place, list),
            };
            match listed {
                Ok(_) => break,
                Err(Errno::RANGE) if self.names.capacity() < LIST_MAX => {
                    self.names.reserve(LIST_MAX);
                }
                // A file system without attributes, or no /proc.
                Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOENT) => return &[],
                Err(error) => {
                    lost("extended attributes", error);
                    return &[];
                }
            }
        }
        let Attributes {
            names,
            value,
            records,
        } = self;
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else {
                continue;
            };
            if matches!(name.to_bytes(), b"security.selinux" | b"security.evm") {
                continue;
            }
            value.clear();
            value.reserve(VALUE_MAX);
            let room = spare_capacity(value);
            let got = match of {
                Of::Open(fd) => fs::fgetxattr(fd, name, room),
                Of::Named(..) => fs::lgetxattr(&place, name, room),
            };
            match got {
                Ok(_) => append(records, name.to_bytes(), value),
                // Removed between the list and the question.
                Err(Errno::NODATA) => {}
                Err(error) => lost(&name.to_string_lossy(), error),
            }
        }
        records
    }
}

impl<'a> Of<'a> {
    pub(super) fn open(fd: &'a impl AsFd) -> Self {
        Of::Open(fd.as_fd())
    }
}

fn append(records: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut key = b"SCHILY.xattr.".to_vec();
    for byte in name {
        match byte {
            b'=' => key.extend_from_slice(b"%3D"),
            b'%' => key.extend_from_slice(b"%25"),
            byte => key.push(*byte),
        }
    }
    header::record(records, &key, value);
    let text_key: &[u8] = match name {
        b"system.posix_acl_access" => b"SCHILY.acl.access",
        b"system.posix_acl_default" => b"SCHILY.acl.default",
        _ => return,
    };
    if let Some(text) = acl_text(value) {
        header::record(records, text_key, text.as_bytes());
    }
}

/// The kernel's form of a POSIX ACL (version 2: entries of tag, permissions, id) as `getfacl -n` text.
fn acl_text(value: &[u8]) -> Option<String> {
    let (version, entries) = value.split_first_chunk::<4>()?;
    let (entries, []) = entries.as_chunks::<8>() else {
        return None;
    };
    if u32::from_le_bytes(*version) != 2 {
        return None;
    }
    let mut text = String::new();
    for &[tag, tag_high, rights, rights_high, id @ ..] in entries {
        let id = u32::from_le_bytes(id);
        let (kind, named) = match u16::from_le_bytes([tag, tag_high]) {
            0x01 => ("user", false),
            0x02 => ("user", true),
            0x04 => ("group", false),
            0x08 => ("group", true),
            0x10 => ("mask", false),
            0x20 => ("other", false),
            _ => return None,
        };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(kind);
        text.push(':');
        if named {
            let _ = write!(text, "{id}");
        }
        text.push(':');
        let rights = u16::from_le_bytes([rights, rights_high]);
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if rights & bit > 0 { letter } else { '-' });
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_reads_as_getfacl_prints_it() {
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, id) in [
            (0x01_u16, 7_u16, u32::MAX),
            (0x02, 4, 1001),
            (0x04, 5, u32::MAX),
            (0x10, 5, u32::MAX),
            (0x20, 0, u32::MAX),
        ] {
            value.extend(tag.to_le_bytes());
            value.extend(rights.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        assert_eq!(
            acl_text(&value).as_deref(),
            Some("user::rwx,user:1001:r--,group::r-x,mask::r-x,other::---")
        );
        assert_eq!(acl_text(&value[..value.len() - 1]), None);
        assert_eq!(acl_text(b"\x03\0\0\0"), None);
    }
}
