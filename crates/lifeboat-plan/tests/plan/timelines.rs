//! Timelines as pictures: `tests/golden/*.txt`. Above the line stands what happened, below it what became
//! of every backup. `LIFEBOAT_GOLDEN=write` draws the lower halves anew; read the difference before
//! committing it.
//!
//! The upper half, one thing a line:
//! - `zone Europe/Berlin`
//! - `rules days=30 max_count=90 weekly=off fortnightly=4 monthly_day=31 …`
//! - `run 2025-01-01 02:00 [x30] [every 12h] [partial|failed]`: backups; each good one promotes and prunes
//! - `mark 2025-01-05 suspect|untrusted|leased|proven|held=2025-03-01`: the daily backup of that day
//! - `prune 2025-04-01 02:10`: one more prune, at that moment
//! - anything else is a remark

use crate::shelf::{Shelf, days};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{BackupId, KeepRules, PrunePlan, Standing, Status, Tier};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::{fs, path::Path};

const LINE: &str = "----\n";

#[test]
fn every_timeline_looks_as_it_was_drawn() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    let write = std::env::var("LIFEBOAT_GOLDEN").is_ok_and(|value| value == "write");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "the pictures are missing");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let script = text.split(LINE).next().unwrap();
        let drawn = format!("{script}{LINE}{}", Timeline::play(script).draw());
        if write {
            fs::write(&file, drawn).unwrap();
        } else if drawn != text {
            wrong.push(format!("{}\n{drawn}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "LIFEBOAT_GOLDEN=write accepts these:\n{}",
        wrong.join("\n")
    );
}

struct Timeline {
    shelf: Shelf,
    now: DateTime<Utc>,
    /// All that ever was, with the day and the reason of its end.
    gone: Vec<(Standing, DateTime<Utc>, String)>,
    last: Option<PrunePlan>,
    refused: Option<String>,
}

impl Timeline {
    fn play(script: &str) -> Self {
        let mut line = Timeline {
            shelf: Shelf::new(Tz::UTC, KeepRules::default()),
            now: DateTime::UNIX_EPOCH,
            gone: Vec::new(),
            last: None,
            refused: None,
        };
        for text in script.lines() {
            let words: Vec<&str> = text.split_whitespace().collect();
            match words[..] {
                ["zone", zone] => line.shelf.zone = zone.parse().unwrap(),
                ["rules", ref settings @ ..] => {
                    for setting in settings {
                        set(&mut line.shelf.rules, setting);
                    }
                }
                ["run", date, time, ref more @ ..] if time.contains(':') => {
                    line.run(local(date, time), more);
                }
                ["mark", date, mark] => line.mark(date, mark),
                ["prune", date, time] => {
                    let now = line.instant(local(date, time));
                    line.prune(now);
                }
                _ => {}
            }
        }
        line
    }

    fn instant(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let there = |local| self.shelf.zone.from_local_datetime(&local).earliest();
        let after_gap = || there(local + TimeDelta::hours(1));
        there(local).or_else(after_gap).unwrap().to_utc()
    }

    fn run(&mut self, first: NaiveDateTime, more: &[&str]) {
        let (mut times, mut every, mut status) = (1, days(1), Status::Completed);
        for (place, word) in more.iter().enumerate() {
            match *word {
                "partial" => status = Status::Partial,
                "failed" => status = Status::Failed,
                "every" => {
                    let hours = more[place + 1].trim_end_matches('h').parse().unwrap();
                    every = TimeDelta::hours(hours);
                }
                word => {
                    if let Some(count) = word.strip_prefix('x') {
                        times = count.parse().unwrap();
                    }
                }
            }
        }
        for nth in 0..times {
            let at = self.instant(first + every * nth);
            self.shelf.run(at, status);
            self.now = at + TimeDelta::minutes(10);
            if status == Status::Completed {
                self.prune(self.now);
            }
        }
    }

    fn mark(&mut self, date: &str, mark: &str) {
        let stamp = date.replace('-', "");
        let zone = self.shelf.zone;
        let b = self
            .shelf
            .backups
            .iter_mut()
            .find(|b| b.tier() == Tier::Daily && b.id.stamp().starts_with(&stamp))
            .unwrap_or_else(|| panic!("no daily backup of {date}"));
        match mark.split_once('=') {
            Some(("held", until)) => {
                let until: NaiveDate = until.parse().unwrap();
                let until = zone.from_local_datetime(&until.and_hms_opt(0, 0, 0).unwrap());
                b.keep_until = Some(until.earliest().unwrap().to_utc());
            }
            _ => match mark {
                "suspect" => b.suspect = true,
                "untrusted" => b.trusted = false,
                "leased" => b.leased = true,
                "proven" => b.proven_at = Some(self.now),
                _ => panic!("unknown mark {mark}"),
            },
        }
    }

    fn prune(&mut self, now: DateTime<Utc>) {
        self.now = now;
        self.refused = None;
        match self.shelf.plan(now) {
            Ok(plan) => {
                let gone = self.shelf.apply(&plan);
                self.gone
                    .extend(gone.into_iter().map(|(b, why)| (b, now, why.to_string())));
                self.last = Some(plan);
            }
            Err(refusal) => self.refused = Some(refusal.to_string()),
        }
    }

    /// A line for each moment, the newest first: a capital for each tier that still has it, a small letter
    /// for each that had it once.
    fn draw(&self) -> String {
        let stays = self.shelf.backups.iter().map(|b| (b, None));
        let gone = self
            .gone
            .iter()
            .map(|(b, when, why)| (b, Some((when, why))));
        let mut moments: BTreeMap<(DateTime<Utc>, u64), Vec<_>> = BTreeMap::new();
        for (b, end) in stays.chain(gone) {
            let moment = (b.created_at, b.sequence);
            moments.entry(moment).or_default().push((b, end));
        }
        let mut picture = String::new();
        if let Some(refusal) = &self.refused {
            writeln!(picture, "nothing is dropped: {refusal}").unwrap();
        }
        for ((at, _), mut copies) in moments.into_iter().rev() {
            copies.sort_by_key(|(b, _)| b.tier());
            let mut letters = ["."; 5];
            let mut words = Vec::new();
            for (b, end) in copies {
                let place = Tier::ALL.iter().position(|tier| *tier == b.tier()).unwrap();
                let (capital, small) =
                    [("D", "d"), ("W", "w"), ("F", "f"), ("M", "m"), ("Y", "y")][place];
                match end {
                    None => {
                        letters[place] = capital;
                        words.push(format!("{capital} {}", self.reasons(&b.id)));
                    }
                    Some((when, why)) => {
                        letters[place] = small;
                        let when = when.with_timezone(&self.shelf.zone).format("%F");
                        words.push(format!("{small} went {when}: {why}"));
                    }
                }
            }
            let local = at.with_timezone(&self.shelf.zone).format("%F %a %H:%M");
            writeln!(
                picture,
                "{local}  {}  {}",
                letters.join(""),
                words.join(" | ")
            )
            .unwrap();
        }
        picture
    }

    fn reasons(&self, id: &BackupId) -> String {
        let kept = self
            .last
            .as_ref()
            .and_then(|plan| plan.kept().find(|kept| kept.id == *id));
        let Some(kept) = kept else {
            return "not looked at yet".to_owned();
        };
        let reasons: Vec<String> = kept.reasons.iter().map(ToString::to_string).collect();
        reasons.join("; ")
    }
}

fn local(date: &str, time: &str) -> NaiveDateTime {
    format!("{date}T{time}:00").parse().unwrap()
}

fn set(rules: &mut KeepRules, setting: &str) {
    let (name, value) = setting.split_once('=').unwrap();
    let on = value != "off";
    let number = || {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{setting}: no number"))
    };
    match name {
        "days" => rules.daily.days = number(),
        "max_count" => rules.daily.max_count = number(),
        "slots" => rules.daily.slots = Some(number()),
        "keep_min" => rules.daily.keep_min = Some(number()),
        "weekly_day" => rules.weekly.day = number(),
        "monthly_day" => rules.monthly.day = number(),
        "fortnight_days" => {
            rules.fortnightly.days = value.split('+').map(|day| day.parse().unwrap()).collect();
        }
        "weekly" => {
            rules.weekly.enabled = on;
            rules.weekly.weeks = if on { number() } else { rules.weekly.weeks };
        }
        "fortnightly" => {
            rules.fortnightly.enabled = on;
            rules.fortnightly.count = if on {
                number()
            } else {
                rules.fortnightly.count
            };
        }
        "monthly" => {
            rules.monthly.enabled = on;
            rules.monthly.months = if on { number() } else { rules.monthly.months };
        }
        "yearly" => {
            rules.yearly.enabled = on;
            rules.yearly.years = if on { number() } else { rules.yearly.years };
        }
        _ => panic!("unknown rule {name}"),
    }
}
