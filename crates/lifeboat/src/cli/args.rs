//! What can be said on the command line.
//!
//! The texts here are what `--help` shows. Whatever a value means is decided elsewhere; here is only how
//! it is written.

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use clap::{Parser, Subcommand, ValueEnum, builder::FalseyValueParser};
use lifeboat_plan::{BackupType, Tier};
use std::{path::PathBuf, time::Duration};

/// The backup companion of a Docker Compose project.
///
/// With no verb it runs as the daemon. Settings come from the environment (BACKUP_*) and a TOML file.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, clap::Args)]
pub struct Common {
    /// Read settings from this TOML file [default: /etc/lifeboat/lifeboat.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub config: Option<PathBuf>,
    /// Print one JSON document for programs instead of text for people
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// No colours; NO_COLOR in the environment says the same
    #[arg(long, global = true, help_heading = "Everywhere")]
    #[arg(env = "NO_COLOR", hide_env = true, value_parser = FalseyValueParser::new())]
    pub no_color: bool,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Back up on schedule until told to stop (what no verb does too)
    Daemon,
    /// Make one backup now; prints its id last
    Backup(Backup),
    /// List the backups, by tier
    List(List),
    /// Print the id of the newest good backup
    Latest(Latest),
    /// Tell how things stand; exit 3 when something is urgent
    Status,
    /// Show what would be captured, when, where to, and what would be pruned
    Plan(Plan),
    /// Try out everything a backup needs, and say what does not work
    Doctor,
    /// Read backups back and compare them with their manifests
    Verify(Verify),
    /// Bring a backup back, into a new folder
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Drop old backups by the keep rules
    Prune(Prune),
    /// Delete one backup
    Delete(Delete),
    /// List the restores that were made
    History,
    /// Write one source of a backup to stdout, unsealed
    ///
    /// The bytes come out while they are read, so the check of the whole can only end after the last of
    /// them: rely on the output only when the exit code is 0 (13: it was damaged).
    Cat(Cat),
    /// Unseal one archive file, by the endings of its name (.zst .gz .bz2 .xz, .age)
    ///
    /// Needs no store, no manifest and no daemon. When a manifest lies beside the file, the content is
    /// compared with it too.
    Open(Open),
    /// Write the catalogue anew from the manifests
    Rebuild,
    /// Remove what killed runs left behind; never a backup, never a foreign file
    Sweep(Sweep),
    /// For the HEALTHCHECK: the scheduler is alive and the newest good backup fresh
    Health,
    /// Show all of it in ten seconds, on a sample project: no Docker, no configuration
    Demo(Demo),
    /// Walk a folder, and write what is in it to stdout for another Lifeboat to seal
    #[command(hide = true)]
    Pour(Pour),
    /// Replace what is in a folder by what comes on stdin, step by step, for another Lifeboat
    #[command(hide = true, subcommand)]
    Fill(Fill),
}

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Only this source; may be given several times [default: all]
    #[arg(long = "source", value_name = "NAME")]
    pub sources: Vec<String>,
    /// What the backup is called in its manifest
    #[arg(long = "type", value_enum, default_value = "manual")]
    pub kind: Kind,
    /// Show what would be backed up, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Manual,
    Scheduled,
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub store: StoreChoice,
    /// Only this tier: daily, weekly, fortnightly, monthly, yearly
    #[arg(long, value_name = "TIER")]
    pub tier: Option<Tier>,
    /// At most this many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Leave out the newest so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: usize,
}

#[derive(Debug, clap::Args)]
pub struct Latest {
    /// Print the path of its manifest, or of --source's archive
    #[arg(long)]
    pub path: bool,
    /// The newest good backup that holds this source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Plan {
    /// Print how the newest backup comes back with stock tools alone, as a shell script to keep elsewhere
    #[arg(long)]
    pub recovery_sheet: bool,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// An id, or `latest`
    #[arg(value_name = "ID", default_value = "latest", conflicts_with = "all")]
    pub id: String,
    /// Every backup in the store
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub store: StoreChoice,
    /// Also unseal everything to its end and walk through the archives
    #[arg(long)]
    pub deep: bool,
}

#[derive(Debug, clap::Args)]
pub struct Restore {
    /// An id, `latest`, or the path of one archive file
    #[arg(value_name = "ID|FILE", required_unless_present = "interactive")]
    pub what: Option<String>,
    /// Only this source; may be given several times [default: all]
    #[arg(long = "source", value_name = "NAME")]
    pub sources: Vec<String>,
    /// With `latest`: the newest good one not after this time (2025-12-13, "2025-12-13 02:00")
    #[arg(long, value_name = "TIME")]
    pub at: Option<Moment>,
    /// `live`: back where it came from; or a folder to restore into, absent or empty
    #[arg(long, value_name = "live|DIR")]
    pub to: Option<String>,
    /// Only what matches, inside the source (`inv/*.txt`); may be given several times
    #[arg(long = "path", value_name = "GLOB")]
    pub paths: Vec<String>,
    /// Pick the backup from a list
    #[arg(long)]
    pub interactive: bool,
    /// Print the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Also from a backup that is damaged, partial or not provably ours
    #[arg(long)]
    pub force: bool,
    /// With `--to live`: do not save what is replaced
    #[arg(long)]
    pub no_safety: bool,
    /// Also make device nodes
    #[arg(long)]
    pub devices: bool,
    /// The store to take it from
    #[arg(long, value_name = "STORE", default_value = "near")]
    pub from: String,
}

