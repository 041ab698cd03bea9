use std::fmt;
use std::sync::Arc;

use cloakroom_core::{
    Capabilities, Change, ChangeFeed, CreateOutcome, Due, ImmediateStore, Owner, Page, Peek, Reach,
    Record, SaveOutcome, SessionId, SessionStore, Stamp, StoreError, Times, Timestamp,
    TouchOutcome,
};
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::due::{DueIndex, List};
use crate::feeds::Feeds;
use crate::owners::OwnerIndex;
use crate::row::Row;

/// A shard that grows copies its slots under its lock: with many shards that is a short while even
/// when there are millions of rows.
const SHARDS: usize = 128;

/// Sessions in the memory of this process. Clones are handles on the same store.
///
/// Nothing here ever fails or waits. `create`, `load`, `peek`, `save`, `touch` and `end` are ready
/// at once; `expire` and `purge` look at a few rows at a time and let other tasks go in between.
///
/// Its change feed makes the first manager its sole user, who then hears nothing, as every change
/// is its own. While a second feed lives, all of them hear of every change.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

pub(crate) struct Inner {
    /// The rows are boxed so that the free slots of the map cost little.
    pub(crate) rows: DashMap<SessionId, Box<Row>, RandomState>,
    pub(crate) due: DueIndex,
    owners: OwnerIndex,
    pub(crate) feeds: Feeds,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            rows: DashMap::with_capacity_and_hasher_and_shard_amount(
                0,
                RandomState::default(),
                SHARDS,
            ),
            due: DueIndex::default(),
            owners: OwnerIndex::default(),
            feeds: Feeds::default(),
        }
    }
}

impl Inner {
    /// Replaces a row and moves its entries in the indexes. The row's lock is held by the caller.
    pub(crate) fn replace(&self, id: SessionId, row: &mut Row, record: &Record) {
        self.owners.note(id, row.owner(), record.owner.as_ref());
        row.replace(record);
        self.due.note(id, row);
    }

