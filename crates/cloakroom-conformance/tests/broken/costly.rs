use cloakroom_conformance::{Faults, FaultyStore, Op};
use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, Times, Timestamp, TouchOutcome,
};
use cloakroom_memory::MemoryStore;

use super::Answer;

/// Looks before it does one of the things, which is another round trip.
pub(crate) struct LooksFirst {
    store: FaultyStore<MemoryStore>,
    before: Option<Op>,
}

impl LooksFirst {
    /// `None`: before nothing. The second half counts its calls.
    pub(crate) fn before(before: Option<Op>) -> (Self, Faults) {
        let (store, faults) = FaultyStore::new(MemoryStore::new());
        (Self { store, before }, faults)
    }

    async fn look(&self, op: Op, id: SessionId) -> Answer<()> {
        if self.before == Some(op) {
            self.store.peek(id).await?;
            if matches!(op, Op::End) {
                // One more is allowed.
                self.store.peek(id).await?;
            }
        }
        Ok(())
    }
}

impl SessionStore for LooksFirst {
    async fn create(&self, id: SessionId, record: &Record) -> Answer<CreateOutcome> {
        self.look(Op::Create, id).await?;
        self.store.create(id, record).await
    }

    async fn load(&self, id: SessionId) -> Answer<Option<Record>> {
        self.look(Op::Load, id).await?;
        self.store.load(id).await
    }

    async fn peek(&self, id: SessionId) -> Answer<Option<Peek>> {
        self.look(Op::Peek, id).await?;
        self.store.peek(id).await
    }

    async fn save(&self, id: SessionId, record: &Record, expected: Stamp) -> Answer<SaveOutcome> {
        self.look(Op::Save, id).await?;
        self.store.save(id, record, expected).await
    }

    async fn touch(&self, id: SessionId, expected: Stamp, times: Times) -> Answer<TouchOutcome> {
        self.look(Op::Touch, id).await?;
        self.store.touch(id, expected, times).await
    }

    async fn end(&self, id: SessionId, tombstone: Option<&Record>) -> Answer<Option<Record>> {
        self.look(Op::End, id).await?;
        self.store.end(id, tombstone).await
    }

    async fn expire(&self, now: Timestamp, due: Due<'_>) -> Answer<Vec<(SessionId, Record)>> {
        self.store.expire(now, due).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Answer<usize> {
        self.store.purge(now, limit).await
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Answer<Vec<SessionId>> {
        self.store.owned_by(owner, page).await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn changes(&self) -> Option<ChangeFeed> {
        self.store.changes()
    }
}
