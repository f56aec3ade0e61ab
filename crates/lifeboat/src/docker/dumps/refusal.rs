//! What is wrong, as one of a closed set of faults.

use crate::docker::{DockerError, ExecError, Trouble, Verdict};
use lifeboat_run::source::{Fault, SourceError};

/// Of what a program said, the end: there it says why it failed.
const WORDS_BYTES_MAX: usize = 4 << 10;

/// Why there is no dump. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub fault: Fault,
    pub detail: String,
}

/// What a tool's words mean, where they mean something better than "it failed".
pub(super) type Understand = fn(&str) -> Option<Fault>;

impl Refusal {
    pub(super) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Refusal {
            fault,
            detail: detail.into(),
        }
    }

    pub(super) fn tool(detail: impl Into<String>) -> Self {
        Refusal::new(Fault::ToolExit, detail)
    }

    pub(super) fn of(self, what: &str) -> SourceError {
        SourceError::Dump {
            what: what.to_owned(),
            fault: self.fault,
            detail: self.detail,
        }
    }

    /// In one line, for a fact.
    pub(super) fn line(&self) -> String {
        self.detail.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub(super) fn of_exec(error: &ExecError) -> Self {
        match error {
            ExecError::Docker(error) => error.into(),
            ExecError::Corrupt(what) => Refusal::new(Fault::StreamCorrupt, what),
            ExecError::TooMuch(_) => Refusal::new(Fault::StreamCorrupt, error.to_string()),
            ExecError::TooSlow(_) => Refusal::new(Fault::Stalled, error.to_string()),
            // Whoever cancelled does not ask why.
            ExecError::Cancelled => Refusal::new(Fault::ExecLost, error.to_string()),
        }
    }

    /// How a program ended, in what it said (without secrets) and what the engine says; `image` is where it
    /// should be found.
    pub(super) fn of_end(
        verdict: Verdict,
        said: &str,
        program: &str,
        image: &str,
        understand: Understand,
    ) -> Result<(), Self> {
        let said = last_words(said);
        Err(match verdict {
            Verdict::Done => return Ok(()),
            Verdict::Exit(126 | 127) => Refusal::new(
                Fault::ToolMissing,
                joined(&format!("{program} in image {image}"), said),
            ),
            // By the kernel (out of memory), by somebody, or with its container.
            Verdict::Exit(code @ (137 | 143)) => Refusal::new(
                Fault::ExecLost,
                joined(&format!("it was killed (exit code {code})"), said),
            ),
            Verdict::Exit(code) => Refusal::new(
                understand(said).unwrap_or(Fault::ToolExit),
                joined(&format!("exit code {code}"), said),
            ),
            Verdict::StillRunning => Refusal::new(
                Fault::StreamLost,
                "something between here and the engine cut the line; a socket proxy needs a long time limit for streams",
            ),
            Verdict::Lost => Refusal::new(Fault::ExecLost, said),
        })
    }
}

impl From<&DockerError> for Refusal {
    fn from(error: &DockerError) -> Self {
        let fault = match error.trouble {
            Trouble::Denied | Trouble::OneWay => Fault::DockerDenied,
            Trouble::Unreachable | Trouble::TooSlow | Trouble::Status(_) => Fault::DockerLost,
            Trouble::NotFound | Trouble::Conflict => Fault::ExecLost,
            Trouble::Garbled => Fault::StreamCorrupt,
        };
        Refusal::new(fault, error.to_string())
    }
}

impl From<DockerError> for Refusal {
    fn from(error: DockerError) -> Self {
        (&error).into()
    }
}

fn joined(what: &str, said: &str) -> String {
    match said {
        "" => what.to_owned(),
        said => format!("{what}: {said}"),
    }
}

fn last_words(said: &str) -> &str {
    let said = said.trim();
    let from = said.len().saturating_sub(WORDS_BYTES_MAX);
    let from = (from..=said.len()).find(|at| said.is_char_boundary(*at));
    said[from.unwrap_or(0)..].trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Call;

    fn ended(verdict: Verdict, said: &str) -> Result<(), Refusal> {
        let auth = |said: &str| said.contains("password").then_some(Fault::Auth);
        Refusal::of_end(verdict, said, "pg_dump", "postgres:17", auth)
    }

    #[test]
    fn only_one_end_is_a_good_one() {
        assert_eq!(ended(Verdict::Done, "a remark"), Ok(()));
        for (verdict, said, fault) in [
            (Verdict::Exit(1), "out of disk", Fault::ToolExit),
            (Verdict::Exit(1), "wrong password", Fault::Auth),
            (Verdict::Exit(126), "", Fault::ToolMissing),
            (Verdict::Exit(127), "", Fault::ToolMissing),
            (Verdict::Exit(137), "", Fault::ExecLost),
            (Verdict::Exit(143), "", Fault::ExecLost),
            (Verdict::StillRunning, "", Fault::StreamLost),
            (Verdict::Lost, "", Fault::ExecLost),
        ] {
            assert_eq!(
                ended(verdict, said).unwrap_err().fault,
                fault,
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn the_end_of_what_a_program_said_is_told_with_its_exit_code() {
        let said = format!("{}ö and the reason\n", "x".repeat(10_000));
        let refusal = ended(Verdict::Exit(3), &said).unwrap_err();
        assert!(refusal.detail.starts_with("exit code 3: x"));
        assert!(refusal.detail.ends_with("ö and the reason"));
        assert!(refusal.detail.len() < 5_000);
    }

    #[test]
    fn what_the_engine_refuses_is_named_by_method_and_path() {
        let call = Call::post("/containers/abc/exec");
        let refusal = Refusal::from(DockerError::new(call, Trouble::Denied, "no"));
        assert_eq!(refusal.fault, Fault::DockerDenied);
        assert!(refusal.detail.contains("POST /containers/abc/exec"));
    }
}
