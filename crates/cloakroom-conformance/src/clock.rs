use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{Clock, Timestamp};

/// A clock that stands still until it is told otherwise. Clones are handles on the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use cloakroom_conformance::ManualClock;
/// use cloakroom_core::{Clock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
/// let given_away = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(given_away.now(), Timestamp::from_millis(1_060_000));
/// clock.step_back(Duration::from_secs(1_000));
/// assert_eq!(given_away.now(), Timestamp::from_millis(60_000));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_millis())))
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves forward, at most to [`Timestamp::MAX`]; returns what it shows then.
    pub fn advance(&self, by: Duration) -> Timestamp {
        self.change(|now| now + by)
    }

    /// Steps back, at most to 1970; returns what it shows then.
    pub fn step_back(&self, by: Duration) -> Timestamp {
        self.change(|now| now - by)
    }

    fn change(&self, to: impl Fn(Timestamp) -> Timestamp) -> Timestamp {
        let after = |millis| to(Timestamp::from_millis(millis));
        let before = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |millis| {
                Some(after(millis).as_millis())
            })
            .expect("the closure never declines");
        after(before)
    }
}

impl Default for ManualClock {
    /// Shows 2026-01-01T00:00:00Z: a present like any other.
    fn default() -> Self {
        Self::new(Timestamp::from_millis(1_767_225_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_present_is_new_year_2026() {
        assert_eq!(
            ManualClock::default().now().to_string(),
            "2026-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn it_saturates_at_both_ends() {
        let clock = ManualClock::new(Timestamp::EPOCH);
        assert_eq!(clock.step_back(Duration::MAX), Timestamp::EPOCH);
        assert_eq!(clock.advance(Duration::MAX), Timestamp::MAX);
    }
}
