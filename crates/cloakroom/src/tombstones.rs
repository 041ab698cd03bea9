//! How many ended sessions are remembered, and which are forgotten first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::{SessionId, Timestamp};
use futures_util::{StreamExt as _, stream};

use crate::inner::Inner;

/// How many are forgotten at once: a pass may end 500 sessions with one call.
const AT_ONCE: usize = 32;

/// The tombstones that this manager has made and that the store still keeps, the oldest first.
///
/// Kept here, since no store can tell how many it has without counting its rows. Each costs 24
/// bytes. What other nodes have made, or this one before its last start, is theirs to bound.
#[derive(Debug)]
pub(crate) struct Tombstones {
    max: usize,
    made: Mutex<VecDeque<(Timestamp, SessionId)>>,
}

impl Tombstones {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            max,
            made: Mutex::new(VecDeque::new()),
        }
    }

    fn made(&self) -> MutexGuard<'_, VecDeque<(Timestamp, SessionId)>> {
        // Each change is one call that cannot panic half-way.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store keeps a tombstone of `id` until `expires_at`; `None`: for ever.
    pub(crate) fn note(&self, id: SessionId, expires_at: Option<Timestamp>) {
        let until = expires_at.unwrap_or(Timestamp::MAX);
        self.made().push_back((until, id));
    }

    /// The oldest, if there are too many. Those that the purge forgets anyhow are not counted.
    fn one_too_many(&self, now: Timestamp) -> Option<SessionId> {
        let mut made = self.made();
        while made.front().is_some_and(|(until, _)| *until <= now) {
            made.pop_front();
        }
        if made.len() > self.max {
            return made.pop_front().map(|(_, id)| id);
        }
        // A burst that is over gives its memory back.
        if made.capacity() > 64 && made.capacity() / 4 > made.len() {
            let enough = made.len() * 2;
            made.shrink_to(enough);
        }
        None
    }
}

/// Forgets the oldest tombstones in the store while there are too many.
///
/// One that cannot be removed is not tried again: it goes with the purge, when its time has come.
/// A caller that gives up leaves the rest to the next.
pub(crate) async fn forget_surplus(inner: &Arc<Inner>, now: Timestamp) {
    let Some(first) = inner.tombstones.one_too_many(now) else {
        return;
    };
    let rest = std::iter::from_fn(|| inner.tombstones.one_too_many(now));
    let forget =
        stream::iter(std::iter::once(first).chain(rest)).for_each_concurrent(AT_ONCE, async |id| {
            // Without a tombstone of its own an ending removes what an earlier one has left.
            match inner.store.end(id, None).await {
                Ok(_) => inner.stats.forgotten.add(),
                Err(error) => inner.store_failed("end", &error),
            }
        });
    // Boxed, so that the many commits that end nothing do not carry it.
    Box::pin(forget).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> SessionId {
        SessionId::from_parts(Timestamp::from_millis(n), [0; 10])
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn surplus(tombstones: &Tombstones, now: u64) -> Vec<SessionId> {
        std::iter::from_fn(|| tombstones.one_too_many(at(now))).collect()
    }

    #[test]
    fn the_oldest_are_too_many_first_and_those_whose_time_is_over_do_not_count() {
        let tombstones = Tombstones::new(2);
        for n in 1..=4 {
            tombstones.note(id(n), Some(at(n * 100)));
        }
        assert_eq!(surplus(&tombstones, 99), [id(1), id(2)]);
        assert_eq!(surplus(&tombstones, 99), []);
        tombstones.note(id(5), Some(at(500)));
        assert_eq!(surplus(&tombstones, 300), [], "the third is over");
        tombstones.note(id(6), None);
        assert_eq!(surplus(&tombstones, 300), [id(4)]);
    }

    #[test]
    fn a_bound_of_zero_keeps_none() {
        let tombstones = Tombstones::new(0);
        tombstones.note(id(1), None);
        assert_eq!(surplus(&tombstones, 0), [id(1)]);
    }

    #[test]
    fn a_burst_that_is_over_gives_its_memory_back() {
        let tombstones = Tombstones::new(usize::MAX);
        for n in 0..10_000 {
            tombstones.note(id(n), Some(at(100)));
        }
        assert_eq!(surplus(&tombstones, 100), []);
        assert!(tombstones.made().capacity() <= 64);
    }
}
