//! What a restore would do, and what speaks against it. Nothing is touched.

use super::{Part, RestoreError, RestorePlan, Wish, place_of};
use crate::{
    authenticity::Authenticity,
    catalog::Item,
    layout,
    staging::is_staging,
    unseal::{self, UnsealError},
};
use lifeboat_plan::{Archive, manifest};
use std::{ffi::OsString, fs, io, path::Path};

/// Decides what a restore would do, and refuses what would not end well.
pub fn plan(item: &Item, wish: Wish) -> Result<RestorePlan, RestoreError> {
    let manifest = &item.manifest;
    let id = &manifest.id;
    let (archives, remarks) = chosen(item, &wish)?;
    let paths = match &wish.paths[..] {
        [] => unseal::Paths::all(),
        patterns => unseal::Paths::matching(patterns)?,
    };
    empty_or_absent(&wish.target)?;
    let free = free_space(&wish.target)?;
    let needs = manifest::sum(archives.iter().map(|a| a.plain_size));
    // A selection, or sparse files, may need far less; then it is for the user to say so.
    if wish.paths.is_empty() && !wish.force && needs > free {
        return Err(RestoreError::Refused(format!(
            "{} has {free} bytes free, and this restore may need {needs}",
            wish.target.display()
        )));
    }
    let parts = archives
        .iter()
        .map(|a| Part {
            source: a.source.clone(),
            kind: a.kind.clone(),
            file: a.file.clone(),
            plain_size: a.plain_size,
            into: wish.target.join(place_of(a)),
        })
        .collect();
    Ok(RestorePlan {
        id: id.clone(),
        created_at: manifest.created_at,
        target: wish.target.clone(),
        parts,
        needs,
        free,
        remarks,
        wish,
        paths,
        archives,
    })
}

/// The archives that are meant, and what a person should know of them.
pub(super) fn chosen(
    item: &Item,
    wish: &Wish,
) -> Result<(Vec<Archive>, Vec<String>), RestoreError> {
    let manifest = &item.manifest;
    let id = &manifest.id;
    let mut remarks = may_be_trusted(item, wish.force)?;

    for name in &wish.sources {
        if !manifest.archives.iter().any(|a| a.source == *name) {
            let has = manifest.archives.iter().map(|a| a.source.clone()).collect();
            return Err(RestoreError::NoSuchSource {
                id: id.clone(),
                source_name: name.clone(),
                has,
            });
        }
    }
    let archives: Vec<Archive> = manifest
        .archives
        .iter()
        .filter(|a| wish.sources.is_empty() || wish.sources.contains(&a.source))
        .cloned()
        .collect();
    // Also names that can be no name: those are in no store either.
    if let Some(gone) = archives.iter().find(|a| item.missing.contains(&a.file)) {
        return Err(UnsealError::Damaged {
            file: gone.file.clone(),
            reason: "it is missing in the store, or cut short".to_owned(),
        }
        .into());
    }
    for archive in &archives {
        if archive.warnings_total > 0 {
            remarks.push(format!(
                "{}: {} remark(s) when it was made, first: {}",
                archive.source,
                archive.warnings_total,
                archive.warnings.first().map_or("", String::as_str)
            ));
        }
    }
    remarks.extend(
        manifest
            .missed
            .iter()
            .map(|m| format!("{} is not in this backup: {}", m.source, m.reason)),
    );
    Ok((archives, remarks))
}

/// Says why a backup should not be restored from, or what to know when it is nevertheless.
fn may_be_trusted(item: &Item, force: bool) -> Result<Vec<String>, RestoreError> {
    let id = item.id();
    let file = layout::manifest(id).to_string();
    let doubt = match &item.authenticity {
        Authenticity::Verified => None,
        Authenticity::Unsigned => {
            Some("its manifest is unsigned: nothing proves who wrote it".to_owned())
        }
        Authenticity::UnknownKey { .. } if !force => {
            return Err(UnsealError::WrongKey { file }.into());
        }
        Authenticity::UnknownKey { key_id } => Some(format!(
            "its manifest was signed with another key ({key_id})"
        )),
        Authenticity::Forged if !force => {
            return Err(UnsealError::Damaged {
                file,
                reason: "it was changed after it was signed".to_owned(),
            }
            .into());
        }
        Authenticity::Forged => Some("its manifest was changed after it was signed".to_owned()),
        Authenticity::Stripped if !force => {
            return Err(UnsealError::Damaged {
                file,
                reason: "it carries no MAC although a key is configured".to_owned(),
            }
            .into());
        }
        Authenticity::Stripped => Some("its manifest carries no MAC".to_owned()),
    };
    if let (Some(reason), false) = (&item.quarantined, force) {
        return Err(UnsealError::Damaged {
            file: id.to_string(),
            reason: reason.clone(),
        }
        .into());
    }
    Ok(doubt.into_iter().chain(item.quarantined.clone()).collect())
}

fn empty_or_absent(target: &Path) -> Result<(), RestoreError> {
    let refused = |why: &str| {
        Err(RestoreError::Refused(format!(
            "{} {why}; nothing is ever restored over what is there",
            target.display()
        )))
    };
    match fs::symlink_metadata(target) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RestoreError::Io {
            action: "look at",
            path: target.to_owned(),
            error,
        }),
        Ok(meta) if !meta.is_dir() => refused("is not a folder"),
        Ok(_) => match fs::read_dir(target).and_then(|entries| {
            holds_no_more_than_staging(entries.map(|entry| Ok(entry?.file_name())))
        }) {
            Ok(true) => Ok(()),
            Ok(false) => refused("is not empty"),
            Err(error) => Err(RestoreError::Io {
                action: "look into",
                path: target.to_owned(),
                error,
            }),
        },
    }
}

/// What cannot be listed may be there.
fn holds_no_more_than_staging(
    mut names: impl Iterator<Item = io::Result<OsString>>,
) -> io::Result<bool> {
    names.try_fold(true, |empty, name| Ok(empty && is_staging(&name?)))
}

fn free_space(target: &Path) -> Result<u64, RestoreError> {
    let there = target
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let stat = rustix::fs::statvfs(there).map_err(|e| RestoreError::Io {
        action: "measure",
        path: there.to_owned(),
        error: e.into(),
    })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_to_its_end_is_not_taken_for_empty() {
        let staging = || Ok(OsString::from(".lifeboat-restore"));
        let broken = || Err(io::Error::from(io::ErrorKind::StaleNetworkFileHandle));
        assert!(holds_no_more_than_staging([staging()].into_iter()).unwrap());
        assert!(!holds_no_more_than_staging([Ok("mine".into()), staging()].into_iter()).unwrap());
        holds_no_more_than_staging([staging(), broken()].into_iter()).unwrap_err();
        holds_no_more_than_staging([broken(), staging()].into_iter()).unwrap_err();
    }
}
