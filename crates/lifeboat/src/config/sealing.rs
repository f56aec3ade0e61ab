//! How archives are sealed, and with which keys.

use super::{
    mistake::Complaint,
    origin::Raw,
    parse::{one_of, text},
    reader::{Read, Reader},
    register::{
        AGE_IDENTITY, AGE_RECIPIENTS, COMPRESSION, COMPRESSION_LEVEL, COMPRESSION_THREADS,
        ENCRYPTION, ENCRYPTION_KEY, SIGNING_KEY,
    },
};
use lifeboat_plan::{Compression, Encryption};
use lifeboat_run::{
    Keyring, Secret,
    keys::{self, KeyError, KeyTexts, Seal},
    seal::Recipe,
};

#[derive(Debug, Clone)]
pub struct Sealing {
    pub compression: Compression,
    pub level: i32,
    /// 0: one for each core.
    pub threads: usize,
    pub keys: Keyring,
}

impl Sealing {
    pub fn recipe(&self) -> Recipe {
        Recipe {
            compression: self.compression,
            level: self.level,
            threads: self.threads,
            seal: self.keys.seal.clone(),
        }
    }
}

/// A passphrase that is shorter can be found by trying.
const PASSPHRASE_CHARS_MIN: usize = 12;

pub(super) fn read(reader: &mut Reader<'_>) -> Read<Sealing> {
    let compression = reader.one_of(&COMPRESSION);
    let level = reader.optional_number(&COMPRESSION_LEVEL);
    let threads = reader.optional_number(&COMPRESSION_THREADS);
    let keys = keyring(reader);
    let level = match (compression, level?) {
        (Err(refused), _) => return Err(refused),
        (Ok(compression), level) => level_for(compression, level, reader),
    };
    Ok(Sealing {
        compression: compression?,
        level: level?,
        threads: threads?.unwrap_or(0),
        keys: keys?,
    })
}

fn level_for(compression: Compression, level: Option<i32>, reader: &mut Reader<'_>) -> Read<i32> {
    let (levels, usual) = compression.levels();
    match level {
        None => {
            let from = format!("BACKUP_COMPRESSION={compression}");
            reader.follows(&COMPRESSION_LEVEL, usual.to_string(), from);
            Ok(usual)
        }
        Some(_) if compression == Compression::None => Ok(usual),
        Some(level) if levels.contains(&level) => Ok(level),
        Some(_) => {
            let (least, most) = (levels.start(), levels.end());
            Err(reader.refuse(
                &COMPRESSION_LEVEL,
                Complaint::new(
                    format!("is no level of {compression}"),
                    format!("write a number from {least} to {most}; {usual} is usual"),
                ),
            ))
        }
    }
}

fn keyring(reader: &mut Reader<'_>) -> Read<Keyring> {
    let wanted = wanted(reader);
    let passphrase = reader.secret(&ENCRYPTION_KEY);
    let recipients = reader.optional(&AGE_RECIPIENTS, recipients);
    let identity = reader.optional(&AGE_IDENTITY, identity);
    let signing = reader.secret(&SIGNING_KEY);
    let wanted = wanted?;
    let texts = KeyTexts {
        passphrase: passphrase?,
        recipients: recipients?,
        identity: identity?,
        signing: signing?,
    };
    let given = Given {
        passphrase: texts.passphrase.is_some(),
        recipients: texts.recipients.is_some(),
        identity: texts.identity.is_some(),
    };
    say_who_signs(&texts, reader);
    let mut keys =
        Keyring::new(texts).map_err(|errors| reader.refuse(&AGE_IDENTITY, complaint(&errors)))?;
    match wanted {
        Some(Encryption::None) => {
            plain_is_meant(&given, reader)?;
            keys.seal = Seal::Open;
        }
        Some(Encryption::Age) if matches!(keys.seal, Seal::Open) => {
            let complaint = Complaint::new(
                "asks for encryption, and there is no key to seal with",
                "set BACKUP_ENCRYPTION_KEY_FILE or BACKUP_AGE_RECIPIENTS",
            );
            return Err(reader.refuse(&ENCRYPTION, complaint));
        }
        Some(Encryption::Age) => {}
        None => say_what_follows(&keys.seal, &given, reader),
    }
    warn_of(&keys, &given, reader);
    Ok(keys)
}

/// Which of the keys there are, whatever became of them.
struct Given {
    passphrase: bool,
    recipients: bool,
    identity: bool,
}

