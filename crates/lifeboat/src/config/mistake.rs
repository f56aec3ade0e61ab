//! What is wrong with a configuration, said in two lines each: what, and what to do about it.

use super::origin::Origin;
use std::fmt;

/// Every mistake of one configuration, together. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

/// One mistake. The value of a secret, or of a name that nobody knows (a secret with a slip in its
/// name), never gets into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// As the user wrote it: `BACKUP_RETENTION_DAYS`, or `retention_days` in a file.
    name: String,
    value: Shown,
    origin: Origin,
    what: String,
    hint: String,
}

/// Not wrong, but hardly meant. Logged once at the start; the program goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub what: String,
    pub hint: String,
}

/// As much of a value as a person may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Text(String),
    Masked,
}

/// What is wrong with a value, by whoever tried to understand it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub what: String,
    pub hint: String,
}

/// A pen for mistakes and warnings. Says nothing twice.
#[derive(Debug, Default)]
pub(super) struct Report {
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

impl Mistakes {
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl Mistake {
    pub fn what(&self) -> String {
        let value = match &self.value {
            Shown::Nothing => String::new(),
            Shown::Masked => "=***".to_owned(),
            Shown::Text(text) => format!("={}", quoted(text)),
        };
        format!("{}{value} ({}): {}", self.name, self.origin, self.what)
    }

    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Complaint {
            what: what.into(),
            hint: hint.into(),
        }
    }
}

impl Report {
    pub(super) fn mistake(
        &mut self,
        name: &str,
        value: Shown,
        origin: &Origin,
        complaint: Complaint,
    ) {
        let mistake = Mistake {
            name: name.to_owned(),
            value,
            origin: origin.clone(),
            what: complaint.what,
            hint: complaint.hint,
        };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    pub(super) fn warning(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        let warning = Warning {
            what: what.into(),
            hint: hint.into(),
        };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    pub(super) fn close(self) -> Result<Vec<Warning>, Mistakes> {
        if self.mistakes.is_empty() {
            Ok(self.warnings)
        } else {
            Err(Mistakes(self.mistakes))
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "a mistake in the configuration; nothing was done")?,
            n => writeln!(f, "{n} mistakes in the configuration; nothing was done")?,
        }
        for mistake in &self.0 {
            write!(f, "\n{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what())?;
        writeln!(f, "hint: {}", self.hint)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nhint: {}", self.what, self.hint)
    }
}

impl std::error::Error for Mistakes {}

/// In quotes, without anything that could move a terminal, and never longer than a line.
fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
