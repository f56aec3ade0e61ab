//! A folder whose content is replaced while the folder itself stays: the root of a volume, which no rename
//! can replace.
//!
//! Everything of one restore lies in one folder in it, `.lifeboat-beside-WORD`. How far it has come is told
//! by nothing but the names that are there, each of which is made, or given up, in one step:
//!
//! ```text
//!              in .lifeboat-beside-WORD       at the top of the folder
//! filling      filling                        what was there
//! filled       new                            what was there
//! leaving      new, leaving                   what was there, as far as it has not left
//! entering     new, old                       what was filled, as far as it has entered
//! swapped      old                            what was filled
//! ```
//!
//! `swap` goes down this list and `swap_back` goes up, each from wherever it is: so it makes no difference
//! after which step the one before was killed. Nobody else may write to the folder meanwhile.

mod entries;
mod likeness;
mod look;
mod mounts;
mod remove;

pub use look::{Seen, look};

use crate::{
    target::Beside,
    unseal::{Extracted, UnsealError},
};
use entries::{exists, move_all, open_folder, rename};
use likeness::{liken, times};
use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};
use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

const PREFIX: &str = ".lifeboat-beside-";

const FILLING: &str = "filling";
const NEW: &str = "new";
const LEAVING: &str = "leaving";
const OLD: &str = "old";
/// On their way out: what was filled and not wanted, what was there and is replaced.
const DROPPED: &str = "dropped";
const GONE: &str = "gone";
/// Empty folders that look as the folder itself did, and will.
const BEFORE: &str = "root-before";
const AFTER: &str = "root-after";

const OURS: [&str; 8] = [FILLING, NEW, LEAVING, OLD, DROPPED, GONE, BEFORE, AFTER];

/// Asked before every change. Whoever says no stops it there, as a kill would.
pub type Watch<'a> = dyn Fn() -> io::Result<()> + Sync + 'a;

#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    #[error("{0}")]
    Refused(String),
    #[error("cannot {action} {what}: {error}")]
    Io {
        action: &'static str,
        what: String,
        error: io::Error,
    },
    #[error(transparent)]
    Unseal(#[from] UnsealError),
}

type Result<T> = std::result::Result<T, BesideError>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not begun, or cleared.
    Nothing,
    Filling,
    Filled,
    Leaving,
    Entering,
    Swapped,
    /// What was filled and not wanted is being removed.
    Dropping,
    /// What was replaced is being removed.
    Clearing,
}

/// Whether a swap found anything to swap, or something that it had swapped before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    There,
    /// Nothing lies beside. For whoever knows that it was filled once: it was swapped and cleared.
    Nothing,
}

/// One restore's view of the folder. Nobody else of us works in it meanwhile.
pub struct LiveFolder<'a> {
    path: PathBuf,
    root: OwnedFd,
    /// Of the folder in it that is ours.
    name: String,
    watch: &'a Watch<'a>,
}

impl<'a> LiveFolder<'a> {
    pub fn open(path: &Path, beside: &Beside, watch: &'a Watch<'a>) -> Result<Self> {
        let word = beside.as_str();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if word.is_empty() || !word.bytes().all(is_plain) {
            return Err(BesideError::Refused(format!("{word:?} is no word")));
        }
        let shown = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(io("open", &shown))?;
        // Not every file system has locks; whoever starts helpers ends those that were left first.
        let lock = FlockOperation::NonBlockingLockExclusive;
        if rustix::fs::flock(&root, lock) == Err(Errno::WOULDBLOCK) {
            return Err(BesideError::Refused(
                "another restore is at work in it".to_owned(),
            ));
        }
        mounts::refuse_inner(path)?;
        Ok(LiveFolder {
            path: path.to_owned(),
            root,
            name: format!("{PREFIX}{word}"),
            watch,
        })
    }

    /// Has `extract` fill a folder beside what is there, and makes it durable.
    pub fn fill(
        &self,
        extract: impl FnOnce(&Path) -> std::result::Result<Extracted, UnsealError>,
    ) -> Result<Extracted> {
        let was = rustix::fs::fstat(&self.root).map_err(io("look at", "it"))?;
        self.step()?;
        match rustix::fs::mkdirat(&self.root, &self.name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                return Err(BesideError::Refused(format!(
                    "{} is there already",
                    self.name
                )));
            }
            Err(errno) => return Err(io("make", &self.name)(errno)),
        }
        let beside = open_folder(&self.root, &self.name)?;
        rustix::fs::fchmod(&beside, Mode::RWXU).map_err(io("close to others", &self.name))?;
        let before = self.make(&beside, BEFORE)?;
        liken(&before, &self.root, &was)?;
        // As if nothing had been made in it.
        rustix::fs::futimens(&self.root, &times(&was)).map_err(io("set the time of", "it"))?;

