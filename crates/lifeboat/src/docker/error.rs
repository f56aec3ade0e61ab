//! Why the engine did not do what it was asked.

use std::fmt;

/// One request, as a filter in front of the engine knows it. [`docs/security.md`] lists all of them.
///
/// [`docs/security.md`]: https://github.com/lifeboat-backup/lifeboat/blob/main/docs/security.md
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: &'static str,
    /// Without the version in front.
    pub path: String,
}

impl Call {
    pub fn get(path: impl Into<String>) -> Self {
        Call {
            method: "GET",
            path: path.into(),
        }
    }

    pub fn post(path: impl Into<String>) -> Self {
        Call {
            method: "POST",
            path: path.into(),
        }
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Call {
            method: "DELETE",
            path: path.into(),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {trouble}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct DockerError {
    pub call: Call,
    pub trouble: Trouble,
    pub detail: String,
}

/// What kind of no it was: what is done about it depends on nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("no engine answers")]
    Unreachable,
    /// By a filter in front of the engine, or by the socket's own rights.
    #[error("refused")]
    Denied,
    #[error("there is none")]
    NotFound,
    /// Not in this state: paused, stopped, in use.
    #[error("not possible now")]
    Conflict,
    #[error("no answer in time")]
    TooSlow,
    /// An answer that cannot be what it should.
    #[error("the answer makes no sense")]
    Garbled,
    /// What a program is to read does not reach it.
    #[error("the way there carries no input")]
    OneWay,
    #[error("status {0}")]
    Status(u16),
}

impl DockerError {
    pub fn new(call: Call, trouble: Trouble, detail: impl Into<String>) -> Self {
        DockerError {
            call,
            trouble,
            detail: detail.into(),
        }
    }

    pub(super) fn of_status(call: Call, status: u16, detail: impl Into<String>) -> Self {
        let trouble = match status {
            401 | 403 => Trouble::Denied,
            404 => Trouble::NotFound,
            409 => Trouble::Conflict,
            502..=504 => Trouble::Unreachable,
            status => Trouble::Status(status),
        };
        DockerError::new(call, trouble, detail)
    }

    pub(super) fn of_io(call: Call, error: &std::io::Error) -> Self {
        let trouble = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Trouble::Denied,
            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => Trouble::TooSlow,
            _ => Trouble::Unreachable,
        };
        DockerError::new(call, trouble, error.to_string())
    }

    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self.trouble {
            Trouble::Unreachable => {
                "is the engine up? Mount its socket (/var/run/docker.sock) or set DOCKER_HOST; BACKUP_DISCOVER=off does without"
                    .to_owned()
            }
            Trouble::Denied => format!(
                "allow {} in the socket proxy, or add the socket's group to the service (group_add)",
                self.call
            ),
            Trouble::NotFound => "`lifeboat plan` shows what is there".to_owned(),
            Trouble::Conflict => "look at the container's state with `docker ps -a`".to_owned(),
            Trouble::TooSlow => "the engine hangs or is overloaded; `docker ps` tells".to_owned(),
            Trouble::OneWay => {
                "use a socket proxy that passes upgrades on (status 101), or the engine's socket itself"
                    .to_owned()
            }
            Trouble::Garbled | Trouble::Status(_) => {
                "the engine's own log says more; `lifeboat doctor` tries every call".to_owned()
            }
        }
    }
}
