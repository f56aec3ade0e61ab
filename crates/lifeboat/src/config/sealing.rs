//! How archives are sealed, and with which keys.

use super::{
    mistake::Complaint,
    parse::items,
    reader::{Read, Reader},
    register::{
        AGE_IDENTITY, AGE_RECIPIENTS, COMPRESSION, COMPRESSION_LEVEL, COMPRESSION_THREADS,
        ENCRYPTION, ENCRYPTION_KEY, SIGNING_KEY,
    },
};
use lifeboat_plan::{Compression, Encryption};
use lifeboat_run::{Keyring, Secret, keys::Seal, seal::Recipe};

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
    let wanted: Read<Option<Encryption>> = wanted(reader);
    let passphrase = reader.secret(&ENCRYPTION_KEY);
    let recipients = recipients(reader);
    let identities = identities(reader);
    let signing = reader.secret(&SIGNING_KEY);
    let (wanted, passphrase, recipients, identities, signing) =
        (wanted?, passphrase?, recipients?, identities?, signing?);

    let seal = if wanted == Some(Encryption::None) {
        none_is_meant(&passphrase, &recipients, reader)?
    } else if !recipients.is_empty() {
        if passphrase.is_some() {
            reader.report.warning(
                "BACKUP_AGE_RECIPIENTS and BACKUP_ENCRYPTION_KEY are both set: new archives are sealed \
                 to the recipients",
                "the passphrase only opens older archives; take it away when none of them is left",
            );
        }
        Seal::Recipients(recipients)
    } else if let Some(passphrase) = &passphrase {
        Seal::Passphrase(passphrase.clone())
    } else if wanted == Some(Encryption::Age) {
        return Err(reader.refuse(
            &ENCRYPTION,
            Complaint::new(
                "asks for encryption, and there is no key to seal with",
                "set BACKUP_ENCRYPTION_KEY_FILE or BACKUP_AGE_RECIPIENTS",
            ),
        ));
    } else {
        Seal::Open
    };
    if wanted.is_none() {
        say_what_follows(&seal, reader);
    }
    if let Seal::Passphrase(passphrase) = &seal
        && passphrase.reveal().chars().count() < PASSPHRASE_CHARS_MIN
    {
        reader.report.warning(
            "BACKUP_ENCRYPTION_KEY is short enough to be found by trying",
            "take several words, for example from `openssl rand -base64 24`",
        );
    }
    let signing = signing.or_else(|| signing_from(&passphrase, &identities, reader));
    Ok(Keyring {
        signing,
        seal,
        passphrase,
        identities,
    })
}

/// Whoever can open the archives can vouch for their records.
fn signing_from(
    passphrase: &Option<Secret>,
    identities: &[Secret],
    reader: &mut Reader<'_>,
) -> Option<Secret> {
    let (key, from) = match (passphrase, identities.first()) {
        (Some(passphrase), _) => (passphrase, &ENCRYPTION_KEY),
        (None, Some(identity)) => (identity, &AGE_IDENTITY),
        (None, None) => return None,
    };
    reader.follows(&SIGNING_KEY, "***".to_owned(), from.env_name());
    Some(key.clone())
}

fn wanted(reader: &mut Reader<'_>) -> Read<Option<Encryption>> {
    reader.optional(&ENCRYPTION, |raw| {
        let word = raw.to_string();
        match word.trim().to_ascii_lowercase().as_str() {
            "gpg" | "openssl" => Err(Complaint::new(
                "this version does not do that yet",
                "use age: its stock tool opens the archives too",
            )),
            _ => super::parse::one_of(&word, &ENCRYPTION),
        }
    })
}

/// Plain archives although there are keys. Recipients can do nothing but seal, so they contradict it;
/// a passphrase may be there for older archives.
fn none_is_meant(
    passphrase: &Option<Secret>,
    recipients: &[String],
    reader: &mut Reader<'_>,
) -> Read<Seal> {
    if !recipients.is_empty() {
        return Err(reader.refuse(
            &ENCRYPTION,
            Complaint::new(
                "asks for plain archives, but BACKUP_AGE_RECIPIENTS is set",
                "take one of the two away",
            ),
        ));
    }
    if passphrase.is_some() {
        reader.report.warning(
            "BACKUP_ENCRYPTION=none: archives are plain although BACKUP_ENCRYPTION_KEY is set",
            "take BACKUP_ENCRYPTION away to seal them; the key then still opens older archives",
        );
    }
    Ok(Seal::Open)
}

fn say_what_follows(seal: &Seal, reader: &mut Reader<'_>) {
    let (encryption, from) = match seal {
        Seal::Open => (Encryption::None, "no key being given"),
        Seal::Passphrase(_) => (Encryption::Age, "BACKUP_ENCRYPTION_KEY"),
        Seal::Recipients(_) => (Encryption::Age, "BACKUP_AGE_RECIPIENTS"),
    };
    reader.follows(&ENCRYPTION, encryption.to_string(), from.to_owned());
}

fn recipients(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    let recipients = reader.optional(&AGE_RECIPIENTS, |raw| {
        let lines = items(raw)?
            .into_iter()
            .filter(|line| !line.starts_with('#'));
        lines.map(recipient).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(recipients.unwrap_or_default())
}

fn recipient(text: String) -> Result<String, Complaint> {
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(Complaint::new(
            "is a secret key, and recipients are public ones",
            "`age-keygen -y` prints the public key of it; the secret one belongs into \
             BACKUP_AGE_IDENTITY_FILE",
        ));
    }
    let known = ["age1", "ssh-ed25519 ", "ssh-rsa "];
    match known.iter().any(|start| text.starts_with(start)) {
        true => Ok(text),
        false => Err(Complaint::new(
            "is not a recipient that age knows",
            "write public keys, age1… or ssh-ed25519 …, with commas between them",
        )),
    }
}

fn identities(reader: &mut Reader<'_>) -> Read<Vec<Secret>> {
    let identities = reader.optional(&AGE_IDENTITY, |raw| {
        let text = raw.to_string();
        let lines = text.lines().map(str::trim);
        let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        keys.map(identity).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(identities.unwrap_or_default())
}

fn identity(line: &str) -> Result<Secret, Complaint> {
    match line.starts_with("AGE-SECRET-KEY-") {
        true => Ok(Secret::new(line.to_owned())),
        false => Err(Complaint::new(
            "has a line that is not a secret key of age",
            "give it a file as age-keygen writes it: AGE-SECRET-KEY-1…, one a line",
        )),
    }
}
