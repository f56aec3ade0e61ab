//! Who hears what a run tells: a person at a terminal sees it drawn, everybody else reads the log.

use super::{progress::Progress, screen::Screen};
use crate::log::Narrator;
use lifeboat_run::Listener;

pub fn of(screen: &Screen) -> Box<dyn Listener> {
    match Progress::on_a_terminal(screen.json_wanted()) {
        Some(progress) => Box::new(progress),
        None => Box::new(Narrator),
    }
}

/// For verbs whose answer says it all: only a terminal is shown how far they are.
pub fn quiet(screen: &Screen) -> Box<dyn Listener> {
    match Progress::on_a_terminal(screen.json_wanted()) {
        Some(progress) => Box::new(progress),
        None => Box::new(()),
    }
}
