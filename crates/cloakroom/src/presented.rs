use cloakroom_core::Timestamp;

use crate::EndReason;

/// What the request's token was found to be.
///
/// Only the holder of the true secret learns how a session ended; everybody else is told
/// `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presented {
    /// The request carries no token.
    None,
    /// What it carries is no token; no store was asked.
    Malformed,
    /// There is no such session, or the secret is wrong.
    Unknown,
    /// The secret was right until a moment ago: another request renewed or signed in.
    Superseded,
    /// The session has timed out.
    TimedOut {
        /// When.
        at: Timestamp,
    },
    /// The session was ended on purpose.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
    /// A live session.
    Active,
}

impl Presented {
    /// The outcome as one word: `none`, `malformed`, `unknown`, `superseded`, `timed_out`, `ended`,
    /// `active`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
            Self::TimedOut { .. } => "timed_out",
            Self::Ended { .. } => "ended",
            Self::Active => "active",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::None => 0,
            Self::Malformed => 1,
            Self::Unknown => 2,
            Self::Superseded => 3,
            Self::TimedOut { .. } => 4,
            Self::Ended { .. } => 5,
            Self::Active => 6,
        }
    }
}

/// Where a request's copy of its session came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// There is no stored session.
    New,
    /// L1, used as it is.
    Cache,
    /// L1, confirmed by a peek.
    Verified,
    /// The store.
    Store,
    /// L1, while the store was down (`stale_if_error`).
    Stale,
}

impl Origin {
    /// The origin as one word: `new`, `cache`, `verified`, `store`, `stale`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cache => "cache",
            Self::Verified => "verified",
            Self::Store => "store",
            Self::Stale => "stale",
        }
    }
}
