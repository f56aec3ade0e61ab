use super::{behind::Behind, work::Work};
use crate::{Error, ErrorKind, Key, Object, Result, Upload};
use std::io::{self, BufWriter, Write};

/// Small writes are gathered, large ones pass straight through.
const GATHER: usize = 256 << 10;

/// An object on its way into a folder.
pub(super) struct LocalUpload {
    work: Work,
    key: Key,
    out: BufWriter<Behind>,
}

impl LocalUpload {
    pub(super) fn new(work: Work, key: Key) -> Result<Self> {
        let file = work
            .file()
            .try_clone()
            .map_err(|e| Error::io("write", key.as_str(), e))?;
        Ok(LocalUpload {
            work,
            key,
            out: BufWriter::with_capacity(GATHER, Behind::new(file)),
        })
    }
}

impl Write for LocalUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Upload for LocalUpload {
    fn commit(self: Box<Self>) -> Result<Object> {
        let LocalUpload { work, key, out } = *self;
        let failed = |e: io::Error| Error::io("write", key.as_str(), e);

        let behind = out.into_inner().map_err(|e| failed(e.into_error()))?;
        let written = behind.finish().map_err(failed)?;
        let there = work.file().metadata().map_err(failed)?;
        if there.len() != written {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "write",
                key.as_str(),
                format!("{written} bytes were written, {} are there", there.len()),
            ));
        }
        work.publish(&key)?;
        Ok(Object {
            key,
            size: written,
            modified: there.modified().ok(),
        })
    }
}
