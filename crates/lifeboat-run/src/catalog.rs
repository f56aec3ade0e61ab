//! What a store holds, read from the manifests themselves.
//!
//! The manifests are the truth; `manifest.json` is a copy of what they say, for people, scripts and
//! one question: *is what I see now much less than what was there before?*

use crate::{
    authenticity::{self, Authenticity},
    backup::Harbour,
    layout,
    state::Head,
};
use chrono::{DateTime, Utc};
use lifeboat_plan::{BackupId, Manifest, Name, Standing, Tier};
use lifeboat_store::{Error, ErrorKind, Key, Object, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// No manifest of ours comes near this; what does is not read into memory.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 16 << 20;
const CATALOGUE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub struct Catalog {
    /// Oldest first.
    pub items: Vec<Item>,
    /// Manifests that could not be understood: never counted, never deleted.
    pub suspects: Vec<Suspect>,
    /// Objects under our names that no manifest speaks of.
    pub strays: Vec<Object>,
    /// The ids that the catalogue file remembers; `None` when there is none (yet), or none of use.
    pub remembered: Option<Vec<BackupId>>,
}

#[derive(Debug, Clone)]
pub struct Item {
    pub manifest: Manifest,
    pub authenticity: Authenticity,
    /// Archives that the manifest names and the store does not have, or not in that size.
    pub missing: Vec<String>,
    /// Set by a verification that found damage.
    pub quarantined: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Suspect {
    pub id: BackupId,
    pub reason: String,
}

/// Why a backup is not what it says, found by [`crate::verify`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quarantine {
    pub at: DateTime<Utc>,
    pub reason: String,
}

impl Item {
    pub fn id(&self) -> &BackupId {
        &self.manifest.id
    }

    /// Completed, its manifest authentic as far as that can be told, and all of it there.
    pub fn is_good(&self) -> bool {
        self.manifest.is_full() && self.is_sound()
    }

    /// Nothing speaks against restoring from it.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.quarantined.is_none() && self.authenticity.is_trusted()
    }
}

impl Catalog {
    /// Reads every manifest in the store. An object that cannot be listed or read is an error: a short
    /// catalogue must never be taken for a whole one.
    pub fn read(harbour: Harbour<'_>) -> Result<Self, Error> {
        let store = harbour.store;
        let objects = store.list("")?;
        let sizes: BTreeMap<&Key, u64> = objects.iter().map(|o| (&o.key, o.size)).collect();
        let quarantine = Self::quarantine(store)?;

        let mut items = Vec::new();
        let mut suspects = Vec::new();
        let mut spoken_for = BTreeSet::new();
        for object in objects.iter().filter(|o| layout::is_manifest(&o.key)) {
            let Some(id) = layout::owner(&object.key) else {
                continue;
            };
            spoken_for.insert(object.key.clone());
            let bytes = match lifeboat_store::get(store, &object.key, MANIFEST_BYTES_MAX) {
                // Dropped since it was listed; `list` and `health` do not wait for the lock.
                Err(e) if e.kind() == ErrorKind::NotFound && store.head(&object.key)?.is_none() => {
                    continue;
                }
                read => read?,
            };
            match Manifest::parse(&bytes) {
                Ok(manifest)
                    if manifest.id != id
                        || manifest.name != *id.name()
                        || manifest.tier != id.tier() =>
                {
                    suspects.push(Suspect {
                        id,
                        reason: format!("its manifest is that of {}", manifest.id),
                    });
                }
                Ok(manifest) => {
                    let mut missing = Vec::new();
                    for archive in &manifest.archives {
                        let Ok(key) = layout::archive(manifest.tier, &archive.file) else {
                            missing.push(archive.file.clone());
                            continue;
                        };
                        // A listing is no picture of one moment: what it lacks is asked for by name.
                        if sizes.get(&key) != Some(&archive.size)
                            && store.head(&key)?.map(|o| o.size) != Some(archive.size)
                        {
                            missing.push(archive.file.clone());
                        }
                        spoken_for.insert(layout::in_tier(
                            manifest.tier,
                            &layout::digest_file(&archive.file),
                        ));
                        spoken_for.insert(key);
                    }
                    let authenticity = match harbour.authenticator.judge(&bytes, &manifest) {
                        Ok(authenticity) => authenticity,
                        Err(error) => {
                            suspects.push(Suspect {
                                id,
                                reason: error.to_string(),
                            });
                            continue;
                        }
                    };
                    items.push(Item {
                        authenticity,
                        missing,
                        quarantined: quarantine.get(&id).map(|q| q.reason.clone()),
                        manifest,
                    });
                }
                Err(error) => suspects.push(Suspect {
                    id,
                    reason: error.to_string(),
                }),
            }
        }
        share_doubts(&mut items, &quarantine);
        // Nothing is a stray that belongs to a backup we do not understand, or to one in its grace.
        let in_grace = crate::drop::in_grace(store)?;
        let accounted: BTreeSet<&BackupId> =
            suspects.iter().map(|s| &s.id).chain(&in_grace).collect();
        let strays = objects
            .iter()
            .filter(|o| !spoken_for.contains(&o.key))
            .filter(|o| layout::owner(&o.key).is_some_and(|id| !accounted.contains(&id)))
            .cloned()
            .collect();
        items.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
        Ok(Catalog {
            items,
            suspects,
            strays,
            remembered: remembered(store)?,
        })
    }

