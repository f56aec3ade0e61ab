//! How an archive is made: its compression and its encryption, both closed sets of formats that
//! stock tools open.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    Zstd,
    Gzip,
    Bzip2,
    Xz,
    None,
}

impl Compression {
    pub const ALL: [Compression; 5] = [
        Compression::Zstd,
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Xz,
        Compression::None,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::None => "none",
        }
    }

    /// The end of a file name, with its dot; empty where nothing is compressed.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
            Compression::Bzip2 => ".bz2",
            Compression::Xz => ".xz",
            Compression::None => "",
        }
    }

    /// The levels that the format's own tool takes, and the one that is used when none is named.
    pub fn levels(self) -> (std::ops::RangeInclusive<i32>, i32) {
        match self {
            Compression::Zstd => (1..=19, 3),
            Compression::Gzip => (1..=9, 6),
            Compression::Bzip2 => (1..=9, 9),
            Compression::Xz => (0..=9, 6),
            Compression::None => (0..=0, 0),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    Age,
    None,
}

impl Encryption {
    pub const ALL: [Encryption; 2] = [Encryption::Age, Encryption::None];

    pub fn as_str(self) -> &'static str {
        match self {
            Encryption::Age => "age",
            Encryption::None => "none",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Encryption::Age => ".age",
            Encryption::None => "",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownRecipe {
    #[error("{0:?} is not a compression (zstd, gzip, bzip2, xz, none)")]
    Compression(String),
    #[error("{0:?} is not an encryption (age, none)")]
    Encryption(String),
}

impl FromStr for Compression {
    type Err = UnknownRecipe;
    fn from_str(word: &str) -> Result<Self, UnknownRecipe> {
        Compression::ALL
            .into_iter()
            .find(|c| c.as_str() == word)
            .ok_or_else(|| UnknownRecipe::Compression(word.to_owned()))
    }
}

impl FromStr for Encryption {
    type Err = UnknownRecipe;
    fn from_str(word: &str) -> Result<Self, UnknownRecipe> {
        Encryption::ALL
            .into_iter()
            .find(|e| e.as_str() == word)
            .ok_or_else(|| UnknownRecipe::Encryption(word.to_owned()))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
