use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an object lies in a store: words joined by `/`, none of them empty, `.` or `..`, without
/// control characters; at most 1,024 bytes. A key can never lead out of its store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be the key of an object")]
pub struct BadKey(pub String);

impl Key {
    pub fn new(text: impl Into<String>) -> Result<Self, BadKey> {
        let text = text.into();
        let sound = text.len() <= 1024
            && text
                .split('/')
                .all(|word| !matches!(word, "" | "." | "..") && word.len() <= 255)
            && !text.chars().any(char::is_control);
        if sound {
            Ok(Key(text))
        } else {
            Err(BadKey(text))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last word.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// What Lifeboat keeps for itself in a store: never listed unless it is asked for by name.
pub(crate) const OWN_FOLDER: &str = ".lifeboat";

/// Whether `list(prefix)` may show what lies at `path`. Locks, leases and unfinished files are no
/// objects, so they are not shown even then.
pub(crate) fn is_listed(path: &str, prefix: &str) -> bool {
    let mut words = path.split('/');
    if words.next() != Some(OWN_FOLDER) {
        return true;
    }
    prefix.starts_with(OWN_FOLDER) && !matches!(words.next(), Some("work" | "lock" | "leases"))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = BadKey;
    fn try_from(text: String) -> Result<Self, BadKey> {
        Key::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0
    }
}
