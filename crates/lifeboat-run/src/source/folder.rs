//! A folder (a mounted volume) as a tar stream: everything in it, as it is, once.
//!
//! What goes in: regular files, folders, symbolic and hard links, FIFOs and devices (by their headers,
//! never opened), with owner, mode, times to the nanosecond, extended attributes, ACLs, and holes as
//! holes. A SQLite database is there as a consistent copy, without its companions. Sockets mean nothing without the process behind them: they are listed in the facts and left
//! out. So are pseudo file systems; other mounts below the folder are part of it.
//!
//! Names are those of `tar -C FOLDER -c .`: `./`, `./a/b`. Order is that of the file system: within
//! each batch of directory entries by inode, which a disk reads fastest; files before subfolders.
//!
//! Memory does not grow with the folder, except for 20 bytes or so for each hard link whose other
//! names have not been met yet, and the names of subfolders on the way down.

mod batch;
mod entry;
mod extended;
mod file;
mod handle;
mod header;
mod walk;

use super::{Captured, Flow, Source, SourceError};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One folder, or several that share an archive.
#[derive(Debug)]
pub struct Folder {
    name: String,
    roots: Vec<Root>,
    exclude: Gitignore,
    options: Options,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Patterns as in a `.gitignore` at the top of the folder.
    pub exclude: Vec<String>,
    pub on_changed: OnChanged,
    /// Entries that the last backup of this source held: one that has none now is not believed.
    pub entries_before: Option<u64>,
    /// Where consistent copies of SQLite databases are made, which then stand in for what lies in the
    /// folder; with `None`, databases are files like any other.
    pub scratch: Option<PathBuf>,
    /// For tests: told when a file is at a certain point, on the thread that is about to go on.
    #[doc(hidden)]
    pub watch: Watch,
}

/// What a file that changes while it is read is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnChanged {
    #[default]
    Warn,
    Fail,
}

/// Where a file is on its way into the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The walk has seen it.
    Walked,
    /// It is open, and its header says how many bytes will follow.
    Opened,
}

type Watching = dyn Fn(Moment, &[u8]) + Send + Sync;

#[derive(Clone, Default)]
pub struct Watch(Option<Arc<Watching>>);

impl Watch {
    pub fn new(watching: impl Fn(Moment, &[u8]) + Send + Sync + 'static) -> Self {
        Watch(Some(Arc::new(watching)))
    }

    fn at(&self, moment: Moment, path: &[u8]) {
        if let Some(watching) = &self.0 {
            watching(moment, path);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch" } else { "-" })
    }
}

#[derive(Debug)]
struct Root {
    /// What stands for the folder in the archive: `.`, or `./storage` in a bundle.
    prefix: Vec<u8>,
    path: PathBuf,
}

impl Folder {
    pub fn new(
        name: impl Into<String>,
        path: impl Into<PathBuf>,
        options: Options,
    ) -> Result<Self, SourceError> {
        let root = Root {
            prefix: b".".to_vec(),
            path: path.into(),
        };
        Self::of(name.into(), vec![root], options)
    }

    /// Several folders in one archive, each below its own name.
    pub fn bundle(
        name: impl Into<String>,
        folders: impl IntoIterator<Item = (String, PathBuf)>,
        options: Options,
    ) -> Result<Self, SourceError> {
        let roots = folders.into_iter().map(|(name, path)| Root {
            prefix: format!("./{name}").into_bytes(),
            path,
        });
        Self::of(name.into(), roots.collect(), options)
    }

    fn of(name: String, roots: Vec<Root>, options: Options) -> Result<Self, SourceError> {
        Ok(Folder {
            exclude: exclude(&options.exclude)?,
            name,
            roots,
            options,
        })
    }
}

impl Source for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &str {
        "files"
    }

    fn ending(&self) -> &str {
        "tar"
    }

    fn pour(&self, flow: &mut Flow<'_>) -> Result<Captured, SourceError> {
        walk::pour(self, flow)
    }
}

fn exclude(patterns: &[String]) -> Result<Gitignore, SourceError> {
    let mut builder = GitignoreBuilder::new(Path::new(""));
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| {
            SourceError::Refused(format!(
                "the exclude pattern {pattern:?} means nothing: {error}"
            ))
        })?;
    }
    builder.build().map_err(|error| {
        SourceError::Refused(format!("the exclude patterns mean nothing: {error}"))
    })
}
