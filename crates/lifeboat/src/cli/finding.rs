//! One thing that `status` or `doctor` found out: what, and what to do.

use super::screen::{Paint, Screen};
use super::words;
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub what: String,
    /// Empty where there is nothing to do.
    pub hint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// Worth a look this week.
    Warning,
    /// Worth getting up for.
    Urgent,
}

/// What was found out, in the order in which it was looked at.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn ok(&mut self, what: impl Into<String>) {
        self.add(Level::Ok, what, "");
    }

    pub fn warning(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.add(Level::Warning, what, hint);
    }

    pub fn urgent(&mut self, what: impl Into<String>, hint: impl Into<String>) {
        self.add(Level::Urgent, what, hint);
    }

    pub fn worst(&self) -> Level {
        let levels = self.0.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Ok)
    }

    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    pub fn print(&self, screen: &mut Screen) {
        for finding in &self.0 {
            let (paint, mark) = match finding.level {
                Level::Ok => (Paint::Good, "✓"),
                Level::Warning => (Paint::Careful, "!"),
                Level::Urgent => (Paint::Bad, "✗"),
            };
            let mark = screen.paint(paint, mark);
            screen.line(format_args!("  {mark} {}", words::plain(&finding.what)));
            if !finding.hint.is_empty() {
                screen.line(format_args!("    {}", words::plain(&finding.hint)));
            }
        }
    }

    fn add(&mut self, level: Level, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(Finding {
            level,
            what: what.into(),
            hint: hint.into(),
        });
    }
}
