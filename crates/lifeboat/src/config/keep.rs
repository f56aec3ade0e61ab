//! What stays.

use super::{
    mistake::Complaint,
    origin::Raw,
    parse::items,
    reader::{Read, Reader},
    register::{
        ENABLE_FORTNIGHTLY, ENABLE_MONTHLY, ENABLE_WEEKLY, ENABLE_YEARLY, FORTNIGHT_DAYS,
        FORTNIGHTLY_RETENTION_COUNT, KEEP_MIN, MAX_COUNT, MONTHLY_DAY, MONTHLY_RETENTION_MONTHS,
        RETENTION_DAYS, WEEKLY_DAY, WEEKLY_RETENTION_WEEKS, YEARLY_RETENTION_YEARS,
    },
};
use chrono::Weekday;

/// How long the backups of each tier stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Daily backups older than this go …
    pub days: u32,
    /// … and those beyond this many …
    pub count: u32,
    /// … but never one of the newest so many.
    pub keep_min: u32,
    pub weekly: Option<Weekly>,
    pub fortnightly: Option<Fortnightly>,
    pub monthly: Option<Monthly>,
    pub yearly: Option<Yearly>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weekly {
    pub day: Weekday,
    pub weeks: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fortnightly {
    /// Days of the month, in order.
    pub days: Vec<u32>,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monthly {
    pub day: u32,
    pub months: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yearly {
    pub years: u32,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Read<Retention> {
    let days = reader.number(&RETENTION_DAYS);
    let counts = counts(reader);
    let weekly = reader.flag(&ENABLE_WEEKLY);
    let weekly_day: Read<u32> = reader.number(&WEEKLY_DAY);
    let weeks = reader.number(&WEEKLY_RETENTION_WEEKS);
    let fortnightly = reader.flag(&ENABLE_FORTNIGHTLY);
    let fortnight_days = reader.optional(&FORTNIGHT_DAYS, days_of_month);
    let fortnight_count = reader.number(&FORTNIGHTLY_RETENTION_COUNT);
    let monthly = reader.flag(&ENABLE_MONTHLY);
    let monthly_day = reader.number(&MONTHLY_DAY);
    let months = reader.number(&MONTHLY_RETENTION_MONTHS);
    let yearly = reader.flag(&ENABLE_YEARLY);
    let years = reader.number(&YEARLY_RETENTION_YEARS);

    let (count, keep_min) = counts?;
    let weekly_tier = Weekly {
        day: weekday(weekly_day?),
        weeks: weeks?,
    };
    let fortnightly_tier = Fortnightly {
        days: fortnight_days?.unwrap_or_default(),
        count: fortnight_count?,
    };
    let monthly_tier = Monthly {
        day: monthly_day?,
        months: months?,
    };
    let yearly_tier = Yearly { years: years? };
    Ok(Retention {
        days: days?,
        count,
        keep_min,
        weekly: weekly?.then_some(weekly_tier),
        fortnightly: fortnightly?.then_some(fortnightly_tier),
        monthly: monthly?.then_some(monthly_tier),
        yearly: yearly?.then_some(yearly_tier),
    })
}

/// The most and the fewest daily backups that stay.
fn counts(reader: &mut Reader<'_>) -> Read<(u32, u32)> {
    let count = reader.number(&MAX_COUNT);
    let keep_min = reader.optional_number(&KEEP_MIN);
    let (count, keep_min) = (count?, keep_min?);
    match keep_min {
        None => {
            let keep_min = KEEP_MIN_USUAL.min(count);
            if keep_min < KEEP_MIN_USUAL {
                reader.follows(&KEEP_MIN, keep_min.to_string(), MAX_COUNT.env_name());
            } else {
                reader.usual(&KEEP_MIN, keep_min.to_string());
            }
            Ok((count, keep_min))
        }
        Some(keep_min) if keep_min > count => Err(reader.refuse(
            &KEEP_MIN,
            Complaint::new(
                format!("more are always to be kept than may stay at all ({count})"),
                "lower it, or raise BACKUP_MAX_COUNT",
            ),
        )),
        Some(keep_min) => Ok((count, keep_min)),
    }
}

const KEEP_MIN_USUAL: u32 = 7;

/// As cron counts them: Sunday is 0, and 7.
fn weekday(number: u32) -> Weekday {
    match number {
        1 => Weekday::Mon,
        2 => Weekday::Tue,
        3 => Weekday::Wed,
        4 => Weekday::Thu,
        5 => Weekday::Fri,
        6 => Weekday::Sat,
        _ => Weekday::Sun,
    }
}

fn days_of_month(raw: &Raw) -> Result<Vec<u32>, Complaint> {
    let parsed: Option<Vec<u32>> = items(raw)?
        .iter()
        .map(|day| day.parse().ok().filter(|day| (1..=31).contains(day)))
        .collect();
    let mut days = parsed.ok_or_else(|| {
        Complaint::new(
            "has something else in it than days of a month",
            "write numbers from 1 to 31, for example 1,15",
        )
    })?;
    days.sort_unstable();
    days.dedup();
    Ok(days)
}
