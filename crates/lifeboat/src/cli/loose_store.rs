//! One archive file, seen as a store that holds nothing else: so a restore from a USB stick goes the same
//! way, with the same checks, as one from the store.

use super::loose::Loose;
use lifeboat_plan::{Name, Tier};
use lifeboat_run::{layout, state::State};
use lifeboat_store::{Error, ErrorKind, Key, Local, Object, Result, Space, Store, Upload};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

#[derive(Debug)]
pub struct LooseStore {
    path: PathBuf,
    place: String,
    key: Key,
}

impl LooseStore {
    pub fn new(loose: &Loose, tier: Tier) -> Result<Self> {
        Ok(LooseStore {
            path: loose.path.clone(),
            place: loose.path.display().to_string(),
            key: layout::archive(tier, &loose.file)?,
        })
    }

    fn nothing_else<T>(&self, action: &'static str, key: &Key) -> Result<T> {
        let detail = format!("there is only {}", self.place);
        Err(Error::new(
            ErrorKind::NotFound,
            action,
            key.as_str(),
            detail,
        ))
    }

    fn read_only<T>(&self, action: &'static str) -> Result<T> {
        let detail = "a single file is only read from";
        Err(Error::new(ErrorKind::Denied, action, &self.place, detail))
    }
}

impl Store for LooseStore {
    fn place(&self) -> &str {
        &self.place
    }

    /// The record of a restore is written to the store it came from. Here there is none to write to.
    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(Unkept(key.clone())))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        if *key != self.key {
            return self.nothing_else("open", key);
        }
        let file = File::open(&self.path).map_err(|e| Error::io("open", &self.place, e))?;
        Ok(Box::new(file))
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        if *key != self.key {
            return Ok(None);
        }
        let meta = self
            .path
            .metadata()
            .map_err(|e| Error::io("look at", &self.place, e))?;
        Ok(Some(Object {
            key: key.clone(),
            size: meta.len(),
            modified: meta.modified().ok(),
        }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        match self.key.as_str().starts_with(prefix) {
            true => Ok(self.head(&self.key)?.into_iter().collect()),
            false => Ok(Vec::new()),
        }
    }

    fn delete(&self, _: &Key) -> Result<()> {
        self.read_only("delete from")
    }

    fn link(&self, _: &Key, _: &Key) -> Result<()> {
        self.read_only("link in")
    }

    fn replace(&self, _: &Key, _: &[u8]) -> Result<()> {
        self.read_only("write to")
    }

    fn space(&self) -> Result<Option<Space>> {
        Ok(None)
    }

    fn clock(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    fn sweep(&self, _: bool) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A state folder for as long as one restore lasts: the file's own folder is not ours to write into.
#[derive(Debug)]
pub struct PassingState {
    pub state: State,
    root: PathBuf,
}

impl PassingState {
    pub fn beside(target: &Path, instance: &Name) -> Result<Self> {
        let parent = target.parent().unwrap_or(target);
        let there = parent
            .ancestors()
            .find(|path| path.is_dir())
            .unwrap_or(parent);
        let root = there.join(format!(".lifeboat-state-{}", std::process::id()));
        let local = Local::open_or_create(&root)?;
        Ok(PassingState {
            state: State::new(local, instance.clone()),
            root,
        })
    }
}

impl Drop for PassingState {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

struct Unkept(Key);

impl Write for Unkept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Unkept {
    fn commit(self: Box<Self>) -> Result<Object> {
        Ok(Object {
            key: self.0,
            size: 0,
            modified: None,
        })
    }
}
