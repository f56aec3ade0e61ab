//! `lifeboat doctor`: tries everything a backup needs, one by one, and says what does not work.

use super::{
    finding::{Findings, Level},
    port::Port,
    screen::Screen,
    try_docker::try_docker,
    words,
};
use crate::{
    config::{Config, Loaded},
    exit::{Code, Failure, Result},
    sources,
};
use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Archive, Encryption};
use lifeboat_run::{Authenticator, catalog::Item, keys::Seal, layout, unseal};
use lifeboat_store::{ErrorKind, Local, Store};
use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};
use serde_json::json;
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Clocks of two machines may differ by so much without anybody being wrong.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
/// As many entries of each source are tried.
const ENTRIES_TRIED_MAX: usize = 2_000;

pub fn run(loaded: Loaded, screen: &mut Screen) -> Result {
    let mut findings = Findings::default();
    findings.ok("the configuration is understood");
    for warning in &loaded.warnings {
        findings.warning(&warning.what, &warning.hint);
    }
    try_rights(&mut findings);
    try_sources(&loaded.config, &mut findings);
    try_keys(&loaded.config, &mut findings);
    try_store(&loaded.config, &mut findings);
    try_clock(&loaded, &mut findings);
    try_backups(loaded, &mut findings);

    let ok = findings.worst() < Level::Urgent;
    screen.document(&json!({ "ok": ok, "findings": findings.all() }));
    findings.print(screen);
    Ok(match findings.worst() {
        Level::Ok => Code::Done,
        Level::Warning => Code::Warnings,
        Level::Urgent => Code::Failed,
    })
}

fn try_sources(config: &Config, findings: &mut Findings) {
    let seen = match sources::survey(config) {
        Ok(seen) => seen,
        Err(failure) => return findings.urgent(failure.what, failure.hint),
    };
    try_docker(config, &seen, findings);
    for name in seen.unmatched(&config.jobs) {
        findings.warning(
            format!("the configuration names {name:?}, and there is no such source"),
            "correct the name, or mount the volume",
        );
    }
    for left_out in seen
        .uncovered(&config.jobs)
        .into_iter()
        .filter(|left| !left.harmless)
    {
        findings.warning(
            format!("{} is not saved: {}", left_out.what, left_out.why),
            "leave it so if that is meant",
        );
    }
    let any = config.jobs.iter().any(|job| !seen.planned(job).is_empty());
    for folder in &seen.folders {
        if config
            .jobs
            .iter()
            .any(|job| job.sources.takes(&folder.name))
        {
            try_source(&folder.name, &folder.path, findings);
        }
    }
    if !any {
        findings.urgent(
            format!(
                "there is nothing to back up below {}",
                config.sources.dir.display()
            ),
            "mount the volumes there, read-only",
        );
    }
}

/// Bits of `CapEff` in `/proc/self/status`: DAC_OVERRIDE and DAC_READ_SEARCH.
const MAY_READ_ALL: u64 = 1 << 1 | 1 << 2;

/// Each source is tried with a sample of its entries; this is what holds for the rest.
fn try_rights(findings: &mut Findings) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let rights = line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    if rights.is_some_and(|bits| bits & MAY_READ_ALL == 0) {
        findings.ok(format!(
            "only files that user {} may read can be saved; the capability DAC_READ_SEARCH would open all",
            rustix::process::geteuid().as_raw()
        ));
    }
}

fn try_source(name: &str, path: &Path, findings: &mut Findings) {
    let tried = match Tried::walk(path) {
        Ok(tried) => tried,
        Err(error) => {
            return findings.urgent(
                format!("source {name} cannot be read: {error}"),
                "run the container as a user that may read it, or with the capability DAC_READ_SEARCH",
            );
        }
    };
    if tried.unreadable > 0 {
        findings.urgent(
            format!(
                "source {name}: {} of {} entries tried cannot be read, the first is {}",
                tried.unreadable,
                tried.entries,
                tried.first.unwrap_or_default()
            ),
            "run the container as a user that may read them, or with the capability DAC_READ_SEARCH",
        );
    } else if tried.entries == 0 {
        findings.warning(
            format!("source {name} is empty"),
            "is the right volume mounted there?",
        );
    } else {
        findings.ok(format!("source {name} can be read"));
    }
    if is_mounted_writable(path) {
        findings.warning(
            format!("source {name} is mounted read-write"),
            "mount it read-only (`:ro`): a backup needs no more",
        );
    }
}

