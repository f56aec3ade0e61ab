//! Which key holds what. The only place that knows how files are called.
//!
//! ```text
//! daily/shop_daily_20251213_020000.storage.tar.zst          an archive
//! daily/shop_daily_20251213_020000.storage.tar.zst.sha256   for `sha256sum -c`
//! daily/shop_daily_20251213_020000.json                     the manifest: the commit
//! manifest.json                                             the catalogue, a cache
//! .lifeboat/                                                everything that is no backup
//! ```

use crate::source::Source;
use lifeboat_plan::{BackupId, Compression, Encryption, Tier};
use lifeboat_store::{Error, ErrorKind, Key};

/// The catalogue: what all manifests say, in one file, for people and scripts.
pub const CATALOGUE: &str = "manifest.json";

/// Manifests of backups that are being deleted, or wait out their grace.
pub const DROPPED: &str = ".lifeboat/dropped/";

/// Backups that were found damaged, and why.
pub const QUARANTINE: &str = ".lifeboat/quarantine/";

/// The name of an archive in its tier's folder.
///
/// A source's name may hold anything that a folder's name may; whatever would not travel well in a file
/// name is written as `%XX`.
pub fn archive_file(
    id: &BackupId,
    source: &dyn Source,
    compression: Compression,
    encryption: Encryption,
) -> String {
    let ends = format!(
        "{}{}{}",
        source.ending(),
        compression.extension(),
        encryption.extension()
    );
    match source.name() {
        "" => format!("{id}.{ends}"),
        name => format!("{id}.{}.{ends}", file_word(name)),
    }
}

/// The same archive under another tier's id.
pub fn renamed(file: &str, from: &BackupId, to: &BackupId) -> Option<String> {
    file.strip_prefix(&from.to_string())
        .map(|rest| format!("{to}{rest}"))
}

/// Of a file that we named ourselves.
pub(crate) fn in_tier(tier: Tier, file: &str) -> Key {
    key(format!("{tier}/{file}"))
}

/// Where an archive lies of which we read: whoever wrote its manifest chose the name, and it may be none.
pub fn archive(tier: Tier, file: &str) -> Result<Key, Error> {
    let key = |file: &str| Key::new(format!("{tier}/{file}")).ok();
    let plain = !file.contains('/') && key(&digest_file(file)).is_some();
    key(file).filter(|_| plain).ok_or_else(|| {
        let detail = "no archive can have this name";
        Error::new(ErrorKind::Corrupt, "look for", file, detail)
    })
}

pub fn digest_file(archive_file: &str) -> String {
    format!("{archive_file}.sha256")
}

/// One line that `sha256sum -c` reads.
pub fn digest_line(sha256: &str, archive_file: &str) -> String {
    format!("{sha256}  {archive_file}\n")
}

pub fn manifest(id: &BackupId) -> Key {
    key(format!("{}/{id}.json", id.tier()))
}

/// Every object of this backup and of no other: an id ends at the first dot.
pub fn objects_of(id: &BackupId) -> String {
    format!("{}/{id}.", id.tier())
}

pub fn dropped(id: &BackupId) -> Key {
    key(format!("{DROPPED}{id}.json"))
}

pub fn quarantined(id: &BackupId) -> Key {
    key(format!("{QUARANTINE}{id}.json"))
}

/// The backup that an object belongs to, by its name alone: `TIER/ID.anything`, the id's tier being
/// that folder's. `None` for everything that is not ours.
pub fn owner(key: &Key) -> Option<BackupId> {
    let (tier, file) = key.as_str().split_once('/')?;
    let id: BackupId = file.split_once('.')?.0.parse().ok()?;
    (id.tier().as_str() == tier).then_some(id)
}

/// The backup that a record speaks of: `.lifeboat/ANYTHING/ID.json`.
pub(crate) fn recorded(key: &Key) -> Option<BackupId> {
    key.file_name().strip_suffix(".json")?.parse().ok()
}

pub fn is_manifest(key: &Key) -> bool {
    owner(key).is_some_and(|id| *key == manifest(&id))
}

fn file_word(name: &str) -> String {
    let mut word = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => word.push(byte as char),
            _ => word.push_str(&format!("%{byte:02X}")),
        }
    }
    // A file name ends at 255 bytes, and the rest of it needs about 100.
    if word.len() > 120 {
        let sum = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        word.truncate(100);
        word.push_str(&format!("~{sum:016x}"));
    }
    word
}

fn key(text: String) -> Key {
    Key::new(text)
        .expect("made of an id, a tier and an escaped word: no part can be empty or lead out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_knows_its_backup_and_foreign_files_have_none() {
        let owner = |text: &str| owner(&Key::new(text).unwrap()).map(|id| id.to_string());
        let id = Some("shop_daily_20251213_020000".to_owned());
        assert_eq!(owner("daily/shop_daily_20251213_020000.json"), id);
        assert_eq!(
            owner("daily/shop_daily_20251213_020000.db.shop.dump.zst"),
            id
        );
        for foreign in [
            "daily/notes.txt",
            "daily/shop_daily_20251213_020000",
            "weekly/shop_daily_20251213_020000.json",
            "manifest.json",
            "daily/sub/shop_daily_20251213_020000.json",
        ] {
            assert_eq!(owner(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_archive_of_which_we_read_lies_in_its_tier_or_nowhere() {
        let long = "x".repeat(250);
        for file in [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../a",
            "sub/a",
            "a\0",
            "a\n",
            &long,
        ] {
            let error = archive(Tier::Daily, file).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{file:?}");
        }
        let found = archive(Tier::Daily, "shop_daily_20251213_020000.a.tar").unwrap();
        assert_eq!(found.as_str(), "daily/shop_daily_20251213_020000.a.tar");
    }

    #[test]
    fn odd_source_names_make_plain_file_names() {
        assert_eq!(file_word("my files/ä"), "my%20files%2F%C3%A4");
        let long = file_word(&"x".repeat(255));
        assert!(long.len() <= 120);
        assert_ne!(long, file_word(&"x".repeat(254)));
    }
}
