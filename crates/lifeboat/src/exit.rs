//! How a run of the program ends: a number for scripts, two lines for a person.
//!
//! Every error type of the crates below is given its number and its second line here, and nowhere else.

use crate::config::Mistakes;
use lifeboat_plan::{IdError, event::Outcome};
use lifeboat_run::{
    Cancelled,
    backup::BackupError,
    prune::PruneError,
    restore::RestoreError,
    seal::SealError,
    target::TargetError,
    unseal::{PublishError, UnsealError},
    verify::VerifyError,
};
use lifeboat_store::ErrorKind;
use serde::Serialize;
use std::{fmt, process::ExitCode};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    Done = 0,
    /// Or partial: a source could not be captured.
    Failed = 1,
    Usage = 2,
    /// Everything is safe, but a person should read on.
    Warnings = 3,
    NotFound = 10,
    Locked = 11,
    WrongKey = 12,
    Integrity = 13,
    Refused = 14,
    Interrupted = 130,
    Terminated = 143,
}

/// An end that is not a good one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    /// What happened to what.
    pub what: String,
    /// Where one line cannot hold it: every mistake, every damaged file.
    pub details: Vec<String>,
    /// What to do about it.
    pub hint: String,
}

pub type Result<T = Code> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(code: Code, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure {
            code,
            what: what.into(),
            details: Vec::new(),
            hint: hint.into(),
        }
    }

    pub fn with_details(self, details: Vec<String>) -> Self {
        Failure { details, ..self }
    }

    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::new(Code::Usage, what, hint)
    }

    pub fn io(
        action: &str,
        what: impl fmt::Display,
        error: &std::io::Error,
        hint: impl Into<String>,
    ) -> Self {
        Failure::new(
            Code::Failed,
            format!("cannot {action} {what}: {error}"),
            hint,
        )
    }

    /// What programs read on stdout with `--json`.
    pub fn json(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Shape {
            error: String,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            details: Vec<String>,
            hint: String,
            code: u8,
        }
        Shape {
            error: self.what.clone(),
            details: self.details.clone(),
            hint: self.hint.clone(),
            code: self.code as u8,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lifeboat: {}", one_line(&self.what))?;
        for detail in &self.details {
            writeln!(f, "  {}", one_line(detail))?;
        }
        write!(f, "hint: {}", one_line(&self.hint))
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

impl From<Outcome> for Code {
    fn from(outcome: Outcome) -> Code {
        match outcome {
            Outcome::Ok => Code::Done,
            Outcome::Warn => Code::Warnings,
            Outcome::Partial | Outcome::Failed | Outcome::Missed => Code::Failed,
            Outcome::Aborted => Code::Interrupted,
            Outcome::Overlap => Code::Locked,
        }
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Code {
        match kind {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Busy => Code::Locked,
            ErrorKind::Corrupt => Code::Integrity,
            ErrorKind::Exists => Code::Refused,
            ErrorKind::Full | ErrorKind::Denied | ErrorKind::Passing | ErrorKind::Other => {
                Code::Failed
            }
        }
    }
}

impl From<lifeboat_store::Error> for Failure {
    fn from(error: lifeboat_store::Error) -> Self {
        Failure::new(error.kind().into(), error.to_string(), error.hint())
    }
}

/// Which of the two signals it was is known where they are heard.
impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Failure::new(
            Code::Interrupted,
            "stopped before the end, as asked",
            "nothing of it can be seen; run the same command again when it suits",
        )
    }
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Failure::new(
            Code::NotFound,
            error.to_string(),
            "`lifeboat list` shows the ids",
        )
    }
}