/// What a bounded look into a folder found.
#[derive(Default)]
struct Tried {
    entries: usize,
    unreadable: usize,
    first: Option<String>,
}

impl Tried {
    fn walk(root: &Path) -> io::Result<Self> {
        let mut tried = Tried::default();
        fs::read_dir(root)?;
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                tried.failed(&folder);
                continue;
            };
            for entry in entries.flatten() {
                if tried.entries >= ENTRIES_TRIED_MAX {
                    return Ok(tried);
                }
                tried.entries += 1;
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    // Asked, not opened: an open could count as a use of the file.
                    Ok(kind) if kind.is_file() && access(&path, Access::READ_OK).is_err() => {
                        tried.failed(&path);
                    }
                    _ => {}
                }
            }
        }
        Ok(tried)
    }

    fn failed(&mut self, path: &Path) {
        self.unreadable += 1;
        self.first
            .get_or_insert_with(|| words::plain(&path.display().to_string()));
    }
}

/// On a bare host everything is writable to its administrator; of a mount one may expect better.
fn is_mounted_writable(path: &Path) -> bool {
    let read_only = statvfs(path).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY));
    !read_only && is_mount_point(path)
}

fn is_mount_point(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let above = path.parent().and_then(|above| fs::metadata(above).ok());
    let here = fs::metadata(&path).ok();
    if let (Some(above), Some(here)) = (above, here)
        && above.dev() != here.dev()
    {
        return true;
    }
    // A bind mount has the device of what it was bound from; only the mount table tells.
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|point| unescaped(point) == path.as_os_str().to_string_lossy())
}

/// The mount table writes a space as `\040`.
fn unescaped(point: &str) -> String {
    point
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

fn try_keys(config: &Config, findings: &mut Findings) {
    let sealing = &config.sealing;
    match (&sealing.keys.seal, sealing.keys.confirm()) {
        (_, Err(error)) => findings.urgent(error.to_string(), error.hint()),
        (Seal::Open, Ok(_)) => findings.ok(format!(
            "archives are compressed ({}), and not encrypted",
            sealing.compression
        )),
        (_, Ok(true)) => findings.ok("the key at hand opens what it seals"),
        (_, Ok(false)) => findings.warning(
            "this host can seal, but not open what it sealed",
            "keep the age identity somewhere safe, and try it out with `lifeboat open`",
        ),
    }
    if !Authenticator::new(&sealing.keys).signs() {
        findings.warning(
            "manifests are not signed",
            "set BACKUP_SIGNING_KEY or an encryption key, so that a changed one is noticed",
        );
    }
}

fn try_store(config: &Config, findings: &mut Findings) {
    let dir = &config.near.dir;
    let store = match Local::existing(dir) {
        Ok(store) => store,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return try_future_store(dir, findings);
        }
        Err(error) => return findings.urgent(error.to_string(), error.hint()),
    };
    match store.probe() {
        Ok(probe) => {
            findings.ok(format!(
                "{} can be written to, read and deleted from",
                dir.display()
            ));
            for weakness in &probe.weaknesses {
                findings.warning(
                    format!("{}: {weakness}", dir.display()),
                    "it works; a disk of another kind would do better",
                );
            }
        }
        Err(error) => findings.urgent(error.to_string(), error.hint()),
    }
    match store.space() {
        Ok(Some(space)) if space.free < space.total / 20 => findings.urgent(
            format!(
                "only {} of {} free",
                words::size(space.free),
                words::size(space.total)
            ),
            "free some space, or shorten the retention (`lifeboat prune --dry-run`)",
        ),
        Ok(Some(space)) => findings.ok(format!(
            "{} of {} free",
            words::size(space.free),
            words::size(space.total)
        )),
        Ok(None) => {}
        Err(error) => findings.urgent(error.to_string(), error.hint()),
    }
    match store.clock() {
        Ok(Some(clock)) => {
            let off = (DateTime::<Utc>::from(clock) - Utc::now()).abs();
            if off > CLOCK_SKEW_MAX {
                findings.urgent(
                    format!(
                        "the store's clock and ours differ by {} min",
                        off.num_minutes()
                    ),
                    "set this machine's clock by NTP; until then nothing is pruned",
                );
            }
        }
        Ok(None) => {}
        Err(error) => findings.warning(error.to_string(), error.hint()),
    }
}

