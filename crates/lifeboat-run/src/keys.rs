//! The keys of a run: what seals, what opens, what signs.
//!
//! Texts that people paste are judged here, once, with words that say which line is wrong and never
//! show a secret one.

use crate::Secret;
use age::secrecy::{ExposeSecret, SecretString};
use lifeboat_plan::Encryption;
use std::io::{Read, Write};

/// Which stage the seal gets, and what it needs for it.
#[derive(Debug, Clone)]
pub enum Seal {
    /// Plain archives.
    Open,
    /// age with a passphrase (scrypt).
    Passphrase(Secret),
    /// age to these recipients (`age1…`, `ssh-ed25519 …`). Whoever only has these can seal, not open.
    Recipients(Vec<String>),
}

impl Seal {
    pub fn encryption(&self) -> Encryption {
        match self {
            Seal::Open => Encryption::None,
            Seal::Passphrase(_) | Seal::Recipients(_) => Encryption::Age,
        }
    }
}

/// Everything a run may hold. Each part may be missing: a sidecar that holds recipients only can
/// back up and check digests, but not open what it wrote.
#[derive(Debug, Clone)]
pub struct Keyring {
    pub seal: Seal,
    pub passphrase: Option<Secret>,
    /// age identities (`AGE-SECRET-KEY-1…`) and unencrypted OpenSSH keys, one each.
    pub identities: Vec<Secret>,
    /// Authenticates manifests; from `BACKUP_SIGNING_KEY`, else from the passphrase or identity.
    pub signing: Option<Secret>,
}

/// The texts that keys are made of, as they were configured.
#[derive(Debug, Clone, Default)]
pub struct KeyTexts {
    pub passphrase: Option<Secret>,
    /// Recipients between commas or newlines; `#` starts a comment line.
    pub recipients: Option<String>,
    /// An age key file, or an OpenSSH private key.
    pub identity: Option<Secret>,
    pub signing: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("line {line} of the recipients is no age recipient: {text:?}")]
    Recipient { line: usize, text: String },
    #[error("line {line} of the recipients is a secret key: it belongs into the identity")]
    SecretRecipient { line: usize },
    /// The line itself is not shown: it may be most of a secret key.
    #[error("line {line} of the identity is no age secret key")]
    Identity { line: usize },
    #[error("the identity is an SSH key that cannot be used: {0}")]
    Ssh(&'static str),
    #[error("{0} is empty")]
    Empty(&'static str),
    #[error("the keyring cannot open what it seals: {0}")]
    Canary(String),
}

impl KeyError {
    /// What to do about it: the second line that a person reads.
    pub fn hint(&self) -> &'static str {
        match self {
            KeyError::Recipient { .. } => {
                "a recipient is the public line of `age-keygen` (age1…), or an ssh-ed25519 public key"
            }
            KeyError::SecretRecipient { .. } => {
                "give the public key here (`age-keygen -y KEYFILE` prints it), and change the key if this text was seen by others"
            }
            KeyError::Identity { .. } => {
                "the identity is a file of `age-keygen`: comments, and lines of AGE-SECRET-KEY-1…"
            }
            KeyError::Ssh(_) => "use an unencrypted ed25519 key, or a key of `age-keygen`",
            KeyError::Empty(_) => "leave it out, or give it a value",
            KeyError::Canary(_) => {
                "the identity must belong to one of the recipients (`age-keygen -y KEYFILE` prints its recipient)"
            }
        }
    }
}

impl Keyring {
    /// No keys at all: plain archives, unsigned manifests.
    pub fn none() -> Self {
        Keyring {
            seal: Seal::Open,
            passphrase: None,
            identities: Vec::new(),
            signing: None,
        }
    }

