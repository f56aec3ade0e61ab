//! File systems of our own, for the time of a test: small ones, full ones, ones that lose their power.
//!
//! Only root may mount. For anybody else these return `None`, and say so.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A folder that needs no disk, where there is one: syncs, and disks in files, take no time in it.
pub fn fast_dir() -> io::Result<TempDir> {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
}

/// A mounted file system; unmounted when it is dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
    /// Removed after the mount: fields are dropped after `drop`.
    dir: Option<TempDir>,
}

/// A disk in a file.
#[derive(Debug)]
pub struct Disk {
    kind: &'static str,
    file: PathBuf,
}

impl Mount {
    /// `options` as for mount: `size=64k`, `nr_inodes=10`.
    pub fn tmpfs(options: &str) -> Option<Mount> {
        let dir = TempDir::new().ok()?;
        let mut mount = Mount::tmpfs_at(dir.path(), options)?;
        mount.dir = Some(dir);
        Some(mount)
    }

    pub fn tmpfs_at(at: &Path, options: &str) -> Option<Mount> {
        let mounted = run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", text(at)]);
        possible("mount a tmpfs", mounted)?;
        Some(Mount {
            at: at.to_owned(),
            dir: None,
        })
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    /// # Errors
    /// As mount says it; the mount goes on as it was.
    pub fn remount(&self, options: &str) -> io::Result<()> {
        run(
            "mount",
            &["-o", &format!("remount,{options}"), text(&self.at)],
        )
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if run("umount", &[text(&self.at)]).is_err() {
            let _ = run("umount", &["--lazy", text(&self.at)]);
        }
    }
}

impl Disk {
    pub const KINDS: [&str; 3] = ["ext4", "xfs", "btrfs"];

    /// Formats a new disk in the file `at`, which takes as little space as the file system does.
    pub fn format(kind: &'static str, at: PathBuf) -> Option<Disk> {
        let mib = if kind == "xfs" { 320 } else { 128 };
        let file = std::fs::File::create(&at).and_then(|f| f.set_len(mib << 20));
        possible("make a disk image", file)?;
        let force = if kind == "ext4" { "-F" } else { "-f" };
        let made = run(&format!("mkfs.{kind}"), &["-q", force, text(&at)]);
        possible(&format!("format {kind}"), made)?;
        Some(Disk { kind, file: at })
    }

    /// A copy of the disk as it is at this instant, without asking the file system on it for
    /// anything: what would be there after a power cut.
    pub fn cut_power(&self, copy: PathBuf) -> io::Result<Disk> {
        run("cp", &["--sparse=always", text(&self.file), text(&copy)])?;
        Ok(Disk {
            kind: self.kind,
            file: copy,
        })
    }

    /// Of a disk and its copies, one at a time: btrfs takes them for one.
    pub fn mount(&self, at: &Path) -> Option<Mount> {
        std::fs::create_dir_all(at).ok()?;
        let options = match self.kind {
            "xfs" => "loop,nouuid",
            _ => "loop",
        };
        if self.kind == "btrfs" {
            let _ = run("btrfs", &["device", "scan", "--forget"]);
        }
        let mounted = run("mount", &["-o", options, text(&self.file), text(at)]);
        possible(&format!("mount {}", self.kind), mounted)?;
        Some(Mount {
            at: at.to_owned(),
            dir: None,
        })
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

fn run(program: &str, args: &[&str]) -> io::Result<()> {
    let done = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!(
        "{program} {args:?}: {}",
        said.trim()
    )))
}

#[allow(clippy::print_stdout)]
fn possible<T>(what: &str, done: io::Result<T>) -> Option<T> {
    done.inspect_err(|e| println!("SKIPPED: cannot {what}: {e}"))
        .ok()
}
