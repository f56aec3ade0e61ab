//! A store that nothing can be changed in: for restores, drills and dry runs.

use crate::{Error, ErrorKind, Key, Object, Result, Space, Store, Upload};
use std::{io::Read, time::SystemTime};

#[derive(Debug, Clone)]
pub struct ReadOnly<S>(S);

impl<S: Store> ReadOnly<S> {
    pub fn new(store: S) -> Self {
        ReadOnly(store)
    }

    fn refuse<T>(&self, action: &'static str, subject: &str) -> Result<T> {
        Err(Error::new(
            ErrorKind::Denied,
            action,
            subject,
            format!("{} was opened for reading only", self.place()),
        ))
    }
}

impl<S: Store> Store for ReadOnly<S> {
    fn place(&self) -> &str {
        self.0.place()
    }

    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.refuse("begin", key.as_str())
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        self.0.open(key)
    }

    fn open_cold(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        self.0.open_cold(key)
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        self.0.head(key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.0.list(prefix)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.refuse("delete", key.as_str())
    }

    fn link(&self, _from: &Key, to: &Key) -> Result<()> {
        self.refuse("link", to.as_str())
    }

    fn replace(&self, key: &Key, _bytes: &[u8]) -> Result<()> {
        self.refuse("replace", key.as_str())
    }

    fn space(&self) -> Result<Option<Space>> {
        self.0.space()
    }

    /// Unknown: to ask, some stores write a file.
    fn clock(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }

    fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
        if dry_run {
            self.0.sweep(true)
        } else {
            self.refuse("sweep", self.place())
        }
    }
}
