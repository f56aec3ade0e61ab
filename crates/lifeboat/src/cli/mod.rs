//! The face of the program: one file for each verb, and what they all print with.
//!
//! Every verb reads alike: settings, harbour, the call that does the work, the answer.

pub mod args;
pub mod progress;
pub mod screen;
pub mod signals;
pub mod table;
pub mod words;

use crate::exit::{Code, Failure};
use args::Args;
use clap::{Parser, error::ErrorKind};
use std::{ffi::OsString, process::ExitCode};

/// The whole program: from its arguments to its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) => return not_understood(&error, &arguments),
    };
    let json = args.common.json;
    match dispatch(args) {
        Ok(code) => code.into(),
        Err(failure) => {
            screen::print_failure(&failure, json);
            failure.code.into()
        }
    }
}

fn dispatch(_args: Args) -> crate::exit::Result {
    Err(Failure::new(
        Code::Failed,
        "the verbs are not connected yet",
        "this is a build from the middle of the work; take a later one",
    ))
}

/// `--help` and `--version` are answers; the rest are mistakes, told in the usual two lines.
fn not_understood(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // A reader that leaves early is no mistake.
        let _ = error.print();
        return Code::Done.into();
    }
    // clap's text: what is wrong, an empty line, then tips and the usage.
    let text = error.render().to_string();
    let what: Vec<&str> = text
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(|line| line.trim().trim_start_matches("error: "))
        .collect();
    let tip = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "))
        .unwrap_or("`lifeboat --help` shows the verbs, `lifeboat VERB --help` what each one takes");
    let failure = Failure::usage(what.join(" "), tip);
    let json = arguments.iter().any(|argument| argument == "--json");
    screen::print_failure(&failure, json);
    failure.code.into()
}
