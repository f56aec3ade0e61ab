//! Numbers as people read them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use std::time::Duration;

/// `734 B`, `1.2 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.96 would be printed as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `12,345`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 files`, `1 file`.
pub fn many(n: u64, one: &str, more: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { more })
}

/// How long something took: `0.4 s`, `2 min 5 s`.
pub fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago: `12 s`, `5 min`, `3 h`, `12 days`; with a minus what lies ahead of the clock.
pub fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).num_seconds();
    let sign = if seconds < 0 { "-" } else { "" };
    match seconds.unsigned_abs() {
        seconds @ 0..60 => format!("{sign}{seconds} s"),
        seconds @ 60..3600 => format!("{sign}{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{sign}{} h", seconds / 3600),
        seconds => format!("{sign}{} days", count(seconds / 86_400)),
    }
}

/// The same in a sentence: `5 min ago`.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match at > now {
        true => format!("{} ahead of the clock", age(now, at)),
        false => format!("{} ago", age(at, now)),
    }
}

/// A time as the clock on the wall of the configured zone shows it.
pub fn time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A name that came from a file system or another program, fit for one line of a terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_570, "1.0 MiB"),
            (1_288_490_189, "1.2 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn counts() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(n), text);
        }
        assert_eq!(many(1, "file", "files"), "1 file");
    }

    #[test]
    fn ages_and_durations() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(100);
        let ago = |seconds| age(now - chrono::TimeDelta::seconds(seconds), now);
        assert_eq!(ago(5), "5 s");
        assert_eq!(ago(61), "1 min");
        assert_eq!(ago(47 * 3600), "47 h");
        assert_eq!(ago(49 * 3600), "2 days");
        assert_eq!(ago(-3600), "-1 h");
        assert_eq!(took(Duration::from_millis(440)), "0.4 s");
        assert_eq!(took(Duration::from_secs(125)), "2 min 5 s");
    }
}