    /// Seals to the recipients when there are any, else to the identities' own, else with the passphrase.
    /// All mistakes are reported together.
    pub fn new(texts: KeyTexts) -> Result<Self, Vec<KeyError>> {
        let mut errors = Vec::new();
        for (what, text) in [
            ("the passphrase", &texts.passphrase),
            ("the signing key", &texts.signing),
        ] {
            if text.as_ref().is_some_and(|text| text.reveal().is_empty()) {
                errors.push(KeyError::Empty(what));
            }
        }
        let recipients = texts.recipients.as_deref().map(parse_recipients);
        let identities = texts.identity.as_ref().map(parse_identities);
        let recipients = sorted(recipients, &mut errors);
        let identities = sorted(identities, &mut errors).unwrap_or_default();
        if !errors.is_empty() {
            return Err(errors);
        }
        let seal = match (recipients, &identities[..], &texts.passphrase) {
            (Some(recipients), _, _) => Seal::Recipients(recipients),
            (None, [_, ..], _) => {
                let own = identities
                    .iter()
                    .map(recipient_of)
                    .collect::<Result<_, _>>();
                Seal::Recipients(own.map_err(|error| vec![error])?)
            }
            (None, [], Some(passphrase)) => Seal::Passphrase(passphrase.clone()),
            (None, [], None) => Seal::Open,
        };
        Ok(Keyring {
            seal,
            passphrase: texts.passphrase,
            identities,
            signing: texts.signing,
        })
    }

    /// Whether an archive of this kind can be looked into with what is at hand.
    pub fn opens(&self, encryption: Encryption) -> bool {
        encryption == Encryption::None || self.can_open()
    }

    /// Whether there is anything to try on an encrypted archive.
    pub fn can_open(&self) -> bool {
        self.passphrase.is_some() || !self.identities.is_empty()
    }

    /// Seals a few bytes and opens them again: the proof that backups made today can be restored with
    /// the key at hand. `Ok(false)`: there is no key at hand to prove it with, or nothing is sealed.
    pub fn confirm(&self) -> Result<bool, KeyError> {
        const CANARY: &[u8] = b"lifeboat canary";
        let failed = |reason: String| KeyError::Canary(reason);
        if !self.can_open() {
            return Ok(false);
        }
        let sealed = match &self.seal {
            Seal::Open => return Ok(false),
            Seal::Passphrase(passphrase) => {
                let mut recipient =
                    age::scrypt::Recipient::new(SecretString::from(passphrase.reveal().as_str()));
                recipient.set_work_factor(1);
                seal_small(&[Box::new(recipient)], CANARY)
            }
            Seal::Recipients(texts) => {
                let recipients = texts
                    .iter()
                    .map(|text| {
                        parse_recipient(text).ok_or_else(|| KeyError::Recipient {
                            line: 1,
                            text: text.clone(),
                        })
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                seal_small(&recipients, CANARY)
            }
        }
        .map_err(|error| failed(error.to_string()))?;
        let mut opened = Vec::new();
        crate::unseal::open(
            "the canary",
            Box::new(std::io::Cursor::new(sealed)),
            lifeboat_plan::Compression::None,
            lifeboat_plan::Encryption::Age,
            self,
        )
        .map_err(|error| failed(error.to_string()))?
        .read_to_end(&mut opened)
        .map_err(|error| failed(error.to_string()))?;
        if opened == CANARY {
            Ok(true)
        } else {
            Err(failed("it came back as something else".to_owned()))
        }
    }

    /// The identities, ready to be tried.
    pub(crate) fn age_identities(
        &self,
    ) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, KeyError> {
        self.identities
            .iter()
            .map(|text| match parse_identity(text)? {
                Identity::Native(key) => Ok(Box::new(key) as _),
                Identity::Ssh(key) => Ok(Box::new(key) as _),
            })
            .collect()
    }
}

/// What was parsed well; mistakes go to the others.
fn sorted<T>(parsed: Option<Result<T, Vec<KeyError>>>, errors: &mut Vec<KeyError>) -> Option<T> {
    parsed?.map_err(|mistakes| errors.extend(mistakes)).ok()
}

/// `age1…` and `ssh-ed25519 …`, between commas or newlines.
pub fn parse_recipients(text: &str) -> Result<Vec<String>, Vec<KeyError>> {
    let mut recipients = Vec::new();
    let mut errors = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line_number = at + 1;
        if line.trim_start().starts_with('#') {
            continue;
        }
        // An SSH key may end in a comment with commas in it.
        let words: Vec<&str> = if line.trim_start().starts_with("ssh-") {
            vec![line]
        } else {
            line.split(',').collect()
        };
        for word in words
            .into_iter()
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            if word.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
                errors.push(KeyError::SecretRecipient { line: line_number });
            } else if parse_recipient(word).is_some() {
                recipients.push(word.to_owned());
            } else {
                errors.push(KeyError::Recipient {
                    line: line_number,
                    text: word.chars().take(80).collect(),
                });
            }
        }
    }
    if recipients.is_empty() && errors.is_empty() {
        errors.push(KeyError::Empty("the list of recipients"));
    }
    if errors.is_empty() {
        Ok(recipients)
    } else {
        Err(errors)
    }
}

