use serde::Serialize;

use cloakroom_core::Timestamp;

/// A job of the housekeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Job {
    /// Runs L1's pending work, evicts the idle, ends due sessions and erases their attributes.
    Poll,
    /// Ends what is still due, then forgets rows whose retention is over.
    Purge,
}

impl Job {
    /// The job as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Purge => "purge",
        }
    }
}

/// What one pass of a job has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Which job.
    pub job: Job,
    /// When the pass began, in milliseconds since 1970.
    pub at: Timestamp,
    /// How long it took, in milliseconds of the injected clock.
    pub took_ms: u64,
    /// Sessions whose time-out it has ended.
    pub expired: u64,
    /// Rows that it has forgotten.
    pub purged: u64,
    /// Sessions that it has taken out of L1 because nobody has used them for so long
    /// ([`Eviction::Idle`](crate::Eviction::Idle)). What the bounds of L1 let go, in a pass or
    /// between, is in [`StatsReport::evictions`](crate::StatsReport::evictions) alone.
    pub evicted: u64,
    /// Whether the time budget ended the pass before the work did; the next pass goes on.
    pub unfinished: bool,
    /// What stopped it, if it failed.
    pub error: Option<String>,
}

impl Report {
    pub(crate) fn new(job: Job, at: Timestamp) -> Self {
        Self {
            job,
            at,
            took_ms: 0,
            expired: 0,
            purged: 0,
            evicted: 0,
            unfinished: false,
            error: None,
        }
    }
}

/// The last pass of each job; `None` before the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reports {
    /// The last poll.
    pub poll: Option<Report>,
    /// The last purge.
    pub purge: Option<Report>,
}
