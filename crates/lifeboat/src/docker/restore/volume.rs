//! A volume, or a folder of the host, whose content is replaced by what an archive holds.

use super::Spec;
use crate::docker::volume::{Helpers, What, filling::Step};
use lifeboat_plan::Archive;
use lifeboat_run::{
    Cancel,
    target::{Beside, Filled, Outlook, Target, TargetError},
    unseal::Promise,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io::Read,
    sync::atomic::{AtomicBool, Ordering},
};

#[derive(Debug)]
pub struct VolumeTarget {
    helpers: Helpers,
    what: What,
    /// By this process, and not swapped yet.
    is_filled: AtomicBool,
}

/// Whether anything lay beside.
#[derive(Debug, Deserialize)]
struct Swapped {
    there: bool,
}

#[derive(Debug, Deserialize)]
struct Nothing {}

impl VolumeTarget {
    pub fn new(helpers: Helpers, what: What) -> Self {
        VolumeTarget {
            helpers,
            what,
            is_filled: AtomicBool::new(false),
        }
    }

    fn promise(&self, archive: &Archive) -> Result<Promise, TargetError> {
        Promise::of(archive).ok_or_else(|| {
            TargetError::Refused(format!(
                "{} holds a dump and no files, and {} holds files",
                archive.file, self.what
            ))
        })
    }
}

impl Target for VolumeTarget {
    fn what(&self) -> String {
        self.what.to_string()
    }

    fn spec(&self) -> Value {
        json!(match &self.what {
            What::Volume(volume) => Spec::Volume {
                volume: volume.clone(),
            },
            What::Folder(folder) => Spec::Folder {
                folder: folder.clone(),
            },
        })
    }

    fn look(&self, archive: &Archive, cancel: &Cancel) -> Result<Outlook, TargetError> {
        let promise = self.promise(archive)?;
        let seen = self.helpers.look_into(&self.what, cancel)?;
        let left = |name: &String| {
            format!("{name} lies in it, which an earlier restore left: look into it first")
        };
        Ok(Outlook {
            exists: seen.entries > 0,
            size: Some(seen.bytes),
            needs: promise.plain_size,
            free: Some(seen.free),
            remarks: seen.left.iter().map(left).collect(),
        })
    }

    fn fill(
        &self,
        beside: &Beside,
        archive: &Archive,
        plain: &mut dyn Read,
        cancel: &Cancel,
    ) -> Result<Filled, TargetError> {
        let promise = self.promise(archive)?;
        let helpers = &self.helpers;
        let extracted = helpers.extract(&self.what, beside, &promise, plain, cancel)?;
        self.is_filled.store(true, Ordering::SeqCst);
        let more = extracted.warnings_total - extracted.warnings.len() as u64;
        let mut remarks = extracted.warnings;
        if more > 0 {
            remarks.push(format!("and {more} more"));
        }
        Ok(Filled {
            entries: extracted.entries,
            bytes: extracted.bytes,
            remarks,
        })
    }

    fn swap(&self, beside: &Beside) -> Result<(), TargetError> {
        let swapped: Swapped = self.helpers.step(&self.what, beside, Step::Swap)?;
        let was_filled = self.is_filled.swap(false, Ordering::SeqCst);
        if was_filled && !swapped.there {
            return Err(TargetError::Failed {
                what: self.what(),
                detail: "what was filled beside it is not there any more".to_owned(),
            });
        }
        Ok(())
    }

    fn swap_back(&self, beside: &Beside) -> Result<(), TargetError> {
        let Nothing {} = self.helpers.step(&self.what, beside, Step::SwapBack)?;
        Ok(())
    }

    fn clear(&self, beside: &Beside) -> Result<Vec<String>, TargetError> {
        let Nothing {} = self.helpers.step(&self.what, beside, Step::Clear)?;
        Ok(Vec::new())
    }
}
