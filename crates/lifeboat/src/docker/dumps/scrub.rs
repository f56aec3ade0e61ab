//! Secrets taken out of what programs say: a tool may show the command it was given, or the address it tried.

use lifeboat_run::Secret;

#[derive(Debug, Clone, Default)]
pub(super) struct Scrub(Vec<Secret>);

/// Shorter ones are taken out only where they stand alone: a text without any `a` says nothing.
const LETTERS_MIN: usize = 4;

impl Scrub {
    pub(super) fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> = secrets
            .into_iter()
            .filter(|secret| !secret.reveal().is_empty())
            .collect();
        // One may be a part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
        Scrub(secrets)
    }

    pub(super) fn and(self, more: impl IntoIterator<Item = Secret>) -> Self {
        Scrub::new(self.0.into_iter().chain(more))
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = without(&text, secret.reveal());
        }
        text
    }
}

fn without(text: &str, secret: &str) -> String {
    const STARS: &str = "***";
    if secret.chars().count() >= LETTERS_MIN {
        return text.replace(secret, STARS);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, from) = rest.split_at(at);
        let after = &from[secret.len()..];
        let joins = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let before_it = before.chars().next_back().or(clean.chars().next_back());
        clean.push_str(before);
        let alone = !joins(before_it) && !joins(after.chars().next());
        clean.push_str(if alone { STARS } else { secret });
        rest = after;
    }
    clean + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(secrets: &[&str], text: &str) -> String {
        let secrets = secrets
            .iter()
            .map(|secret| Secret::new((*secret).to_owned()));
        Scrub::new(secrets).text(text)
    }

    #[test]
    fn a_secret_is_gone_wherever_it_stands() {
        let text = "login shop:hunter2@db failed, hunter2!";
        assert_eq!(
            scrubbed(&["hunter2"], text),
            "login shop:***@db failed, ***!"
        );
        assert_eq!(scrubbed(&["hunter2", "hunter2!"], "hunter2!"), "***");
        assert_eq!(scrubbed(&[""], "nothing"), "nothing");
    }

    #[test]
    fn a_short_one_does_not_take_the_words_apart() {
        assert_eq!(scrubbed(&["a"], "a bad area: 'a'"), "*** bad area: '***'");
        assert_eq!(scrubbed(&["ä"], "ä är ä"), "*** är ***");
    }
}
