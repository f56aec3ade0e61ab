//! Programs of ours that are to go on no longer, found by their mark wherever they were left.

use super::{Command, DockerError, Engine, ExecError, Fed, MARK, Verdict};
use lifeboat_run::Cancel;
use std::time::Duration;

/// What it may take to end them. The script itself takes half of that at most.
const TIME_MAX: Duration = Duration::from_secs(10);

impl Engine {
    /// Ends every program of ours in a container whose mark is `mark`. `false`: it cannot be told, for
    /// instance because the container has no shell.
    pub fn end_marked(
        &self,
        container: &str,
        user: Option<&str>,
        mark: &str,
    ) -> Result<bool, DockerError> {
        self.end_matching(container, user, "-qzxF", &format!("{MARK}={mark}"))
    }

    /// The same for all that `owner` ever started there and has lost.
    pub fn end_owned(
        &self,
        container: &str,
        user: Option<&str>,
        owner: &str,
    ) -> Result<bool, DockerError> {
        self.end_matching(container, user, "-qz", &format!("^{MARK}={owner}[.]"))
    }

    fn end_matching(
        &self,
        container: &str,
        user: Option<&str>,
        how: &str,
        pattern: &str,
    ) -> Result<bool, DockerError> {
        let mut command = Command::new(["sh", "-c", END, "sh", how, pattern]);
        command.user = user.map(str::to_owned);
        // It ends by itself. Were it ended like others where its own end cannot be seen, there would be none.
        let exec = self.begin(container, &command, Fed::Before, false)?;
        match exec.output(TIME_MAX, &Cancel::default()) {
            Ok(output) => Ok(output.verdict == Verdict::Done),
            Err(ExecError::Docker(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// Asks first, kills after three seconds. Looks only at what belongs to the same user or, as root, at all.
const END: &str = r#"
all() {
  for e in /proc/[0-9]*/environ; do
    grep "$1" -e "$2" "$e" 2>/dev/null || continue
    p=${e#/proc/}; echo "${p%/environ}"
  done
}
for signal in TERM TERM TERM KILL; do
  found=$(all "$@"); [ -n "$found" ] || exit 0
  kill -s $signal $found 2>/dev/null
  i=0; while [ $i -lt 10 ] && [ -n "$(all "$@")" ]; do sleep 0.1; i=$((i+1)); done
done
[ -z "$(all "$@")" ]
"#;