fn wanted(reader: &mut Reader<'_>) -> Read<Option<Encryption>> {
    reader.optional(&ENCRYPTION, |raw| {
        let word = raw.to_string();
        match word.trim().to_ascii_lowercase().as_str() {
            "gpg" | "openssl" => Err(Complaint::new(
                "this version does not do that yet",
                "use age: its stock tool opens the archives too",
            )),
            _ => one_of(&word, &ENCRYPTION),
        }
    })
}

/// As text, one a line where they came as a list.
fn recipients(raw: &Raw) -> Result<String, Complaint> {
    let text = match raw {
        Raw::Text(text) => text.clone(),
        Raw::List(items) => items.join("\n"),
    };
    keys::parse_recipients(&text).map_err(|errors| complaint(&errors))?;
    Ok(text)
}

fn identity(raw: &Raw) -> Result<Secret, Complaint> {
    let text = Secret::new(text(raw)?.to_owned());
    keys::parse_identities(&text).map_err(|errors| complaint(&errors))?;
    Ok(text)
}

fn complaint(errors: &[KeyError]) -> Complaint {
    let what: Vec<String> = errors
        .iter()
        .map(|error| match error {
            // Without its text: a secret key in quotes is no recipient either.
            KeyError::Recipient { line, .. } => format!("line {line} is no recipient of age"),
            other => other.to_string(),
        })
        .collect();
    let hint = errors.first().map_or("", |error| error.hint());
    Complaint::new(what.join("; "), hint)
}

/// Plain archives although there are keys. Recipients can do nothing but seal, so they contradict it;
/// the other keys may be there for older archives.
fn plain_is_meant(given: &Given, reader: &mut Reader<'_>) -> Read<()> {
    if given.recipients {
        let complaint = Complaint::new(
            "asks for plain archives, but BACKUP_AGE_RECIPIENTS is set",
            "take one of the two away",
        );
        return Err(reader.refuse(&ENCRYPTION, complaint));
    }
    if given.passphrase || given.identity {
        reader.report.warning(
            "BACKUP_ENCRYPTION=none: archives are plain although a key is given",
            "take BACKUP_ENCRYPTION away to seal them; the key opens older archives either way",
        );
    }
    Ok(())
}

fn say_what_follows(seal: &Seal, given: &Given, reader: &mut Reader<'_>) {
    let (encryption, from) = match seal {
        Seal::Open => (Encryption::None, "no key being given".to_owned()),
        Seal::Passphrase(_) => (Encryption::Age, ENCRYPTION_KEY.env_name()),
        Seal::Recipients(_) if given.recipients => (Encryption::Age, AGE_RECIPIENTS.env_name()),
        Seal::Recipients(_) => (Encryption::Age, AGE_IDENTITY.env_name()),
    };
    reader.follows(&ENCRYPTION, encryption.to_string(), from);
}

/// Whoever can open the archives can vouch for their records.
fn say_who_signs(texts: &KeyTexts, reader: &mut Reader<'_>) {
    let from = match texts {
        KeyTexts {
            signing: Some(_), ..
        } => return,
        KeyTexts {
            passphrase: Some(_),
            ..
        } => &ENCRYPTION_KEY,
        KeyTexts {
            identity: Some(_), ..
        } => &AGE_IDENTITY,
        _ => return,
    };
    reader.follows(&SIGNING_KEY, "***".to_owned(), from.env_name());
}

fn warn_of(keys: &Keyring, given: &Given, reader: &mut Reader<'_>) {
    match &keys.seal {
        Seal::Open => {}
        Seal::Passphrase(passphrase) => {
            if passphrase.reveal().chars().count() < PASSPHRASE_CHARS_MIN {
                reader.report.warning(
                    "BACKUP_ENCRYPTION_KEY is short enough to be found by trying",
                    "take several words, or what `openssl rand -base64 24` prints",
                );
            }
        }
        Seal::Recipients(_) => {
            if given.passphrase {
                let to = if given.recipients {
                    &AGE_RECIPIENTS
                } else {
                    &AGE_IDENTITY
                };
                let to = to.env_name();
                reader.report.warning(
                    format!("BACKUP_ENCRYPTION_KEY is set besides {to}, which new archives are sealed to"),
                    "the passphrase only opens older archives; take it away when none of them is left",
                );
            }
            if given.identity && keys.confirm().is_err() {
                reader.report.warning(
                    "BACKUP_AGE_IDENTITY cannot open what is sealed to BACKUP_AGE_RECIPIENTS",
                    "compare them: `age-keygen -y KEYFILE` prints the recipient of an identity",
                );
            }
        }
    }
}
