//! Text that is to be pasted into a shell.

/// One word, whatever it holds.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        for (text, pasted) in [
            ("plain_1.tar", "plain_1.tar"),
            ("my shop", "'my shop'"),
            ("o'hara", r"'o'\''hara'"),
            ("-x", "'-x'"),
            ("", "''"),
            ("$(id)", "'$(id)'"),
        ] {
            assert_eq!(word(text), pasted);
        }
    }
}
