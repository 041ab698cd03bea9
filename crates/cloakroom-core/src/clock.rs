use std::fmt;

use crate::Timestamp;

/// Where the present comes from.
///
/// Every decision about time takes `now` as an argument; the session layer asks its clock at the
/// edges only. Tests inject their own; see `ManualClock` in `cloakroom-conformance`.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock, the default.
///
/// ```
/// use cloakroom_core::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock::default().now() > Timestamp::EPOCH);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        std::time::SystemTime::now().into()
    }
}
