use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use cloakroom_core::{Change, ChangeFeed, ChangeSender};

/// How many notices a reader may be behind before it hears `Lost`.
const CAPACITY: usize = 4_096;

/// Those who read the change feed.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    /// Whether there is anybody to tell. A sole reader is told nothing: it makes every change
    /// itself.
    shared: AtomicBool,
    senders: RwLock<Vec<ChangeSender>>,
}

impl Feeds {
    pub(crate) fn subscribe(&self) -> ChangeFeed {
        let (sender, feed) = ChangeFeed::channel(CAPACITY);
        let mut senders = self.senders.write().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|sender| !sender.is_closed());
        if senders.is_empty() {
            self.shared.store(false, Ordering::Relaxed);
            sender.set_sole(true);
        } else {
            // Before the newcomer can read or write anything.
            self.shared.store(true, Ordering::Relaxed);
            for other in &*senders {
                other.set_sole(false);
            }
        }
        sender
            .send(Change::Live)
            .expect("the reader is in this function");
        senders.push(sender);
        feed
    }

    /// Called under the lock of the row that is changed. So notices of one row keep the order of its
    /// writes, and a newcomer either finds the change in the row or is told: if it read the row
    /// before this write, that read's lock made its flag visible here.
    pub(crate) fn tell(&self, change: Change) {
        if self.shared.load(Ordering::Relaxed) {
            self.tell_all(change);
        }
    }

    #[cold]
    fn tell_all(&self, change: Change) {
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        let gone = senders
            .iter()
            .filter(|sender| sender.send(change).is_err())
            .count();
        drop(senders);
        if gone > 0 {
            self.senders
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|sender| !sender.is_closed());
        }
    }
}
