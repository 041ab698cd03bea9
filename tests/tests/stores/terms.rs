//! On what terms a scenario is run over a store.

use std::time::Duration;

use crate::kind::Kind;

/// What stands behind a scenario's name.
pub(crate) enum Terms {
    /// It is run over the memory store alone, which has no kind here; and why.
    OnlyMemory(&'static str),
    /// It is not run where rows are forgotten by a clock that the test cannot set; and why.
    NotRedis(&'static str),
    /// When its clock starts where rows are forgotten by the server's.
    Ago(Duration),
}

impl Terms {
    /// The reason for which the scenario is not run over this store.
    pub(crate) fn shut_out(&self, kind: &Kind) -> Option<&'static str> {
        match self {
            Self::OnlyMemory(why) => Some(why),
            Self::NotRedis(why) => kind.own_clock.then_some(why),
            Self::Ago(_) => None,
        }
    }

    pub(crate) fn ago(&self) -> Option<Duration> {
        match self {
            Self::Ago(ago) => Some(*ago),
            Self::OnlyMemory(_) | Self::NotRedis(_) => None,
        }
    }
}

pub(crate) const fn only_memory(why: &'static str) -> Terms {
    Terms::OnlyMemory(why)
}

pub(crate) const fn not_redis(why: &'static str) -> Terms {
    Terms::NotRedis(why)
}

/// So long ago that by now the deadline is over which the scenario goes past, and not so long that
/// the row is forgotten.
pub(crate) const fn minutes_ago(minutes: u64) -> Terms {
    Terms::Ago(Duration::from_mins(minutes))
}
