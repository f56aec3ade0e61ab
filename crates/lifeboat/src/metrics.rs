//! The numbers that Prometheus scrapes. Their names are a promise: dashboards and alerts use them.
//!
//! A counter or a timestamp that a restart would lose is set again from the state folder, so that
//! "time since the last good backup" does not begin anew when a container does.

use chrono::{DateTime, TimeDelta, Utc};
use lifeboat_plan::event::{Outcome, RunEvent};
use lifeboat_run::{Listener, catalog::Catalog, state::Runs};
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::collections::{BTreeMap, BTreeSet};

/// Every number of this process. Cheap to share: each is an atomic inside.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    last_success: IntGaugeVec,
    last_run: IntGauge,
    next_run: IntGaugeVec,
    runs: IntCounterVec,
    run_duration: Histogram,
    archive_bytes: IntGaugeVec,
    backups: IntGaugeVec,
    store_bytes: IntGaugeVec,
    store_up: IntGaugeVec,
    pending_copies: IntGaugeVec,
    last_proven: IntGaugeVec,
    pruned: IntCounterVec,
    uncovered: IntGauge,
    hold_seconds: GaugeVec,
    build: GaugeVec,
}

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauges = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntGaugeVec> {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok(vec)
        };
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
                let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(vec.clone()))?;
                Ok(vec)
            };
        let last_run = IntGauge::new(
            "lifeboat_last_run_timestamp_seconds",
            "When the newest run ended, however it did.",
        )?;
        registry.register(Box::new(last_run.clone()))?;
        let uncovered = IntGauge::new(
            "lifeboat_uncovered_volumes",
            "Volumes and folders that are not saved although nobody decided so; `lifeboat plan` names them.",
        )?;
        registry.register(Box::new(uncovered.clone()))?;
        let run_duration = Histogram::with_opts(
            HistogramOpts::new("lifeboat_run_duration_seconds", "How long runs took.").buckets(
                vec![
                    1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0,
                ],
            ),
        )?;
        registry.register(Box::new(run_duration.clone()))?;
        let hold_seconds = GaugeVec::new(
            Opts::new(
                "lifeboat_hold_seconds",
                "For how long each service was last held still.",
            ),
            &["service"],
        )?;
        registry.register(Box::new(hold_seconds.clone()))?;
        let build = GaugeVec::new(
            Opts::new("lifeboat_build_info", "The program that speaks here."),
            &["version"],
        )?;
        registry.register(Box::new(build.clone()))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;

        let metrics = Metrics {
            last_success: gauges(
                "lifeboat_last_success_timestamp_seconds",
                "When each source was last captured in a good backup.",
                &["source"],
            )?,
            next_run: gauges(
                "lifeboat_next_run_timestamp_seconds",
                "When each job is due next.",
                &["job"],
            )?,
            runs: counters(
                "lifeboat_runs_total",
                "Runs by how they ended.",
                &["job", "outcome"],
            )?,
            archive_bytes: gauges(
                "lifeboat_archive_bytes",
                "Size of the newest archive of each source, before and after sealing.",
                &["source", "stage"],
            )?,
            backups: gauges(
                "lifeboat_backups",
                "Backups in each store and tier.",
                &["store", "tier"],
            )?,
            store_bytes: gauges(
                "lifeboat_store_bytes",
                "Bytes of all archives in each store; hard links count once.",
                &["store"],
            )?,
            store_up: gauges(
                "lifeboat_store_up",
                "1 when the store answered when it was last asked.",
                &["store"],
            )?,
            pending_copies: gauges(
                "lifeboat_pending_copies",
                "Copies that are owed to each store.",
                &["store"],
            )?,
            last_proven: gauges(
                "lifeboat_last_proven_timestamp_seconds",
                "When a drill last proved each source.",
                &["source"],
            )?,
            hold_seconds,
            pruned: counters(
                "lifeboat_pruned_total",
                "Backups that retention dropped.",
                &["store"],
            )?,
            last_run,
            run_duration,
            uncovered,
            build,
            registry,
        };
        metrics
            .build
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        Ok(metrics)
    }

    /// The page that a scraper reads.
    pub fn page(&self) -> prometheus::Result<Vec<u8>> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(page)
    }

    /// A run ended. Runs that never began (missed, overlap) have no duration.
    pub fn run_ended(
        &self,
        job: &str,
        outcome: Outcome,
        at: DateTime<Utc>,
        took_seconds: Option<f64>,
        count: u64,
    ) {
        self.runs
            .with_label_values(&[job, outcome.as_str()])
            .inc_by(count);
        if let Some(seconds) = took_seconds {
            self.run_duration.observe(seconds);
            self.last_run.set(at.timestamp());
        }
    }

    pub fn next_run(&self, job: &str, at: Option<DateTime<Utc>>) {
        match at {
            Some(at) => self.next_run.with_label_values(&[job]).set(at.timestamp()),
            None => {
                let _ = self.next_run.remove_label_values(&[job]);
            }
        }
    }

    pub fn uncovered(&self, count: usize) {
        self.uncovered.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What the state folder remembers of the time before this process.
    pub fn remember(&self, runs: &Runs) {
        for (job, history) in &runs.jobs {
            for (outcome, count) in &history.outcomes {
                let counter = self
                    .runs
                    .with_label_values(&[job.as_str(), outcome.as_str()]);
                counter.inc_by(count.saturating_sub(counter.get()));
            }
            if let Some(ended) = history.last_ended {
                self.last_run
                    .set(self.last_run.get().max(ended.timestamp()));
            }
        }
        // Every outcome is there from the start: an alert on a rate must see the step from 0 to 1.
        for job in runs.jobs.keys() {
            for outcome in Outcome::ALL {
                self.runs
                    .with_label_values(&[job.as_str(), outcome.as_str()]);
            }
        }
    }

    pub fn store_is_up(&self, store: &str, up: bool) {
        self.store_up.with_label_values(&[store]).set(i64::from(up));
    }

    /// What the store holds now.
    pub fn holdings(&self, store: &str, catalog: &Catalog, now: DateTime<Utc>) {
        self.store_is_up(store, true);
        let mut bytes = 0;
        let mut counted = BTreeSet::new();
        let mut newest: BTreeMap<&str, (DateTime<Utc>, u64, u64)> = BTreeMap::new();
        for (tier, items) in catalog.tiers() {
            self.backups
                .with_label_values(&[store, tier.as_str()])
                .set(items.len() as i64);
            for item in items {
                if counted.insert(item.manifest.origin.as_ref().unwrap_or(item.id())) {
                    bytes += item.manifest.size();
                }
                // One from the future would be the newest until then, and silence every alert.
                if !item.is_good() || item.manifest.created_at > now + TimeDelta::minutes(5) {
                    continue;
                }
                for archive in &item.manifest.archives {
                    let entry = newest.entry(&archive.source).or_default();
                    if item.manifest.created_at >= entry.0 {
                        *entry = (item.manifest.created_at, archive.plain_size, archive.size);
                    }
                }
                if let Some(proof) = item.manifest.proofs.iter().rev().find(|p| p.proved) {
                    for archive in &item.manifest.archives {
                        let gauge = self
                            .last_proven
                            .with_label_values(&[archive.source.as_str()]);
                        gauge.set(gauge.get().max(proof.at.timestamp()));
                    }
                }
            }
        }
        self.store_bytes
            .with_label_values(&[store])
            .set(bytes as i64);
        self.pending_copies.with_label_values(&[store]).set(0);
        for (source, (at, plain, stored)) in newest {
            self.last_success
                .with_label_values(&[source])
                .set(at.timestamp());
            self.archive_bytes
                .with_label_values(&[source, "plain"])
                .set(plain as i64);
            self.archive_bytes
                .with_label_values(&[source, "stored"])
                .set(stored as i64);
        }
    }
}

impl Listener for Metrics {
    fn hear(&self, event: &RunEvent) {
        match event {
            RunEvent::Pruned { .. } => self.pruned.with_label_values(&[NEAR]).inc(),
            RunEvent::Released { service, took } => self
                .hold_seconds
                .with_label_values(&[service.as_str()])
                .set(took.as_secs_f64()),
            _ => {}
        }
    }
}

/// What the near store is called in labels and in `--store`.
pub const NEAR: &str = "near";
