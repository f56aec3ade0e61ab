//! What can be wrong with a program's output, as a closed set.

/// Why the output of a program is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The program says itself that it failed.
    ToolExit,
    ToolMissing,
    /// The database refuses the user or the password.
    Auth,
    /// There is no such database.
    NoDb,
    /// The container went away (or was stopped, restarted) while the program ran.
    ExecLost,
    DockerLost,
    DockerDenied,
    /// The stream ended while the program still runs.
    StreamLost,
    /// What came is not framed as it must be.
    StreamCorrupt,
    /// Nothing came for too long.
    Stalled,
    /// The output does not end as such a dump ends.
    NoEndMarker,
    TooSmall,
    Empty,
    /// The program is older than the server.
    ToolVersion,
}

impl Fault {
    pub const ALL: [Fault; 14] = [
        Fault::ToolExit,
        Fault::ToolMissing,
        Fault::Auth,
        Fault::NoDb,
        Fault::ExecLost,
        Fault::DockerLost,
        Fault::DockerDenied,
        Fault::StreamLost,
        Fault::StreamCorrupt,
        Fault::Stalled,
        Fault::NoEndMarker,
        Fault::TooSmall,
        Fault::Empty,
        Fault::ToolVersion,
    ];

    /// For machines; never changed once published.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::ToolExit => "tool_exit",
            Fault::ToolMissing => "tool_missing",
            Fault::Auth => "auth",
            Fault::NoDb => "no_db",
            Fault::ExecLost => "exec_lost",
            Fault::DockerLost => "docker_lost",
            Fault::DockerDenied => "docker_denied",
            Fault::StreamLost => "stream_lost",
            Fault::StreamCorrupt => "stream_corrupt",
            Fault::Stalled => "stalled",
            Fault::NoEndMarker => "no_end_marker",
            Fault::TooSmall => "too_small",
            Fault::Empty => "empty",
            Fault::ToolVersion => "tool_version",
        }
    }

    /// Whether a second attempt may fare better. Never where it could lock an account, and never where
    /// the program says that all is well: it would say so again.
    pub fn may_pass(self) -> bool {
        match self {
            Fault::ToolExit
            | Fault::ExecLost
            | Fault::DockerLost
            | Fault::StreamLost
            | Fault::Stalled => true,
            Fault::ToolMissing
            | Fault::Auth
            | Fault::NoDb
            | Fault::DockerDenied
            | Fault::StreamCorrupt
            | Fault::NoEndMarker
            | Fault::TooSmall
            | Fault::Empty
            | Fault::ToolVersion => false,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Fault::ToolExit => "it failed",
            Fault::ToolMissing => "the program is not there",
            Fault::Auth => "the database refuses the user or the password",
            Fault::NoDb => "there is no such database",
            Fault::ExecLost => "the container was stopped, restarted or removed meanwhile",
            Fault::DockerLost => "the Docker engine went away meanwhile",
            Fault::DockerDenied => "Docker does not allow it",
            Fault::StreamLost => "its output was cut off while it still ran",
            Fault::StreamCorrupt => "its output came garbled",
            Fault::Stalled => "nothing came any more",
            Fault::NoEndMarker => "it says that it succeeded, but its output is not whole",
            Fault::TooSmall => "its output is far smaller than it used to be",
            Fault::Empty => "it says that it succeeded, but there is no output",
            Fault::ToolVersion => "the program is older than the server",
        }
    }
}

/// An error's text.
pub(in crate::source) fn words(what: &str, fault: Fault, detail: &str) -> String {
    match detail.trim() {
        "" => format!("{what}: {}", fault.words()),
        detail => format!("{what}: {}: {detail}", fault.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_a_word_of_its_own() {
        let codes: BTreeSet<_> = Fault::ALL.map(Fault::as_str).into_iter().collect();
        let words: BTreeSet<_> = Fault::ALL.map(Fault::words).into_iter().collect();
        assert_eq!((codes.len(), words.len()), (14, 14));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_detail_or_without() {
        let what = "pg_dump of \"shop\" in service db";
        assert_eq!(
            words(what, Fault::ToolExit, "exit code 1\n"),
            "pg_dump of \"shop\" in service db: it failed: exit code 1"
        );
        assert_eq!(
            words(what, Fault::Stalled, ""),
            "pg_dump of \"shop\" in service db: nothing came any more"
        );
    }
}
