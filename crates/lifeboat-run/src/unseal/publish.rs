//! From the staging folder to where the files belong, in one step.

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Exit code 14: nothing was touched.
    #[error("{} is not empty", .target.display())]
    Occupied { target: PathBuf },
    #[error("cannot {action} {}: {error}", .what.display())]
    Io {
        action: &'static str,
        what: PathBuf,
        error: std::io::Error,
    },
}

/// Makes `staging` durable and renames it to `target`, which must not exist or be an empty folder on the
/// same file system. Whoever looks sees nothing or everything; when this returns `Ok`, a power cut cannot
/// take it away any more.
pub fn publish(staging: &Path, target: &Path) -> Result<(), PublishError> {
    let failed = |action: &'static str, what: &Path, errno: Errno| PublishError::Io {
        action,
        what: what.to_owned(),
        error: errno.into(),
    };
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = |path: &Path| {
        rustix::fs::open(path, folder, Mode::empty()).map_err(|errno| failed("open", path, errno))
    };

    let staged = open(staging)?;
    let parents = [open(parent(target))?, open(parent(staging))?];
    // All files at once: one by one, a hundred thousand of them would take a hundred thousand commits.
    rustix::fs::syncfs(&staged).map_err(|errno| failed("sync", staging, errno))?;
    // Of a folder, a plain rename replaces an empty folder, and nothing else that is there.
    match rustix::fs::rename(staging, target) {
        Ok(()) => {}
        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {
            return Err(PublishError::Occupied {
                target: target.to_owned(),
            });
        }
        Err(errno) => return Err(failed("move the restored files to", target, errno)),
    }
    for parent_folder in &parents {
        rustix::fs::fsync(parent_folder).map_err(|errno| failed("sync", parent(target), errno))?;
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
