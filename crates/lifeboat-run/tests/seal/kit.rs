//! What these tests share.

use lifeboat_plan::Compression;
use lifeboat_run::{
    Cancel, keys,
    seal::{Recipe, SealError, Sealed, seal},
    source::{Folder, Options, Source},
};
use lifeboat_store::{Key, Object, Upload};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Stores into a file, and knows whether it was committed.
#[derive(Debug, Clone, Default)]
pub struct Place {
    pub committed: Arc<AtomicBool>,
    pub abandoned: Arc<AtomicBool>,
}

struct ToFile {
    file: fs::File,
    size: u64,
    place: Place,
}

impl Place {
    pub fn upload(&self, to: &Path) -> Box<dyn Upload> {
        Box::new(ToFile {
            file: fs::File::create(to).unwrap(),
            size: 0,
            place: self.clone(),
        })
    }

    pub fn was_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst) && !self.committed.load(Ordering::SeqCst)
    }
}

impl Write for ToFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.file.write(bytes)?;
        self.size += size as u64;
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for ToFile {
    fn commit(self: Box<Self>) -> lifeboat_store::Result<Object> {
        self.place.committed.store(true, Ordering::SeqCst);
        Ok(Object {
            key: Key::new("sealed").unwrap(),
            size: self.size,
            modified: None,
        })
    }
}

impl Drop for ToFile {
    fn drop(&mut self) {
        self.place.abandoned.store(true, Ordering::SeqCst);
    }
}

pub fn recipe(compression: Compression) -> Recipe {
    Recipe {
        compression,
        level: compression.levels().1,
        threads: 3,
        seal: keys::Seal::Open,
    }
}

pub fn plain() -> Recipe {
    recipe(Compression::None)
}

pub fn folder(path: &Path) -> Folder {
    with(path, Options::default())
}

pub fn with(path: &Path, options: Options) -> Folder {
    Folder::new("storage", path, options).unwrap()
}

pub fn seal_to(source: &dyn Source, recipe: &Recipe, to: &Path) -> Result<Sealed, SealError> {
    seal(
        source,
        recipe,
        Place::default().upload(to),
        &Cancel::default(),
        &(),
    )
}

/// Whether a tool is there; says so aloud when it is not.
pub fn has(tool: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: {tool} is not installed");
    }
    found
}

/// Runs a shell line that must succeed; `$1`, `$2` … are the arguments.
pub fn sh(line: &str, arguments: &[&Path]) -> String {
    let output = try_sh(line, arguments);
    assert!(
        output.status.success(),
        "{line}: {:.2000}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn try_sh(line: &str, arguments: &[&Path]) -> Output {
    Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {line}"), "sh"])
        .args(arguments)
        .output()
        .unwrap()
}

/// Seals `tree` in `dir` in a process of its own and gives back what it told: an error, or counts; and
/// in any case its `/proc/self/status`. `before` comes before the command in a shell line.
pub fn child(dir: &Path, recipe: &str, before: &str) -> String {
    fs::write(dir.join("recipe"), recipe).unwrap();
    let this = std::env::current_exe().unwrap();
    let run = "--exact bounds::child_process --ignored --test-threads 1";
    sh(
        &format!("cd $1 && rm -f told && {before} $2 {run}"),
        &[dir, &this],
    );
    fs::read_to_string(dir.join("told")).unwrap()
}

/// Bytes that cannot be compressed, the same ones for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// A folder with what most folders have: texts, noise, an empty file, subfolders, links.
pub fn sample(at: &Path) {
    fs::create_dir_all(at.join("a/b/c")).unwrap();
    fs::write(at.join("empty"), b"").unwrap();
    fs::write(at.join("text"), b"the same line again\n".repeat(300_000)).unwrap();
    fs::write(at.join("a/noise"), noise(7_000_001, 7)).unwrap();
    for n in 0..300 {
        fs::write(at.join(format!("a/b/{n}")), noise(n * 37, n as u64)).unwrap();
    }
    std::os::unix::fs::symlink("../text", at.join("a/link")).unwrap();
    fs::hard_link(at.join("a/noise"), at.join("a/b/c/other name")).unwrap();
}