    pub fn of<'a>(&'a self, name: &'a Name) -> impl DoubleEndedIterator<Item = &'a Item> {
        self.items
            .iter()
            .filter(move |item| item.manifest.name == *name)
    }

    pub fn get(&self, id: &BackupId) -> Option<&Item> {
        self.items.iter().find(|item| item.id() == id)
    }

    /// The newest good backup: itself rather than its copy in a longer tier.
    pub fn latest<'a>(&'a self, name: &'a Name) -> Option<&'a Item> {
        let mut good = self.of(name).rev().filter(|item| item.is_good());
        let first = good.next()?;
        let own = std::iter::once(first)
            .chain(good)
            .find(|item| item.manifest.origin.is_none());
        own.or(Some(first))
    }

    /// How many backups of `name` there were when the catalogue file was written.
    pub fn remembered_of(&self, name: &Name) -> Option<usize> {
        let ids = self.remembered.as_ref()?;
        Some(ids.iter().filter(|id| id.name() == name).count())
    }

    /// Ids that resemble `text`, for the hint of an error.
    pub fn nearest(&self, text: &str) -> Vec<String> {
        let alike = |id: &str| {
            id.bytes()
                .zip(text.bytes())
                .take_while(|(a, b)| a == b)
                .count()
        };
        let mut ids: Vec<String> = self
            .items
            .iter()
            .map(|item| item.id().to_string())
            .collect();
        ids.sort_by_key(|id| std::cmp::Reverse((alike(id), id.clone())));
        ids.truncate(3);
        ids
    }

    /// The next link of `name`'s chain: the backup before it, and its sequence number.
    pub fn next_link(
        &self,
        name: &Name,
        head: Option<&Head>,
    ) -> (u64, Option<lifeboat_plan::manifest::Link>) {
        let newest = self
            .of(name)
            .filter(|item| item.manifest.origin.is_none())
            .max_by_key(|item| item.manifest.sequence);
        let seen = newest.map_or(0, |item| item.manifest.sequence);
        let remembered = head
            .filter(|h| h.id.name() == name)
            .map_or(0, |h| h.highest);
        let link = newest.map(|item| authenticity::link_to(&item.manifest));
        (seen.max(remembered).saturating_add(1), link)
    }

    /// What the chain says: backups that this host remembers and the store no longer has.
    pub fn chain_gap(&self, head: Option<&Head>) -> Option<String> {
        let head = head?;
        let newest = self
            .of(head.id.name())
            .map(|item| item.manifest.sequence)
            .max()
            .unwrap_or(0);
        (newest < head.sequence).then(|| {
            format!(
                "the newest backup this host made ({}, number {}) is gone from the store; the newest there is number {newest}",
                head.id, head.sequence
            )
        })
    }

    /// So many of those that the catalogue file lists are not here that something may be wrong with the
    /// store: a folder that is not mounted, a listing cut short.
    pub fn is_short(&self) -> bool {
        let (here, listed) = self.still_here();
        (listed - here) * 5 > listed
    }

    /// How many of the backups that the catalogue file lists are here, and how many it lists. Those that
    /// came since do not make up for those that are gone.
    pub fn still_here(&self) -> (usize, usize) {
        let here: BTreeSet<&BackupId> = self
            .items
            .iter()
            .map(Item::id)
            .chain(self.suspects.iter().map(|suspect| &suspect.id))
            .collect();
        let listed = self.remembered.as_deref().unwrap_or_default();
        let there = listed.iter().filter(|id| here.contains(id)).count();
        (there, listed.len())
    }

    /// Writes the catalogue file anew.
    pub fn remember(&self, store: &dyn Store) -> Result<(), Error> {
        self.remember_without(&BTreeSet::new(), store)
    }

