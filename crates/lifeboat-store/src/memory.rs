//! A store that lasts as long as the process: for tests and demonstrations.

use crate::{Error, ErrorKind, Key, Object, Result, Space, Store, Upload, key::is_listed};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    io::{self, Cursor, Read, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// Clones share their objects.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    objects: Arc<Mutex<BTreeMap<Key, Kept>>>,
}

#[derive(Debug, Clone)]
struct Kept {
    bytes: Arc<[u8]>,
    modified: SystemTime,
}

impl Memory {
    pub fn new() -> Self {
        Memory::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Kept>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, action: &'static str, key: &Key, kept: Kept) -> Result<Object> {
        match self.objects().entry(key.clone()) {
            Entry::Vacant(place) => Ok(object(key, place.insert(kept))),
            Entry::Occupied(_) => Err(taken(action, key)),
        }
    }

    fn find(&self, action: &'static str, key: &Key) -> Result<Kept> {
        self.objects().get(key).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                action,
                key.as_str(),
                "there is no such object",
            )
        })
    }
}

impl Store for Memory {
    fn place(&self) -> &str {
        "memory"
    }

    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        if self.objects().contains_key(key) {
            return Err(taken("begin", key));
        }
        Ok(Box::new(MemoryUpload {
            store: self.clone(),
            key: key.clone(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.find("open", key)?.bytes)))
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        Ok(self.objects().get(key).map(|kept| object(key, kept)))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let objects = self.objects();
        Ok(objects
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(prefix) && is_listed(key.as_str(), prefix))
            .map(|(key, kept)| object(key, kept))
            .collect())
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.objects().remove(key);
        Ok(())
    }

    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        let kept = self.find("link", from)?;
        self.add("link", to, kept).map(drop)
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.objects().insert(key.clone(), Kept::new(bytes.into()));
        Ok(())
    }

    fn space(&self) -> Result<Option<Space>> {
        Ok(None)
    }

    fn clock(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    fn sweep(&self, _dry_run: bool) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

struct MemoryUpload {
    store: Memory,
    key: Key,
    bytes: Vec<u8>,
}

impl Write for MemoryUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn commit(self: Box<Self>) -> Result<Object> {
        self.store
            .add("publish", &self.key, Kept::new(self.bytes.into()))
    }
}

impl Kept {
    fn new(bytes: Arc<[u8]>) -> Self {
        Kept {
            bytes,
            modified: SystemTime::now(),
        }
    }
}

fn object(key: &Key, kept: &Kept) -> Object {
    Object {
        key: key.clone(),
        size: kept.bytes.len() as u64,
        modified: Some(kept.modified),
    }
}

fn taken(action: &'static str, key: &Key) -> Error {
    Error::new(ErrorKind::Exists, action, key.as_str(), "the key is taken")
}
