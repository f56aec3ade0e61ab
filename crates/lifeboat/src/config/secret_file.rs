//! A value that lies in a file of its own, as Docker's and Kubernetes' secrets do.

use super::mistake::Complaint;
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Keys are short; whatever is longer is not a key but a slip in the path.
const BYTES_MAX: u64 = 64 * 1024;

/// The value, without the line end that editors and `echo` put behind it; and whether everybody may
/// read it.
pub(super) fn value(path: &Path) -> Result<(String, bool), Complaint> {
    let (mut value, world_readable) = text(path, BYTES_MAX)?;
    value.truncate(value.trim_end_matches(['\n', '\r']).len());
    if value.trim().is_empty() {
        return Err(Complaint::new(
            "the file is empty",
            "write the value into it, or take the setting away",
        ));
    }
    Ok((value, world_readable))
}

pub(super) fn text(path: &Path, bytes_max: u64) -> Result<(String, bool), Complaint> {
    let (file, world_readable) = open(path).map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(Complaint::new(
            format!("the file has more than {bytes_max} bytes"),
            "check the path: it should name a small text file",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Complaint::new(
            "the file holds something else than text in UTF-8",
            "check the path, and how the file was made",
        )
    })?;
    Ok((text, world_readable))
}

/// Opened without waiting: a pipe that nobody writes to would hold the program at its start.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok((file, metadata.mode() & 0o004 != 0))
}

fn unreadable(path: &Path, error: &io::Error) -> Complaint {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "check the path as seen from inside the container".to_owned(),
        io::ErrorKind::IsADirectory => format!(
            "name the file itself; Docker makes an empty folder where the file to mount is missing: \
             rmdir {} on the host",
            path.display()
        ),
        io::ErrorKind::PermissionDenied => {
            "let the user that the container runs as read it".to_owned()
        }
        _ => "name a regular file".to_owned(),
    };
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "the file cannot be read".to_owned(),
        _ => format!("the file cannot be read: {error}"),
    };
    Complaint::new(reason, hint)
}
