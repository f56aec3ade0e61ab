//! The keys of a run: what seals, what opens, what signs.

use crate::Secret;

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

/// Everything a run may hold. Each part may be missing: a sidecar that holds recipients only can
/// back up and check digests, but not open what it wrote.
#[derive(Debug, Clone)]
pub struct Keyring {
    pub seal: Seal,
    pub passphrase: Option<Secret>,
    /// age identities (`AGE-SECRET-KEY-1…`), one a line as in a key file.
    pub identities: Vec<Secret>,
    /// Authenticates manifests; from `BACKUP_SIGNING_KEY`, else from the passphrase or identity.
    pub signing: Option<Secret>,
}
