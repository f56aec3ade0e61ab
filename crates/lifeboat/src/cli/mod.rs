//! The face of the program: one file for each verb, and what they all print with.
//!
//! Every verb reads alike: settings, harbour, the call that does the work, the answer.

pub mod args;
pub mod ask;
pub mod listeners;
pub mod port;
pub mod progress;
pub mod screen;
pub mod signals;
pub mod table;
pub mod words;

pub mod backup;
pub mod cat;
pub mod checkup;
pub mod delete;
pub mod doctor;
pub mod fill;
pub mod finding;
pub mod health;
pub mod history;
pub mod latest;
pub mod list;
pub mod loose;
pub mod loose_store;
pub mod open;
pub mod plan;
pub mod pour;
pub mod prune;
pub mod rebuild;
pub mod restore;
pub mod room;
pub mod sheet;
pub mod status;
pub mod sweep;
pub mod try_docker;
pub mod verify;

use crate::{
    config::{Config, Loaded, LogFormat},
    exit::{Code, Failure, Result},
    log, memory,
};
use args::{Args, Verb};
use clap::{Parser, error::ErrorKind};
use port::Port;
use screen::Screen;
use signals::Signals;
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

fn dispatch(args: Args) -> Result {
    let Args { common, verb } = args;
    let verb = verb.unwrap_or(Verb::Daemon);
    let mut screen = Screen::new(common.json, common.no_color);
    // The demo asks nobody for anything.
    if let Verb::Demo(args) = &verb {
        let signals = Signals::watch()?;
        let end = crate::demo::run(args, &signals, &mut screen);
        return finish(end, screen, &signals);
    }
    // Nor does a helper: whoever started it has told it everything.
    if let Verb::Pour(args) = &verb {
        let signals = Signals::watch()?;
        let end = pour::run(args, &signals);
        return finish(end, screen, &signals);
    }
    if let Verb::Fill(args) = &verb {
        let signals = Signals::watch()?;
        let end = fill::run(args, &signals);
        return finish(end, screen, &signals);
    }
    let mut loaded = Config::from_environment(common.config.clone())?;
    let format = match loaded.config.log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    let _log = log::start(&loaded.config.log.filter, format);
    if matches!(verb, Verb::Daemon) {
        return crate::daemon::live(loaded, common.config);
    }
    let signals = Signals::watch()?;
    memory::recall_all(&mut loaded);
    let end = run_verb(&verb, loaded, &signals, &mut screen);
    finish(end, screen, &signals)
}

fn run_verb(verb: &Verb, loaded: Loaded, signals: &Signals, screen: &mut Screen) -> Result {
    match verb {
        Verb::Backup(args) => backup::run(args, loaded, signals, screen),
        Verb::List(args) => list::run(args, &Port::open(loaded)?, screen),
        Verb::Latest(args) => latest::run(args, &Port::open(loaded)?, screen),
        Verb::Status => status::run(loaded, screen),
        Verb::Plan(args::Plan {
            recovery_sheet: true,
        }) => sheet::run(&Port::open(loaded)?, screen),
        Verb::Plan(_) => plan::run(loaded, screen),
        Verb::Doctor => doctor::run(loaded, screen),
        Verb::Verify(args) => verify::run(args, &Port::open(loaded)?, signals, screen),
        Verb::Restore(args) => restore::run(args, loaded, signals, screen),
        Verb::Prune(args) => prune::run(args, &Port::open(loaded)?, signals, screen),
        Verb::Delete(args) => delete::run(args, &Port::open(loaded)?, signals, screen),
        Verb::History => history::run(&Port::open(loaded)?, screen),
        Verb::Cat(args) => cat::run(args, &Port::open(loaded)?, signals),
        Verb::Open(args) => open::run(args, &loaded, signals, screen),
        Verb::Rebuild => rebuild::run(&Port::open(loaded)?, screen),
        Verb::Sweep(args) => sweep::run(args, &Port::open(loaded)?, signals, screen),
        Verb::Health => health::run(loaded, screen),
        Verb::Daemon | Verb::Demo(_) | Verb::Pour(_) | Verb::Fill(_) => {
            unreachable!("these go ways of their own")
        }
    }
}

/// The verb's own end goes before a stdout that could not be written to.
fn finish(end: Result, screen: Screen, signals: &Signals) -> Result {
    let written = screen.finish();
    let code = end.map_err(|failure| signals.name_the_signal(failure))?;
    written.map(|()| code)
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