/// A key file of age (comments, and one identity a line) or one OpenSSH private key.
pub fn parse_identities(text: &Secret) -> Result<Vec<Secret>, Vec<KeyError>> {
    let text = text.reveal();
    if text.trim_start().starts_with("-----BEGIN ") {
        // age wants the final newline that secret stores like to cut off.
        let key = Secret::new(format!("{}\n", text.trim()));
        return match parse_identity(&key) {
            Ok(_) => Ok(vec![key]),
            Err(error) => Err(vec![error]),
        };
    }
    let mut identities = Vec::new();
    let mut errors = Vec::new();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = Secret::new(line.to_owned());
        match parse_identity(&key) {
            Ok(_) => identities.push(key),
            Err(_) => errors.push(KeyError::Identity { line: at + 1 }),
        }
    }
    if identities.is_empty() && errors.is_empty() {
        errors.push(KeyError::Empty("the identity"));
    }
    if errors.is_empty() {
        Ok(identities)
    } else {
        Err(errors)
    }
}

enum Identity {
    Native(age::x25519::Identity),
    Ssh(age::ssh::Identity),
}

fn parse_identity(text: &Secret) -> Result<Identity, KeyError> {
    let text = text.reveal().as_str();
    if !text.starts_with("-----BEGIN ") {
        return text
            .parse()
            .map(Identity::Native)
            .map_err(|_| KeyError::Identity { line: 1 });
    }
    match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
        Ok(age::ssh::Identity::Encrypted(_)) => {
            Err(KeyError::Ssh("it is protected by a passphrase of its own"))
        }
        Ok(key @ age::ssh::Identity::Unencrypted(_)) => {
            match age::ssh::Recipient::try_from(key.clone()) {
                Ok(age::ssh::Recipient::SshEd25519(..)) => Ok(Identity::Ssh(key)),
                _ => Err(KeyError::Ssh("it is no ed25519 key")),
            }
        }
        _ => Err(KeyError::Ssh("it is of an unknown kind")),
    }
}

/// RSA keys are refused: the only Rust implementation of RSA leaks private keys through its timing, and
/// what is sealed must be opened somewhere.
fn parse_recipient(text: &str) -> Option<Box<dyn age::Recipient>> {
    if let Ok(native) = text.parse::<age::x25519::Recipient>() {
        return Some(Box::new(native));
    }
    let ssh = text
        .starts_with("ssh-ed25519 ")
        .then(|| text.parse::<age::ssh::Recipient>());
    Some(Box::new(ssh?.ok()?))
}

/// The recipient whose files this identity opens.
fn recipient_of(identity: &Secret) -> Result<String, KeyError> {
    match parse_identity(identity)? {
        Identity::Native(key) => Ok(key.to_public().to_string()),
        Identity::Ssh(key) => age::ssh::Recipient::try_from(key)
            .map(|recipient| recipient.to_string())
            .map_err(|_| KeyError::Ssh("it has no public half")),
    }
}

fn seal_small(
    recipients: &[Box<dyn age::Recipient>],
    plain: &[u8],
) -> Result<Vec<u8>, age::EncryptError> {
    let mut sealed = Vec::new();
    let all = recipients.iter().map(|one| &**one as &dyn age::Recipient);
    let mut writer = age::Encryptor::with_recipients(all)?.wrap_output(&mut sealed)?;
    writer.write_all(plain)?;
    writer.finish()?;
    Ok(sealed)
}

/// A new identity and its recipient, as `age-keygen` makes them.
pub fn generate() -> (Secret, String) {
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public().to_string();
    (
        Secret::new(key.to_string().expose_secret().to_owned()),
        recipient,
    )
}
