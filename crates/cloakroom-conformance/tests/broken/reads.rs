use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::{
    Clock, CreateOutcome, Owner, Page, Record, SaveOutcome, SessionId, SessionStore, Stamp,
    SystemClock, Timestamp,
};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage};

pub(crate) struct Truncated;

impl Sabotage for Truncated {
    async fn load(&self, store: &MemoryStore, id: SessionId) -> Answer<Option<Record>> {
        let mut record = store.load(id).await?;
        if let Some(record) = &mut record {
            record.body.truncate(65_535);
        }
        Ok(record)
    }
}

/// Keeps unsigned numbers in a signed column.
pub(crate) struct Signed;

impl Sabotage for Signed {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        let mut record = record.clone();
        record.stamp.version = record.stamp.version.min(i64::MAX.cast_unsigned());
        record.stamp.nonce = record.stamp.nonce.min(i64::MAX.cast_unsigned());
        store.create(id, &record).await
    }
}

/// Keeps times in whole seconds.
pub(crate) struct Seconds;

impl Sabotage for Seconds {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        let seconds = |at: Timestamp| Timestamp::from_millis(at.as_millis() / 1_000 * 1_000);
        let mut record = record.clone();
        record.times.used_at = seconds(record.times.used_at);
        record.times.deadline = record.times.deadline.map(seconds);
        record.times.expires_at = record.times.expires_at.map(seconds);
        store.create(id, &record).await
    }
}

/// Decides liveness itself.
pub(crate) struct HidesOverdue;

impl HidesOverdue {
    async fn visible(store: &MemoryStore, id: SessionId) -> Answer<Option<Record>> {
        let now = SystemClock::default().now();
        let record = store.load(id).await?;
        Ok(record.filter(|record| !record.times.is_due(now)))
    }
}

impl Sabotage for HidesOverdue {
    async fn load(&self, store: &MemoryStore, id: SessionId) -> Answer<Option<Record>> {
        Self::visible(store, id).await
    }

    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match Self::visible(store, id).await? {
            Some(_) => store.save(id, record, expected).await,
            None => Ok(SaveOutcome::Gone),
        }
    }
}

/// Too many at once: there is no such session.
#[derive(Default)]
pub(crate) struct BusyIsAbsent(AtomicUsize);

impl Sabotage for BusyIsAbsent {
    async fn load(&self, store: &MemoryStore, id: SessionId) -> Answer<Option<Record>> {
        let others = self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.0.fetch_sub(1, Ordering::SeqCst);
        if others > 0 {
            return Ok(None);
        }
        store.load(id).await
    }
}

/// One connection, on which a dropped read leaves its reply.
#[derive(Default)]
pub(crate) struct UnreadReply(Mutex<Vec<Option<Record>>>);

impl Sabotage for UnreadReply {
    async fn load(&self, store: &MemoryStore, id: SessionId) -> Answer<Option<Record>> {
        let reply = store.load(id).await?;
        self.0.lock().unwrap().insert(0, reply);
        tokio::task::yield_now().await;
        Ok(self.0.lock().unwrap().pop().flatten())
    }
}

/// An index that is written before the record, and not put right when the record is refused.
#[derive(Default)]
pub(crate) struct ForgetfulIndex(Mutex<BTreeMap<SessionId, Option<Owner>>>);

impl Sabotage for ForgetfulIndex {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        self.0.lock().unwrap().insert(id, record.owner.clone());
        store.create(id, record).await
    }

    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        self.0.lock().unwrap().insert(id, record.owner.clone());
        store.save(id, record, expected).await
    }

    async fn owned_by(&self, _: &MemoryStore, owner: &Owner, page: Page) -> Answer<Vec<SessionId>> {
        let index = self.0.lock().unwrap();
        let listed = index.iter().filter(|(id, of)| {
            of.as_ref() == Some(owner) && page.after.is_none_or(|after| **id > after)
        });
        Ok(listed.map(|(id, _)| *id).take(page.limit).collect())
    }
}
