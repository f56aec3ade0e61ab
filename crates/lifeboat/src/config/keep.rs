//! What stays.

use super::{
    mistake::Complaint,
    origin::Raw,
    parse::items,
    reader::{Read, Reader, Refused},
    register::{
        ENABLE_FORTNIGHTLY, ENABLE_MONTHLY, ENABLE_WEEKLY, ENABLE_YEARLY, FORTNIGHT_DAYS,
        FORTNIGHTLY_RETENTION_COUNT, KEEP_MIN, KEEPING, MAX_COUNT, MONTHLY_DAY,
        MONTHLY_RETENTION_MONTHS, RETENTION_DAYS, WEEKLY_DAY, WEEKLY_RETENTION_WEEKS,
        YEARLY_RETENTION_YEARS,
    },
};
use lifeboat_plan::{
    KeepError, KeepRules,
    keep::{Daily, Fortnightly, Monthly, Weekly, Yearly},
};

pub(super) fn read(reader: &mut Reader<'_>) -> Read<KeepRules> {
    let daily = daily(reader);
    let weekly = weekly(reader);
    let fortnightly = fortnightly(reader);
    let monthly = monthly(reader);
    let yearly = yearly(reader);
    let rules = KeepRules {
        daily: daily?,
        weekly: weekly?,
        fortnightly: fortnightly?,
        monthly: monthly?,
        yearly: yearly?,
    };
    check(&rules, reader)?;
    Ok(rules)
}

fn daily(reader: &mut Reader<'_>) -> Read<Daily> {
    let days = reader.number(&RETENTION_DAYS);
    let max_count = reader.number(&MAX_COUNT);
    let keep_min = reader.optional_number(&KEEP_MIN);
    let mut daily = Daily {
        max_count: max_count?,
        keep_min: keep_min?,
        // Read as another name for the count.
        slots: None,
        ..Daily::default()
    };
    // Here already, so that it is found besides mistakes in other tiers.
    let alone = KeepRules {
        daily: daily.clone(),
        ..KeepRules::default()
    };
    check(&alone, reader)?;
    if daily.keep_min.is_none() {
        let from = MAX_COUNT.env_name();
        reader.follows(&KEEP_MIN, daily.floor().to_string(), from);
    }
    daily.days = days?;
    Ok(daily)
}

fn weekly(reader: &mut Reader<'_>) -> Read<Weekly> {
    let enabled = reader.flag(&ENABLE_WEEKLY);
    let day = reader.number(&WEEKLY_DAY);
    let weeks = reader.number(&WEEKLY_RETENTION_WEEKS);
    Ok(Weekly {
        enabled: enabled?,
        day: day?,
        weeks: weeks?,
    })
}

fn fortnightly(reader: &mut Reader<'_>) -> Read<Fortnightly> {
    let enabled = reader.flag(&ENABLE_FORTNIGHTLY);
    let days = reader.optional(&FORTNIGHT_DAYS, days_of_month);
    let count = reader.number(&FORTNIGHTLY_RETENTION_COUNT);
    Ok(Fortnightly {
        enabled: enabled?,
        days: days?.unwrap_or_default(),
        count: count?,
    })
}

fn monthly(reader: &mut Reader<'_>) -> Read<Monthly> {
    let enabled = reader.flag(&ENABLE_MONTHLY);
    let day = reader.number(&MONTHLY_DAY);
    let months = reader.number(&MONTHLY_RETENTION_MONTHS);
    Ok(Monthly {
        enabled: enabled?,
        day: day?,
        months: months?,
    })
}

fn yearly(reader: &mut Reader<'_>) -> Read<Yearly> {
    let enabled = reader.flag(&ENABLE_YEARLY);
    let years = reader.number(&YEARLY_RETENTION_YEARS);
    Ok(Yearly {
        enabled: enabled?,
        years: years?,
    })
}

/// What can be wrong between settings that are right one by one.
fn check(rules: &KeepRules, reader: &mut Reader<'_>) -> Read<()> {
    let Err(errors) = rules.check() else {
        return Ok(());
    };
    for KeepError {
        setting, problem, ..
    } in errors
    {
        let (what, hint) = problem.split_once("; ").unwrap_or((problem, "change it"));
        let setting = KEEPING.iter().find(|known| known.key == setting);
        reader.refuse(setting.unwrap_or(&&MAX_COUNT), Complaint::new(what, hint));
    }
    Err(Refused)
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
