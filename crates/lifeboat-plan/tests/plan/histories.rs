//! Random histories: schedules, failures, outages, clocks that jump, stores that lie, people who change
//! their minds. After every event a plan is asked for, and every plan is held against the laws.
//!
//! `LIFEBOAT_HISTORIES=100000` asks for more of them (a minute on two cores); `LIFEBOAT_SEED=17` repeats
//! number 17 alone.

use crate::dice::Dice;
use crate::laws;
use crate::shelf::{Shelf, at, days};
use crate::tally::{Tally, dropped, kept, refused};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use lifeboat_plan::{
    ClockEvidence, KeepRules, PruneInput, PrunePlan, Refusal, Standing, Status, Tier,
};

const HISTORIES: u64 = 10_000;

const ZONES: [Tz; 5] = [
    Tz::UTC,
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
];

#[test]
fn no_history_breaks_a_law_of_retention() {
    let (first, count) = match number("LIFEBOAT_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("LIFEBOAT_HISTORIES").unwrap_or(HISTORIES)),
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let tally = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    for seed in (first..first + count)
                        .skip(worker as usize)
                        .step_by(threads as usize)
                    {
                        History::new(seed).live(&mut tally);
                    }
                    tally
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .fold(Tally::default(), Tally::and)
    });
    tally.print(count);
    assert_eq!(tally.violations, Vec::<String>::new());
    if count >= 1000 {
        tally.expect_that_everything_happened();
    }
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test's own setting")]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

struct History {
    seed: u64,
    dice: Dice,
    shelf: Shelf,
    /// The real time, and by how much this machine's clock is wrong.
    time: DateTime<Utc>,
    error: TimeDelta,
    /// The store has a clock of its own, which is right.
    store_has_clock: bool,
    pause: TimeDelta,
    last_run: Option<DateTime<Utc>>,
    last_run_good: bool,
    catalogue: Option<usize>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let rules = rules(&mut dice);
        let zone = *dice.pick(&ZONES);
        let pause = TimeDelta::hours(*dice.pick(&[1, 6, 24, 24, 24, 168, 720]));
        History {
            seed,
            shelf: Shelf::new(zone, rules),
            time: at("2023-01-01T00:00:00Z") + TimeDelta::hours(dice.between(0, 20_000)),
            error: TimeDelta::zero(),
            store_has_clock: dice.one_in(2),
            pause,
            last_run: None,
            last_run_good: false,
            catalogue: Some(0),
            dice,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.time + self.error
    }

    fn live(&mut self, tally: &mut Tally) {
        for _ in 0..self.dice.between(5, 40) {
            self.happen();
            let input = self.input();
            match PrunePlan::make(&input) {
                Ok(plan) => self.examine(&plan, tally),
                Err(refusal) => tally.saw(refused(&refusal)),
            }
            self.shelf.backups.dedup_by(|a, b| a.id == b.id);
            self.catalogue = Some(self.shelf.own());
        }
    }

