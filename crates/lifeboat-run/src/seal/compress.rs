//! One worker's compressor: turns a piece into a frame that stands for itself.

use super::SealError;
use libdeflater::{CompressionLvl, Compressor as Deflate};
use lifeboat_plan::Compression;
use std::io;

pub(super) enum Compressor {
    Zstd(zstd::bulk::Compressor<'static>),
    Gzip(Deflate),
    /// New for every piece: they cannot be used twice, and their work is long compared with a start.
    Bzip2 {
        level: i32,
    },
    Xz {
        level: i32,
        dictionary: u32,
    },
    None,
}

impl Compressor {
    /// No piece will be larger than about `piece_size`.
    pub(super) fn new(
        compression: Compression,
        level: i32,
        piece_size: usize,
    ) -> Result<Self, SealError> {
        Ok(match compression {
            Compression::Zstd => {
                let mut zstd = zstd::bulk::Compressor::new(level).map_err(cannot)?;
                zstd.include_checksum(true).map_err(cannot)?;
                Compressor::Zstd(zstd)
            }
            Compression::Gzip => {
                let level = CompressionLvl::new(level)
                    .map_err(|_| cannot(io::Error::other(format!("gzip has no level {level}"))))?;
                Compressor::Gzip(Deflate::new(level))
            }
            Compression::Bzip2 => Compressor::Bzip2 { level },
            Compression::Xz => Compressor::Xz {
                level,
                dictionary: xz_dictionary(piece_size),
            },
            Compression::None => Compressor::None,
        })
    }

    /// Whether the plain bytes are the frame.
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Compressor::None)
    }

    /// Replaces what is in `packed` by the frame of `plain`.
    pub(super) fn pack(&mut self, plain: &[u8], packed: &mut Vec<u8>) -> Result<(), SealError> {
        packed.clear();
        match self {
            Compressor::Zstd(zstd) => {
                packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
                zstd.compress_to_buffer(plain, packed).map_err(cannot)?;
            }
            Compressor::Gzip(gzip) => {
                packed.resize(gzip.gzip_compress_bound(plain.len()), 0);
                let size = gzip
                    .gzip_compress(plain, packed)
                    .map_err(|error| cannot(io::Error::other(error)))?;
                packed.truncate(size);
            }
            Compressor::Bzip2 { level } => bzip2(plain, *level, packed).map_err(cannot)?,
            Compressor::Xz { level, dictionary } => {
                xz(plain, *level, *dictionary, packed).map_err(cannot)?;
            }
            Compressor::None => packed.extend_from_slice(plain),
        }
        Ok(())
    }
}

fn bzip2(plain: &[u8], level: i32, packed: &mut Vec<u8>) -> io::Result<()> {
    let level = bzip2::Compression::new(level.clamp(1, 9) as u32);
    let mut encoder = bzip2::write::BzEncoder::new(packed, level);
    io::Write::write_all(&mut encoder, plain)?;
    encoder.finish().map(drop)
}

fn xz(plain: &[u8], level: i32, dictionary: u32, packed: &mut Vec<u8>) -> io::Result<()> {
    use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
    let mut options = LzmaOptions::new_preset(level.clamp(0, 9) as u32)?;
    options.dict_size(dictionary);
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
    let mut encoder = liblzma::write::XzEncoder::new_stream(packed, stream);
    io::Write::write_all(&mut encoder, plain)?;
    encoder.finish().map(drop)
}

/// A dictionary beyond the piece would only cost memory.
pub(super) fn xz_dictionary(piece_size: usize) -> u32 {
    piece_size.next_power_of_two() as u32
}

fn cannot(error: io::Error) -> SealError {
    SealError::Stage {
        stage: "compress",
        reason: error.to_string(),
    }
}
