//! Is it about as large as it used to be?
//!
//! The program ended well and its output ends as it should, but it is a tenth of what it used to be:
//! the wrong host, an empty database, a volume that is not mounted. Such a dump must not be taken for
//! the next good backup, after which the real ones are pruned one by one.

use crate::catalog::Catalog;
use lifeboat_plan::{Archive, Name};
use serde_json::Value;

/// Plain sizes of earlier dumps of the same source, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes(Vec<u64>);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Usual,
    /// Worth a remark.
    Small(String),
    /// Not believed.
    TooSmall(String),
}

impl Sizes {
    /// The fact that a person accepted a much smaller dump: what was before is no measure any more.
    pub const ACCEPTED: &str = "size_accepted";

    const KEPT: usize = 5;
    /// One or two sizes are no habit: in a database's first days much changes, and a dump that is
    /// refused is a day without a backup.
    const HABIT: usize = 3;

    pub fn new(newest_first: impl IntoIterator<Item = u64>) -> Self {
        Sizes(newest_first.into_iter().take(Self::KEPT).collect())
    }

    /// Of the dumps of `source` in the backups under `name`, as long as nobody accepted a smaller one.
    /// Those in a partial backup count: it is other sources that are missing there.
    pub fn of(catalog: &Catalog, name: &Name, source: &str, kind: &str) -> Self {
        let mut sizes = Vec::new();
        let mut last = None;
        for item in catalog.of(name).rev().filter(|item| item.is_sound()) {
            // Copies in longer tiers have the number of the backup that they are copies of.
            if last.replace(item.manifest.sequence) == Some(item.manifest.sequence) {
                continue;
            }
            let of_it = |archive: &&Archive| archive.source == source && archive.kind == kind;
            let Some(archive) = item.manifest.archives.iter().find(of_it) else {
                continue;
            };
            sizes.push(archive.plain_size);
            let accepted = archive.facts.get(Self::ACCEPTED) == Some(&Value::Bool(true));
            if accepted || sizes.len() == Self::KEPT {
                break;
            }
        }
        Sizes(sizes)
    }

    /// The lower one of the two in the middle, when there are two.
    fn usual(&self) -> Option<u64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }

    pub(super) fn judge(&self, size: u64) -> Judgement {
        let Some(usual) = self.usual() else {
            return Judgement::Usual;
        };
        let words = || {
            let counted = self.0.len();
            let these = match counted {
                1 => "the one before".to_owned(),
                n => format!("the {n} before"),
            };
            format!("{size} bytes, where {these} had about {usual}")
        };
        let below = |percent: u128| u128::from(size) * 100 < u128::from(usual) * percent;
        if below(10) && self.0.len() >= Self::HABIT {
            Judgement::TooSmall(words())
        } else if below(50) {
            Judgement::Small(format!("far smaller than usual: {}", words()))
        } else {
            Judgement::Usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(before: &[u64], size: u64) -> &'static str {
        match Sizes::new(before.iter().copied()).judge(size) {
            Judgement::Usual => "usual",
            Judgement::Small(_) => "small",
            Judgement::TooSmall(_) => "too small",
        }
    }

    #[test]
    fn what_is_half_is_remarked_and_what_is_a_tenth_is_refused() {
        let before = [1000, 1000, 900, 1100, 1000];
        assert_eq!(judged(&before, 500), "usual");
        assert_eq!(judged(&before, 499), "small");
        assert_eq!(judged(&before, 100), "small");
        assert_eq!(judged(&before, 99), "too small");
        assert_eq!(judged(&before, u64::MAX), "usual");
    }

    #[test]
    fn one_or_two_earlier_sizes_are_no_habit_to_refuse_by() {
        assert_eq!(judged(&[], 1), "usual");
        assert_eq!(judged(&[1000], 1), "small");
        assert_eq!(judged(&[1000, 1000], 1), "small");
        assert_eq!(judged(&[1000, 1000, 1000], 1), "too small");
    }

    #[test]
    fn one_size_that_is_not_like_the_others_moves_nothing() {
        assert_eq!(judged(&[1, 1000, 1000, 1000, 1_000_000], 600), "usual");
        // Of two in the middle, the lower one.
        assert_eq!(judged(&[10, 1000], 6), "usual");
        assert_eq!(judged(&[0, 0, 0], 1), "usual");
    }

    #[test]
    fn a_small_one_is_told_with_the_figures() {
        let Judgement::TooSmall(why) = Sizes::new([1000, 1200, 1300]).judge(7) else {
            panic!("it was believed");
        };
        assert_eq!(why, "7 bytes, where the 3 before had about 1200");
    }

    #[test]
    fn only_the_newest_five_count() {
        let sizes = Sizes::new([10, 10, 10, 10, 10, 99_999, 99_999]);
        assert_eq!(sizes.0.len(), 5);
    }
}
