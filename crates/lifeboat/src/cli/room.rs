//! How long the disk will last, guessed from what the backups have been like.

use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::{Manifest, Tier};
use serde::Serialize;

/// Fewer backups than these tell nothing about growth.
const BACKUPS_MIN: usize = 4;
/// What lies further back says little about next month.
const LOOK_BACK: TimeDelta = TimeDelta::days(30);

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Room {
    pub free: u64,
    pub total: u64,
    /// The newest backup's size: the next one will need about as much.
    pub newest: u64,
    /// What the store grows by, in a day; `None` while too little is known.
    pub bytes_per_day: Option<f64>,
    /// `None`: not in sight.
    pub days_until_full: Option<u64>,
}

impl Room {
    /// `pruning`: old backups already go as new ones come, so only their growth counts.
    pub fn guess(
        free: u64,
        total: u64,
        backups: &[&Manifest],
        pruning: bool,
        now: DateTime<Utc>,
    ) -> Self {
        // Copies in longer tiers share the bytes of the daily one, as long as that is there.
        let mut recent: Vec<&Manifest> = backups
            .iter()
            .filter(|m| m.tier == Tier::Daily && m.created_at > now - LOOK_BACK)
            .copied()
            .collect();
        recent.sort_by_key(|m| m.created_at);
        let bytes_per_day = growth(&recent, pruning);
        let days_until_full = bytes_per_day
            .filter(|rate| *rate >= 1.0)
            .map(|rate| (free as f64 / rate) as u64);
        Room {
            free,
            total,
            newest: recent.last().map_or(0, |m| m.size()),
            bytes_per_day,
            days_until_full,
        }
    }
}

fn growth(recent: &[&Manifest], pruning: bool) -> Option<f64> {
    let (first, last) = (recent.first()?, recent.last()?);
    let days = (last.created_at - first.created_at).num_seconds() as f64 / 86_400.0;
    if recent.len() < BACKUPS_MIN || days <= 0.0 {
        return None;
    }
    if pruning {
        // One goes for each that comes: the store grows by the difference.
        let third = recent.len() / 3;
        let mean = |some: &[&Manifest]| {
            some.iter().map(|m| m.size() as f64).sum::<f64>() / some.len() as f64
        };
        let (old, new) = (
            mean(&recent[..third]),
            mean(&recent[recent.len() - third..]),
        );
        let per_backup = (new - old) / (recent.len() - third) as f64;
        let per_day = (recent.len() - 1) as f64 / days;
        return Some((per_backup * per_day * recent.len() as f64).max(0.0));
    }
    let written: f64 = recent[1..].iter().map(|m| m.size() as f64).sum();
    Some(written / days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifeboat_plan::BackupId;

    const GIB: u64 = 1 << 30;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn made(days_ago: i64, size: u64) -> Manifest {
        let at = now() - TimeDelta::days(days_ago);
        let id = BackupId::new(&"shop".parse().unwrap(), Tier::Daily, &at, 1);
        let archive = serde_json::json!({
            "source": "s", "kind": "files", "file": "f", "size": size, "sha256": "",
            "plain_size": size, "plain_xxh128": "", "compression": "none", "encryption": "none",
        });
        Manifest {
            archives: vec![serde_json::from_value(archive).unwrap()],
            ..Manifest::empty(id, at)
        }
    }

    fn guess(sizes: impl IntoIterator<Item = (i64, u64)>, pruning: bool) -> Room {
        let all: Vec<Manifest> = sizes
            .into_iter()
            .map(|(ago, size)| made(ago, size))
            .collect();
        let all: Vec<&Manifest> = all.iter().collect();
        Room::guess(100 * GIB, 200 * GIB, &all, pruning, now())
    }

    #[test]
    fn while_nothing_is_pruned_every_backup_adds_its_size() {
        let room = guess((0..10).map(|ago| (ago, 2 * GIB)), false);
        assert_eq!(room.days_until_full, Some(50));
        assert_eq!(room.newest, 2 * GIB);
    }

    #[test]
    fn backups_of_one_size_that_replace_each_other_never_fill_it() {
        let room = guess((0..30).map(|ago| (ago, 2 * GIB)), true);
        assert_eq!(room.days_until_full, None);
    }

    #[test]
    fn backups_that_grow_fill_it_although_old_ones_go() {
        // 10 MiB more each day, in thirty backups: about 300 MiB a day.
        let grow = |ago: i64| (ago, 2 * GIB + (30 - ago as u64) * (10 << 20));
        let days = guess((0..30).map(grow), true).days_until_full.unwrap();
        assert!((300..400).contains(&days), "{days}");
    }

    #[test]
    fn three_backups_are_too_few_to_tell() {
        assert_eq!(
            guess([(0, GIB), (1, GIB), (2, GIB)], false).bytes_per_day,
            None
        );
    }
}
