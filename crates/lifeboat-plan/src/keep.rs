//! The keep rules: how many backups of each tier stay, and for how long.
//!
//! `0` means "no limit" wherever a length or a count is asked for, so an empty policy keeps all.
//! Only the floor cannot be 0.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeepRules {
    pub daily: Daily,
    pub weekly: Weekly,
    pub fortnightly: Fortnightly,
    pub monthly: Monthly,
    pub yearly: Yearly,
}

/// A daily backup goes when it is older than `days`, *or* beyond the newest `max_count`; but the newest
/// `keep_min` good ones never go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    pub days: u32,
    pub max_count: u32,
    /// `None`: 7, or as many as the count allows.
    pub keep_min: Option<u32>,
    /// Takes the place of `max_count` when set.
    pub slots: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekly {
    pub enabled: bool,
    /// 0 and 7 are Sunday, 1 is Monday.
    pub day: u32,
    pub weeks: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fortnightly {
    pub enabled: bool,
    /// Days of the month on which a slot begins; a month that is too short begins it on its last day.
    pub days: Vec<u32>,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monthly {
    pub enabled: bool,
    pub day: u32,
    pub months: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yearly {
    pub enabled: bool,
    pub years: u32,
}

const KEEP_MIN: u32 = 7;

/// A hundred years, in the unit of each setting: what is longer was meant to be 0.
const DAYS_MAX: u32 = 36_500;
const WEEKS_MAX: u32 = 5_200;
const MONTHS_MAX: u32 = 1_200;
const YEARS_MAX: u32 = 100;

impl Default for Daily {
    fn default() -> Self {
        Daily {
            days: 30,
            max_count: 90,
            keep_min: None,
            slots: None,
        }
    }
}

impl Default for Weekly {
    fn default() -> Self {
        Weekly {
            enabled: true,
            day: 1,
            weeks: 8,
        }
    }
}

impl Default for Fortnightly {
    fn default() -> Self {
        Fortnightly {
            enabled: false,
            days: vec![1, 15],
            count: 4,
        }
    }
}

impl Default for Monthly {
    fn default() -> Self {
        Monthly {
            enabled: true,
            day: 1,
            months: 12,
        }
    }
}

impl Default for Yearly {
    fn default() -> Self {
        Yearly {
            enabled: false,
            years: 5,
        }
    }
}

impl Daily {
    /// The largest number of daily backups; `None` for no limit.
    pub fn count(&self) -> Option<u32> {
        Some(self.slots.unwrap_or(self.max_count)).filter(|count| *count > 0)
    }

    /// As many good backups stay whatever their age. At least 1, also under rules that were not checked.
    pub fn floor(&self) -> u32 {
        self.keep_min
            .unwrap_or_else(|| KEEP_MIN.min(self.count().unwrap_or(KEEP_MIN)))
            .max(1)
    }
}

/// A setting that makes no sense. Named as in the configuration file; `BACKUP_` and capitals make it the
/// name of the variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepError {
    pub setting: &'static str,
    pub value: String,
    pub problem: &'static str,
}

impl KeepRules {
    /// All mistakes at once.
    pub fn check(&self) -> Result<(), Vec<KeepError>> {
        let mut errors = Vec::new();
        let mut expect = |sound: bool, setting, value: &dyn fmt::Display, problem| {
            if !sound {
                errors.push(KeepError {
                    setting,
                    value: value.to_string(),
                    problem,
                });
            }
        };
        const TOO_LONG: &str = "longer than a hundred years; write 0 for no limit";
        const A_DAY: &str = "a day of the month goes from 1 to 31";

        let daily = &self.daily;
        expect(
            daily.days <= DAYS_MAX,
            "retention_days",
            &daily.days,
            TOO_LONG,
        );
        if let Some(min) = daily.keep_min {
            expect(
                min > 0,
                "keep_min",
                &min,
                "at least one good backup always stays; write 1 or more",
            );
            expect(
                daily.count().is_none_or(|count| min <= count),
                "keep_min",
                &min,
                "more than max_count (or daily_slots) lets stay; lower it, or raise the count",
            );
        }
        expect(
            self.weekly.day <= 7,
            "weekly_day",
            &self.weekly.day,
            "a weekday goes from 0 to 7 (0 and 7 are Sunday, 1 is Monday)",
        );
        expect(
            self.weekly.weeks <= WEEKS_MAX,
            "weekly_retention_weeks",
            &self.weekly.weeks,
            TOO_LONG,
        );
        for day in &self.fortnightly.days {
            expect((1..=31).contains(day), "fortnight_days", day, A_DAY);
        }
        expect(
            !self.fortnightly.enabled || !self.fortnightly.days.is_empty(),
            "fortnight_days",
            &"nothing",
            "the fortnightly tier needs days of the month, such as 1,15",
        );
        expect(
            (1..=31).contains(&self.monthly.day),
            "monthly_day",
            &self.monthly.day,
            A_DAY,
        );
        expect(
            self.monthly.months <= MONTHS_MAX,
            "monthly_retention_months",
            &self.monthly.months,
            TOO_LONG,
        );
        expect(
            self.yearly.years <= YEARS_MAX,
            "yearly_retention_years",
            &self.yearly.years,
            TOO_LONG,
        );
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.setting, self.value, self.problem)
    }
}

impl std::error::Error for KeepError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_the_floor_follows_a_small_count() {
        let mut rules = KeepRules::default();
        assert_eq!(rules.check(), Ok(()));
        assert_eq!(rules.daily.floor(), 7);
        rules.daily.slots = Some(2);
        assert_eq!((rules.daily.count(), rules.daily.floor()), (Some(2), 2));
        assert_eq!(rules.check(), Ok(()));
        rules.daily.slots = Some(0);
        assert_eq!((rules.daily.count(), rules.daily.floor()), (None, 7));
        rules.daily.keep_min = Some(0);
        assert_eq!(rules.daily.floor(), 1, "unchecked rules have a floor too");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mut rules = KeepRules::default();
        rules.daily.keep_min = Some(0);
        rules.daily.days = 99_999;
        rules.weekly.day = 8;
        rules.fortnightly.days = vec![1, 32];
        rules.monthly.day = 0;
        rules.yearly.years = 1000;
        let settings: Vec<&str> = rules
            .check()
            .unwrap_err()
            .iter()
            .map(|e| e.setting)
            .collect();
        assert_eq!(
            settings,
            [
                "retention_days",
                "keep_min",
                "weekly_day",
                "fortnight_days",
                "monthly_day",
                "yearly_retention_years"
            ]
        );
    }

    #[test]
    fn a_floor_above_the_count_is_a_contradiction() {
        let mut rules = KeepRules::default();
        rules.daily.keep_min = Some(10);
        rules.daily.max_count = 5;
        let errors = rules.check().unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "keep_min = 10: more than max_count (or daily_slots) lets stay; lower it, or raise the count"
        );
    }
}
