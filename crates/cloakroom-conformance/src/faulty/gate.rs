use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Where calls are held; see [`Faults::hold`](crate::Faults::hold).
///
/// Dropping the gate opens it.
#[derive(Debug)]
#[must_use = "dropping the gate opens it"]
pub struct Gate(pub(super) Turnstile);

impl Gate {
    /// Completes as soon as `calls` calls have come to this gate, those let through included.
    ///
    /// # Panics
    ///
    /// Never: the gate keeps its own channel open.
    pub async fn arrived(&self, calls: usize) {
        self.0
            .arrived
            .subscribe()
            .wait_for(|arrived| *arrived >= calls)
            .await
            .expect("the sender is in this gate");
    }

    /// How many calls have come so far.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.arrived.borrow()
    }

    /// Lets one call through: the one that waits longest, or the next to come.
    pub fn release_one(&self) {
        self.0.permits.add_permits(1);
    }

    /// Opens the gate for good.
    pub fn release(&self) {
        self.0.open();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// The shared half. A semaphore lets callers through in their order, forgets those who were dropped
/// while they waited, and a closed one lets all through.
#[derive(Clone, Debug)]
pub(super) struct Turnstile {
    arrived: watch::Sender<usize>,
    permits: Arc<Semaphore>,
}

impl Turnstile {
    pub(super) fn new() -> Self {
        Self {
            arrived: watch::Sender::new(0),
            permits: Arc::new(Semaphore::new(0)),
        }
    }

    pub(super) fn open(&self) {
        self.permits.close();
    }

    pub(super) fn is_open(&self) -> bool {
        self.permits.is_closed()
    }

    pub(super) async fn pass(&self) {
        self.arrived.send_modify(|arrived| *arrived += 1);
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}
