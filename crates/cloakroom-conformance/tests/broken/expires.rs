use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use cloakroom_core::{
    CreateOutcome, Due, Record, SessionId, SessionStore, State, Times, Timestamp,
};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage};

/// An index over the times that a row was created with, which nobody keeps up to date.
#[derive(Default)]
struct StaleIndex(Mutex<HashMap<SessionId, Times>>);

impl StaleIndex {
    fn note(&self, id: SessionId, times: Times) {
        self.0.lock().unwrap().insert(id, times);
    }

    fn select(&self, wanted: impl Fn(SessionId, Times) -> bool) -> Vec<SessionId> {
        let index = self.0.lock().unwrap();
        let hits = index.iter().filter(|(id, times)| wanted(**id, **times));
        hits.map(|(id, _)| *id).collect()
    }
}

/// Selects, then ends what it has selected.
#[derive(Default)]
pub(crate) struct ExpireBlind(StaleIndex);

impl Sabotage for ExpireBlind {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        self.0.note(id, record.times);
        store.create(id, record).await
    }

    async fn expire(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        due: Due<'_>,
    ) -> Answer<Vec<(SessionId, Record)>> {
        let asked = |id| match due {
            Due::Ids(ids) => ids.contains(&id),
            Due::Limit(_) => true,
        };
        let selected = self.0.select(|id, times| asked(id) && times.is_due(now));
        tokio::task::yield_now().await;
        let mut ended = Vec::new();
        for id in selected {
            if let Some(record) = store.load(id).await?.filter(|r| r.state == State::Live) {
                store.end(id, Some(&record.timed_out())).await?;
                ended.push((id, record));
            }
        }
        Ok(ended)
    }
}

/// Selects, then removes what it has selected.
#[derive(Default)]
pub(crate) struct PurgeBlind(StaleIndex);

impl Sabotage for PurgeBlind {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        self.0.note(id, record.times);
        store.create(id, record).await
    }

    async fn purge(&self, store: &MemoryStore, now: Timestamp, limit: usize) -> Answer<usize> {
        let selected = self.0.select(|_, times| times.is_expired(now));
        tokio::task::yield_now().await;
        let mut purged = 0;
        for id in selected.into_iter().take(limit) {
            purged += usize::from(store.end(id, None).await?.is_some());
        }
        Ok(purged)
    }
}

/// Returns what it found due, whoever ended it.
pub(crate) struct ExpireTwice;

impl Sabotage for ExpireTwice {
    async fn expire(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        due: Due<'_>,
    ) -> Answer<Vec<(SessionId, Record)>> {
        let Due::Ids(ids) = due else {
            return store.expire(now, due).await;
        };
        let mut found = Vec::new();
        for id in ids {
            let record = store.load(*id).await?;
            found.extend(
                record
                    .filter(|r| r.state == State::Live && r.times.is_due(now))
                    .map(|r| (*id, r)),
            );
            tokio::task::yield_now().await;
        }
        store.expire(now, due).await?;
        Ok(found)
    }
}

pub(crate) struct ExpireEarly;

impl Sabotage for ExpireEarly {
    async fn expire(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        due: Due<'_>,
    ) -> Answer<Vec<(SessionId, Record)>> {
        store.expire(now + Duration::from_millis(1), due).await
    }
}

pub(crate) struct ExpireAll;

impl Sabotage for ExpireAll {
    async fn expire(
        &self,
        store: &MemoryStore,
        now: Timestamp,
        due: Due<'_>,
    ) -> Answer<Vec<(SessionId, Record)>> {
        let all = match due {
            Due::Limit(_) => Due::Limit(usize::MAX),
            ids @ Due::Ids(_) => ids,
        };
        store.expire(now, all).await
    }
}

/// Takes what has ended for what may be forgotten.
pub(crate) struct PurgeByDeadline;

impl Sabotage for PurgeByDeadline {
    async fn purge(&self, store: &MemoryStore, now: Timestamp, _: usize) -> Answer<usize> {
        let ended = store.expire(now, Due::Limit(usize::MAX)).await?;
        store.purge(Timestamp::MAX, ended.len()).await
    }
}
