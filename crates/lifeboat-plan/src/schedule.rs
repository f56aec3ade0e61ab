//! When a job wants to run: five cron fields, a nickname such as `@daily`, or `off`; always in a zone.
//!
//! What could be read in two ways is refused here, at the start, and never discovered at night: six
//! fields, ranges that wrap around, `5/15`, dates that no calendar has. *When* a schedule fires, and
//! what a change of the clock does to it, is in [`crate::calendar`].

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    text: String,
    zone: Tz,
    beat: Beat,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Beat {
    Off,
    /// At named times of the day: once each, also when the clock is changed across them.
    Fixed(Box<Cron>),
    /// Every so often, by a `*` in its minutes or hours: keeps its real interval across a change.
    Interval(Box<Cron>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a schedule: {problem}")]
pub struct ScheduleError {
    text: String,
    problem: String,
    hint: String,
}

impl ScheduleError {
    pub fn problem(&self) -> &str {
        &self.problem
    }

    pub fn hint(&self) -> &str {
        &self.hint
    }
}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    /// Written for `low`, `low + 1` …
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        low: 0,
        high: 59,
        words: &[],
    },
    Field {
        name: "hour",
        low: 0,
        high: 23,
        words: &[],
    },
    Field {
        name: "day of the month",
        low: 1,
        high: 31,
        words: &[],
    },
    Field {
        name: "month",
        low: 1,
        high: 12,
        words: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    },
    Field {
        name: "day of the week",
        low: 0,
        high: 7,
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

impl Schedule {
    pub fn parse(text: &str, zone: Tz) -> Result<Self, ScheduleError> {
        let text = text.trim();
        let made = |beat| Schedule {
            text: text.to_owned(),
            zone,
            beat,
        };
        if text.eq_ignore_ascii_case("off") {
            return Ok(made(Beat::Off));
        }
        let refuse = |(problem, hint): (String, String)| ScheduleError {
            text: text.to_owned(),
            problem,
            hint,
        };
        let spelled = spell_out(text).map_err(refuse)?;
        let fields = five_fields(&spelled).map_err(refuse)?;
        for (field, text) in FIELDS.iter().zip(fields) {
            field.check(text).map_err(refuse)?;
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&spelled)
            .map_err(|error| refuse((error.to_string(), FIVE.to_owned())))?;
        if !ever_fires(&cron) {
            return Err(refuse((
                "no calendar has such a date, it would never run".to_owned(),
                "check the day against the month; `L` is the last day of any month".to_owned(),
            )));
        }
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let repeats = every_hour || fields[..2].iter().any(|field| field.contains('*'));
        let cron = Box::new(cron);
        Ok(made(if repeats {
            Beat::Interval(cron)
        } else {
            Beat::Fixed(cron)
        }))
    }

    pub fn off() -> Self {
        Schedule {
            text: "off".to_owned(),
            zone: Tz::UTC,
            beat: Beat::Off,
        }
    }

    pub fn is_off(&self) -> bool {
        self.beat == Beat::Off
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn beat(&self) -> &Beat {
        &self.beat
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

const FIVE: &str =
    "write five fields, minute hour day month weekday, such as `0 2 * * *`; `@daily`; or `off`";

type Trouble = (String, String);

fn trouble<T>(problem: impl Into<String>, hint: impl Into<String>) -> Result<T, Trouble> {
    Err((problem.into(), hint.into()))
}

/// Nicknames as the fields that they stand for; in capitals.
fn spell_out(text: &str) -> Result<String, Trouble> {
    let text = text.to_ascii_uppercase();
    if !text.starts_with('@') {
        return Ok(text);
    }
    let fields = match text.as_str() {
        "@YEARLY" | "@ANNUALLY" => "0 0 1 1 *",
        "@MONTHLY" => "0 0 1 * *",
        "@WEEKLY" => "0 0 * * 0",
        "@DAILY" | "@MIDNIGHT" => "0 0 * * *",
        "@HOURLY" => "0 * * * *",
        "@REBOOT" => {
            return trouble(
                "a start is not a time",
                "set BACKUP_RUN_ON_START=true, and a schedule besides it",
            );
        }
        every if every.starts_with("@EVERY") => {
            return trouble(
                "`@every` is not supported",
                "write `*/15 * * * *` for every 15 minutes, `0 */6 * * *` for every 6 hours",
            );
        }
        _ => {
            return trouble(
                "there is no such nickname",
                "there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually",
            );
        }
    };
    Ok(fields.to_owned())
}

fn five_fields(text: &str) -> Result<[&str; 5], Trouble> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields.len() {
        5 => Ok([fields[0], fields[1], fields[2], fields[3], fields[4]]),
        0 => trouble("it is empty", FIVE),
        6 | 7 => trouble(
            format!(
                "it has {} fields; seconds and years are not read",
                fields.len()
            ),
            format!(
                "write five fields; if the first one is the second, use `{}`",
                fields[1..6].join(" ")
            ),
        ),
        count => trouble(format!("it has {count} fields instead of five"), FIVE),
    }
}

impl Field {
    /// Finds what croner would refuse without a hint, or accept with a meaning nobody had in mind.
    fn check(&self, text: &str) -> Result<(), Trouble> {
        for part in text.trim_start_matches('+').split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step)),
                None => (part, None),
            };
            match range.split_once('-') {
                Some((from, to)) => self.check_range(part, self.number(from)?, self.number(to)?)?,
                None => {
                    let alone = self.number(range)?;
                    if let (Some(from), Some(step)) = (alone, step) {
                        return trouble(
                            format!("`{part}` can be read in two ways"),
                            format!("write `{from}-{}/{step}`", self.high),
                        );
                    }
                }
            }
            if let Some(step) = step {
                self.check_step(part, step)?;
            }
        }
        Ok(())
    }

    /// `None` for what is no plain number (`*`, `L`, `15W`, `FRI#2`).
    fn number(&self, text: &str) -> Result<Option<u32>, Trouble> {
        if let Some(at) = self.words.iter().position(|word| *word == text) {
            return Ok(Some(self.low + at as u32));
        }
        if text.is_empty() {
            return trouble(format!("the {} is incomplete", self.name), FIVE);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(None);
        }
        match text.parse() {
            Ok(n) if (self.low..=self.high).contains(&n) => Ok(Some(n)),
            _ => trouble(
                format!("there is no {} {text}", self.name),
                format!("the {} goes from {} to {}", self.name, self.low, self.high),
            ),
        }
    }

    fn check_range(&self, part: &str, from: Option<u32>, to: Option<u32>) -> Result<(), Trouble> {
        let (Some(from), Some(mut to)) = (from, to) else {
            return Ok(());
        };
        // `FRI-SUN`: as the end of a range, Sunday is the seventh day.
        if self.high == 7 && to == 0 {
            to = 7;
        }
        if from <= to {
            return Ok(());
        }
        trouble(
            format!("the range `{part}` runs backwards"),
            format!(
                "write the two parts of it: `{from}-{},{}-{to}`",
                if self.high == 7 { 6 } else { self.high },
                self.low
            ),
        )
    }

    fn check_step(&self, part: &str, step: &str) -> Result<(), Trouble> {
        match step.parse::<u32>() {
            Ok(step) if (1..=self.high - self.low).contains(&step) => Ok(()),
            _ => trouble(
                format!("`{part}` has no usable step"),
                format!(
                    "a step of the {} goes from 1 to {}; longer intervals belong to the next field",
                    self.name,
                    self.high - self.low
                ),
            ),
        }
    }
}

