//! A store whose Nth operation fails.

use crate::suite::noise;
use lifeboat_store::{Error, ErrorKind, Key, Object, Result, Space, Store, Upload};
use std::{
    io::{self, Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space: at whatever writes.
    Full,
    /// No right: at everything but a read that has begun.
    Denied,
    /// A reset connection: at everything.
    Passing,
    /// What changes the store is done, and reported as [`Fault::Passing`].
    AnswerLost,
    /// A read succeeds, with one bit wrong.
    FlipBit,
    /// A read ends early, as if that was the end.
    CutRead,
}

/// Which operation fails, and a record of what was done. Clones share it.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    fault: Fault,
    nth: u64,
    /// Operations that this fault can strike.
    count: AtomicU64,
    struck: Mutex<Option<String>>,
}

#[derive(Debug)]
pub struct FaultyStore<S> {
    store: S,
    faults: Faults,
}

/// Runs `scenario` with the first operation failing, then the second, and so on until it runs
/// through without meeting the fault. Returns how many faults were met: all that there are.
///
/// # Panics
/// When not even the first was met: a scenario that cannot fail proves nothing.
pub fn at_every_step(fault: Fault, mut scenario: impl FnMut(&Faults)) -> u64 {
    for nth in 1.. {
        let faults = Faults::at(fault, nth);
        scenario(&faults);
        if faults.struck().is_none() {
            assert!(nth > 1, "{fault:?} never struck");
            return nth - 1;
        }
    }
    unreachable!("a scenario ends")
}

impl Faults {
    /// The `nth` operation that `fault` can strike fails; counted from 1.
    pub fn at(fault: Fault, nth: u64) -> Self {
        Faults(Arc::new(Shared {
            fault,
            nth,
            count: AtomicU64::new(0),
            struck: Mutex::new(None),
        }))
    }

    pub fn wrap<S: Store>(&self, store: S) -> FaultyStore<S> {
        FaultyStore {
            store,
            faults: self.clone(),
        }
    }

    /// The operation that failed: `commit daily/a.tar`.
    pub fn struck(&self) -> Option<String> {
        self.0.struck.lock().expect("nobody panics in here").clone()
    }

    /// How many operations this fault could have struck so far.
    pub fn operations(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    fn strikes(&self, action: &str, subject: &str) -> bool {
        let now = self.0.count.fetch_add(1, Ordering::Relaxed) + 1 == self.0.nth;
        if now {
            *self.0.struck.lock().expect("nobody panics in here") =
                Some(format!("{action} {subject}"));
        }
        now
    }

    fn kind(&self) -> ErrorKind {
        match self.0.fault {
            Fault::Full => ErrorKind::Full,
            Fault::Denied => ErrorKind::Denied,
            _ => ErrorKind::Passing,
        }
    }

    fn error(&self, action: &'static str, subject: &str) -> Error {
        Error::new(self.kind(), action, subject, "it was made to fail")
    }

    fn io_error(&self) -> io::Error {
        let kind = match self.0.fault {
            Fault::Full => io::ErrorKind::StorageFull,
            Fault::Denied => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::ConnectionReset,
        };
        io::Error::new(kind, "it was made to fail")
    }

    fn looking<T>(
        &self,
        action: &'static str,
        subject: &str,
        operation: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let eligible = matches!(self.0.fault, Fault::Denied | Fault::Passing);
        if eligible && self.strikes(action, subject) {
            return Err(self.error(action, subject));
        }
        operation()
    }

    fn changing<T>(
        &self,
        action: &'static str,
        subject: &str,
        operation: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let fault = self.0.fault;
        if matches!(fault, Fault::FlipBit | Fault::CutRead) || !self.strikes(action, subject) {
            return operation();
        }
        if fault == Fault::AnswerLost {
            operation()?;
        }
        Err(self.error(action, subject))
    }
}

impl<S: Store> FaultyStore<S> {
    fn reading(&self, key: &Key, inner: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        Box::new(FaultyRead {
            inner,
            key: key.clone(),
            faults: self.faults.clone(),
            ended: false,
        })
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn place(&self) -> &str {
        self.store.place()
    }

    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let inner = self
            .faults
            .changing("begin", key.as_str(), || self.store.begin(key))?;
        Ok(Box::new(FaultyUpload {
            inner,
            key: key.clone(),
            faults: self.faults.clone(),
        }))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        let opened = self
            .faults
            .looking("open", key.as_str(), || self.store.open(key))?;
        Ok(self.reading(key, opened))
    }

    fn open_cold(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        let opened = self
            .faults
            .looking("open", key.as_str(), || self.store.open_cold(key))?;
        Ok(self.reading(key, opened))
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        self.faults
            .looking("look at", key.as_str(), || self.store.head(key))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.faults
            .looking("list", prefix, || self.store.list(prefix))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        // A deletion needs no space.
        if self.faults.0.fault == Fault::Full {
            return self.store.delete(key);
        }
        self.faults
            .changing("delete", key.as_str(), || self.store.delete(key))
    }

    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        self.faults
            .changing("link", to.as_str(), || self.store.link(from, to))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.faults
            .changing("replace", key.as_str(), || self.store.replace(key, bytes))
    }

    fn space(&self) -> Result<Option<Space>> {
        self.faults
            .looking("measure", self.place(), || self.store.space())
    }

    fn clock(&self) -> Result<Option<SystemTime>> {
        self.faults
            .looking("ask the clock of", self.place(), || self.store.clock())
    }

    fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
        self.faults
            .looking("sweep", self.place(), || self.store.sweep(dry_run))
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    key: Key,
    faults: Faults,
}

impl Write for FaultyUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let eligible = matches!(
            self.faults.0.fault,
            Fault::Full | Fault::Denied | Fault::Passing
        );
        if eligible && self.faults.strikes("write", self.key.as_str()) {
            return Err(self.faults.io_error());
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for FaultyUpload {
    fn commit(self: Box<Self>) -> Result<Object> {
        let FaultyUpload { inner, key, faults } = *self;
        faults.changing("commit", key.as_str(), || inner.commit())
    }
}

struct FaultyRead {
    inner: Box<dyn Read + Send>,
    key: Key,
    faults: Faults,
    ended: bool,
}

impl Read for FaultyRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let fault = self.faults.0.fault;
        if fault == Fault::Passing && self.faults.strikes("read", self.key.as_str()) {
            return Err(self.faults.io_error());
        }
        let n = self.inner.read(buffer)?;
        let eligible = n > 0 && matches!(fault, Fault::FlipBit | Fault::CutRead);
        if eligible && self.faults.strikes("read", self.key.as_str()) {
            if fault == Fault::CutRead {
                self.ended = true;
                return Ok(n / 2);
            }
            let chance = noise(8, self.faults.0.nth);
            let at = usize::from_le_bytes(chance.try_into().expect("8 bytes")) % (n * 8);
            buffer[at / 8] ^= 1 << (at % 8);
        }
        Ok(n)
    }
}