    fn input(&self) -> PruneInput<'_> {
        let now = self.now();
        PruneInput {
            clock: ClockEvidence {
                store: self.store_has_clock.then_some(self.time),
                last_run: self.last_run,
                since_last_run: None,
            },
            expected: self.catalogue,
            last_run_good: self.last_run_good,
            ..self.shelf.input(now)
        }
    }

    /// Mostly runs, one pause after the other; between them, life.
    fn happen(&mut self) {
        self.time += self.pause + TimeDelta::seconds(self.dice.between(0, 90));
        let dice = &mut self.dice;
        match dice.between(0, 31) {
            0 => self.time += days(dice.between(1, 90)),
            1 => self.error = days(dice.between(-4000, 4000)),
            2 => self.error = TimeDelta::minutes(dice.between(-180, 180)),
            3 => self.error = TimeDelta::zero(),
            4 => self.shelf.rules = rules(dice),
            5 => self.pause = TimeDelta::hours(dice.between(1, 200)),
            6 => self.store_has_clock = !self.store_has_clock,
            7 => self.catalogue = None,
            8..=15 => self.disturb(),
            16..=19 => {
                let nights = dice.between(1, 20);
                for _ in 0..nights {
                    self.run(Status::Completed);
                    self.time += self.pause;
                }
            }
            _ => {}
        }
        let dice = &mut self.dice;
        let status = *dice.pick(&[
            Status::Completed,
            Status::Completed,
            Status::Completed,
            Status::Completed,
            Status::Partial,
            Status::Failed,
        ]);
        self.run(status);
        if self.dice.one_in(200) {
            // A check of the whole store found a bad disk.
            for b in &mut self.shelf.backups {
                b.suspect = true;
            }
        }
    }

    fn run(&mut self, status: Status) {
        let now = self.now();
        self.shelf.run(now, status);
        self.last_run = Some(now);
        self.last_run_good = status == Status::Completed;
    }

    /// Something befalls one backup, or some of them.
    fn disturb(&mut self) {
        let now = self.now();
        let dice = &mut self.dice;
        if dice.one_in(8) {
            let tier = *dice.pick(&Tier::ALL);
            let when = now + days(dice.between(-2000, 2000));
            let id = self.shelf.put(tier, when, Status::Completed);
            self.shelf.get_mut(&id).trusted = !dice.one_in(2);
            return;
        }
        if dice.one_in(20) && !self.shelf.backups.is_empty() {
            let again = self.shelf.backups[0].clone();
            self.shelf.backups.insert(0, again);
            return;
        }
        if dice.one_in(10) {
            let count = self.shelf.backups.len() as i64;
            let left = dice.between(0, count) as usize;
            dice.shuffle(&mut self.shelf.backups);
            self.shelf.backups.truncate(left);
            return;
        }
        let Some(most) = self.shelf.backups.len().checked_sub(1) else {
            return;
        };
        let b = &mut self.shelf.backups[dice.between(0, most as i64) as usize];
        match dice.between(0, 6) {
            0 => b.leased = !b.leased,
            1 => b.keep_until = Some(now + days(dice.between(-10, 30))),
            2 | 3 => b.proven_at = Some(now),
            4 => b.suspect = !b.suspect,
            5 => b.trusted = !b.trusted,
            _ => {
                let other = format!("{}_2", b.id.name()).parse().unwrap();
                let local = b.created_at.with_timezone(&self.shelf.zone);
                b.id = lifeboat_plan::BackupId::new(&other, b.tier(), &local, b.id.counter());
            }
        }
    }

    fn examine(&mut self, plan: &PrunePlan, tally: &mut Tally) {
        let mut dice = self.dice.clone();
        let input = self.input();
        let mut broken = laws::broken(&input, plan);
        // The dear ones of the laws; one of four plans has to pass them.
        let strictly = dice.one_in(4);
        if strictly && laws::depends_on_listing(&input, plan, &mut dice) {
            broken.push("the order of the listing does not matter".to_owned());
        }
        if strictly && laws::not_settled(&self.shelf, &input, plan) {
            broken.push("planning again drops nothing new".to_owned());
        }
        if strictly && laws::not_monotone(&input, &mut dice) {
            broken.push("laxer rules never drop more".to_owned());
        }
        if strictly && laws::swayed_by_failures(&input) {
            broken.push("failures push nothing out".to_owned());
        }
        if self.store_has_clock && self.error.abs() > TimeDelta::minutes(5) {
            broken.push("nothing goes while the store's clock disagrees".to_owned());
        }
        if !self.last_run_good {
            broken.push("nothing goes after a bad run".to_owned());
        }
        let seed = self.seed;
        tally.violations.extend(
            broken
                .into_iter()
                .map(|law| format!("LIFEBOAT_SEED={seed}: {law}")),
        );
        for reason in plan.kept().flat_map(|kept| &kept.reasons) {
            tally.saw(kept(reason));
        }
        for gone in plan.dropped() {
            tally.saw(dropped(&gone.reason));
        }
        tally.plans += 1;
        tally.dropped += plan.dropped().len() as u64;
        self.dice = dice;

        let good_before = self.shelf.good();
        self.shelf.apply(plan);
        if good_before > 0 && self.shelf.good() == 0 {
            tally
                .violations
                .push(format!("LIFEBOAT_SEED={seed}: the last good one is gone"));
        }
    }
}

fn rules(dice: &mut Dice) -> KeepRules {
    let mut rules = KeepRules::default();
    let mut upto = |max: i64| dice.between(0, max) as u32;
    rules.daily.days = upto(40);
    rules.daily.max_count = upto(20);
    rules.weekly.day = upto(7);
    rules.weekly.weeks = upto(9);
    rules.fortnightly.count = upto(5);
    rules.fortnightly.days = vec![1 + upto(14), 15 + upto(16)];
    rules.monthly.day = 1 + upto(30);
    rules.monthly.months = upto(14);
    rules.yearly.years = upto(5);
    rules.weekly.enabled = !dice.one_in(3);
    rules.fortnightly.enabled = dice.one_in(2);
    rules.monthly.enabled = !dice.one_in(3);
    rules.yearly.enabled = dice.one_in(2);
    if dice.one_in(3) {
        rules.daily.keep_min = Some(dice.between(0, 10) as u32);
    }
    if dice.one_in(4) {
        rules.daily.slots = Some(dice.between(0, 6) as u32);
    }
    rules
}

#[test]
fn the_laws_notice_a_plan_that_breaks_them() {
    // The plan of one shelf, held against another one: nothing of it fits.
    let mut shelf = Shelf::new(Tz::UTC, KeepRules::default());
    for night in 0..100 {
        shelf.run(at("2025-01-01T02:00:00Z") + days(night), Status::Completed);
    }
    let now = at("2025-04-10T03:00:00Z");
    let plan = shelf.plan(now).unwrap();
    assert!(!plan.dropped().is_empty());
    let mut other = shelf.clone();
    for b in &mut other.backups {
        b.leased = true;
    }
    other.backups.push(Standing::unreadable(
        "shop_daily_20200101_000000".parse().unwrap(),
    ));
    other.rules.daily.days = 0;
    let found = laws::broken(&other.input(now), &plan);
    for law in [
        "every backup is in the plan, once",
        "used ones stay",
        "what is within its rule stays",
    ] {
        assert!(found.iter().any(|broken| broken == law), "{law}: {found:?}");
    }
    let refused = PruneInput {
        last_run_good: false,
        ..shelf.input(now)
    };
    assert_eq!(PrunePlan::make(&refused), Err(Refusal::NotAfterGoodRun));
}
