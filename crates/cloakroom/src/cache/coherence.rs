use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Capabilities, ChangeFeed, Reach, SoleFlag, Timestamp};

use super::Seen;
use crate::Coherence;

/// Decides whether a copy is known to be current, by the declared mode and the state of the feed.
#[derive(Debug)]
pub(crate) struct Coherent {
    mode: Coherence,
    reach: Reach,
    sole: Option<SoleFlag>,
    /// The feed that carried `sole` is gone, and with it what the store had granted.
    forfeited: AtomicBool,
    /// Raised by every break of the feed and by every recovery: a copy that was verified in
    /// another epoch is verified again before its next use. One increment instead of a flush.
    epoch: AtomicU64,
    live: AtomicBool,
    /// Until when copies of which epoch were current, as the feed was up: it is lost since.
    lost: Mutex<(u64, Timestamp)>,
}

impl Coherent {
    pub(crate) fn new(mode: Coherence, reach: Reach, feed: Option<&ChangeFeed>) -> Self {
        Self {
            mode,
            reach,
            sole: feed.map(ChangeFeed::sole),
            forfeited: AtomicBool::new(false),
            epoch: AtomicU64::new(1),
            live: AtomicBool::new(false),
            lost: Mutex::new((0, Timestamp::EPOCH)),
        }
    }

    pub(crate) fn mode(&self) -> Coherence {
        self.mode
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The feed says that from here on every change is told.
    pub(crate) fn feed_is_live(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.live.store(true, Ordering::Release);
    }

    /// Changes may be missed from here on.
    pub(crate) fn feed_is_lost(&self, now: Timestamp) {
        if self.live.swap(false, Ordering::AcqRel) {
            *self.lost() = (self.epoch(), now);
        }
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn lost(&self) -> MutexGuard<'_, (u64, Timestamp)> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a copy that is not current was so for the last time, as far as is known: when it was
    /// seen, or when the feed broke that had been up since.
    pub(crate) fn last_current(&self, seen: Seen) -> Timestamp {
        let (epoch, until) = *self.lost();
        if seen.epoch == epoch {
            seen.at.max(until)
        } else {
            seen.at
        }
    }

    /// The feed is about to be dropped: nobody tells this manager any more that it is not alone.
    /// It lives as in `Push` from here on, also with a new feed.
    pub(crate) fn feed_is_gone(&self, now: Timestamp) {
        self.forfeited.store(true, Ordering::Release);
        self.feed_is_lost(now);
    }

    /// Everything may have changed, though the feed stands.
    pub(crate) fn all_gone(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether the feed is up, for statistics.
    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Whether a load that began before a request arrived may answer that request.
    pub(crate) fn may_join_loads(&self) -> bool {
        !matches!(self.mode, Coherence::Verify)
    }

    /// Whether the store has granted this manager to be alone: it is told of no change then.
    pub(crate) fn is_sole(&self) -> bool {
        let granted = self.sole.as_ref().is_some_and(SoleFlag::get);
        granted && !self.forfeited.load(Ordering::Acquire)
    }

    /// Whether a copy may be used without asking the store.
    pub(crate) fn is_current(&self, seen: Seen, now: Timestamp) -> bool {
        if seen.stale {
            return false;
        }
        let pushed = || self.live.load(Ordering::Acquire) && seen.epoch == self.epoch();
        match self.mode {
            Coherence::Exclusive => self.is_sole() || pushed(),
            Coherence::Push => pushed(),
            Coherence::Verify => false,
            // A `verified_at` in the future (a clock that was stepped back) proves nothing.
            Coherence::Bounded(bound) => {
                seen.at <= now
                    && now.since(seen.at) < bound
                    && (self.reach == Reach::None || pushed())
            }
        }
    }
}

/// Whether the store's notices are of use. Who asks the store at every use needs none; but on a
/// store that only one process writes to, a manager must subscribe all the same: that is how the
/// others learn that they are not alone.
pub(crate) fn wants_feed(mode: Coherence, can: Capabilities) -> bool {
    mode != Coherence::Verify || can.exclusive
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_core::Change;

    use super::*;

    fn seen(epoch: u64, at: u64) -> Seen {
        Seen {
            epoch,
            at: Timestamp::from_millis(at),
            stale: false,
        }
    }

    fn now(at: u64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    #[test]
    fn push_trusts_only_copies_verified_since_the_feed_is_up() {
        let coherent = Coherent::new(Coherence::Push, Reach::Changes, None);
        assert!(
            !coherent.is_current(seen(1, 0), now(0)),
            "before Live nothing is sure"
        );
        let before = coherent.epoch();
        coherent.feed_is_live();
        assert!(!coherent.is_current(seen(before, 0), now(0)));
        assert!(coherent.is_current(seen(coherent.epoch(), 0), now(0)));
        let up = coherent.epoch();
        coherent.feed_is_lost(now(0));
        assert!(!coherent.is_current(seen(up, 0), now(0)));
        assert!(!coherent.is_current(seen(coherent.epoch(), 0), now(0)));
        coherent.feed_is_live();
        assert!(
            !coherent.is_current(seen(up, 0), now(0)),
            "what was missed is not known"
        );
    }

    #[test]
    fn exclusive_falls_back_to_push_when_a_second_manager_comes() {
        let (sender, feed) = ChangeFeed::channel(4);
        sender.set_sole(true);
        sender.send(Change::Live).unwrap();
        let coherent = Coherent::new(Coherence::Exclusive, Reach::Changes, Some(&feed));
        assert!(coherent.is_current(seen(1, 0), now(0)));
        sender.set_sole(false);
        assert!(
            !coherent.is_current(seen(1, 0), now(0)),
            "the feed was not heard yet"
        );
        coherent.feed_is_live();
        assert!(coherent.is_current(seen(coherent.epoch(), 0), now(0)));
    }

    #[test]
    fn a_bounded_copy_is_used_until_it_is_that_old_and_a_clock_step_back_proves_nothing() {
        let bound = Coherence::Bounded(Duration::from_millis(100));
        let coherent = Coherent::new(bound, Reach::None, None);
        assert!(coherent.is_current(seen(0, 1_000), now(1_099)));
        assert!(!coherent.is_current(seen(0, 1_000), now(1_100)));
        assert!(!coherent.is_current(seen(0, 1_000), now(999)));
        let pushed = Coherent::new(bound, Reach::Endings, None);
        assert!(
            !pushed.is_current(seen(1, 1_000), now(1_001)),
            "a broken feed of endings"
        );
    }

    #[test]
    fn a_copy_that_a_notice_called_stale_is_never_current() {
        let coherent = Coherent::new(Coherence::Push, Reach::Changes, None);
        coherent.feed_is_live();
        let stale = Seen {
            stale: true,
            ..seen(coherent.epoch(), 0)
        };
        assert!(!coherent.is_current(stale, now(0)));
    }
}
