//! Whether a manifest was written by someone who holds our secret, and which one came before it.
//!
//! The key of the MAC comes from a secret in one documented way, so that a stranger with stock tools can
//! check it too:
//!
//! ```text
//! key    = PBKDF2-HMAC-SHA256(secret, "lifeboat manifest key v1", 600,000 rounds, 32 bytes)
//! key_id = first 16 hex digits of HMAC-SHA256(key, "lifeboat key id")
//! mac    = HMAC-SHA256(key, canonical manifest)
//! ```
//!
//! The secret is `BACKUP_SIGNING_KEY`, else the passphrase, else the first identity (its line of the key
//! file). Recipients are public and can sign nothing.

use crate::{Keyring, Secret};
use lifeboat_plan::{
    Manifest,
    manifest::{Link, Mac, ManifestError},
};
use ring::{digest, hmac, pbkdf2};
use std::{fmt, num::NonZeroU32, sync::OnceLock};
use zeroize::Zeroizing;

pub const ALGORITHM: &str = "hmac-sha256";
pub const SALT: &[u8] = b"lifeboat manifest key v1";
pub const ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("not zero");
const KEY_ID_TEXT: &[u8] = b"lifeboat key id";

/// What may be believed of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authenticity {
    Verified,
    /// Written without a secret: anybody could have written it.
    Unsigned,
    /// Carries no MAC although the secret at hand would have signed it: written before there was one, or
    /// by somebody else.
    Stripped,
    /// Signed with a key that is not at hand; says nothing in either direction.
    UnknownKey {
        key_id: String,
    },
    /// Signed with our key, but not as it is now.
    Forged,
}

impl Authenticity {
    /// Counts for retention and may be restored from without a second thought.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Authenticity::Verified | Authenticity::Unsigned)
    }
}

/// Signs and judges. A key takes about 0.2 s to derive, so that is done when it is first needed, once.
#[derive(Debug)]
pub struct Authenticator {
    /// The first one signs; the others are looked at for manifests of earlier days.
    keys: Vec<Derived>,
    /// Whoever wrote with our passphrase or signing key had it to sign with too. Not so with an identity:
    /// the writer may have had its public half only.
    expects_mac: bool,
}

struct Derived {
    secret: Secret,
    key: OnceLock<(String, hmac::Key)>,
}

impl Authenticator {
    pub fn new(keys: &Keyring) -> Self {
        let secrets = keys
            .signing
            .iter()
            .chain(&keys.passphrase)
            .chain(&keys.identities);
        Authenticator {
            keys: secrets
                .map(|secret| Derived {
                    secret: Secret::new(secret.reveal().trim().to_owned()),
                    key: OnceLock::new(),
                })
                .collect(),
            expects_mac: keys.signing.is_some() || keys.passphrase.is_some(),
        }
    }

    /// Whether what this writes will be signed.
    pub fn signs(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Names the key without telling anything of it.
    pub fn key_id(&self) -> Option<&str> {
        self.keys.first().map(|key| key.get().0.as_str())
    }

    /// Puts the MAC into `manifest`; leaves it unsigned when there is no secret.
    pub fn sign(&self, manifest: &mut Manifest) {
        manifest.mac = self.keys.first().map(|key| {
            let (key_id, key) = key.get();
            Mac {
                algorithm: ALGORITHM.to_owned(),
                key_id: key_id.clone(),
                value: hex(hmac::sign(key, &manifest.canonical()).as_ref()),
            }
        });
    }

    /// Judges the bytes that are stored, not what this program understood of them. `manifest` is what
    /// [`Manifest::parse`] made of them.
    pub fn judge(&self, stored: &[u8], manifest: &Manifest) -> Result<Authenticity, ManifestError> {
        let Some(mac) = &manifest.mac else {
            return Ok(match self.expects_mac {
                true => Authenticity::Stripped,
                false => Authenticity::Unsigned,
            });
        };
        let Some((_, key)) = self
            .keys
            .iter()
            .map(Derived::get)
            .find(|(key_id, _)| *key_id == mac.key_id)
        else {
            return Ok(Authenticity::UnknownKey {
                key_id: mac.key_id.clone(),
            });
        };
        let canonical = Manifest::canonical_of(stored)?;
        let verified = mac.algorithm == ALGORITHM
            && unhex(&mac.value).is_some_and(|tag| hmac::verify(key, &canonical, &tag).is_ok());
        Ok(if verified {
            Authenticity::Verified
        } else {
            Authenticity::Forged
        })
    }
}

impl Derived {
    fn get(&self) -> &(String, hmac::Key) {
        self.key.get_or_init(|| {
            let mut bytes = Zeroizing::new([0; 32]);
            pbkdf2::derive(
                pbkdf2::PBKDF2_HMAC_SHA256,
                ROUNDS,
                SALT,
                self.secret.reveal().as_bytes(),
                &mut *bytes,
            );
            let key = hmac::Key::new(hmac::HMAC_SHA256, &*bytes);
            let key_id = hex(&hmac::sign(&key, KEY_ID_TEXT).as_ref()[..8]);
            (key_id, key)
        })
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The link that the next manifest carries to this one.
pub fn link_to(manifest: &Manifest) -> Link {
    Link {
        id: manifest.id.clone(),
        sha256: sha256_of_core(manifest),
    }
}

/// Whether `manifest` is the very one that `link` was made to.
pub fn link_holds(link: &Link, manifest: &Manifest) -> bool {
    link.id == manifest.id && link.sha256 == sha256_of_core(manifest)
}

fn sha256_of_core(manifest: &Manifest) -> String {
    hex(digest::digest(&digest::SHA256, &manifest.core()).as_ref())
}

/// Lower case, as `sha256sum` prints it.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        // In lower case, as they were written: any other bit in the file is a changed one.
        .map(|c| c.to_digit(16).filter(|_| !c.is_ascii_uppercase()))
        .map(|digit| digit.map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| {
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}
