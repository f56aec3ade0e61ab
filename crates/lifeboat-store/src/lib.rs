//! Places that keep bytes, and the one contract that they all keep.
//!
//! A store knows nothing of backups, tiers, retention or encryption: it has keys and bytes. What it
//! promises fits on this screen; [`lifeboat-testkit`'s `store_suite`] asks every implementation for it.
//! Behaviour is added by wrapping ([`Retrying`], [`ReadOnly`]), never by options inside a store.
//!
//! The contract is blocking on purpose: what reads from and writes to a store are threads that also
//! walk, compress and hash, and they gain nothing from tasks. A store over a network brings its own
//! runtime along.

mod error;
mod forward;
mod key;
pub mod lease;
mod local;
pub mod lock;
mod memory;
mod read_only;
mod retrying;

pub use error::{Error, ErrorKind, Result};
pub use key::{BadKey, Key};
pub use local::{Local, Probe, Weakness};
pub use memory::Memory;
pub use read_only::ReadOnly;
pub use retrying::{Patience, Retrying};

use std::{fmt, io, time::SystemTime};

/// Keeps objects that never change once they are there.
pub trait Store: Send + Sync + fmt::Debug {
    /// What a person calls it: a folder, a bucket. Never holds a secret.
    fn place(&self) -> &str;

    /// Starts an object. Nothing can be seen under `key` until [`Upload::commit`] has returned `Ok`,
    /// and then the whole object can, also after a power cut. Fails with [`ErrorKind::Exists`] (here
    /// or at the commit) when the key is taken: no object is ever overwritten.
    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>>;

    /// The whole object from its first byte. Fails with [`ErrorKind::NotFound`] when there is none.
    fn open(&self, key: &Key) -> Result<Box<dyn io::Read + Send>>;

    /// As [`Store::open`], from where the bytes rest and not from a cache of this machine, as far as
    /// the store can: for whoever wants to know what is really there.
    fn open_cold(&self, key: &Key) -> Result<Box<dyn io::Read + Send>> {
        self.open(key)
    }

    /// `None` when there is no such object; an error only when that could not be found out.
    fn head(&self, key: &Key) -> Result<Option<Object>>;

    /// Every committed object whose key starts with `prefix`, sorted by key. All of them or an error:
    /// a short list is never taken for a whole one. What is not an object of ours (a stray temporary
    /// file) is left out, and so is all below `.lifeboat/` unless the prefix begins with that name.
    fn list(&self, prefix: &str) -> Result<Vec<Object>>;

    /// Gone when this returns, also after a power cut. Deleting what is not there is no error.
    fn delete(&self, key: &Key) -> Result<()>;

    /// The same bytes under a second key, without moving them through this machine where the store
    /// can. Fails with [`ErrorKind::Exists`] when `to` is taken.
    fn link(&self, from: &Key, to: &Key) -> Result<()>;

    /// Puts `bytes` at `key` whether or not something is there; a reader sees the old or the new,
    /// never a mixture and never nothing. For the few small documents that do change (the catalogue,
    /// evidence added to a manifest).
    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()>;

    /// `None` where the store cannot say (most remote ones).
    fn space(&self) -> Result<Option<Space>>;

    /// The store's own clock, a second opinion on this machine's; `None` where it is the same one.
    fn clock(&self) -> Result<Option<SystemTime>>;

    /// Removes what unfinished uploads of dead runs left behind; says what. With `dry_run` only says.
    /// Never touches a committed object, a foreign file, or an upload in progress.
    fn sweep(&self, dry_run: bool) -> Result<Vec<String>>;
}

/// An object on its way. Dropping it without [`Upload::commit`] abandons it and leaves nothing behind.
pub trait Upload: io::Write + Send {
    /// Makes the object visible, and durable, in that order of promises: when this returns `Ok`, a power
    /// cut cannot take it away any more.
    fn commit(self: Box<Self>) -> Result<Object>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: Key,
    pub size: u64,
    /// When the store says that it was written. For people; age is judged by manifests.
    pub modified: Option<SystemTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// Bytes that this process may still write.
    pub free: u64,
}

/// A whole small object at once.
pub fn put(store: &dyn Store, key: &Key, bytes: &[u8]) -> Result<Object> {
    let mut upload = store.begin(key)?;
    io::Write::write_all(&mut upload, bytes).map_err(|e| Error::io("write", key.as_str(), e))?;
    upload.commit()
}

/// A whole small object at once, refused above `limit` bytes: what is read may be damaged or hostile.
pub fn get(store: &dyn Store, key: &Key, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(store.open(key)?, limit + 1), &mut bytes)
        .map_err(|e| Error::io("read", key.as_str(), e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "read",
            key.as_str(),
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}
