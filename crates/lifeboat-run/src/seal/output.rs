//! The end of the pipe: encrypt, digest, upload, byte after byte in the order of the stream.

use super::{
    SealError,
    encrypt::{Chunks, Cipher},
    pipeline::Outlet,
};
use lifeboat_store::{Object, Upload};
use ring::digest::{Context, SHA256};

/// Takes the compressed stream.
pub(super) struct Output {
    chunks: Option<Box<Chunks>>,
    stored: Stored,
}

/// What has been handed to the upload, and its digest.
struct Stored {
    upload: Box<dyn Upload>,
    sha256: Context,
    size: u64,
}

impl Output {
    pub(super) fn new(cipher: Cipher, upload: Box<dyn Upload>) -> Result<Self, SealError> {
        let mut stored = Stored {
            upload,
            sha256: Context::new(&SHA256),
            size: 0,
        };
        let chunks = match cipher {
            Cipher::Open => None,
            Cipher::Age { header, chunks } => {
                stored.write(&header)?;
                Some(chunks)
            }
        };
        Ok(Output { chunks, stored })
    }
}

impl Outlet for Output {
    /// Where it lies, and its SHA-256.
    type End = (Object, String);

    fn write(&mut self, frame: &[u8]) -> Result<(), SealError> {
        match &mut self.chunks {
            None => self.stored.write(frame),
            Some(chunks) => chunks.push(frame, &mut |sealed| self.stored.write(sealed)),
        }
    }

    /// Ends the stream and makes it visible.
    fn commit(mut self) -> Result<(Object, String), SealError> {
        if let Some(chunks) = self.chunks.take() {
            chunks.finish(&mut |sealed| self.stored.write(sealed))?;
        }
        let Stored {
            upload,
            sha256,
            size,
        } = self.stored;
        let object = upload.commit()?;
        if object.size != size {
            return Err(SealError::Stage {
                stage: "commit",
                reason: format!(
                    "{size} bytes were written, and the store has {}",
                    object.size
                ),
            });
        }
        Ok((object, hex(sha256.finish().as_ref())))
    }
}

impl Stored {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SealError> {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
        self.upload.write_all(bytes).map_err(|error| {
            SealError::Sink(lifeboat_store::Error::io("write", "the archive", error))
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
