//! Everything that is printed goes through here: one place that knows whether somebody reads it, with
//! colours or without, and that a reader may leave early.

use crate::exit::{Code, Failure};
use serde::Serialize;
use std::{
    fmt,
    io::{self, BufRead, IsTerminal, Write},
};

/// Standard output for answers, standard error for what is said meanwhile.
#[derive(Debug)]
pub struct Screen {
    colour: bool,
    json: bool,
    /// What went wrong with stdout first. Nothing is written to it after that.
    broken: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Good,
    Careful,
    Bad,
    Dim,
    Strong,
}

impl Screen {
    pub fn new(json: bool, no_color: bool) -> Self {
        Screen {
            colour: !no_color && !json && io::stdout().is_terminal(),
            json,
            broken: None,
        }
    }

    pub fn json_wanted(&self) -> bool {
        self.json
    }

    /// A line of text for a person; nothing where a program reads.
    pub fn line(&mut self, text: impl fmt::Display) {
        if !self.json {
            self.write(format_args!("{text}\n"));
        }
    }

    pub fn heading(&mut self, text: &str) {
        let text = self.paint(Paint::Strong, text);
        self.line(text);
    }

    /// The whole answer, for a program; nothing where a person reads.
    pub fn document(&mut self, value: &impl Serialize) {
        if !self.json {
            return;
        }
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.write(format_args!("{text}\n")),
            Err(error) => {
                self.broken.get_or_insert(error.into());
            }
        }
    }

    /// Ends with `failure`: a person reads its two lines, a program finds them beside the rest of the answer.
    pub fn fail_with(&mut self, failure: Failure, answer: &impl Serialize) -> crate::exit::Result {
        if !self.json {
            return Err(failure);
        }
        let mut document = serde_json::Map::new();
        for part in [
            serde_json::to_value(failure.json()),
            serde_json::to_value(answer),
        ] {
            if let Ok(serde_json::Value::Object(members)) = part {
                document.extend(members);
            }
        }
        self.document(&document);
        Ok(failure.code)
    }

    pub fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Good => "32",
            Paint::Careful => "33",
            Paint::Bad => "31;1",
            Paint::Dim => "2",
            Paint::Strong => "1",
            Paint::Plain => return text.to_owned(),
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Said beside the answer, on stderr.
    pub fn say(&self, text: impl fmt::Display) {
        // Whoever closed stderr does not want to hear it.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Reads one line from a person; `None` where nobody is there to answer.
    pub fn ask(&self, question: &str) -> Option<String> {
        let _ = write!(io::stderr(), "{question} ");
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(answer.trim().to_owned()),
        }
    }

    /// A reader that left early (`| head -1`) is no failure; a full disk behind stdout is one.
    pub fn finish(mut self) -> Result<(), Failure> {
        if self.broken.is_none()
            && let Err(error) = io::stdout().flush()
        {
            self.broken = Some(error);
        }
        match self.broken {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                Code::Failed,
                format!("cannot write the answer: {error}"),
                "look at where stdout leads to",
            )),
            _ => Ok(()),
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        if self.broken.is_none()
            && let Err(error) = io::stdout().lock().write_fmt(text)
        {
            self.broken = Some(error);
        }
    }
}

/// The last two lines of a run that failed.
pub fn print_failure(failure: &Failure, json: bool) {
    if json {
        let mut screen = Screen::new(true, true);
        screen.document(&failure.json());
        let _ = screen.finish();
    } else {
        let _ = writeln!(io::stderr(), "{failure}");
    }
}
