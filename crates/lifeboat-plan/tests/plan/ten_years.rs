//! Ten years of a host's life, several times over: the schedule decides when there is a run, the runs
//! succeed or fail, the host is off for weeks, its clock jumps and is set right again, people change the
//! rules. Every plan is held against the laws, and there must be backups all the time.

use crate::dice::Dice;
use crate::laws;
use crate::shelf::{Shelf, at, days};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    Anomaly, ClockEvidence, Due, Freshness, KeepRules, PruneInput, PrunePlan, Schedule, Standing,
    Status,
};

const LIVES: u64 = 6;
const YEARS: i64 = 10;

#[derive(Debug, Default)]
struct Figures {
    ok: u64,
    bad: u64,
    missed: u64,
    plans: u64,
    refused: u64,
    dropped: u64,
    jumps: u64,
    outages: u64,
    rule_changes: u64,
    violations: Vec<String>,
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are read from there")]
fn ten_years_of_trouble_lose_nothing_good() {
    let mut figures = Figures::default();
    for seed in 0..LIVES {
        Host::new(seed).live(&mut figures);
    }
    println!(
        "RELIABILITY simulated_years={} ok={} bad={} missed={} violations={}",
        LIVES as i64 * YEARS,
        figures.ok,
        figures.bad,
        figures.missed,
        figures.violations.len()
    );
    println!("  {figures:?}");
    assert_eq!(figures.violations, Vec::<String>::new());
    for (what, times) in [
        ("ok", figures.ok),
        ("bad", figures.bad),
        ("missed", figures.missed),
        ("plans", figures.plans),
        ("refused", figures.refused),
        ("dropped", figures.dropped),
        ("jumps", figures.jumps),
        ("outages", figures.outages),
        ("rule changes", figures.rule_changes),
    ] {
        assert!(times > 0, "never happened: {what}");
    }
}

struct Host {
    seed: u64,
    dice: Dice,
    shelf: Shelf,
    schedule: Schedule,
    /// The real time, and by how much the host's clock is wrong.
    time: DateTime<Utc>,
    error: TimeDelta,
    /// When the clock was last touched, or the host last came back.
    calm_since: DateTime<Utc>,
    store_has_clock: bool,
    /// Until then every run fails.
    failing_until: DateTime<Utc>,
    last_run: Option<DateTime<Utc>>,
    last_real_run: DateTime<Utc>,
}

impl Host {
    fn new(seed: u64) -> Self {
        let zones = [Tz::Europe__Berlin, Tz::America__New_York, Tz::UTC];
        let zone = zones[seed as usize % zones.len()];
        let text = ["0 2 * * *", "30 2 * * *", "0 */6 * * *"][seed as usize / 2 % 3];
        let mut rules = KeepRules::default();
        rules.fortnightly.enabled = seed.is_multiple_of(2);
        rules.yearly.enabled = true;
        let time = at("2020-01-01T00:00:00Z");
        Host {
            seed,
            dice: Dice::new(seed + 1_000_000),
            shelf: Shelf::new(zone, rules),
            schedule: Schedule::parse(text, zone).unwrap(),
            time,
            error: TimeDelta::zero(),
            calm_since: time,
            store_has_clock: seed % 2 == 1,
            failing_until: time,
            last_run: Some(time),
            last_real_run: time,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.time + self.error
    }

    fn live(&mut self, figures: &mut Figures) {
        let end = self.time + days(YEARS * 365);
        while self.time < end {
            self.trouble(figures);
            self.look_at_the_clock(figures);
            self.time += TimeDelta::minutes(30);
        }
    }

    fn trouble(&mut self, figures: &mut Figures) {
        let dice = &mut self.dice;
        match dice.between(0, 48 * 60) {
            0 => {
                self.time += days(dice.between(1, 50));
                self.calm_since = self.time;
                figures.outages += 1;
            }
            1 => {
                self.error = match dice.between(0, 3) {
                    0 => TimeDelta::minutes(dice.between(-90, 90)),
                    1 => TimeDelta::hours(dice.between(-30, 30)),
                    _ => days(dice.between(-4000, 4000)),
                };
                self.calm_since = self.time;
                figures.jumps += 1;
            }
            // A wrong clock is put right sooner or later.
            2..=20 if !self.error.is_zero() => {
                self.error = TimeDelta::zero();
                self.calm_since = self.time;
            }
            21 => self.failing_until = self.time + days(dice.between(1, 70)),
            22 => {
                let rules = &mut self.shelf.rules;
                rules.daily.days = *dice.pick(&[0, 3, 14, 30, 60]);
                rules.daily.max_count = *dice.pick(&[0, 10, 90]);
                rules.daily.keep_min = *dice.pick(&[None, Some(1), Some(10)]);
                rules.weekly.enabled = !dice.one_in(4);
                rules.weekly.day = dice.between(0, 7) as u32;
                rules.monthly.day = dice.between(1, 31) as u32;
                figures.rule_changes += 1;
            }
            23 => {
                let most = self.shelf.backups.len() as i64;
                if most > 0 {
                    let b = &mut self.shelf.backups[dice.between(0, most - 1) as usize];
                    b.suspect = true;
                }
            }
            24 => {
                if let Some(b) = self.shelf.backups.iter_mut().rev().find(|b| b.is_good()) {
                    b.proven_at = Some(b.created_at);
                }
            }
            _ => {}
        }
    }

    fn look_at_the_clock(&mut self, figures: &mut Figures) {
        let now = self.now();
        match self.schedule.due(self.last_run, now) {
            Due::Now { slot, missed } => {
                figures.missed += u64::from(missed);
                self.run(slot, figures);
            }
            Due::Missed { catch_up, missed } => {
                figures.missed += u64::from(missed);
                self.run(catch_up, figures);
            }
            Due::NotYet { anomaly, .. } => {
                if let Some(Anomaly::StartOver { .. }) = anomaly {
                    self.last_run = Some(now);
                }
            }
            Due::Never => {}
        }
        let idle = self.time - self.last_real_run.max(self.calm_since);
        if idle > TimeDelta::hours(50) {
            self.report("no run for two days", figures);
            self.last_real_run = self.time;
        }
    }

    fn run(&mut self, slot: DateTime<Utc>, figures: &mut Figures) {
        let now = self.now();
        let before = self.last_run;
        self.last_run = Some(slot.max(now));
        let since = self.time - self.last_real_run;
        let calm = self.last_real_run > self.calm_since + days(3);
        let promised = self.schedule.next_after(slot).unwrap() - slot;
        if calm && since < promised - TimeDelta::minutes(90) {
            self.report("a slot was run twice", figures);
        }
        self.last_real_run = self.time;

        let bad = self.time < self.failing_until || self.dice.one_in(20);
        let failures = [Status::Failed, Status::Partial];
        let status = if bad {
            *self.dice.pick(&failures)
        } else {
            Status::Completed
        };
        self.shelf.run(now, status);
        if bad {
            figures.bad += 1;
        } else {
            figures.ok += 1;
        }
        self.prune(before, !bad, figures);

        let healthy = Freshness::of(
            &self.schedule,
            Some(now).filter(|_| !bad),
            now,
            now,
            TimeDelta::hours(1),
        );
        if !healthy.is_healthy() {
            self.report("a new backup is not fresh", figures);
        }
    }

    fn prune(&mut self, before: Option<DateTime<Utc>>, last_run_good: bool, figures: &mut Figures) {
        let now = self.now();
        let input = PruneInput {
            clock: ClockEvidence {
                store: self.store_has_clock.then_some(self.time),
                last_run: before,
                since_last_run: None,
            },
            last_run_good,
            ..self.shelf.input(now)
        };
        let Ok(plan) = PrunePlan::make(&input) else {
            figures.refused += 1;
            return;
        };
        let broken = laws::broken(&input, &plan);
        let wrong_clock = self.store_has_clock && self.error.abs() > TimeDelta::minutes(5);
        figures.plans += 1;
        figures.dropped += plan.dropped().len() as u64;
        let newest: Vec<Standing> = self.newest_good(7);
        self.shelf.apply(&plan);
        for law in broken {
            self.report(&law, figures);
        }
        if wrong_clock {
            self.report("dropped by a clock that the store contradicts", figures);
        }
        // In the order in which they were really made, whatever any clock said.
        let floor = (self.shelf.rules.daily.floor() as usize).min(newest.len());
        for b in &newest[..floor] {
            if self.shelf.get(&b.id).is_none() && b.created_at <= now {
                self.report("one of the last good ones is gone", figures);
            }
        }
    }

    fn newest_good(&self, count: usize) -> Vec<Standing> {
        let mut good: Vec<Standing> = self
            .shelf
            .backups
            .iter()
            .filter(|b| b.is_good() && b.origin.is_none())
            .cloned()
            .collect();
        good.sort_by_key(|b| std::cmp::Reverse(b.sequence));
        good.truncate(count);
        good
    }

    fn report(&self, what: &str, figures: &mut Figures) {
        figures
            .violations
            .push(format!("host {} at {}: {what}", self.seed, self.time));
    }
}
