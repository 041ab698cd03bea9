use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Owner, Page, SessionId};
use foldhash::fast::RandomState;

const SHARDS: usize = 16;

/// Who owns what: exactly the owners of the rows. Flat sets of pairs, since most owners have one
/// session, and a set of their own each would cost more than the session.
#[derive(Debug, Default)]
pub(crate) struct OwnerIndex {
    hasher: RandomState,
    shards: [Mutex<BTreeSet<(Owner, SessionId)>>; SHARDS],
}

impl OwnerIndex {
    /// Called under the row's lock, whenever its owner may have changed.
    pub(crate) fn note(&self, id: SessionId, before: Option<&Owner>, after: Option<&Owner>) {
        if before == after {
            return;
        }
        if let Some(owner) = after {
            self.shard(owner).insert((owner.clone(), id));
        }
        if let Some(owner) = before {
            self.shard(owner).remove(&(owner.clone(), id));
        }
    }

    pub(crate) fn page(&self, owner: &Owner, page: Page) -> Vec<SessionId> {
        let start = match page.after {
            Some(after) => Bound::Excluded((owner.clone(), after)),
            None => Bound::Included((owner.clone(), SessionId::from_bytes([0; 16]))),
        };
        let end = Bound::Included((owner.clone(), SessionId::from_bytes([0xff; 16])));
        if page.after == Some(SessionId::from_bytes([0xff; 16])) {
            return Vec::new();
        }
        self.shard(owner)
            .range((start, end))
            .take(page.limit)
            .map(|(_, id)| *id)
            .collect()
    }

    fn shard(&self, owner: &Owner) -> MutexGuard<'_, BTreeSet<(Owner, SessionId)>> {
        let hash = self.hasher.hash_one(owner).to_le_bytes();
        let [first, ..] = hash;
        self.shards
            .get(usize::from(first) % SHARDS)
            .expect("the remainder is below the number of shards")
            .lock()
            // Nothing under this lock can leave the set half changed.
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let count = |shard: &Mutex<BTreeSet<_>>| shard.lock().unwrap().len();
        self.shards.iter().map(count).sum()
    }
}
