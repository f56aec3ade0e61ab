//! Where the demo plays: its folders, its keys, and each of its acts as one call.

use super::{
    compare::compare,
    not_so,
    project::{self, Books, Shop},
};
use crate::{
    exit::{Code, Failure, Result},
    job,
};
use chrono::Utc;
use lifeboat_plan::{BackupId, BackupType, Compression, KeepRules, Manifest, Name, event::Outcome};
use lifeboat_run::{
    Cancel, Keyring, Secret,
    authenticity::{Authenticator, hex},
    backup::{self, Batch, Harbour, Order, Report},
    catalog::{Catalog, Item},
    keys::Seal,
    layout,
    restore::{self, Restored, Wish},
    seal::Recipe,
    source::{Folder, Options, Source},
    state::State,
    unseal::Depth,
    verify::{Checked, verify},
};
use lifeboat_store::Local;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct Stage {
    root: PathBuf,
    keep: bool,
    keys: Keyring,
    cancel: Cancel,
}

impl Stage {
    pub(super) fn build(keep: Option<&Path>, cancel: Cancel) -> Result<Self> {
        let root = match keep {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()),
            None => std::env::temp_dir().join(format!("lifeboat-demo-{}", std::process::id())),
        };
        fs::create_dir(&root).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(
                Code::Refused,
                format!("{} is there already", root.display()),
                "give --keep a new folder",
            ),
            _ => Failure::io(
                "make",
                root.display(),
                &error,
                "give --keep a new folder in a place that can be written to",
            ),
        })?;
        let stage = Stage {
            root,
            keep: keep.is_some(),
            keys: keyring()?,
            cancel,
        };
        project::make(&stage.sources()).map_err(|error| stage.cannot_play(&error))?;
        Ok(stage)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn store_dir(&self) -> PathBuf {
        self.root.join("backups")
    }

    pub(super) fn open_shop(&self) -> Result<Shop> {
        Shop::open(&project::database(&self.sources()))
            .map_err(|error| not_so("the sample database cannot be made", error))
    }

    pub(super) fn back_up(&self) -> Result<Report> {
        let port = Place::at(Local::open_or_create(self.store_dir())?, &self.keys);
        let scratch = crate::sources::scratch(&port.state)?;
        let open = |name: &str| {
            let options = Options {
                scratch: Some(scratch.clone()),
                ..Options::default()
            };
            let folder = Folder::new(name, self.sources().join(name), options);
            folder.map(|folder| Box::new(folder) as Box<dyn Source>)
        };
        let sources: Vec<Box<dyn Source>> = [open("documents"), open("shop")]
            .into_iter()
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| not_so("the sample folders cannot be opened", error))?;
        let recipe = Recipe {
            compression: Compression::Zstd,
            level: 3,
            threads: 0,
            seal: self.keys.seal.clone(),
        };
        let order = Order {
            name: &name(),
            job: "default",
            kind: BackupType::Manual,
            batches: &Batch::each(&sources),
            at_once: 1,
            hold_max: None,
            undo: None,
            recipe: &recipe,
            verify: true,
            keep: &KeepRules::default(),
            zone: chrono_tz::UTC,
            host: &job::host(),
            selection: &[],
            keep_until: None,
            retry: None,
            compose: None,
            prune: None,
        };
        let report = backup::back_up(
            &order,
            port.harbour(&self.keys),
            Utc::now(),
            &self.cancel,
            &(),
        )?;
        match report.outcome() {
            Outcome::Ok => Ok(report),
            outcome => {
                let manifest = &report.manifest;
                let missed = manifest
                    .missed
                    .iter()
                    .map(|m| format!("{}: {}", m.source, m.reason));
                let warned = manifest.archives.iter().flat_map(|a| a.warnings.clone());
                let why: Vec<String> = missed.chain(warned).chain(report.afterthoughts).collect();
                Err(not_so("the backup did not end well", outcome.as_str()).with_details(why))
            }
        }
    }

    pub(super) fn verify(&self, id: &BackupId) -> Result<()> {
        let checked = self.verify_in(self.store_dir(), id)?;
        match checked.is_whole() {
            true => Ok(()),
            false => Err(not_so("the backup is not whole", checked.damage.join("; "))),
        }
    }

    /// Copies the store, flips one bit in the copy of an archive, and verifies: what must come is damage.
    pub(super) fn damage_a_copy(&self, manifest: &Manifest) -> Result<Failure> {
        copy(&self.store_dir(), &self.copy_dir()).map_err(|error| self.cannot_play(&error))?;
        let archive = manifest
            .archives
            .iter()
            .max_by_key(|archive| archive.size)
            .ok_or_else(|| not_so("the backup is empty", &manifest.id))?;
        let path = self
            .copy_dir()
            .join(layout::archive(manifest.tier, &archive.file)?.as_str());
        flip_a_bit(&path, archive.size / 2).map_err(|error| self.cannot_play(&error))?;
        let checked = self.verify_in(self.copy_dir(), &manifest.id)?;
        match crate::cli::verify::damage(&checked) {
            Some(failure) => Ok(failure),
            None => Err(not_so("the flipped bit was not noticed", path.display())),
        }
    }

    /// A restore from the damaged copy must be refused, and leave nothing.
    pub(super) fn restore_damaged(&self, id: &BackupId) -> Result<Failure> {
        let keys = self.keys.clone();
        self.must_be_refused(Code::Integrity, self.copy_dir(), &keys, id)
    }

    pub(super) fn restore_with_wrong_key(&self, id: &BackupId) -> Result<Failure> {
        self.must_be_refused(Code::WrongKey, self.store_dir(), &keyring()?, id)
    }

    pub(super) fn restore(&self, id: &BackupId) -> Result<Restored> {
        self.restore_from(self.store_dir(), &self.keys, id, self.restored_dir())
    }

    /// Everything but the live database, which was written to meanwhile.
    pub(super) fn compare(&self) -> Result<usize> {
        let database = project::database(Path::new("")).display().to_string();
        let is_database = |path: &Path| path.display().to_string().starts_with(&database);
        compare(&self.sources(), &self.restored_dir(), &is_database)
            .map_err(|difference| not_so("what came back is not what was saved", difference))
    }

    pub(super) fn audit(&self) -> Result<Books> {
        project::audit(&project::database(&self.restored_dir()))
            .map_err(|error| not_so("the restored database cannot be read", error))
    }

    fn must_be_refused(
        &self,
        code: Code,
        store: PathBuf,
        keys: &Keyring,
        id: &BackupId,
    ) -> Result<Failure> {
        let target = self.root.join("never");
        match self.restore_from(store, keys, id, target.clone()) {
            Err(failure) if failure.code == code && !target.exists() => Ok(failure),
            Err(failure) if failure.code == Code::Interrupted => Err(failure),
            Err(failure) => Err(not_so(
                "a restore was refused for another reason",
                failure.what,
            )),
            Ok(_) => Err(not_so("a restore was not refused", target.display())),
        }
    }

    fn restore_from(
        &self,
        store: PathBuf,
        keys: &Keyring,
        id: &BackupId,
        target: PathBuf,
    ) -> Result<Restored> {
        let place = Place::at(Local::existing(store)?, keys);
        let harbour = place.harbour(keys);
        // The copy is in quarantine by now. That it is refused for its content is to be shown.
        let wish = Wish {
            target,
            force: true,
            ..Wish::default()
        };
        let plan = restore::plan(&place.find(keys, id)?, wish)?;
        let (host, now) = (job::host(), Utc::now());
        Ok(restore::carry_out(
            &plan,
            harbour,
            &host,
            now,
            &self.cancel,
            &(),
        )?)
    }

    fn verify_in(&self, store: PathBuf, id: &BackupId) -> Result<Checked> {
        let place = Place::at(Local::existing(store)?, &self.keys);
        let item = place.find(&self.keys, id)?;
        let harbour = place.harbour(&self.keys);
        Ok(verify(
            &item,
            Depth::Deep,
            harbour,
            Utc::now(),
            &self.cancel,
            &(),
        )?)
    }

    fn sources(&self) -> PathBuf {
        self.root.join("data")
    }

    fn copy_dir(&self) -> PathBuf {
        self.root.join("damaged-copy")
    }

    fn restored_dir(&self) -> PathBuf {
        self.root.join("restored")
    }

    fn cannot_play(&self, error: &io::Error) -> Failure {
        let hint = "the demo needs some 20 MiB there; give --keep a folder elsewhere";
        Failure::io(
            "write the sample project to",
            self.root.display(),
            error,
            hint,
        )
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// A store of the demo, opened.
struct Place {
    store: Local,
    state: State,
    authenticator: Authenticator,
}

impl Place {
    fn at(store: Local, keys: &Keyring) -> Self {
        Place {
            state: State::new(store.clone(), name()),
            authenticator: Authenticator::new(keys),
            store,
        }
    }

    fn harbour<'a>(&'a self, keys: &'a Keyring) -> Harbour<'a> {
        Harbour {
            store: &self.store,
            state: &self.state,
            keys,
            authenticator: &self.authenticator,
        }
    }

    fn find(&self, keys: &Keyring, id: &BackupId) -> Result<Item> {
        let catalog = Catalog::read(self.harbour(keys))?;
        let item = catalog.get(id).cloned();
        item.ok_or_else(|| not_so("the backup is gone", id))
    }
}

fn name() -> Name {
    "demo".parse().expect("a plain word")
}

/// A passphrase that nobody knows, not even whoever runs the demo.
fn keyring() -> Result<Keyring> {
    let mut random = [0; 24];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| not_so("the system has no random bytes", "/dev/urandom"))?;
    let passphrase = Secret::new(hex(&random));
    Ok(Keyring {
        seal: Seal::Passphrase(passphrase.clone()),
        signing: Some(passphrase.clone()),
        passphrase: Some(passphrase),
        identities: Vec::new(),
    })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), &target).map(|_| ())?,
        }
    }
    Ok(())
}

fn flip_a_bit(path: &Path, at: u64) -> io::Result<()> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0b0001_0000], at)
}
