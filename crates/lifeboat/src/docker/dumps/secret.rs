//! Where a server's container keeps its password: in its environment, or in a file that its environment or
//! a label names. The file is read where it lies, by a program in that container.

use super::{ANSWER_SECONDS_MAX, At, Refusal};
use crate::docker::{Command, Container};
use lifeboat_run::{Cancel, Secret, source::Fault};
use std::time::Duration;

/// The value of the first of `names` that is set, or the content of the file that `NAME_FILE` names.
pub(super) fn first_of(
    at: &At,
    container: &Container,
    names: &[&str],
    cancel: &Cancel,
) -> Result<Option<Secret>, Refusal> {
    for name in names {
        if let Some(value) = container
            .env(name)
            .filter(|value| !value.reveal().is_empty())
        {
            return Ok(Some(value.clone()));
        }
        let file = container.env(&format!("{name}_FILE"));
        if let Some(path) = file.filter(|path| !path.reveal().is_empty()) {
            return in_file(at, container, path.reveal(), cancel).map(Some);
        }
    }
    Ok(None)
}

/// Without the newline at its end, as the servers' own images read it.
pub(super) fn in_file(
    at: &At,
    container: &Container,
    path: &str,
    cancel: &Cancel,
) -> Result<Secret, Refusal> {
    let unreadable = |why: &str| {
        Refusal::new(
            Fault::Auth,
            format!("the password's file {path} in the container cannot be read: {why}"),
        )
    };
    let command = Command::new(["cat", "--", path]);
    let seconds = Duration::from_secs(ANSWER_SECONDS_MAX);
    let output = at.engine.run(&container.id, &command, seconds, cancel)?;
    Refusal::of_end(
        output.verdict,
        &output.stderr,
        "cat",
        &container.image,
        |_| None,
    )
    .map_err(|refusal| unreadable(&refusal.detail))?;
    let text = String::from_utf8(output.stdout).map_err(|_| unreadable("it is not text"))?;
    match text.trim_end_matches('\n') {
        "" => Err(unreadable("it is empty")),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}
