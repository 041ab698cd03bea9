//! Stores that break one rule each: the memory store with one method replaced.

mod costly;
mod ends;
mod expires;
mod feeds;
mod reads;
mod saves;
mod touches;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use cloakroom_memory::MemoryStore;

pub(crate) use self::costly::*;
pub(crate) use self::ends::*;
pub(crate) use self::expires::*;
pub(crate) use self::feeds::*;
pub(crate) use self::reads::*;
pub(crate) use self::saves::*;
pub(crate) use self::touches::*;

pub(crate) type Answer<T> = Result<T, StoreError>;

/// What is wrong; every method that is not replaced does the right thing.
pub(crate) trait Sabotage: Send + Sync + 'static {
    fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> impl Future<Output = Answer<CreateOutcome>> + Send {
        store.create(id, record)
    }

    fn load(
        &self,
        store: &MemoryStore,
        id: SessionId,
    ) -> impl Future<Output = Answer<Option<Record>>> + Send {
        store.load(id)
    }

    fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> impl Future<Output = Answer<SaveOutcome>> + Send {
        store.save(id, record, expected)
    }

    fn touch(
        &self,
        store: &MemoryStore,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> impl Future<Output = Answer<TouchOutcome>> + Send {
        store.touch(id, expected, times)
    }

    fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> impl Future<Output = Answer<Option<Record>>> + Send {
        store.end(id, tombstone)
    }

    fn expire(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        due: Due<'_>,
    ) -> impl Future<Output = Answer<Vec<(SessionId, Record)>>> + Send {
        store.expire(now, due)
    }

    fn purge(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Answer<usize>> + Send {
        store.purge(now, limit)
    }

    fn owned_by(
        &self,
        store: &MemoryStore,
        owner: &Owner,
        page: Page,
    ) -> impl Future<Output = Answer<Vec<SessionId>>> + Send {
        store.owned_by(owner, page)
    }

    fn changes(&self, store: &MemoryStore) -> Option<ChangeFeed> {
        store.changes()
    }
}

/// The memory store, sabotaged.
pub(crate) struct Broken<T> {
    store: MemoryStore,
    sabotage: T,
}

impl<T> Broken<T> {
    pub(crate) fn new(sabotage: T) -> Self {
        Self {
            store: MemoryStore::new(),
            sabotage,
        }
    }
}

impl<T: Sabotage> SessionStore for Broken<T> {
    async fn create(&self, id: SessionId, record: &Record) -> Answer<CreateOutcome> {
        self.sabotage.create(&self.store, id, record).await
    }

    async fn load(&self, id: SessionId) -> Answer<Option<Record>> {
        self.sabotage.load(&self.store, id).await
    }

    async fn peek(&self, id: SessionId) -> Answer<Option<Peek>> {
        self.store.peek(id).await
    }

    async fn save(&self, id: SessionId, record: &Record, expected: Stamp) -> Answer<SaveOutcome> {
        self.sabotage.save(&self.store, id, record, expected).await
    }

    async fn touch(&self, id: SessionId, expected: Stamp, times: Times) -> Answer<TouchOutcome> {
        self.sabotage.touch(&self.store, id, expected, times).await
    }

    async fn end(&self, id: SessionId, tombstone: Option<&Record>) -> Answer<Option<Record>> {
        self.sabotage.end(&self.store, id, tombstone).await
    }

    async fn expire(&self, now: Timestamp, due: Due<'_>) -> Answer<Vec<(SessionId, Record)>> {
        self.sabotage.expire(&self.store, now, due).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Answer<usize> {
        self.sabotage.purge(&self.store, now, limit).await
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Answer<Vec<SessionId>> {
        self.sabotage.owned_by(&self.store, owner, page).await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn changes(&self) -> Option<ChangeFeed> {
        self.sabotage.changes(&self.store)
    }
}

/// Writes the record whatever is there: live, ended or nothing.
async fn force(store: &MemoryStore, id: SessionId, record: &Record) {
    loop {
        let done = match store.peek(id).await.unwrap() {
            None => store.create(id, record).await.unwrap() == CreateOutcome::Created,
            Some(peek) => match store.save(id, record, peek.stamp).await.unwrap() {
                SaveOutcome::Saved => true,
                SaveOutcome::Ended(_) => {
                    // The only way to get rid of a tombstone takes the others along, which the
                    // cases that use this do not see.
                    store.purge(Timestamp::MAX, usize::MAX).await.unwrap();
                    false
                }
                SaveOutcome::Conflict(_) | SaveOutcome::Gone => false,
            },
        };
        if done {
            return;
        }
    }
}
