use std::{fmt, io};

pub type Result<T> = std::result::Result<T, Error>;

/// A store's refusal: what was tried, on what, and whether trying again may help.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    action: &'static str,
    subject: String,
    detail: String,
    source: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    NotFound,
    /// The key is taken.
    Exists,
    /// No space, no inodes or over quota.
    Full,
    /// Read-only, or no right.
    Denied,
    /// What is there is not what was written.
    Corrupt,
    /// Another process holds it.
    Busy,
    /// May pass by itself: a reset, a time-out, a server that is overloaded.
    Passing,
    Other,
}

impl Error {
    pub fn new(
        kind: ErrorKind,
        action: &'static str,
        subject: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Error {
            kind,
            action,
            subject: subject.into(),
            detail: detail.into(),
            source: None,
        }
    }

    /// `action` is a verb: "write", "rename", "list".
    pub fn io(action: &'static str, subject: impl Into<String>, source: io::Error) -> Self {
        Error {
            kind: ErrorKind::of(&source),
            action,
            subject: subject.into(),
            detail: source.to_string(),
            source: Some(source),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn may_pass(&self) -> bool {
        self.kind == ErrorKind::Passing
    }

    /// What to do about it: the second line that a person reads.
    pub fn hint(&self) -> &'static str {
        match self.kind {
            ErrorKind::NotFound => {
                "check the name with `lifeboat list`, and that the store is mounted"
            }
            ErrorKind::Exists => "nothing was overwritten; `lifeboat list` shows what is there",
            ErrorKind::Full => {
                "free some space or shorten the retention (`lifeboat prune --dry-run` shows what would go)"
            }
            ErrorKind::Denied => {
                "mount the store writable for this user; `lifeboat doctor` tries it out"
            }
            ErrorKind::Corrupt => "`lifeboat verify --all` tells which backups are still whole",
            ErrorKind::Busy => {
                "wait until the other run has ended, or look at it with `lifeboat status`"
            }
            ErrorKind::Passing => {
                "it is tried again by itself; `lifeboat doctor` tests the connection"
            }
            ErrorKind::Other => "`lifeboat doctor` tests the store step by step",
        }
    }
}

impl ErrorKind {
    fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::AlreadyExists => ErrorKind::Exists,
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Denied,
            Io::InvalidData => ErrorKind::Corrupt,
            Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::ConnectionRefused
            | Io::NotConnected
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::Interrupted
            | Io::TimedOut
            | Io::BrokenPipe
            | Io::WouldBlock => ErrorKind::Passing,
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {:?}: {}",
            self.action, self.subject, self.detail
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}
