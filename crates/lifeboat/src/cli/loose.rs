//! An archive file outside of any store: on a USB stick, in a download folder.
//!
//! Its name tells how it was made. When its manifest lies beside it, that tells what must come out; when
//! not, the file alone must do, and all that can be said in the end is that it was whole by its own rules.

use crate::exit::{Code, Failure, Result};
use chrono::{DateTime, Utc};
use lifeboat_plan::{Archive, BackupId, Compression, Encryption, Manifest, Tier};
use lifeboat_run::{Keyring, authenticity::hex, unseal::tar};
use ring::digest::{Context, SHA256};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::Xxh3;

const MANIFEST_BYTES_MAX: u64 = 16 << 20;
const BUFFER: usize = 256 * 1024;

#[derive(Debug)]
pub struct Loose {
    pub path: PathBuf,
    pub file: String,
    pub compression: Compression,
    pub encryption: Encryption,
    /// What is left of the name: `tar` says what is inside.
    pub ending: String,
    pub id: Option<BackupId>,
    /// The manifest beside it, with this file in it.
    pub manifest: Option<Vec<u8>>,
}

impl Loose {
    pub fn look(path: &Path) -> Result<Self> {
        let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(name), true) = (name, meta.is_file()) else {
            return Err(Failure::usage(
                format!("{} is not an archive file", path.display()),
                "give the path of one file, as it lies in a tier's folder",
            ));
        };
        let (rest, encryption) = take_ending(name, Encryption::ALL, Encryption::extension)
            .unwrap_or((name, Encryption::None));
        let (rest, compression) = take_ending(rest, Compression::ALL, Compression::extension)
            .unwrap_or((rest, Compression::None));
        let ending = rest.rsplit_once('.').map_or("", |(_, ending)| ending);
        let id: Option<BackupId> = name.split_once('.').and_then(|(id, _)| id.parse().ok());
        let manifest = id.as_ref().and_then(|id| {
            let beside = path.with_file_name(format!("{id}.json"));
            let mut bytes = Vec::new();
            let file = File::open(beside).ok()?;
            file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        });
        Ok(Loose {
            path: path.to_owned(),
            file: name.to_owned(),
            compression,
            encryption,
            ending: ending.to_owned(),
            id,
            manifest,
        })
    }

    pub fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| unreadable(&self.path, &error))
    }

    /// What the manifest beside it says of this file; `None` where there is none, or it says nothing.
    pub fn promised(&self) -> Option<(Manifest, Archive)> {
        let manifest = Manifest::parse(self.manifest.as_deref()?).ok()?;
        let archive = manifest.archives.iter().find(|a| a.file == self.file)?;
        let archive = archive.clone();
        Some((manifest, archive))
    }

    /// A manifest for a file that has none: read it all, once, and write down what was found.
    pub fn describe(&self, keys: &Keyring) -> Result<Manifest> {
        let stored = sha256_of(self.open()?).map_err(|error| unreadable(&self.path, &error))?;
        let plain = lifeboat_run::unseal::open(
            &self.file,
            Box::new(self.open()?),
            self.compression,
            self.encryption,
            keys,
        )?;
        let found = Found::in_stream(plain, self.ending == "tar").map_err(|error| {
            Failure::new(
                Code::Integrity,
                format!("{} is damaged: {error}", self.path.display()),
                "take another copy of it",
            )
        })?;
        let (id, at) = self.identity();
        let archive = Archive {
            source: self.source(),
            kind: "files".to_owned(),
            file: self.file.clone(),
            size: stored.0,
            sha256: stored.1,
            plain_size: found.size,
            plain_xxh128: found.xxh128,
            compression: self.compression,
            encryption: self.encryption,
            entries: found.entries,
            warnings: Vec::new(),
            warnings_total: 0,
            facts: Default::default(),
            more: Default::default(),
        };
        Ok(Manifest {
            archives: vec![archive],
            ..Manifest::empty(id, at)
        })
    }

    /// `ID.source.tar.zst` → `source`; of a file under another name, the name.
    fn source(&self) -> String {
        let ends = format!(
            ".{}{}{}",
            self.ending,
            self.compression.extension(),
            self.encryption.extension()
        );
        let start = match &self.id {
            Some(id) => format!("{id}."),
            None => String::new(),
        };
        let name = self.file.strip_prefix(&start).unwrap_or(&self.file);
        let name = name.strip_suffix(&ends).unwrap_or(name);
        match name {
            "" => "content".to_owned(),
            name => name.to_owned(),
        }
    }

    /// Of a file that was renamed nobody knows whose it was: its own date must do.
    fn identity(&self) -> (BackupId, DateTime<Utc>) {
        let written = std::fs::metadata(&self.path).and_then(|meta| meta.modified());
        let at = written.map_or(DateTime::UNIX_EPOCH, DateTime::from);
        let id = self.id.clone().or_else(|| {
            let name = "file".parse().ok()?;
            Some(BackupId::new(&name, Tier::Daily, &at, 1))
        });
        (id.expect("`file` is a name"), at)
    }
}

/// The longest of the endings that `name` has.
fn take_ending<T: Copy, const N: usize>(
    name: &str,
    all: [T; N],
    ending: impl Fn(T) -> &'static str,
) -> Option<(&str, T)> {
    all.into_iter().find_map(|one| match ending(one) {
        "" => None,
        ending => Some((name.strip_suffix(ending)?, one)),
    })
}

fn sha256_of(mut file: File) -> io::Result<(u64, String)> {
    let mut sha256 = Context::new(&SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hex(sha256.finish().as_ref()))),
            Ok(n) => {
                sha256.update(&buffer[..n]);
                size += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What came out of a stream that nobody described.
struct Found {
    size: u64,
    xxh128: String,
    entries: Option<u64>,
}

impl Found {
    fn in_stream(plain: Box<dyn Read + Send>, is_tar: bool) -> io::Result<Self> {
        let mut measured = BufReader::with_capacity(BUFFER, Measured::new(plain));
        let entries = is_tar.then(|| {
            let mut reader = tar::Reader::new(&mut measured, u64::MAX);
            let mut entries = 0;
            // It ends with an error, if only for the number that nobody knows yet. Whatever else is wrong
            // with the stream is met again, and told, when it is unpacked.
            while let Ok(Some(_)) = reader.entry() {
                entries += 1;
            }
            entries
        });
        io::copy(&mut measured, &mut io::sink())?;
        let Measured { size, xxh3, .. } = measured.into_inner();
        Ok(Found {
            size,
            xxh128: hex(&xxh3.digest128().to_be_bytes()),
            entries,
        })
    }
}

struct Measured {
    inner: Box<dyn Read + Send>,
    size: u64,
    xxh3: Xxh3,
}

impl Measured {
    fn new(inner: Box<dyn Read + Send>) -> Self {
        Measured {
            inner,
            size: 0,
            xxh3: Xxh3::new(),
        }
    }
}

impl Read for Measured {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.xxh3.update(&out[..n]);
        self.size += n as u64;
        Ok(n)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::Failed,
    };
    Failure::new(
        code,
        format!("cannot read {}: {error}", path.display()),
        "give the path of an archive file, or an id that `lifeboat list` shows",
    )
}
