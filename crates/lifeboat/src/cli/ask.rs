//! Asking a person before something cannot be taken back.

use super::screen::Screen;
use crate::exit::{Code, Failure, Result};

/// Goes on only when the word is typed exactly.
pub fn to_type(screen: &Screen, word: &str, what: &str) -> Result<()> {
    screen.say(what);
    match screen.ask(&format!("Type {word} to go on:")).as_deref() {
        Some(answer) if answer == word => Ok(()),
        Some(_) => Err(Failure::new(
            Code::Refused,
            "not confirmed, nothing was done",
            format!("type {word} in capitals, or give --yes"),
        )),
        None => Err(Failure::new(
            Code::Refused,
            "nobody is there to confirm, nothing was done",
            "give --yes where no person can answer",
        )),
    }
}

/// A number from 1 to `many`.
pub fn to_pick(screen: &Screen, many: usize) -> Result<usize> {
    let answer = screen.ask(&format!("Which one (1-{many})?"));
    let picked = answer.and_then(|answer| answer.parse::<usize>().ok());
    match picked {
        Some(number) if (1..=many).contains(&number) => Ok(number - 1),
        _ => Err(Failure::new(
            Code::Refused,
            "none was picked, nothing was done",
            format!("give a number from 1 to {many}"),
        )),
    }
}
