//! Figures of one manager, from its start on.

mod lasted;
mod passes;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::Presented;
use crate::cache::L1;
use crate::housekeeper::Reports;

use self::lasted::Lasted;
pub use self::lasted::SessionTimeStats;

/// Name, whether it only grows, and value.
pub(crate) type Figure = (&'static str, bool, u64);

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    pub(crate) fn add_many(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters behind [`Stats`](StatsReport).
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) loads: Counter,
    pub(crate) peeks: Counter,
    pub(crate) creates: Counter,
    pub(crate) saves: Counter,
    pub(crate) touches: Counter,
    pub(crate) ends: Counter,
    pub(crate) expired: Counter,
    pub(crate) purged: Counter,
    pub(crate) conflicts: Counter,
    pub(crate) gone: Counter,
    pub(crate) superseded: Counter,
    pub(crate) forged: Counter,
    pub(crate) unreadable: Counter,
    pub(crate) mismatched: Counter,
    pub(crate) stale: Counter,
    pub(crate) store_errors: Counter,
    pub(crate) late_commits: Counter,
    pub(crate) late_commits_lost: Counter,
    pub(crate) forgotten: Counter,
    pub(crate) lasted: Lasted,
    presented: [Counter; 7],
}

impl Stats {
    pub(crate) fn presented(&self, presented: Presented) {
        if let Some(counter) = self.presented.get(presented.index()) {
            counter.add();
        }
    }
}

/// The figures of L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct L1Stats {
    /// Sessions that L1 keeps in memory now. Jetty's `sessionsCurrent`; as there, sessions that only
    /// the store holds are not among them.
    pub entries: u64,
    /// The most sessions that were in memory at one time since the start. Those are among them that
    /// L1 had let go of and a request still held, or that waited for its next clean-up (at an eighth
    /// more than the bound, at the latest), so that this may exceed the bound of L1. Jetty's
    /// `sessionsMax`.
    pub entries_max: u64,
    /// Uses served from memory, those confirmed by a peek included.
    pub hits: u64,
    /// Uses that needed a load.
    pub misses: u64,
}

/// How often each outcome of a presented token was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PresentedStats {
    /// No token.
    pub none: u64,
    /// Only malformed ones.
    pub malformed: u64,
    /// A token of no session, a wrong secret included.
    pub unknown: u64,
    /// A secret that was replaced a moment ago.
    pub superseded: u64,
    /// A session that has timed out.
    pub timed_out: u64,
    /// A session that was ended.
    pub ended: u64,
    /// A live session.
    pub active: u64,
}

/// What a [`SessionManager`](crate::SessionManager) has counted since its start.
///
/// A create is not a save, a touch is not a save; a copy that a peek confirmed is a hit.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StatsReport {
    /// The figures of L1.
    pub l1: L1Stats,
    /// Records read from the store.
    pub loads: u64,
    /// Stamps read from the store.
    pub peeks: u64,
    /// Sessions created. Jetty's `sessionsTotal`.
    pub creates: u64,
    /// Records replaced.
    pub saves: u64,
    /// Deadlines moved without a write.
    pub touches: u64,
    /// Sessions that this node has ended on purpose.
    pub ends: u64,
    /// Sessions whose time-out this node has reported.
    pub expired: u64,
    /// Rows forgotten by this node.
    pub purged: u64,
    /// Ended sessions forgotten before their retention was over, because there were more than
    /// `max_tombstones`.
    pub forgotten: u64,
    /// How long sessions lasted.
    pub session_time: SessionTimeStats,
    /// Saves that met another state and were replayed.
    pub conflicts: u64,
    /// Commits that found their session gone or ended.
    pub gone: u64,
    /// Commits dropped because the secret was replaced meanwhile.
    pub superseded: u64,
    /// Tokens whose secret was wrong.
    pub forged: u64,
    /// Records that could not be decoded.
    pub unreadable: u64,
    /// Requests whose transports named different sessions.
    pub mismatched: u64,
    /// Requests served from a copy while the store was down (`stale_if_error`).
    pub stale: u64,
    /// Store calls that failed.
    pub store_errors: u64,
    /// Commits after the response head, [`Session::commit`](crate::Session::commit) included.
    pub late_commits: u64,
    /// Late commits whose changes were lost.
    pub late_commits_lost: u64,
    /// Sessions that left L1.
    pub evictions: u64,
    /// Whether the store's change feed is up.
    pub feed_live: bool,
    /// Outcomes of presented tokens.
    pub presented: PresentedStats,
    /// The last run of each job.
    pub housekeeper: Reports,
}