impl From<UnsealError> for Failure {
    fn from(error: UnsealError) -> Self {
        let what = error.to_string();
        match error {
            UnsealError::WrongKey { .. } => Failure::new(
                Code::WrongKey,
                what,
                "nothing was touched; give the key it was sealed with (BACKUP_ENCRYPTION_KEY, BACKUP_AGE_IDENTITY)",
            ),
            UnsealError::NoKey { .. } => Failure::new(
                Code::WrongKey,
                what,
                "nothing was touched; set BACKUP_ENCRYPTION_KEY or BACKUP_AGE_IDENTITY",
            ),
            UnsealError::Damaged { .. } => Failure::new(
                Code::Integrity,
                what,
                "restore from an older backup or another copy; `lifeboat verify --all` tells which are whole",
            ),
            UnsealError::Hostile { .. } => Failure::new(
                Code::Integrity,
                what,
                "do not trust this file: Lifeboat never writes such an archive; take another copy",
            ),
            UnsealError::Io { .. } => Failure::new(
                Code::Failed,
                what,
                "look at the place it names: is there space, and the right to write?",
            ),
            UnsealError::Store(error) => error.into(),
            UnsealError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

/// All mistakes in one report: one in the usual two lines, several in two lines each.
impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        let all: Vec<_> = mistakes.iter().collect();
        if let [one] = all[..] {
            return Failure::usage(one.what(), one.hint());
        }
        let details = all
            .iter()
            .flat_map(|mistake| [mistake.what(), format!("  hint: {}", mistake.hint())])
            .collect();
        Failure::usage(
            format!(
                "{} mistakes in the configuration; nothing was done",
                all.len()
            ),
            "correct them all, then look at the result with `lifeboat plan`",
        )
        .with_details(details)
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let what = error.to_string();
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::NoSources => Failure::new(
                Code::NotFound,
                what,
                "mount the volumes below BACKUP_SOURCES_DIR; `lifeboat plan` shows what is left out and why",
            ),
            BackupError::AllMissed(missed) => Failure::new(
                Code::Failed,
                "no source could be captured, so there is no backup",
                "correct what is said of each; `lifeboat doctor` tries them one by one",
            )
            .with_details(
                missed
                    .iter()
                    .map(|m| format!("{}: {}", m.source, m.reason))
                    .collect(),
            ),
            BackupError::Seal { error, .. } => Failure::new(
                Code::Failed,
                what,
                match error {
                    SealError::Panicked(_) => {
                        "this is a fault of the program: please report it with the lines above"
                    }
                    _ => "nothing of it can be seen; `lifeboat doctor` tries everything out",
                },
            ),
            BackupError::ReadBack(error) => match error {
                UnsealError::Store(error) => error.into(),
                _ => Failure::new(
                    Code::Failed,
                    what,
                    "the disk or the memory changed what was written: test both, then run it again; this backup was taken back",
                ),
            },
            BackupError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Gone(_) => Failure::new(
                Code::NotFound,
                error.to_string(),
                "`lifeboat list` shows what is there now",
            ),
            VerifyError::Unseal(error) => error.into(),
            VerifyError::OtherKey { .. } => Failure::new(
                Code::WrongKey,
                error.to_string(),
                "give BACKUP_SIGNING_KEY the key it was made with; if there never was another key, do not trust this backup",
            ),
            VerifyError::Store(error) => error.into(),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let what = error.to_string();
        match error {
            RestoreError::Unseal(error) => error.into(),
            RestoreError::Store(error) => error.into(),
            RestoreError::Refused(_) => Failure::new(
                Code::Refused,
                what,
                "nothing was touched; correct that, or restore into a new folder with --to DIR",
            ),
            RestoreError::Hold(_) => Failure::new(
                Code::Refused,
                what,
                "nothing was replaced; `lifeboat doctor` tries the rights that it takes",
            ),
            RestoreError::Safety(_) | RestoreError::SafetyPartial { .. } => Failure::new(
                Code::Refused,
                what,
                "nothing was touched; correct that, or give --no-safety to go on without",
            ),
            RestoreError::Half { .. } => Failure::new(
                Code::Failed,
                what,
                "who uses it stays stopped; correct the reason, and the next run of Lifeboat finishes it or takes it back",
            ),
            RestoreError::Target(error) => {
                let (code, hint) = match error {
                    TargetError::Cancelled(cancelled) => return cancelled.into(),
                    TargetError::Refused(_) => (
                        Code::Refused,
                        "nothing was touched; correct that, or restore into a new folder with --to DIR",
                    ),
                    TargetError::Disproved { .. } => (
                        Code::Integrity,
                        "what is live is as it was; restore an older backup, and look into this one with --to DIR",
                    ),
                    TargetError::Failed { .. } | TargetError::Reading { .. } => (
                        Code::Failed,
                        "what is live is as it was; correct that and restore again",
                    ),
                };
                Failure::new(code, what, hint)
            }
            RestoreError::NoSuchSource { .. } => {
                Failure::new(Code::NotFound, what, "give --source one of these")
            }
            RestoreError::NothingMatched { .. } => Failure::new(
                Code::NotFound,
                what,
                "--path is matched inside the source, as in 'inv/*.txt'; `lifeboat cat ID SOURCE | tar -t` lists the names",
            ),
            RestoreError::Io { .. } => Failure::new(
                Code::Failed,
                what,
                "nothing was restored; is there space at the target, and the right to write?",
            ),
            RestoreError::Pattern(_) => Failure::usage(
                what,
                "--path takes globs as in 'inv/*.txt', matched inside the source",
            ),
            RestoreError::Publish(PublishError::Occupied { .. }) => Failure::new(
                Code::Refused,
                what,
                "nothing is ever restored over what is there; give --to a new folder",
            ),
            RestoreError::Publish(PublishError::Io { .. }) => Failure::new(
                Code::Failed,
                what,
                "the target was left as it was; look at what it names and restore again",
            ),
            RestoreError::Cancelled(cancelled) => cancelled.into(),
        }
    }
}

impl From<PruneError> for Failure {
    fn from(error: PruneError) -> Self {
        let what = error.to_string();
        match error {
            PruneError::Refused(refusal) => Failure::new(Code::Refused, what, refusal.hint()),
            PruneError::DeleteRefused(refusal) => Failure::new(Code::Refused, what, refusal.hint()),
            PruneError::Store(error) => error.into(),
        }
    }
}

/// An error text may hold file names, and those may hold anything.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
