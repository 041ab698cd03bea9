//! The one file that reads the clock.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "nothing is decided by it: it measures"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
