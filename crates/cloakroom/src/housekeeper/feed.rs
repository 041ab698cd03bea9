use std::sync::{Arc, Weak};

use cloakroom_core::{Change, ChangeFeed};

use crate::inner::Inner;

/// The version of a record that was created.
const FIRST: u64 = 1;

/// Follows the store's change feed until the store lets go of it.
pub(super) async fn follow(weak: Weak<Inner>, feed: Option<ChangeFeed>) {
    let Some(feed) = feed else { return };
    let mut held = Held { weak, feed };
    while let Some(change) = held.feed.next().await {
        let Some(inner) = held.weak.upgrade() else {
            return;
        };
        hear(&inner, change);
    }
}

/// A feed that is given up before it is dropped, however that comes: once the store has noticed
/// the drop it may take another manager for the only one.
struct Held {
    weak: Weak<Inner>,
    feed: ChangeFeed,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(inner) = self.weak.upgrade() {
            inner.coherent.feed_is_gone(inner.now());
        }
    }
}

fn hear(inner: &Arc<Inner>, change: Change) {
    match change {
        Change::Live => inner.coherent.feed_is_live(),
        Change::Lost => {
            tracing::warn!("session change feed lost: copies are verified before use");
            inner.coherent.feed_is_lost(inner.now());
        }
        Change::AllGone => inner.coherent.all_gone(),
        Change::Saved { id, stamp } => {
            inner.negative.forget_unknown(id);
            let is_news = || {
                match inner.l1.find(id) {
                    Some(resident) => resident.notice(Some(stamp)),
                    // A creation is no news to whoever holds no copy: nobody has the token yet, so
                    // no load is under way. Our own comes back before the copy is made.
                    None => stamp.version != FIRST,
                }
            };
            if is_news() {
                inner.generations.raise(id);
                // Once more: a fill that found the generation unmoved may have come between.
                is_news();
            }
        }
        Change::Ended { id } => {
            // In this order: see above.
            inner.generations.raise(id);
            if let Some(resident) = inner.l1.find(id) {
                resident.notice(None);
            }
        }
    }
}
