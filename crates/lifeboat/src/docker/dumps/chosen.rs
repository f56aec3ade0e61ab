//! Which of a server's databases are wanted.

use super::Refusal;
use crate::docker::labels::Settings;
use lifeboat_run::source::Fault;

/// What the labels leave of `there`. A database that is named and is not there is an error with its name, so
/// that nobody believes for years that it is saved.
pub(super) fn chosen(settings: &Settings, there: &[Vec<u8>]) -> Vec<(String, Result<(), Refusal>)> {
    let there = there.iter().map(|name| match str::from_utf8(name) {
        Ok(name) => (name.to_owned(), Ok(())),
        Err(_) => {
            let name = String::from_utf8_lossy(name).into_owned();
            let why = format!("{name:?} is not UTF-8: no command line can hold it; rename it");
            (name, Err(Refusal::new(Fault::NoDb, why)))
        }
    });
    let mut chosen: Vec<_> = there
        .filter(|(name, _)| !settings.exclude.contains(name))
        .collect();
    if settings.databases.is_empty() {
        return chosen;
    }
    chosen.retain(|(name, _)| settings.databases.contains(name));
    for wanted in &settings.databases {
        if !chosen.iter().any(|(name, _)| name == wanted) {
            let why = format!("{wanted:?}, which the label lifeboat.databases names");
            chosen.push((wanted.clone(), Err(Refusal::new(Fault::NoDb, why))));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(databases: &[&str], exclude: &[&str]) -> Vec<(String, bool)> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let settings = Settings {
            databases: words(databases),
            exclude: words(exclude),
            ..Settings::default()
        };
        let there = [b"crm".to_vec(), b"shop".to_vec(), b"a\xff".to_vec()];
        let chosen = chosen(&settings, &there);
        chosen
            .into_iter()
            .map(|(name, known)| (name, known.is_ok()))
            .collect()
    }

    #[test]
    fn what_is_named_and_missing_is_told_and_never_left_out() {
        let word = |word: &str, good: bool| (word.to_owned(), good);
        assert_eq!(
            names(&[], &["crm"]),
            [word("shop", true), word("a\u{fffd}", false)]
        );
        assert_eq!(
            names(&["shop", "wiki"], &[]),
            [word("shop", true), word("wiki", false)]
        );
        assert_eq!(names(&["shop"], &["shop"]), [word("shop", false)]);
    }
}