#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Show what would be dropped and why everything else stays
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct Delete {
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct Cat {
    /// An id, or `latest`
    #[arg(value_name = "ID")]
    pub id: String,
    #[arg(value_name = "SOURCE")]
    pub source: String,
}

#[derive(Debug, clap::Args)]
pub struct Open {
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write to this new file instead of stdout; it appears only when all of it was found right
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Sweep {
    /// Leave alone what is younger (30m, 24h, 7d)
    #[arg(long, value_name = "AGE", default_value = "24h", value_parser = age)]
    pub older_than: Duration,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Leave everything in this new folder, to look at
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Pour {
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Patterns as in a .gitignore; may be given several times
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub exclude: Vec<String>,
    /// Entries at the last backup: an empty folder is not believed
    #[arg(long, value_name = "N")]
    pub entries_before: Option<u64>,
    /// What a file that changes while it is read is worth
    #[arg(long, value_enum, default_value = "warn")]
    pub on_changed: Changed,
    /// Where consistent copies of SQLite databases are made
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Write to this socket instead, if somebody listens there; the first byte on stdout tells
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
    /// Read nothing before a byte comes from the socket; without a socket, end
    #[arg(long, requires = "socket")]
    pub wait: bool,
}

#[derive(Debug, Subcommand)]
pub enum Fill {
    /// What is there now
    Look {
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// A plain tar stream, beside what is there
    Extract(Extract),
    /// What was extracted takes the place of what is there
    Swap(FillStep),
    /// And the other way round
    SwapBack(FillStep),
    /// What lies beside and is not needed goes
    Clear(FillStep),
}

#[derive(Debug, clap::Args)]
pub struct FillStep {
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The restore's word
    #[arg(long, value_name = "WORD")]
    pub beside: String,
}

#[derive(Debug, clap::Args)]
pub struct Extract {
    #[command(flatten)]
    pub step: FillStep,
    /// Entries of the archive
    #[arg(long, value_name = "N")]
    pub entries: u64,
    /// Its plain bytes: not one more is read
    #[arg(long, value_name = "N")]
    pub size: u64,
    /// And their XXH3, in hex
    #[arg(long, value_name = "HEX")]
    pub xxh128: String,
    /// Read from this socket instead, if somebody listens there; the first byte on stdout tells
    #[arg(long, value_name = "SOCKET")]
    pub socket: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Changed {
    Warn,
    Fail,
}

#[derive(Debug, clap::Args)]
pub struct StoreChoice {
    /// Which store: `near` is the one at BACKUP_DIR
    #[arg(long = "store", value_name = "NAME", default_value = "near")]
    pub name: String,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done                                    11  another run holds the lock
   1  failed, or a source was not captured    12  wrong key
   2  usage or configuration                  13  damaged
   3  done, but read the warnings             14  refused by a safety rule
  10  nothing found                           130/143  stopped by a signal

New here? Try `lifeboat demo`.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  lifeboat restore latest --to /restore/all
  lifeboat restore latest --at 2025-12-13 --source uploads --path 'inv/*.pdf' --to /restore/inv
  lifeboat restore /mnt/usb/shop_daily_20251213_020000.storage.tar.zst --to /restore/storage

Nothing is ever restored over what is there.";

impl From<Kind> for BackupType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Manual => BackupType::Manual,
            Kind::Scheduled => BackupType::Scheduled,
        }
    }
}

/// A time as a person writes it. Without a zone of its own it is meant in the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Exact(DateTime<Utc>),
    Local(NaiveDateTime),
}

impl Moment {
    /// Of a local time that is there twice the later one, and of one that is skipped the hour after it:
    /// "not after" must not leave out what the person saw on the clock.
    pub fn in_zone(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Moment::Exact(at) => at,
            Moment::Local(at) => at
                .and_local_timezone(zone)
                .latest()
                .or_else(|| {
                    (at + chrono::TimeDelta::hours(1))
                        .and_local_timezone(zone)
                        .latest()
                })
                .map_or_else(|| at.and_utc(), |at| at.with_timezone(&Utc)),
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Ok(Moment::Exact(at.with_timezone(&Utc)));
        }
        for form in [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M",
        ] {
            if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
                return Ok(Moment::Local(at));
            }
        }
        // A day means all of it.
        match chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(day) => day
                .and_hms_opt(23, 59, 59)
                .map(Moment::Local)
                .ok_or_else(|| "there is no such day".to_owned()),
            Err(_) => Err("write it as 2025-12-13 or \"2025-12-13 02:00\"".to_owned()),
        }
    }
}

fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 30m, 24h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    count
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_day_means_all_of_it_and_a_repeated_hour_its_second_pass() {
        let at = |text: &str| {
            let moment: Moment = text.parse().unwrap();
            moment.in_zone(chrono_tz::Europe::Berlin).to_rfc3339()
        };
        assert_eq!(at("2025-12-13"), "2025-12-13T22:59:59+00:00");
        assert_eq!(at("2025-10-26 02:30"), "2025-10-26T01:30:00+00:00");
        assert_eq!(at("2025-03-30 02:30"), "2025-03-30T01:30:00+00:00");
        assert_eq!(at("2025-12-13T02:00:00Z"), "2025-12-13T02:00:00+00:00");
        assert!("yesterday".parse::<Moment>().is_err());
    }

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(age("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "7", "h", "7 days", "-1h", "99999999999999999d", "7é"] {
            assert!(age(wrong).is_err(), "{wrong:?}");
        }
    }
}
