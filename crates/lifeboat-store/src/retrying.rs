//! Tries again what may pass by itself, and nothing else.

use crate::{Error, ErrorKind, Key, Object, Result, Space, Store, Upload};
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io::Read,
    time::{Duration, SystemTime},
};

/// How often, and how long between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first try counts.
    pub tries_max: u32,
    /// Before the second try at most; doubles with each.
    pub first_wait: Duration,
    pub longest_wait: Duration,
}

/// Retries whole operations. The bytes of an upload cannot be asked for twice, so writing and
/// committing are not tried again here: whoever has the source starts over.
pub struct Retrying<S> {
    store: S,
    patience: Patience,
    wait: Box<dyn Fn(Duration) + Send + Sync>,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            tries_max: 6,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// Anything from nothing to the full step (`chance` in 0..=1): those who failed together shall
    /// not come back together.
    pub fn wait_after(&self, failures: u32, chance: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        let step = self.first_wait.saturating_mul(doubled);
        step.min(self.longest_wait).mul_f64(chance.clamp(0.0, 1.0))
    }
}

impl<S: Store> Retrying<S> {
    pub fn new(store: S, patience: Patience) -> Self {
        Retrying::with_wait(store, patience, std::thread::sleep)
    }

    /// `wait` stands in for sleeping.
    pub fn with_wait(
        store: S,
        patience: Patience,
        wait: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Retrying {
            store,
            patience,
            wait: Box::new(wait),
        }
    }

    fn again<T>(&self, mut operation: impl FnMut(&S) -> Result<T>) -> Result<T> {
        let mut failures = 0;
        loop {
            match operation(&self.store) {
                Err(error) if error.may_pass() && failures + 1 < self.patience.tries_max => {
                    failures += 1;
                    (self.wait)(self.patience.wait_after(failures, chance()));
                }
                done => return done,
            }
        }
    }
}

impl<S: Store> Store for Retrying<S> {
    fn place(&self) -> &str {
        self.store.place()
    }

    fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
        self.again(|store| store.begin(key))
    }

    fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        self.again(|store| store.open(key))
    }

    fn open_cold(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
        self.again(|store| store.open_cold(key))
    }

    fn head(&self, key: &Key) -> Result<Option<Object>> {
        self.again(|store| store.head(key))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.again(|store| store.list(prefix))
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.again(|store| store.delete(key))
    }

    /// A link that was made although its answer was lost is there at the second try: that is success,
    /// when what is there is as large as what was to be linked.
    fn link(&self, from: &Key, to: &Key) -> Result<()> {
        let mut tried = false;
        self.again(|store| match store.link(from, to) {
            Err(error) if error.kind() == ErrorKind::Exists && tried => {
                let size = |key| Ok::<_, Error>(store.head(key)?.map(|object| object.size));
                match (size(from)?, size(to)?) {
                    (Some(from), Some(to)) if from == to => Ok(()),
                    _ => Err(error),
                }
            }
            done => {
                tried = true;
                done
            }
        })
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.again(|store| store.replace(key, bytes))
    }

    fn space(&self) -> Result<Option<Space>> {
        self.again(|store| store.space())
    }

    fn clock(&self) -> Result<Option<SystemTime>> {
        self.again(|store| store.clock())
    }

    fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
        self.again(|store| store.sweep(dry_run))
    }
}

impl<S: fmt::Debug> fmt::Debug for Retrying<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying")
            .field("store", &self.store)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// Good enough to spread retries.
fn chance() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}
