use std::sync::{Arc, Weak};

use cloakroom_core::{Change, ChangeFeed};

use crate::inner::Inner;

/// Follows the store's change feed until the store lets go of it.
pub(super) async fn follow(weak: Weak<Inner>, feed: Option<ChangeFeed>) {
    let Some(mut feed) = feed else { return };
    while let Some(change) = feed.next().await {
        let Some(inner) = weak.upgrade() else { return };
        hear(&inner, change);
    }
    if let Some(inner) = weak.upgrade() {
        inner.coherent.feed_is_lost();
    }
}

fn hear(inner: &Arc<Inner>, change: Change) {
    match change {
        Change::Live => inner.coherent.feed_is_live(),
        Change::Lost => {
            tracing::warn!("session change feed lost: copies are verified before use");
            inner.coherent.feed_is_lost();
        }
        Change::AllGone => inner.coherent.all_gone(),
        Change::Saved { id, stamp } => {
            inner.negative.forget_unknown(id);
            let news = inner
                .l1
                .find(id)
                .is_none_or(|resident| resident.notice(Some(stamp)));
            if news {
                inner.generations.raise(id);
            }
        }
        Change::Ended { id } => {
            if let Some(resident) = inner.l1.find(id) {
                resident.notice(None);
            }
            inner.generations.raise(id);
        }
    }
}