        drop(self.make(&beside, FILLING)?);
        let done = extract(&self.path.join(&self.name).join(FILLING))?;
        let filled = open_folder(&beside, FILLING)?;
        if exists(&filled, &self.name)? {
            return Err(BesideError::Refused(format!(
                "the archive has an entry {}, the name that this restore needs; restore again",
                self.name
            )));
        }
        let after = self.make(&beside, AFTER)?;
        if done.has_root {
            let will_be = rustix::fs::fstat(&filled).map_err(io("look at", FILLING))?;
            liken(&after, &filled, &will_be)?;
        } else {
            liken(&after, &self.root, &was)?;
        }
        // All files at once: one by one, a hundred thousand of them would take a hundred thousand commits.
        rustix::fs::syncfs(&filled).map_err(io("make durable", "what was filled"))?;
        self.step()?;
        rename(&beside, FILLING, &beside, NEW)?;
        self.sync(&[&beside, &self.root])?;
        Ok(done)
    }

    /// What was filled is there, and what was there lies aside.
    pub fn swap(&self) -> Result<Swapped> {
        let Some(beside) = self.beside()? else {
            return Ok(Swapped::Nothing);
        };
        loop {
            match self.stage(&beside)? {
                Stage::Nothing => return Ok(Swapped::Nothing),
                Stage::Filled => drop(self.make(&beside, LEAVING)?),
                Stage::Leaving => {
                    let leaving = open_folder(&beside, LEAVING)?;
                    move_all(&self.root, &leaving, Some(&self.name), self.watch)?;
                    self.sync(&[&leaving, &self.root])?;
                    self.step()?;
                    rename(&beside, LEAVING, &beside, OLD)?;
                    self.sync(&[&beside])?;
                }
                Stage::Entering => {
                    let new = open_folder(&beside, NEW)?;
                    move_all(&new, &self.root, None, self.watch)?;
                    self.look_like(&beside, AFTER)?;
                    self.sync(&[&new, &self.root])?;
                    self.unmake(&beside, NEW)?;
                    self.sync(&[&beside])?;
                }
                Stage::Swapped | Stage::Clearing => return Ok(Swapped::There),
                stage @ (Stage::Filling | Stage::Dropping) => {
                    return Err(BesideError::Refused(format!(
                        "what lies beside is not whole ({stage:?}), and never takes the place of what is there"
                    )));
                }
            }
        }
    }

    /// What was there before [`LiveFolder::swap`] is there, and what was filled lies beside again.
    pub fn swap_back(&self) -> Result<()> {
        let Some(beside) = self.beside()? else {
            return Ok(());
        };
        loop {
            match self.stage(&beside)? {
                Stage::Nothing | Stage::Filling | Stage::Filled | Stage::Dropping => return Ok(()),
                Stage::Swapped => drop(self.make(&beside, NEW)?),
                Stage::Entering => {
                    let new = open_folder(&beside, NEW)?;
                    move_all(&self.root, &new, Some(&self.name), self.watch)?;
                    self.sync(&[&new, &self.root])?;
                    self.step()?;
                    rename(&beside, OLD, &beside, LEAVING)?;
                    self.sync(&[&beside])?;
                }
                Stage::Leaving => {
                    let leaving = open_folder(&beside, LEAVING)?;
                    move_all(&leaving, &self.root, None, self.watch)?;
                    self.look_like(&beside, BEFORE)?;
                    self.sync(&[&leaving, &self.root])?;
                    self.unmake(&beside, LEAVING)?;
                    self.sync(&[&beside])?;
                }
                Stage::Clearing => {
                    return Err(BesideError::Refused(
                        "what was there before is being removed already".to_owned(),
                    ));
                }
            }
        }
    }

    /// Removes what lies beside, unless it belongs to what is there.
    pub fn clear(&self) -> Result<()> {
        let Some(beside) = self.beside()? else {
            return Ok(());
        };
        // First it becomes nothing that could be swapped or brought back, then less and less.
        let going = match self.stage(&beside)? {
            Stage::Filling => Some((FILLING, DROPPED)),
            Stage::Filled => Some((NEW, DROPPED)),
            Stage::Swapped => Some((OLD, GONE)),
            Stage::Nothing | Stage::Dropping | Stage::Clearing => None,
            stage @ (Stage::Leaving | Stage::Entering) => {
                return Err(BesideError::Refused(format!(
                    "it is half swapped ({stage:?}): what lies beside belongs to it"
                )));
            }
        };
        if let Some((from, to)) = going {
            self.step()?;
            rename(&beside, from, &beside, to)?;
            self.sync(&[&beside])?;
        }
        let is = rustix::fs::fstat(&self.root).map_err(io("look at", "it"))?;
        let untouched = self.is_untouched(&beside, &is)?;
        for name in [DROPPED, GONE] {
            remove::tree(&beside, name, self.watch)?;
        }
        for name in [AFTER, BEFORE] {
            if exists(&beside, name)? {
                self.unmake(&beside, name)?;
            }
        }
        self.unmake(&self.root, &self.name)?;
        if untouched {
            rustix::fs::futimens(&self.root, &times(&is)).map_err(io("set the time of", "it"))?;
        }
        self.sync(&[&self.root])
    }

    /// The folder in it that is ours, if there is one.
    fn beside(&self) -> Result<Option<OwnedFd>> {
        if !exists(&self.root, &self.name)? {
            return Ok(None);
        }
        let beside = open_folder(&self.root, &self.name)?;
        let names = entries::names(&beside)?;
        let is_ours =
            |name: &std::ffi::CString| OURS.iter().any(|o| o.as_bytes() == name.as_bytes());
        // Somebody else may call his own like that.
        let foreign = !names.is_empty() && !names.iter().any(is_ours);
        Ok((!foreign).then_some(beside))
    }

    fn stage(&self, beside: &OwnedFd) -> Result<Stage> {
        let there = |name| exists(beside, name);
        if there(GONE)? {
            return Ok(Stage::Clearing);
        }
        if there(DROPPED)? {
            return Ok(Stage::Dropping);
        }
        Ok(match (there(NEW)?, there(LEAVING)?, there(OLD)?) {
            (true, false, false) => Stage::Filled,
            (true, true, false) => Stage::Leaving,
            (true, false, true) => Stage::Entering,
            (false, false, true) => Stage::Swapped,
            (false, false, false) if there(FILLING)? => Stage::Filling,
            (false, false, false) => Stage::Nothing,
            (_, true, true) | (false, true, false) => {
                return Err(BesideError::Refused(format!(
                    "{} is not as a restore leaves it: somebody else has been there",
                    self.name
                )));
            }
        })
    }

    /// Nobody has made or removed anything at the top since we did.
    fn is_untouched(&self, beside: &OwnedFd, is: &rustix::fs::Stat) -> Result<bool> {
        for name in [BEFORE, AFTER] {
            if exists(beside, name)? {
                let one = open_folder(beside, name)?;
                let one = rustix::fs::fstat(&one).map_err(io("look at", name))?;
                if (one.st_mtime, one.st_mtime_nsec) == (is.st_mtime, is.st_mtime_nsec) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn look_like(&self, beside: &OwnedFd, name: &'static str) -> Result<()> {
        self.step()?;
        let model = open_folder(beside, name)?;
        let stat = rustix::fs::fstat(&model).map_err(io("look at", name))?;
        liken(&self.root, &model, &stat)
    }

    fn make(&self, beside: &OwnedFd, name: &str) -> Result<OwnedFd> {
        self.step()?;
        rustix::fs::mkdirat(beside, name, Mode::RWXU).map_err(io("make", name))?;
        open_folder(beside, name)
    }

    fn unmake(&self, parent: &OwnedFd, name: &str) -> Result<()> {
        self.step()?;
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(io("remove", name))
    }

    fn sync(&self, folders: &[&OwnedFd]) -> Result<()> {
        for folder in folders {
            rustix::fs::fsync(folder).map_err(io("make durable", "a folder"))?;
        }
        Ok(())
    }

    fn step(&self) -> Result<()> {
        step(self.watch)
    }
}

impl Drop for LiveFolder<'_> {
    fn drop(&mut self) {
        // Another process may have been started meanwhile, and hold what is open here for a moment longer.
        let _ = rustix::fs::flock(&self.root, FlockOperation::Unlock);
    }
}

impl std::fmt::Debug for LiveFolder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LiveFolder({}, {})", self.path.display(), self.name)
    }
}

fn step(watch: &Watch<'_>) -> Result<()> {
    watch().map_err(|error| BesideError::Io {
        action: "go on with",
        what: "it".to_owned(),
        error,
    })
}

fn io(action: &'static str, what: &str) -> impl FnOnce(Errno) -> BesideError + use<> {
    let what = what.to_owned();
    move |errno| BesideError::Io {
        action,
        what,
        error: errno.into(),
    }
}
