//! How much may be in hand at once. The bound holds for every recipe, on two cores and on sixty-four:
//! the more threads there are, the smaller the pieces get; where even that is not enough (the highest
//! levels of xz and zstd), fewer threads work.

use super::Recipe;
use lifeboat_plan::Compression;
use std::thread::available_parallelism;

/// Buffers and compressors together. What is beyond it up to the 64 MiB that a backup may take is the
/// program itself, the walk, and the upload.
const BYTES: usize = 46 << 20;

const LARGEST_PIECE: usize = 2 << 20;
/// Below this, frames compress noticeably worse.
const SMALLEST_PIECE: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) threads: usize,
    pub(super) piece_size: usize,
    /// Pieces between the source and the writer, wherever they are.
    pub(super) in_flight: usize,
}

impl Budget {
    pub(super) fn of(recipe: &Recipe, seals: usize) -> Self {
        let threads = match recipe.threads {
            0 => available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads,
        };
        Self::within(
            BYTES / seals.max(1),
            recipe.compression,
            recipe.level,
            threads,
        )
    }

    fn within(bytes: usize, compression: Compression, level: i32, threads: usize) -> Self {
        let smallest = Budget::with(1, SMALLEST_PIECE);
        (1..=threads.max(1))
            .rev()
            .flat_map(|threads| {
                std::iter::successors(Some(LARGEST_PIECE), |piece| Some(piece / 2))
                    .take_while(|piece| *piece >= SMALLEST_PIECE)
                    .map(move |piece| Budget::with(threads, piece))
            })
            .find(|budget| budget.bytes(compression, level) <= bytes)
            .unwrap_or(smallest)
    }

    fn with(threads: usize, piece_size: usize) -> Self {
        Budget {
            threads,
            piece_size,
            // Every worker has one in hand; the others are a reserve for the time that one is slow.
            in_flight: threads + (threads / 2).min(8) + 2,
        }
    }

    /// At worst: every piece is filled, and none can be compressed.
    fn bytes(&self, compression: Compression, level: i32) -> usize {
        let piece = match compression {
            Compression::None => self.piece_size,
            _ => self.piece_size * 2,
        };
        self.in_flight * piece + self.threads * compressor(compression, level, self.piece_size)
    }
}

/// What one compressor takes; a test holds it against the real ones.
fn compressor(compression: Compression, level: i32, piece_size: usize) -> usize {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1 << 20,
        Compression::Bzip2 => 400_000 + 900_000 * 8,
        // bt4 needs 11.5 times the dictionary; hc4, of the low levels, 7.5 times.
        Compression::Xz => super::compress::xz_dictionary(piece_size) as usize * 23 / 2 + (2 << 20),
        Compression::Zstd => zstd(level, piece_size),
    }
}

/// Hash and chain tables grow with the level, up to a multiple of the piece.
fn zstd(level: i32, piece_size: usize) -> usize {
    match level {
        ..=3 => (1 << 20) + (piece_size / 2).min(256 << 10),
        4..=6 => 3 << 20,
        7..=8 => 11 << 19,
        9..=12 => (2 << 20) + piece_size * 11,
        _ => (5 << 18) + piece_size * 33 / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_fits_on_any_number_of_cores() {
        for compression in Compression::ALL {
            for level in compression.levels().0 {
                for cores in [1, 2, 3, 4, 8, 16, 32, 64, 256] {
                    let budget = Budget::within(BYTES, compression, level, cores);
                    let bytes = budget.bytes(compression, level);
                    assert!(bytes <= BYTES, "{compression} {level} on {cores}: {bytes}");
                    assert!((1..=cores).contains(&budget.threads));
                }
            }
        }
    }

    #[test]
    fn usual_recipes_use_every_core() {
        for (compression, level, cores) in [
            (Compression::Zstd, 3, 24),
            (Compression::Zstd, 9, 4),
            (Compression::Zstd, 19, 2),
            (Compression::Gzip, 6, 24),
            (Compression::None, 0, 64),
            (Compression::Bzip2, 9, 4),
            (Compression::Xz, 6, 4),
        ] {
            let budget = Budget::within(BYTES, compression, level, cores);
            assert_eq!(budget.threads, cores, "{compression} {level}");
        }
    }

    #[test]
    fn a_zstd_context_takes_no_more_than_is_reckoned() {
        for level in Compression::Zstd.levels().0 {
            for piece in [256 << 10, 512 << 10, 1 << 20, 2 << 20] {
                let mut zstd = zstd::bulk::Compressor::new(level).unwrap();
                zstd.compress(&vec![7; piece]).unwrap();
                let (real, reckoned) = (zstd.context_mut().sizeof(), super::zstd(level, piece));
                assert!(real <= reckoned, "{level} {piece}: {real} > {reckoned}");
            }
        }
    }
}
