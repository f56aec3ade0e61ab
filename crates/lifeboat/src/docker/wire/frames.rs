//! The frames of a stream that carries a program's output and its errors on one wire.

use super::{More, Wire};
use crate::docker::DockerError;
use lifeboat_run::Cancel;

const HEAD: usize = 8;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;

#[derive(Debug)]
pub(in crate::docker) struct Frames {
    wire: Wire,
    head: Vec<u8>,
    /// Of the frame in hand: whose it is, and how much of it is still to come.
    of: u8,
    left: usize,
}

/// What came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Out,
    Err,
    /// Nothing for a moment.
    Quiet,
    /// The stream has ended between two frames. That proves nothing.
    End,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::docker) enum FrameError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error("the stream ends in the middle of a frame")]
    Half,
    /// A terminal was given, or something else speaks.
    #[error("what came is not a frame (it begins with {0:02x?})")]
    NotAFrame(Vec<u8>),
    #[error("cancelled")]
    Cancelled,
}

impl Frames {
    pub(in crate::docker) fn new(wire: Wire) -> Self {
        Frames {
            wire,
            head: Vec::with_capacity(HEAD),
            of: 0,
            left: 0,
        }
    }

    /// The next bytes, at most `limit`: output is appended to `out`, errors are given to `err`.
    pub(in crate::docker) fn next(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
        err: &mut dyn FnMut(&[u8]),
        cancel: &Cancel,
    ) -> Result<Part, FrameError> {
        loop {
            // Also while bytes come without a pause.
            cancel.check().map_err(|_| FrameError::Cancelled)?;
            self.begin()?;
            if self.left > 0 {
                let bytes = self.wire.take(self.left.min(limit))?;
                self.left -= bytes.len();
                match self.of {
                    _ if bytes.is_empty() => {}
                    STDERR => {
                        err(bytes);
                        return Ok(Part::Err);
                    }
                    _ => {
                        out.extend_from_slice(bytes);
                        return Ok(Part::Out);
                    }
                }
            }
            match self.wire.more()? {
                More::Some => {}
                More::Quiet => return Ok(Part::Quiet),
                More::End if self.left == 0 && self.head.is_empty() && self.wire.is_whole() => {
                    return Ok(Part::End);
                }
                More::End => return Err(FrameError::Half),
            }
        }
    }

    /// Takes the head of the next frame that is not empty, as far as it is there.
    fn begin(&mut self) -> Result<(), FrameError> {
        while self.left == 0 {
            let bytes = self.wire.take(HEAD - self.head.len())?;
            if bytes.is_empty() {
                return Ok(());
            }
            self.head.extend_from_slice(bytes);
            if self.head.len() < HEAD {
                continue;
            }
            match self.head[..] {
                [of @ (STDOUT | STDERR), 0, 0, 0, a, b, c, d] => {
                    self.of = of;
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                }
                _ => return Err(FrameError::NotAFrame(std::mem::take(&mut self.head))),
            }
            self.head.clear();
        }
        Ok(())
    }
}
