use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloakroom_core::Timestamp;
use serde::Serialize;

use crate::record::Head;

/// How long the sessions lasted that this node has ended, or whose time-out it has reported: from
/// their creation to their end, which for a time-out is the deadline.
///
/// A session is counted by the one node that ends it. Times are in milliseconds, rounded down. These
/// are Jetty's `sessionTimeTotal`, `sessionTimeMean`, `sessionTimeMax` and `sessionTimeStdDev`, which
/// are in seconds there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionTimeStats {
    /// Sessions whose time was taken. A record that cannot be decoded does not say since when it
    /// existed, and is left out.
    pub count: u64,
    /// The sum of their times.
    pub total_ms: u64,
    /// Their mean; 0 without any.
    pub mean_ms: u64,
    /// The longest.
    pub max_ms: u64,
    /// The standard deviation of the sample; 0 with fewer than two.
    pub std_dev_ms: u64,
}

/// The times so far, by Welford's method: a sum of squares would lose the small differences between
/// long times.
#[derive(Debug, Default)]
pub(crate) struct Lasted(Mutex<Moments>);

#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    total: u64,
    max: u64,
    mean: f64,
    /// The sum of the squares of the differences from the mean.
    squares: f64,
}

impl Lasted {
    /// A session with this head has ended at `end`.
    pub(crate) fn note(&self, head: &[u8], end: Timestamp) {
        if let Ok(head) = Head::decode(head) {
            self.add(end.since(head.created_at));
        }
    }

    fn add(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut moments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moments.count += 1;
        moments.total = moments.total.saturating_add(millis);
        moments.max = moments.max.max(millis);
        let time = float(millis);
        let from_old = time - moments.mean;
        moments.mean += from_old / float(moments.count);
        moments.squares += from_old * (time - moments.mean);
    }

    pub(crate) fn report(&self) -> SessionTimeStats {
        let moments = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let variance = match moments.count {
            0 | 1 => 0.0,
            count => moments.squares / float(count - 1),
        };
        SessionTimeStats {
            count: moments.count,
            total_ms: moments.total,
            mean_ms: moments.total.checked_div(moments.count).unwrap_or(0),
            max_ms: moments.max,
            std_dev_ms: whole(variance.sqrt()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds and counts are exact as floats for 285,000 years"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded down on purpose; the root of a sum of squares is not negative"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[u64]) -> SessionTimeStats {
        let lasted = Lasted::default();
        for time in times {
            lasted.add(Duration::from_millis(*time));
        }
        lasted.report()
    }

    #[test]
    fn the_moments_are_those_of_the_sample() {
        assert_eq!(of(&[]), SessionTimeStats::default());
        let one = of(&[5_000]);
        assert_eq!((one.mean_ms, one.max_ms, one.std_dev_ms), (5_000, 5_000, 0));
        let some = of(&[2_000, 4_000, 4_000, 4_000, 5_000, 5_000, 7_000, 9_000]);
        assert_eq!((some.count, some.total_ms), (8, 40_000));
        assert_eq!((some.mean_ms, some.max_ms), (5_000, 9_000));
        // The root of 32,000,000 / 7.
        assert_eq!(some.std_dev_ms, 2_138);
    }

    #[test]
    fn long_times_keep_their_small_differences() {
        let century = 3_155_760_000_000;
        let close = of(&[century, century + 10, century + 20]);
        assert_eq!((close.mean_ms, close.std_dev_ms), (century + 10, 10));
        assert_eq!(of(&[u64::MAX, u64::MAX]).total_ms, u64::MAX, "saturates");
    }

    #[test]
    fn a_head_that_cannot_be_read_is_left_out() {
        let lasted = Lasted::default();
        lasted.note(&[0xff], Timestamp::MAX);
        assert_eq!(lasted.report().count, 0);
    }
}
