//! Is the newest good backup as young as the schedule promises? What health, status and alarms go by:
//! a scheduler that died tells nobody, but its backups grow stale.

use crate::Schedule;
use crate::standing::SKEW;
use chrono::{DateTime, TimeDelta, Utc};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    Fresh {
        until: DateTime<Utc>,
    },
    /// There is none yet, and there need not be one before `until`.
    Waiting {
        until: DateTime<Utc>,
    },
    Stale {
        since: DateTime<Utc>,
    },
    /// The newest good backup claims to be from the future. Its word is not taken for freshness.
    Future {
        created_at: DateTime<Utc>,
    },
    /// Nothing is promised, because the schedule is off.
    Unscheduled,
}

impl Freshness {
    /// `newest_good` is when the newest good backup began. `watching_since` is when somebody began to
    /// expect backups: the first start of the daemon. `grace` is what a run may take, with its jitter.
    pub fn of(
        schedule: &Schedule,
        newest_good: Option<DateTime<Utc>>,
        watching_since: DateTime<Utc>,
        now: DateTime<Utc>,
        grace: TimeDelta,
    ) -> Self {
        if let Some(created_at) = newest_good.filter(|at| *at > now + SKEW) {
            return Freshness::Future { created_at };
        }
        let Some(next) = schedule.next_after(newest_good.unwrap_or(watching_since)) else {
            return Freshness::Unscheduled;
        };
        let until = next + grace;
        if now > until {
            Freshness::Stale { since: until }
        } else if newest_good.is_some() {
            Freshness::Fresh { until }
        } else {
            Freshness::Waiting { until }
        }
    }

    pub fn is_healthy(self) -> bool {
        match self {
            Freshness::Fresh { .. } | Freshness::Waiting { .. } | Freshness::Unscheduled => true,
            Freshness::Stale { .. } | Freshness::Future { .. } => false,
        }
    }
}