/// Nothing is there yet, and nothing is made: this may be the mount point of a disk that is away.
fn try_future_store(dir: &Path, findings: &mut Findings) {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(dir);
    match access(there, Access::WRITE_OK) {
        Ok(()) => findings.warning(
            format!("there are no backups in {} yet", dir.display()),
            "if that is right, `lifeboat backup` makes the first; if not, mount the disk",
        ),
        Err(error) => findings.urgent(
            format!(
                "{} cannot be written to: {}",
                there.display(),
                io::Error::from(error)
            ),
            "mount a volume there that this user may write to",
        ),
    }
}

fn try_clock(loaded: &Loaded, findings: &mut Findings) {
    let now = Utc::now();
    // This program cannot run before it was written.
    let written = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    if now < written {
        findings.urgent(
            format!("the clock says {}", now.format("%Y-%m-%d")),
            "set it; until then names and ages are wrong and nothing is pruned",
        );
        return;
    }
    let zone = loaded.config.wake.zone;
    findings.ok(format!("it is {} in {zone}", words::time(now, zone)));
    for job in &loaded.config.jobs {
        match job.schedule.next_after(now) {
            Some(next) => findings.ok(format!(
                "job {} runs next at {}",
                job.name,
                words::time(next, zone)
            )),
            None => findings.warning(
                format!("job {} has no schedule", job.name),
                "set BACKUP_SCHEDULE, unless something else starts the backups",
            ),
        }
    }
}

/// The backups that are there: can they be read, and opened with the key at hand?
fn try_backups(loaded: Loaded, findings: &mut Findings) {
    let Ok(port) = Port::open(loaded) else {
        return;
    };
    let catalog = match port.catalog() {
        Ok(catalog) => catalog,
        Err(failure) => return findings.urgent(failure.what, failure.hint),
    };
    let Ok(item) = port.latest(&catalog, None) else {
        return;
    };
    if item.manifest.created_at > port.now + CLOCK_SKEW_MAX {
        findings.urgent(
            format!("{} was made at a time that is still to come", item.id()),
            "set the clock right, and look who wrote that backup",
        );
    }
    let sealed = item
        .manifest
        .archives
        .iter()
        .find(|archive| archive.encryption != Encryption::None);
    let Some(archive) = sealed.or(item.manifest.archives.first()) else {
        return;
    };
    match open_start(item, archive, &port) {
        Ok(()) => findings.ok(format!("{} can be opened", item.id())),
        Err(_) if sealed.is_some() && !port.harbour().keys.can_open() => findings.warning(
            format!(
                "{} is sealed, and the key that opens it is not here",
                item.id()
            ),
            "give BACKUP_AGE_IDENTITY when you restore",
        ),
        Err(failure) => findings.urgent(failure.what, failure.hint),
    }
}

/// As far as its first bytes: enough to tell a wrong key.
fn open_start(item: &Item, archive: &Archive, port: &Port) -> Result<()> {
    let harbour = port.harbour();
    let stored = harbour
        .store
        .open(&layout::archive(item.manifest.tier, &archive.file)?)?;
    let (compression, encryption) = (archive.compression, archive.encryption);
    let mut plain = unseal::open(&archive.file, stored, compression, encryption, harbour.keys)?;
    plain.read(&mut [0; 512]).map_err(|error| {
        Failure::new(
            Code::Integrity,
            format!("{} cannot be read: {error}", archive.file),
            "`lifeboat verify --all --deep` tells which backups are whole",
        )
    })?;
    Ok(())
}
