//! Encryption: the age format, version 1 (<https://age-encryption.org/v1>).
//!
//! The header comes from the `age` crate. The payload, which is all of the work, is sealed here with
//! ring, whose ChaCha20-Poly1305 is the fastest at hand: 64 KiB chunks, a nonce of an 11-byte counter
//! and a flag that marks the last chunk.

use super::SealError;
use crate::{Secret, keys};
use age::{
    Recipient,
    secrecy::{ExposeSecret, SecretString},
};
use age_core::{
    format::{FileKey, Stanza},
    primitives::hkdf,
};
use lifeboat_plan::Encryption;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::{cell::RefCell, collections::HashSet};
use zeroize::Zeroizing;

const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

/// Sealed chunks leave in blocks of this size.
const BLOCK: usize = 16 * (CHUNK + TAG);

/// scrypt's cost, as the exponent of N: one try takes 128 · 8 · 2^15 bytes = 32 MiB. `age` itself takes
/// 2^18, that is 256 MiB for one file, four times what a whole backup may use; and a backup host makes
/// many files a day. A passphrase for backups is generated, not remembered: what a guess costs matters
/// little there.
const SCRYPT_LOG_N: u8 = 15;

/// How stored bytes are made out of compressed ones.
pub(super) enum Cipher {
    Open,
    Age {
        header: Vec<u8>,
        chunks: Box<Chunks>,
    },
}

/// The payload of an age file.
pub(super) struct Chunks {
    key: LessSafeKey,
    counter: u64,
    /// Plain bytes of the chunk that is not full yet.
    open: Vec<u8>,
    /// Sealed chunks that wait for the block to be full.
    sealed: Vec<u8>,
}

/// Where sealed bytes go.
type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), SealError> + 'a;

impl Cipher {
    pub(super) fn new(seal: &keys::Seal) -> Result<Self, SealError> {
        match seal {
            keys::Seal::Open => Ok(Cipher::Open),
            keys::Seal::Passphrase(passphrase) => Self::age(&[&scrypt(passphrase)]),
            keys::Seal::Recipients(texts) => {
                let recipients = texts
                    .iter()
                    .map(|text| parse(text))
                    .collect::<Result<Vec<_>, _>>()?;
                let all: Vec<&dyn Recipient> = recipients.iter().map(|one| &**one).collect();
                Self::age(&all)
            }
        }
    }

    pub(super) fn encryption(&self) -> Encryption {
        match self {
            Cipher::Open => Encryption::None,
            Cipher::Age { .. } => Encryption::Age,
        }
    }

    fn age(recipients: &[&dyn Recipient]) -> Result<Self, SealError> {
        let file_key = RefCell::new(None);
        let listening: Vec<Listening<'_>> = recipients
            .iter()
            .map(|&recipient| Listening {
                recipient,
                file_key: &file_key,
            })
            .collect();
        let encryptor =
            age::Encryptor::with_recipients(listening.iter().map(|one| one as &dyn Recipient))
                .map_err(|error| cannot(error.to_string()))?;
        let mut header = Vec::new();
        encryptor
            .wrap_output(&mut header)
            .map_err(|error| cannot(error.to_string()))?;
        // The header ends with the 16 bytes of the payload's nonce.
        let (Some(file_key), Some(nonce)) = (file_key.take(), header.last_chunk::<16>()) else {
            return Err(cannot("no recipient was asked".to_owned()));
        };
        let key = Zeroizing::new(hkdf(nonce, b"payload", &*file_key));
        Ok(Cipher::Age {
            chunks: Box::new(Chunks::new(&key)),
            header,
        })
    }
}

/// Hears the file key when the header wraps it for a recipient: the crate tells it to nobody else.
struct Listening<'a> {
    recipient: &'a dyn Recipient,
    file_key: &'a RefCell<Option<Zeroizing<[u8; 16]>>>,
}

impl Recipient for Listening<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), age::EncryptError> {
        self.file_key
            .replace(Some(Zeroizing::new(*file_key.expose_secret())));
        self.recipient.wrap_file_key(file_key)
    }
}

fn scrypt(passphrase: &Secret) -> age::scrypt::Recipient {
    let mut recipient =
        age::scrypt::Recipient::new(SecretString::from(passphrase.reveal().as_str()));
    recipient.set_work_factor(SCRYPT_LOG_N);
    recipient
}

/// `age1…` or `ssh-ed25519 …`. RSA keys are refused: the only Rust implementation of RSA leaks private
/// keys through timing, and these archives must be opened somewhere.
fn parse(text: &str) -> Result<Box<dyn Recipient>, SealError> {
    let text = text.trim();
    if let Ok(recipient) = text.parse::<age::x25519::Recipient>() {
        return Ok(Box::new(recipient));
    }
    if text.starts_with("ssh-ed25519 ")
        && let Ok(recipient) = text.parse::<age::ssh::Recipient>()
    {
        return Ok(Box::new(recipient));
    }
    Err(cannot(format!(
        "{text:?} is not a recipient (age1… or ssh-ed25519 …)"
    )))
}

fn cannot(reason: String) -> SealError {
    SealError::Stage {
        stage: "encrypt",
        reason,
    }
}

impl Chunks {
    fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes");
        Chunks {
            key: LessSafeKey::new(key),
            counter: 0,
            open: Vec::with_capacity(CHUNK),
            sealed: Vec::with_capacity(BLOCK),
        }
    }

    /// A full chunk is sealed only when another byte comes: until then it may be the last one.
    pub(super) fn push(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), SealError> {
        while !bytes.is_empty() {
            if self.open.is_empty() && bytes.len() > CHUNK {
                let (chunk, rest) = bytes.split_at(CHUNK);
                self.seal(chunk, false, sink)?;
                bytes = rest;
                continue;
            }
            if self.open.len() == CHUNK {
                self.seal_open(false, sink)?;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), SealError> {
        self.seal_open(true, sink)?;
        sink(&self.sealed)
    }

    fn seal_open(&mut self, last: bool, sink: &mut Sink<'_>) -> Result<(), SealError> {
        let mut open = std::mem::take(&mut self.open);
        let result = self.seal(&open, last, sink);
        open.clear();
        self.open = open;
        result
    }

    fn seal(&mut self, chunk: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<(), SealError> {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.counter.to_be_bytes());
        nonce[11] = u8::from(last);
        self.counter += 1;

        let start = self.sealed.len();
        self.sealed.extend_from_slice(chunk);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                &mut self.sealed[start..],
            )
            .map_err(|_| cannot("the cipher refused a chunk".to_owned()))?;
        self.sealed.extend_from_slice(tag.as_ref());
        if self.sealed.len() >= BLOCK {
            sink(&self.sealed)?;
            self.sealed.clear();
        }
        Ok(())
    }
}