/// In 28 years every date, leap days too, has met every weekday.
fn ever_fires(cron: &Cron) -> bool {
    NaiveDate::default()
        .with_year(2024)
        .into_iter()
        .flat_map(|first| first.iter_days().take(28 * 366))
        .any(|date| {
            let pattern = &cron.pattern;
            pattern.month_match(date.month()).unwrap_or(false)
                && pattern
                    .day_match(date.year(), date.month(), date.day())
                    .unwrap_or(false)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Schedule::parse(text, Tz::UTC) {
            Ok(_) => panic!("{text:?} was taken for a schedule"),
            Err(error) => format!("{error} / {}", error.hint()),
        }
    }

    #[test]
    fn what_people_write_is_understood() {
        for text in [
            "0 2 * * *",
            "*/15 * * * *",
            "@daily",
            "@Midnight",
            "@hourly",
            "0 0 L * *",
            "0 3 * * FRI-SUN",
            "0 3 * * mon-fri",
            "0 3 * * FRI#2",
            "0 3 15W * *",
            "0 3 1,15 * *",
            "10-50/10 8-18 * JAN-MAR 0,7",
            "0 0 29 2 *",
            "0 3 * * 5L",
            " 0  2 * *  * ",
            "off",
            "OFF",
        ] {
            if let Err(error) = Schedule::parse(text, Tz::UTC) {
                panic!("{text:?}: {error}");
            }
        }
        assert!(Schedule::parse("off", Tz::UTC).unwrap().is_off());
    }

    #[test]
    fn what_can_be_misread_is_refused_with_a_way_out() {
        for (text, problem, hint) in [
            ("", "empty", "0 2 * * *"),
            ("0 0 2 * * *", "6 fields", "`0 2 * * *`"),
            ("0 0 2 * * * 2025", "7 fields", "`0 2 * * *`"),
            ("0 2 * *", "4 fields", "five"),
            ("0 0 31 2 *", "never run", "L"),
            ("0 0 30 2 *", "never run", "L"),
            ("0 0 31 4,6,9,11 *", "never run", "L"),
            ("0 22-2 * * *", "backwards", "`22-23,0-2`"),
            ("0 2 * * FRI-MON", "backwards", "`5-6,0-1`"),
            ("0 2 * NOV-FEB *", "backwards", "`11-12,1-2`"),
            ("5/15 * * * *", "two ways", "`5-59/15`"),
            ("*/0 * * * *", "step", "1 to 59"),
            ("*/90 * * * *", "step", "next field"),
            ("60 * * * *", "no minute 60", "0 to 59"),
            ("0 24 * * *", "no hour 24", "0 to 23"),
            ("0 0 0 * *", "no day of the month 0", "1 to 31"),
            ("0 0 * 13 *", "no month 13", "1 to 12"),
            ("0 0 * * 8", "no day of the week 8", "0 to 7"),
            ("0, * * * *", "incomplete", "five"),
            ("-5 * * * *", "incomplete", "five"),
            ("@every 6h", "@every", "0 */6 * * *"),
            ("@reboot", "start", "BACKUP_RUN_ON_START"),
            ("@nightly", "nickname", "@daily"),
            ("at two", "2 fields", "five"),
            ("two * * * *", "illegal", "five"),
            ("2:00 * * * *", "illegal", "five"),
        ] {
            let said = refusal(text);
            assert!(
                said.contains(problem) && said.contains(hint),
                "{text:?}: {said}"
            );
        }
    }
}