    /// As [`Catalog::remember`], as if those that are about to go had gone.
    pub fn remember_without(
        &self,
        doomed: &BTreeSet<&BackupId>,
        store: &dyn Store,
    ) -> Result<(), Error> {
        let staying = self.items.iter().filter(|i| !doomed.contains(i.id()));
        let cache = Cache {
            format: 1,
            backups: staying.map(|item| &item.manifest).collect(),
        };
        let mut bytes = serde_json::to_vec(&cache)
            .map_err(|e| Error::new(ErrorKind::Other, "write", layout::CATALOGUE, e.to_string()))?;
        bytes.push(b'\n');
        let key = Key::new(layout::CATALOGUE)
            .map_err(|e| Error::new(ErrorKind::Other, "write", layout::CATALOGUE, e.to_string()))?;
        store.replace(&key, &bytes)
    }

    /// What the decisions about retention need to know of each backup, whoever's it is.
    pub fn standings(&self) -> Vec<Standing> {
        let unreadable = self
            .suspects
            .iter()
            .map(|suspect| Standing::unreadable(suspect.id.clone()));
        let items = self.items.iter().map(|item| {
            let mut standing = Standing::of(&item.manifest, item.authenticity.is_trusted());
            standing.suspect |= item.quarantined.is_some() || !item.missing.is_empty();
            standing
        });
        items.chain(unreadable).collect()
    }

    pub fn tiers(&self) -> impl Iterator<Item = (Tier, Vec<&Item>)> {
        Tier::ALL.into_iter().map(|tier| {
            (
                tier,
                self.items
                    .iter()
                    .filter(|i| i.manifest.tier == tier)
                    .collect(),
            )
        })
    }

    fn quarantine(store: &dyn Store) -> Result<BTreeMap<BackupId, Quarantine>, Error> {
        let mut found = BTreeMap::new();
        for object in store.list(layout::QUARANTINE)? {
            let Some(id) = layout::recorded(&object.key) else {
                continue;
            };
            let bytes = lifeboat_store::get(store, &object.key, MANIFEST_BYTES_MAX)?;
            // A record that cannot be read still speaks against the backup.
            let record = serde_json::from_slice(&bytes).unwrap_or(Quarantine {
                at: DateTime::UNIX_EPOCH,
                reason: "found damaged".to_owned(),
            });
            found.insert(id, record);
        }
        Ok(found)
    }
}

/// A backup and its copies in longer tiers share their bytes where the store can link: damage that was
/// found in one of them speaks against all, except those that were found whole since.
fn share_doubts(items: &mut [Item], quarantine: &BTreeMap<BackupId, Quarantine>) {
    let root = |manifest: &Manifest| manifest.origin.as_ref().unwrap_or(&manifest.id).clone();
    let mut found: BTreeMap<BackupId, &Quarantine> = BTreeMap::new();
    for item in items.iter() {
        if let Some(record) = quarantine.get(item.id()) {
            found.insert(root(&item.manifest), record);
        }
    }
    for item in items.iter_mut().filter(|i| i.quarantined.is_none()) {
        let record = found.get(&root(&item.manifest));
        let doubt = record.filter(|r| item.manifest.verified_at.is_none_or(|at| at <= r.at));
        item.quarantined =
            doubt.map(|r| format!("it shares its bytes with one of which: {}", r.reason));
    }
}

#[derive(Serialize)]
struct Cache<'a> {
    format: u32,
    backups: Vec<&'a Manifest>,
}

/// What the catalogue file remembers. A file that is not a catalogue is as good as none: it is a cache,
/// and it is written anew.
fn remembered(store: &dyn Store) -> Result<Option<Vec<BackupId>>, Error> {
    #[derive(Deserialize)]
    struct Ids {
        backups: Vec<Id>,
    }
    #[derive(Deserialize)]
    struct Id {
        id: BackupId,
    }
    let Ok(key) = Key::new(layout::CATALOGUE) else {
        return Ok(None);
    };
    match lifeboat_store::get(store, &key, CATALOGUE_BYTES_MAX) {
        Ok(bytes) => Ok(serde_json::from_slice::<Ids>(&bytes)
            .ok()
            .map(|c| c.backups.into_iter().map(|b| b.id).collect())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
        Err(e) => Err(e),
    }
}

/// By sequence, then time: the clock may have jumped, the sequence has not.
fn order(manifest: &Manifest) -> (&Name, u64, DateTime<Utc>, Tier) {
    (
        &manifest.name,
        manifest.sequence,
        manifest.created_at,
        manifest.tier,
    )
}

/// The link of the chain that `manifest` is.
pub(crate) fn head_of(manifest: &Manifest) -> Head {
    let link = authenticity::link_to(manifest);
    Head {
        id: link.id,
        sequence: manifest.sequence,
        highest: manifest.sequence,
        sha256: link.sha256,
    }
}
