//! Decompression of whole files: frames of ours on all cores, everything else as one stream.

use super::frames::Frames;
use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, XzDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use lifeboat_plan::Compression;
use std::{
    io::{self, BufRead, BufReader, Read},
    pin::Pin,
    task::{Context, Poll, Waker},
};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// The largest zstd window that is made room for, as an exponent of two: 128 MiB, as stock `zstd -d`.
pub(super) const WINDOW_LOG_MAX: u32 = 27;

/// xz may ask for gigabytes; `xz -9` asks for 65 MiB.
const XZ_MEMORY_MAX: u64 = 192 << 20;

const PLAIN_BUFFER: usize = 256 * 1024;

pub(super) fn decompress(
    compression: Compression,
    packed: Box<dyn BufRead + Send>,
) -> io::Result<Box<dyn BufRead + Send>> {
    Ok(match compression {
        Compression::None => packed,
        Compression::Zstd => Box::new(Frames::start(packed)?),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(Sync(packed));
            decoder.multiple_members(true);
            buffered(decoder)
        }
        Compression::Bzip2 => {
            let mut decoder = BzDecoder::new(Sync(packed));
            decoder.multiple_members(true);
            buffered(decoder)
        }
        Compression::Xz => {
            let mut decoder = XzDecoder::with_mem_limit(Sync(packed), XZ_MEMORY_MAX);
            decoder.multiple_members(true);
            buffered(decoder)
        }
    })
}

/// zstd as one stream of any number of frames, on one core.
pub(super) fn zstd_stream(packed: Box<dyn BufRead + Send>) -> Box<dyn BufRead + Send> {
    let limit = [DParameter::window_log_max(WINDOW_LOG_MAX)];
    let mut decoder = ZstdDecoder::with_params(Sync(packed), &limit);
    decoder.multiple_members(true);
    buffered(decoder)
}

fn buffered(decoder: impl AsyncRead + Unpin + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(PLAIN_BUFFER, Polled(decoder)))
}

/// A blocking reader in the clothes of an asynchronous one: it is always ready.
struct Sync<R>(R);

impl<R: BufRead + Unpin> AsyncBufRead for Sync<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(self.get_mut().0.fill_buf())
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().0.consume(amount);
    }
}

impl<R: BufRead + Unpin> AsyncRead for Sync<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.get_mut().0.read(out.initialize_unfilled())?;
        out.advance(n);
        Poll::Ready(Ok(()))
    }
}

/// An asynchronous decoder over a reader that never waits, read without a runtime.
struct Polled<D>(D);

impl<D: AsyncRead + Unpin> Read for Polled<D> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(out);
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.0).poll_read(&mut context, &mut buffer) {
            Poll::Ready(Ok(())) => Ok(buffer.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::Error::other(
                "a decoder waits for a reader that cannot wait",
            )),
        }
    }
}
