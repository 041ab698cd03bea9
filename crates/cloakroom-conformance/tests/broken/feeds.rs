use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::{
    Change, ChangeFeed, ChangeSender, Record, SaveOutcome, SessionId, SessionStore, Stamp,
};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage};

/// A thousand notices, then none, and no word about it.
#[derive(Default)]
pub(crate) struct SilentFeed {
    senders: Mutex<Vec<ChangeSender>>,
    told: AtomicUsize,
}

impl SilentFeed {
    fn tell(&self, change: Change) {
        for sender in &*self.senders.lock().unwrap() {
            sender.send(change).unwrap();
        }
    }
}

impl Sabotage for SilentFeed {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let outcome = store.save(id, record, expected).await?;
        if self.told.fetch_add(1, Ordering::SeqCst) < 1_000 {
            let stamp = record.stamp;
            self.tell(Change::Saved { id, stamp });
        }
        Ok(outcome)
    }

    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        let ended = store.end(id, tombstone).await?;
        self.tell(Change::Ended { id });
        Ok(ended)
    }

    fn changes(&self, _: &MemoryStore) -> Option<ChangeFeed> {
        let (sender, feed) = ChangeFeed::channel(4_096);
        sender.send(Change::Live).unwrap();
        self.senders.lock().unwrap().push(sender);
        Some(feed)
    }
}

/// Tells endings, and keeps new secrets to itself.
#[derive(Default)]
pub(crate) struct DiscreetFeed(SilentFeed);

impl Sabotage for DiscreetFeed {
    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        self.0.end(store, id, tombstone).await
    }

    fn changes(&self, store: &MemoryStore) -> Option<ChangeFeed> {
        self.0.changes(store)
    }
}

/// Speaks of changes before it is subscribed.
pub(crate) struct HastyFeed;

impl Sabotage for HastyFeed {
    fn changes(&self, _: &MemoryStore) -> Option<ChangeFeed> {
        let (sender, feed) = ChangeFeed::channel(4);
        let id = SessionId::from_bytes([1; 16]);
        sender.send(Change::Ended { id }).unwrap();
        sender.send(Change::Live).unwrap();
        Some(feed)
    }
}

/// Looks whether anybody listens, and writes afterwards.
#[derive(Default)]
pub(crate) struct ForgetfulGrant {
    senders: Mutex<Vec<ChangeSender>>,
}

impl Sabotage for ForgetfulGrant {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let listening = self.senders.lock().unwrap().clone();
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        let outcome = store.save(id, record, expected).await?;
        let stamp = record.stamp;
        for sender in listening.iter().skip(1) {
            sender.send(Change::Saved { id, stamp }).ok();
        }
        Ok(outcome)
    }

    fn changes(&self, _: &MemoryStore) -> Option<ChangeFeed> {
        let (sender, feed) = ChangeFeed::channel(4_096);
        sender.send(Change::Live).unwrap();
        let mut senders = self.senders.lock().unwrap();
        senders.retain(|sender| !sender.is_closed());
        senders.push(sender);
        Some(feed)
    }
}
