//! What an archive says of one member.

use super::Segment;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative, without `.`, `..`, empty parts and final slash. Empty: the folder that was sealed itself.
    pub path: Vec<u8>,
    pub kind: Kind,
    pub meta: Meta,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File {
        /// Bytes of data in the stream.
        stored: u64,
    },
    /// `stored` bytes of data that belong at `segments` of a file of `size` bytes.
    Sparse {
        size: u64,
        segments: Vec<Segment>,
        stored: u64,
    },
    Folder,
    /// The target is any text at all; it is never followed here.
    Symlink {
        target: Vec<u8>,
    },
    /// The target is the path of an earlier entry that is no folder: mostly a file, but links and pipes
    /// can have several names, too.
    HardLink {
        target: Vec<u8>,
    },
    Fifo,
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime_seconds: i64,
    pub mtime_nanos: u32,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `SCHILY.acl.access` and `.default`, as text.
    pub acl_access: Option<Vec<u8>>,
    pub acl_default: Option<Vec<u8>>,
}
