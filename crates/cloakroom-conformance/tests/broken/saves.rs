use cloakroom_core::{CreateOutcome, Record, SaveOutcome, SessionId, SessionStore, Stamp};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage, force};

pub(crate) struct UpsertingCreate;

impl Sabotage for UpsertingCreate {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        force(store, id, record).await;
        Ok(CreateOutcome::Created)
    }
}

pub(crate) struct RevivingCreate;

impl Sabotage for RevivingCreate {
    async fn create(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
    ) -> Answer<CreateOutcome> {
        let live = |record: Record| record.state == cloakroom_core::State::Live;
        if store.load(id).await?.is_none_or(|record| !live(record)) {
            force(store, id, record).await;
            return Ok(CreateOutcome::Created);
        }
        store.create(id, record).await
    }
}

pub(crate) struct ResurrectingSave;

impl Sabotage for ResurrectingSave {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match store.save(id, record, expected).await? {
            SaveOutcome::Gone => {
                store.create(id, record).await?;
                Ok(SaveOutcome::Saved)
            }
            outcome => Ok(outcome),
        }
    }
}

pub(crate) struct SaveOverTombstones;

impl Sabotage for SaveOverTombstones {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match store.save(id, record, expected).await? {
            SaveOutcome::Ended(_) => {
                force(store, id, record).await;
                Ok(SaveOutcome::Saved)
            }
            outcome => Ok(outcome),
        }
    }
}

pub(crate) struct BlindSave;

impl Sabotage for BlindSave {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        _: Stamp,
    ) -> Answer<SaveOutcome> {
        force(store, id, record).await;
        Ok(SaveOutcome::Saved)
    }
}

pub(crate) struct CheckThenSave;

impl Sabotage for CheckThenSave {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match store.load(id).await? {
            Some(current) if current.stamp == expected => {
                tokio::task::yield_now().await;
                force(store, id, record).await;
                Ok(SaveOutcome::Saved)
            }
            _ => store.save(id, record, expected).await,
        }
    }
}

pub(crate) struct VersionOnly;

impl Sabotage for VersionOnly {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let stored = store.peek(id).await?.map(|peek| peek.stamp);
        let same = stored.filter(|stamp| stamp.version == expected.version);
        store.save(id, record, same.unwrap_or(expected)).await
    }
}

pub(crate) struct RisingVersions;

impl Sabotage for RisingVersions {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match store.load(id).await? {
            Some(current) if current.stamp.version >= record.stamp.version => {
                Ok(SaveOutcome::Conflict(current))
            }
            _ => store.save(id, record, expected).await,
        }
    }
}

pub(crate) struct StaleConflict;

impl Sabotage for StaleConflict {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        match store.save(id, record, expected).await? {
            SaveOutcome::Conflict(mut current) => {
                current.stamp = expected;
                Ok(SaveOutcome::Conflict(current))
            }
            outcome => Ok(outcome),
        }
    }
}

pub(crate) struct ForwardOnlySave;

impl Sabotage for ForwardOnlySave {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let mut record = record.clone();
        if let Some(current) = store.load(id).await? {
            record.times = current.times.forward(record.times);
        }
        store.save(id, &record, expected).await
    }
}

/// Sound: heeds a save that leaves the times, which the store inside does not.
pub(crate) struct TimesLeft;

impl Sabotage for TimesLeft {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let mut record = record.clone();
        if record.leaves_times
            && let Some(current) = store.load(id).await?
        {
            record.times = current.times;
        }
        store.save(id, &record, expected).await
    }
}

/// Head and owner first, the body in a second step.
pub(crate) struct HalfSave;

impl Sabotage for HalfSave {
    async fn save(
        &self,
        store: &MemoryStore,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Answer<SaveOutcome> {
        let mut half = record.clone();
        if let Some(current) = store.load(id).await? {
            half.body = current.body;
        }
        let outcome = store.save(id, &half, expected).await?;
        if outcome == SaveOutcome::Saved {
            tokio::task::yield_now().await;
            store.save(id, record, half.stamp).await?;
        }
        Ok(outcome)
    }
}