impl StatsReport {
    pub(crate) fn new(stats: &Stats, l1: &L1, feed_live: bool, housekeeper: Reports) -> Self {
        let [
            none,
            malformed,
            unknown,
            superseded,
            timed_out,
            ended,
            active,
        ] = stats.presented.each_ref().map(Counter::get);
        Self {
            l1: L1Stats {
                entries: l1.len(),
                entries_max: l1.most(),
                hits: stats.hits.get(),
                misses: stats.misses.get(),
            },
            loads: stats.loads.get(),
            peeks: stats.peeks.get(),
            creates: stats.creates.get(),
            saves: stats.saves.get(),
            touches: stats.touches.get(),
            ends: stats.ends.get(),
            expired: stats.expired.get(),
            purged: stats.purged.get(),
            forgotten: stats.forgotten.get(),
            session_time: stats.lasted.report(),
            conflicts: stats.conflicts.get(),
            gone: stats.gone.get(),
            superseded: stats.superseded.get(),
            forged: stats.forged.get(),
            unreadable: stats.unreadable.get(),
            mismatched: stats.mismatched.get(),
            stale: stats.stale.get(),
            store_errors: stats.store_errors.get(),
            late_commits: stats.late_commits.get(),
            late_commits_lost: stats.late_commits_lost.get(),
            evictions: l1.evictions(),
            feed_live,
            presented: PresentedStats {
                none,
                malformed,
                unknown,
                superseded,
                timed_out,
                ended,
                active,
            },
            housekeeper,
        }
    }

    /// Name and value of every figure, as metrics call them.
    pub(crate) fn figures(&self) -> impl Iterator<Item = Figure> {
        let p = &self.presented;
        let time = &self.session_time;
        let figures = [
            ("cloakroom_l1_entries", false, self.l1.entries),
            ("cloakroom_l1_entries_max", false, self.l1.entries_max),
            ("cloakroom_session_time_ms_mean", false, time.mean_ms),
            ("cloakroom_session_time_ms_max", false, time.max_ms),
            ("cloakroom_session_time_ms_std_dev", false, time.std_dev_ms),
            ("cloakroom_session_time_ms_total", true, time.total_ms),
            ("cloakroom_session_times_total", true, time.count),
            ("cloakroom_forgotten_total", true, self.forgotten),
            ("cloakroom_feed_live", false, u64::from(self.feed_live)),
            ("cloakroom_l1_hits_total", true, self.l1.hits),
            ("cloakroom_l1_misses_total", true, self.l1.misses),
            ("cloakroom_loads_total", true, self.loads),
            ("cloakroom_peeks_total", true, self.peeks),
            ("cloakroom_creates_total", true, self.creates),
            ("cloakroom_saves_total", true, self.saves),
            ("cloakroom_touches_total", true, self.touches),
            ("cloakroom_ends_total", true, self.ends),
            ("cloakroom_expired_total", true, self.expired),
            ("cloakroom_purged_total", true, self.purged),
            ("cloakroom_conflicts_total", true, self.conflicts),
            ("cloakroom_gone_total", true, self.gone),
            ("cloakroom_superseded_total", true, self.superseded),
            ("cloakroom_forged_total", true, self.forged),
            ("cloakroom_unreadable_total", true, self.unreadable),
            ("cloakroom_mismatched_total", true, self.mismatched),
            ("cloakroom_stale_total", true, self.stale),
            ("cloakroom_store_errors_total", true, self.store_errors),
            ("cloakroom_late_commits_total", true, self.late_commits),
            (
                "cloakroom_late_commits_lost_total",
                true,
                self.late_commits_lost,
            ),
            ("cloakroom_evictions_total", true, self.evictions),
            ("cloakroom_presented_none_total", true, p.none),
            ("cloakroom_presented_malformed_total", true, p.malformed),
            ("cloakroom_presented_unknown_total", true, p.unknown),
            ("cloakroom_presented_superseded_total", true, p.superseded),
            ("cloakroom_presented_timed_out_total", true, p.timed_out),
            ("cloakroom_presented_ended_total", true, p.ended),
            ("cloakroom_presented_active_total", true, p.active),
        ];
        figures
            .into_iter()
            .chain(passes::figures(&self.housekeeper))
    }

    /// The figures in the text format of Prometheus. Those of the last pass of a job begin with
    /// `cloakroom_housekeeper_` and its name, and are 0 before the first one.
    ///
    /// ```
    /// use cloakroom::{MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new()).build().unwrap();
    /// let text = layer.manager().stats().prometheus();
    /// assert!(text.contains("# TYPE cloakroom_loads_total counter\ncloakroom_loads_total 0\n"));
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut out = String::with_capacity(4_096);
        for (name, is_counter, value) in self.figures() {
            let kind = if is_counter { "counter" } else { "gauge" };
            // Writing to a String cannot fail.
            write!(out, "# TYPE {name} {kind}\n{name} {value}\n").unwrap_or_default();
        }
        out
    }
}
