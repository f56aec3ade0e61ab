//! Texts into plain values, with a complaint that says what would have been understood.

use super::{
    mistake::Complaint,
    origin::Raw,
    settings::{Kind, Setting},
};
use std::str::FromStr;

pub(super) fn text(raw: &Raw) -> Result<&str, Complaint> {
    match raw {
        Raw::Text(text) => Ok(text),
        Raw::List(_) => Err(Complaint::new("is a list", "write a single value")),
    }
}

/// The items of a list; one at least, for nobody writes commas alone on purpose.
pub(super) fn items(raw: &Raw) -> Result<Vec<String>, Complaint> {
    let items = raw.items();
    if items.is_empty() {
        return Err(Complaint::new(
            "is a list with nothing in it",
            "name something, or take it away",
        ));
    }
    Ok(items)
}

pub(super) fn flag(word: &str) -> Result<bool, Complaint> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(Complaint::new(
            "is neither true nor false",
            "write true or false",
        )),
    }
}

/// Digits alone, and within the setting's range.
pub(super) fn number(digits: &str, setting: &Setting) -> Result<u64, Complaint> {
    let Kind::Number { min, max } = setting.kind else {
        unreachable!("{} is no number", setting.key)
    };
    let digits = digits.trim();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let hint = match digits.strip_prefix('-') {
            Some(_) => format!("write a number from {min} to {max}"),
            None => format!("write digits alone, for example {}", setting.example),
        };
        return Err(Complaint::new("is not a whole number", hint));
    }
    // Digits that do not fit are too many in any case.
    let number = digits.parse().unwrap_or(u64::MAX);
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(out_of_range(setting))
    }
}

pub(super) fn out_of_range(setting: &Setting) -> Complaint {
    let hint = match setting.kind {
        Kind::Number { min, max } => format!("write a number from {min} to {max}"),
        _ => "write a smaller number".to_owned(),
    };
    let example = setting.example;
    Complaint::new("is out of range", format!("{hint}, for example {example}"))
}

/// A word of a closed set, in either case.
pub(super) fn one_of<T: FromStr>(word: &str, setting: &Setting) -> Result<T, Complaint> {
    let Kind::OneOf(words) = setting.kind else {
        unreachable!("{} is no word of a set", setting.key)
    };
    let word = word.trim().to_ascii_lowercase();
    word.parse().map_err(|_| {
        let nearest = words
            .iter()
            .map(|known| (known, strsim::jaro_winkler(&word, known)))
            .filter(|(_, likeness)| *likeness > 0.8)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let choices = words.join(", ");
        let hint = match nearest {
            Some((known, _)) => format!("did you mean {known}? it can be {choices}"),
            None => format!("it can be {choices}"),
        };
        Complaint::new("is not a word for this", hint)
    })
}
