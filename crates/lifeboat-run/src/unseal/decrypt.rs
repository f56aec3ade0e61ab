//! Decryption: the age format, with a passphrase or with identities.

use super::{Trouble, UnsealError};
use crate::Keyring;
use age::{DecryptError, Identity, secrecy::SecretString};
use lifeboat_plan::Encryption;
use std::io::{BufRead, BufReader};

/// scrypt's cost, as the exponent of N, up to which a file is believed: 1 GiB of memory for one try.
/// Ours ask for 32 MiB, `age -p` for 256 MiB.
const SCRYPT_LOG_N_MAX: u8 = 20;

pub(super) fn decrypt(
    file: &str,
    stored: Box<dyn BufRead + Send>,
    encryption: Encryption,
    keys: &Keyring,
) -> Result<Box<dyn BufRead + Send>, UnsealError> {
    match encryption {
        Encryption::None => Ok(stored),
        Encryption::Age => {
            if !keys.can_open() {
                return Err(UnsealError::NoKey {
                    file: file.to_owned(),
                });
            }
            let plain = age::Decryptor::new_buffered(stored)
                .and_then(|age| age.decrypt(identities(keys)?.iter().map(|one| &**one as _)))
                .map_err(|error| refusal(file, error))?;
            Ok(Box::new(BufReader::with_capacity(64 * 1024, plain)))
        }
    }
}

fn identities(keys: &Keyring) -> Result<Vec<Box<dyn Identity + Send + Sync>>, DecryptError> {
    let mut all = keys
        .age_identities()
        .map_err(|_| DecryptError::KeyDecryptionFailed)?;
    if let Some(passphrase) = &keys.passphrase {
        let mut scrypt =
            age::scrypt::Identity::new(SecretString::from(passphrase.reveal().as_str()));
        scrypt.set_max_work_factor(SCRYPT_LOG_N_MAX);
        all.push(Box::new(scrypt));
    }
    Ok(all)
}

fn refusal(file: &str, error: DecryptError) -> UnsealError {
    match error {
        DecryptError::NoMatchingKeys
        | DecryptError::DecryptionFailed
        | DecryptError::KeyDecryptionFailed => UnsealError::WrongKey {
            file: file.to_owned(),
        },
        DecryptError::ExcessiveWork { required, .. } => UnsealError::Hostile {
            file: file.to_owned(),
            reason: format!(
                "its passphrase asks for 2^{required} rounds of scrypt; 2^{SCRYPT_LOG_N_MAX} is the limit"
            ),
        },
        DecryptError::Io(error) => Trouble::tell(file, error),
        DecryptError::InvalidHeader | DecryptError::InvalidMac => UnsealError::Damaged {
            file: file.to_owned(),
            reason: "its age header was changed".to_owned(),
        },
        _ => UnsealError::Damaged {
            file: file.to_owned(),
            reason: "it is no age file of version 1".to_owned(),
        },
    }
}