    /// Removes the row's entries in the indexes. The row's lock is held by the caller.
    pub(crate) fn clear(&self, id: SessionId, row: &mut Row) {
        self.owners.note(id, row.owner(), None);
        self.due.forget(id, row);
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of rows, live and ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.rows.is_empty()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl ImmediateStore for MemoryStore {
    fn create_now(&self, id: SessionId, record: &Record) -> CreateOutcome {
        let store = &*self.0;
        // Built before the lock is taken: an id that exists is the rare case.
        let row = Box::new(Row::new(record));
        match store.rows.entry(id) {
            Entry::Occupied(entry) => CreateOutcome::Exists(entry.get().stamp()),
            Entry::Vacant(entry) => {
                let mut row = entry.insert(row);
                store.owners.note(id, None, record.owner.as_ref());
                store.due.note(id, &mut row);
                let stamp = record.stamp;
                store.feeds.tell(Change::Saved { id, stamp });
                CreateOutcome::Created
            }
        }
    }

    fn save_now(&self, id: SessionId, record: &Record, expected: Stamp) -> SaveOutcome {
        let store = &*self.0;
        let Some(mut row) = store.rows.get_mut(&id) else {
            return SaveOutcome::Gone;
        };
        if !row.is_live() {
            return SaveOutcome::Ended(row.record());
        }
        if row.stamp() != expected {
            return SaveOutcome::Conflict(row.record());
        }
        store.replace(id, &mut row, record);
        let stamp = record.stamp;
        store.feeds.tell(Change::Saved { id, stamp });
        SaveOutcome::Saved
    }
}

impl SessionStore for MemoryStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        Ok(self.create_now(id, record))
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        Ok(self.0.rows.get(&id).map(|row| row.record()))
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        Ok(self.0.rows.get(&id).map(|row| Peek {
            stamp: row.stamp(),
            state: row.state(),
            deadline: row.times().deadline,
        }))
    }

    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        Ok(self.save_now(id, record, expected))
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        let store = &*self.0;
        let Some(mut row) = store.rows.get_mut(&id) else {
            return Ok(TouchOutcome::Gone);
        };
        if !row.is_live() {
            return Ok(TouchOutcome::Ended);
        }
        if row.stamp() != expected {
            return Ok(TouchOutcome::Moved(row.stamp()));
        }
        // Forward only: the index's entry can only become too early, which it may be.
        let forward = row.times().forward(times);
        row.set_times(forward);
        // Except where a deadline gives way to `never`, and the other list takes over.
        store.due.note(id, &mut row);
        Ok(TouchOutcome::Touched)
    }

    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        let store = &*self.0;
        let Entry::Occupied(mut entry) = store.rows.entry(id) else {
            return Ok(None);
        };
        if !entry.get().is_live() {
            if tombstone.is_none() {
                store.clear(id, entry.get_mut());
                entry.remove();
            }
            return Ok(None);
        }
        let record = entry.get().record();
        store.feeds.tell(Change::Ended { id });
        if let Some(tombstone) = tombstone {
            store.replace(id, entry.get_mut(), tombstone);
        } else {
            store.clear(id, entry.get_mut());
            entry.remove();
        }
        Ok(Some(record))
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let found;
        let ids = match due {
            Due::Limit(limit) => {
                found = self.0.find_due(now, limit).await;
                &found
            }
            Due::Ids(ids) => ids,
        };
        let end = |id: &SessionId| Some((*id, self.0.expire_one(now, *id)?));
        Ok(ids.iter().filter_map(end).collect())
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let purged = self.0.purge_list(List::Forget, now, limit).await;
        // Live rows may be past `expires_at` too, if nobody called `expire` for so long.
        let rest = limit - purged;
        Ok(purged + self.0.purge_list(List::Deadline, now, rest).await)
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.0.owners.page(owner, page))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            exclusive: true,
            reach: Reach::Changes,
            ..Capabilities::default()
        }
    }

    fn changes(&self) -> Option<ChangeFeed> {
        Some(self.0.feeds.subscribe())
    }

    fn immediate(&self) -> Option<&dyn ImmediateStore> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use cloakroom_core::State;

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn id(n: u64) -> SessionId {
        SessionId::from_parts(at(n), [0; 10])
    }

    fn record(deadline: u64) -> Record {
        let times = Times {
            used_at: at(0),
            deadline: Some(at(deadline)),
            expires_at: Some(at(deadline + 10)),
        };
        let owner = Owner::new("ada").unwrap();
        Record::from_stored(
            Stamp::first(),
            State::Live,
            Some(owner),
            times,
            vec![1],
            vec![1],
        )
    }

    #[tokio::test]
    async fn the_indexes_hold_nothing_of_rows_that_are_gone() {
        let store = MemoryStore::new();
        for n in 0..1_000 {
            store.create(id(n), &record(n)).await.unwrap();
        }
        for n in 0..300 {
            let old = store.load(id(n)).await.unwrap().unwrap();
            let mut new = record(if n % 2 == 0 { 5_000 } else { 1 });
            new.stamp = old.stamp.next();
            new.owner = None;
            let saved = store.save(id(n), &new, old.stamp).await.unwrap();
            assert_eq!(saved, SaveOutcome::Saved);
        }
        for n in 200..500 {
            let tombstone = store.load(id(n)).await.unwrap().unwrap().timed_out();
            let keep = (n % 3 != 0).then_some(&tombstone);
            store.end(id(n), keep).await.unwrap().unwrap();
        }
        assert_eq!(store.0.due.len(), store.len());
        assert_eq!(store.0.owners.len(), 500);
        let ended = store.expire(at(6_000), Due::Limit(400)).await.unwrap();
        assert_eq!(ended.len(), 400);
        while store.purge(at(6_000), 64).await.unwrap() > 0 {}
        assert!(store.is_empty());
        assert_eq!((store.0.due.len(), store.0.owners.len()), (0, 0));
    }

    #[tokio::test]
    async fn what_moved_later_is_not_due_at_its_old_time_and_is_at_its_new_one() {
        let store = MemoryStore::new();
        for n in 0..200 {
            let first = record(100);
            store.create(id(n), &first).await.unwrap();
            let times = record(1_000).times;
            store.touch(id(n), first.stamp, times).await.unwrap();
        }
        assert!(
            store
                .expire(at(999), Due::Limit(500))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(store.purge(at(999), 500).await.unwrap(), 0);
        assert_eq!(
            store
                .expire(at(1_000), Due::Limit(500))
                .await
                .unwrap()
                .len(),
            200
        );
    }

    #[tokio::test]
    async fn a_long_search_lets_others_go_first_and_swallows_nothing_when_dropped() {
        let store = MemoryStore::new();
        for n in 0..5_000 {
            store.create(id(n), &record(1)).await.unwrap();
        }
        {
            let mut expire = pin!(store.expire(at(1), Due::Limit(5_000)));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(expire.as_mut().poll(&mut cx), Poll::Pending));
        }
        let ended = store.expire(at(1), Due::Limit(5_000)).await.unwrap();
        assert_eq!(ended.len(), 5_000);
    }

    #[tokio::test]
    async fn a_sole_reader_is_told_nothing_and_loses_the_grant_for_good_to_a_second() {
        let store = MemoryStore::new();
        let mut first = store.changes().unwrap();
        let sole = first.sole();
        assert!(sole.get());
        assert_eq!(first.next().await, Some(Change::Live));
        store.create(id(1), &record(1)).await.unwrap();
        let second = store.changes().unwrap();
        assert!(!sole.get() && !second.sole().get());
        let other = record(1);
        store.create(id(2), &other).await.unwrap();
        let told = Change::Saved {
            id: id(2),
            stamp: other.stamp,
        };
        assert_eq!(first.next().await, Some(told));
        drop(second);
        store.end(id(2), None).await.unwrap();
        assert_eq!(first.next().await, Some(Change::Ended { id: id(2) }));
        assert!(!sole.get());
        drop(first);
        assert!(store.changes().unwrap().sole().get());
    }
}
