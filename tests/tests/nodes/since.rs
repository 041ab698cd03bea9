//! How long something took.

use std::time::{Duration, Instant};

/// A moment of the real clock: the servers under test live by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(Instant);

impl Since {
    #[expect(
        clippy::disallowed_methods,
        reason = "other processes are watched, which no clock of ours reaches"
    )]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_duration_since(self.0)
    }

    /// How much later this is.
    pub(crate) fn after(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}
