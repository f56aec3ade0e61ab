//! Time zones: read by name, and the two questions that a clock change makes hard.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a time zone")]
pub struct UnknownZone {
    name: String,
    meant: Option<&'static str>,
}

impl UnknownZone {
    pub fn hint(&self) -> String {
        match self.meant {
            Some(zone) => format!("did you mean `{zone}`?"),
            None => "use a name of the IANA list, such as `Europe/Berlin` or `UTC`".to_owned(),
        }
    }
}

/// `Europe/Berlin`, `UTC` … The leading colon that POSIX allows is taken.
pub fn parse_zone(text: &str) -> Result<Tz, UnknownZone> {
    let name = text.trim().trim_start_matches(':');
    name.parse().map_err(|_| UnknownZone {
        name: text.to_owned(),
        meant: nearest(name),
    })
}

/// The zone whose name, or whose city, is written almost like this.
fn nearest(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace([' ', '-'], "_");
    TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .filter_map(|zone| {
            let known = zone.to_ascii_lowercase().replace('-', "_");
            let city = known.rsplit('/').next().unwrap_or(&known);
            let far = edits(&wanted, &known).min(edits(&wanted, city));
            (far * 4 <= wanted.len()).then_some((far, zone))
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, zone)| zone)
}

/// How many letters must be added, taken away or changed (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Seconds east of Greenwich at that instant.
pub(crate) fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let seconds = zone
        .offset_from_utc_datetime(&at.naive_utc())
        .fix()
        .local_minus_utc();
    TimeDelta::seconds(i64::from(seconds))
}

/// What the clock on the wall shows at that instant.
pub(crate) fn wall(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The first instant at which the wall clock shows `wall`; when it never does, because the clock is put
/// forward over it, the first instant after that gap.
pub(crate) fn first_instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    if let Some(at) = zone.from_local_datetime(&wall).earliest() {
        return at.to_utc();
    }
    // Zones have left out whole days (Pacific/Apia, 2011-12-30), none has left out two.
    let mut before = wall.and_utc() - TimeDelta::days(3);
    let mut after = wall.and_utc() + TimeDelta::days(3);
    let old = offset(zone, before);
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if offset(zone, middle) == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_zone_is_refused_with_the_nearest_one() {
        for (text, meant) in [
            ("europe/berlin", "did you mean `Europe/Berlin`?"),
            ("Europe/Berlni", "did you mean `Europe/Berlin`?"),
            ("Berlin", "did you mean `Europe/Berlin`?"),
            ("America/New York", "did you mean `America/New_York`?"),
        ] {
            assert_eq!(parse_zone(text).unwrap_err().hint(), meant, "for {text:?}");
        }
        let lost = parse_zone("Middle-Earth/Mordor").unwrap_err();
        assert!(lost.hint().contains("IANA"), "{}", lost.hint());
        assert!(parse_zone("").is_err());
        assert_eq!(parse_zone(":Europe/Berlin"), Ok(Tz::Europe__Berlin));
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_becomes_the_end_of_the_gap() {
        let instant = |zone: Tz, text: &str| {
            first_instant(zone, text.parse().unwrap())
                .format("%F %T")
                .to_string()
        };
        let new_york = Tz::America__New_York;
        assert_eq!(
            instant(new_york, "2025-03-09T02:30:00"),
            "2025-03-09 07:00:00"
        );
        assert_eq!(
            instant(new_york, "2025-11-02T01:30:00"),
            "2025-11-02 05:30:00"
        );
        assert_eq!(
            instant(Tz::Pacific__Apia, "2011-12-30T12:00:00"),
            "2011-12-30 10:00:00"
        );
    }
}
