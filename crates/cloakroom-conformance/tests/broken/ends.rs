use cloakroom_core::{Record, SessionId, SessionStore, State};
use cloakroom_memory::MemoryStore;

use super::{Answer, Sabotage, force};

/// Ends only what the caller has seen.
pub(crate) struct PoliteEnd;

impl Sabotage for PoliteEnd {
    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        let stored = store.peek(id).await?.map(|peek| peek.stamp.version + 1);
        if tombstone.is_some_and(|tombstone| Some(tombstone.stamp.version) != stored) {
            return Ok(None);
        }
        store.end(id, tombstone).await
    }
}

pub(crate) struct LastEndWins;

impl Sabotage for LastEndWins {
    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        let ended = store.end(id, tombstone).await?;
        if let Some(tombstone) = tombstone
            && ended.is_none()
            && store.load(id).await?.is_some()
        {
            force(store, id, tombstone).await;
        }
        Ok(ended)
    }
}

/// Keeps every tombstone until its time has come.
pub(crate) struct NothingForgotten;

impl Sabotage for NothingForgotten {
    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        let peek = store.peek(id).await?;
        if peek.is_some_and(|peek| peek.state == State::Ended) {
            return Ok(None);
        }
        store.end(id, tombstone).await
    }
}

pub(crate) struct SilentEnd;

impl Sabotage for SilentEnd {
    async fn end(
        &self,
        store: &MemoryStore,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Answer<Option<Record>> {
        store.end(id, tombstone).await?;
        Ok(None)
    }
}
