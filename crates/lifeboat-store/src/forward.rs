//! A store behind a pointer is a store.

use crate::{Key, Object, Result, Space, Store, Upload};
use std::{io::Read, sync::Arc, time::SystemTime};

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: Store + ?Sized> Store for $pointer {
            fn place(&self) -> &str {
                (**self).place()
            }
            fn begin(&self, key: &Key) -> Result<Box<dyn Upload>> {
                (**self).begin(key)
            }
            fn open(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
                (**self).open(key)
            }
            fn open_cold(&self, key: &Key) -> Result<Box<dyn Read + Send>> {
                (**self).open_cold(key)
            }
            fn head(&self, key: &Key) -> Result<Option<Object>> {
                (**self).head(key)
            }
            fn list(&self, prefix: &str) -> Result<Vec<Object>> {
                (**self).list(prefix)
            }
            fn delete(&self, key: &Key) -> Result<()> {
                (**self).delete(key)
            }
            fn link(&self, from: &Key, to: &Key) -> Result<()> {
                (**self).link(from, to)
            }
            fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
                (**self).replace(key, bytes)
            }
            fn space(&self) -> Result<Option<Space>> {
                (**self).space()
            }
            fn clock(&self) -> Result<Option<SystemTime>> {
                (**self).clock()
            }
            fn sweep(&self, dry_run: bool) -> Result<Vec<String>> {
                (**self).sweep(dry_run)
            }
        }
    )*};
}

forward!(&S, Box<S>, Arc<S>);
