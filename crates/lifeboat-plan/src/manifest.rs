//! The manifest: what one backup holds. It is written last, and its existence *is* the commit.
//!
//! A manifest is read by programs that are older and younger than the one that wrote it, so unknown
//! members are kept (`more`) and take part in the MAC. The MAC covers the *canonical* form, which any
//! stranger can make with `jq -cS 'del(.mac)'`: members sorted by name, no white space. For this to hold
//! with every JSON program, numbers are whole and below 2^53; larger ones belong into strings.

use crate::{BackupId, Compression, Encryption, Name, Tier};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The format that this program writes. A reader refuses a larger number and reads all smaller ones.
pub const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub id: BackupId,
    pub name: Name,
    pub tier: Tier,
    #[serde(rename = "type")]
    pub kind: BackupType,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    pub completed_at: DateTime<Utc>,
    pub host: String,
    /// The program that wrote it.
    pub version: String,
    /// One more than the backup before it under the same name. Order is taken from here, never from
    /// a clock.
    pub sequence: u64,
    /// The backup written just before this one, as this one's writer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Link>,
    /// Only these sources were asked for; empty: all of them. A selection counts for no keep rule and is
    /// never what `latest` means, because the other sources are missing from it on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// Set on a copy in a longer tier: the backup whose bytes it shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<BackupId>,
    /// Retention leaves it alone until then (safety backups before a restore).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compose: Option<Value>,
    pub archives: Vec<Archive>,
    /// Sources that could not be captured; not empty exactly when `status` is not `completed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    /// When the stored bytes were last read back whole and found right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
    /// Absent: unsigned, because neither an encryption secret nor a signing key was configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Members that a younger program wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupType {
    Scheduled,
    Manual,
    PreRestore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Completed,
    /// Some sources were captured, others not. Restorable, but counts for no keep rule.
    Partial,
    Failed,
}

/// One sealed stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    pub source: String,
    /// `files`, `sqlite`, `postgres` …: what kind of source it came from.
    pub kind: String,
    /// File name inside the tier's folder.
    pub file: String,
    /// Bytes as stored, and their SHA-256 (`sha256sum FILE`).
    pub size: u64,
    pub sha256: String,
    /// Bytes of the plain stream, and its XXH3-128 (`unseal | xxh128sum`).
    pub plain_size: u64,
    pub plain_xxh128: String,
    pub compression: Compression,
    pub encryption: Encryption,
    /// Members of the tar stream; absent for a dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// What was not captured as one would wish, the first of them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warnings_total: u64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A source that is not in the backup, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    pub source: String,
    pub reason: String,
    /// For machines: one of a closed set of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// Dated evidence of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub at: DateTime<Utc>,
    pub proved: bool,
    pub summary: String,
}

/// A neighbour in the chain, with the SHA-256 of its [`Manifest::core`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: BackupId,
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac {
    /// `hmac-sha256`.
    pub algorithm: String,
    /// Names the key without telling anything of it.
    pub key_id: String,
    pub value: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("not a manifest: {0}")]
    Shape(#[from] serde_json::Error),
    #[error("written by a younger Lifeboat (format {found}, this one reads up to {FORMAT})")]
    Younger { found: u64 },
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Version {
            format: u64,
        }
        let Version { format } = serde_json::from_slice(bytes)?;
        if format > u64::from(FORMAT) {
            return Err(ManifestError::Younger { found: format });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Of a backup that holds nothing yet, made at `at`.
    pub fn empty(id: BackupId, at: DateTime<Utc>) -> Self {
        Manifest {
            format: FORMAT,
            name: id.name().clone(),
            tier: id.tier(),
            id,
            kind: BackupType::Manual,
            status: Status::Completed,
            created_at: at,
            completed_at: at,
            host: String::new(),
            version: String::new(),
            sequence: 0,
            previous: None,
            selection: Vec::new(),
            origin: None,
            keep_until: None,
            compose: None,
            archives: Vec::new(),
            missed: Vec::new(),
            verified_at: None,
            proofs: Vec::new(),
            mac: None,
            more: Map::new(),
        }
    }

    /// The bytes that are stored: readable, one member a line, ends with a newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(&self.value()).expect(PLAIN_JSON);
        bytes.push(b'\n');
        bytes
    }

    /// What the MAC is taken over: everything but the MAC itself.
    pub fn canonical(&self) -> Vec<u8> {
        canonical(self.value(), &["mac"])
    }

    /// What the chain is made of: everything that never changes once written. Evidence that is added
    /// later (`verified_at`, `proofs`) leaves the chain whole.
    pub fn core(&self) -> Vec<u8> {
        canonical(self.value(), &EVIDENCE)
    }

    /// [`Manifest::canonical`] of stored bytes, taken from the text itself and not from what this
    /// program understood of it: so the MAC of a younger program's manifest is judged rightly.
    pub fn canonical_of(stored: &[u8]) -> Result<Vec<u8>, ManifestError> {
        Ok(canonical(serde_json::from_slice(stored)?, &["mac"]))
    }

    /// [`Manifest::core`] of stored bytes, likewise.
    pub fn core_of(stored: &[u8]) -> Result<Vec<u8>, ManifestError> {
        Ok(canonical(serde_json::from_slice(stored)?, &EVIDENCE))
    }

    pub fn is_completed(&self) -> bool {
        self.status == Status::Completed
    }

    /// Everything that there was to capture was captured.
    pub fn is_full(&self) -> bool {
        self.is_completed() && self.selection.is_empty()
    }

    /// Bytes as stored, over all archives.
    pub fn size(&self) -> u64 {
        sum(self.archives.iter().map(|archive| archive.size))
    }

    /// Bytes of the plain streams, over all archives.
    pub fn plain_size(&self) -> u64 {
        sum(self.archives.iter().map(|archive| archive.plain_size))
    }

    fn value(&self) -> Value {
        serde_json::to_value(self).expect(PLAIN_JSON)
    }
}

/// Of figures that a manifest names: they are only claims, and may add up to more than there are numbers.
pub fn sum(figures: impl Iterator<Item = u64>) -> u64 {
    figures.fold(0, u64::saturating_add)
}

/// What may be added to a manifest after its backup was made.
const EVIDENCE: [&str; 3] = ["mac", "verified_at", "proofs"];

/// Writing a tree of strings, numbers and string-keyed maps to memory has no way to fail.
const PLAIN_JSON: &str = "a manifest is plain JSON";

fn canonical(mut value: Value, without: &[&str]) -> Vec<u8> {
    if let Value::Object(map) = &mut value {
        for member in without {
            map.remove(*member);
        }
    }
    // Maps are sorted anyway, until a crate far away turns `preserve_order` on for all of us.
    value.sort_all_objects();
    let text = serde_json::to_string(&value).expect(PLAIN_JSON);
    // The one character that jq escapes and serde_json does not.
    text.replace('\u{7f}', "\\u007f").into_bytes()
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
