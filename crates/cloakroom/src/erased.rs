//! The dyn twin of [`SessionStore`], and the time limit on every call to it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, ImmediateStore, Owner, Page, Peek, Record,
    SaveOutcome, SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use tokio::time::Sleep;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

trait DynStore: Send + Sync {
    fn create<'a>(&'a self, id: SessionId, record: &'a Record) -> Answer<'a, CreateOutcome>;
    fn load(&self, id: SessionId) -> Answer<'_, Option<Record>>;
    fn peek(&self, id: SessionId) -> Answer<'_, Option<Peek>>;
    fn save<'a>(&'a self, id: SessionId, record: &'a Record, to: Stamp) -> Answer<'a, SaveOutcome>;
    fn touch(&self, id: SessionId, expected: Stamp, times: Times) -> Answer<'_, TouchOutcome>;
    fn end<'a>(&'a self, id: SessionId, with: Option<&'a Record>) -> Answer<'a, Option<Record>>;
    fn expire<'a>(&'a self, now: Timestamp, due: Due<'a>) -> Answer<'a, Vec<(SessionId, Record)>>;
    fn purge(&self, now: Timestamp, limit: usize) -> Answer<'_, usize>;
    fn owned_by<'a>(&'a self, owner: &'a Owner, page: Page) -> Answer<'a, Vec<SessionId>>;
    fn capabilities(&self) -> Capabilities;
    fn changes(&self) -> Option<ChangeFeed>;
    fn immediate(&self) -> Option<&dyn ImmediateStore>;
}

impl<S: SessionStore> DynStore for S {
    fn create<'a>(&'a self, id: SessionId, record: &'a Record) -> Answer<'a, CreateOutcome> {
        Box::pin(SessionStore::create(self, id, record))
    }
    fn load(&self, id: SessionId) -> Answer<'_, Option<Record>> {
        Box::pin(SessionStore::load(self, id))
    }
    fn peek(&self, id: SessionId) -> Answer<'_, Option<Peek>> {
        Box::pin(SessionStore::peek(self, id))
    }
    fn save<'a>(&'a self, id: SessionId, record: &'a Record, to: Stamp) -> Answer<'a, SaveOutcome> {
        Box::pin(SessionStore::save(self, id, record, to))
    }
    fn touch(&self, id: SessionId, expected: Stamp, times: Times) -> Answer<'_, TouchOutcome> {
        Box::pin(SessionStore::touch(self, id, expected, times))
    }
    fn end<'a>(&'a self, id: SessionId, with: Option<&'a Record>) -> Answer<'a, Option<Record>> {
        Box::pin(SessionStore::end(self, id, with))
    }
    fn expire<'a>(&'a self, now: Timestamp, due: Due<'a>) -> Answer<'a, Vec<(SessionId, Record)>> {
        Box::pin(SessionStore::expire(self, now, due))
    }
    fn purge(&self, now: Timestamp, limit: usize) -> Answer<'_, usize> {
        Box::pin(SessionStore::purge(self, now, limit))
    }
    fn owned_by<'a>(&'a self, owner: &'a Owner, page: Page) -> Answer<'a, Vec<SessionId>> {
        Box::pin(SessionStore::owned_by(self, owner, page))
    }
    fn capabilities(&self) -> Capabilities {
        SessionStore::capabilities(self)
    }
    fn changes(&self) -> Option<ChangeFeed> {
        SessionStore::changes(self)
    }
    fn immediate(&self) -> Option<&dyn ImmediateStore> {
        SessionStore::immediate(self)
    }
}

/// A store without its type, each of whose answers comes within a time limit or is `Unavailable`.
pub(crate) struct Store {
    inner: Box<dyn DynStore>,
    timeout: Duration,
}

impl Store {
    pub(crate) fn new(store: impl SessionStore, timeout: Duration) -> Self {
        Self {
            inner: Box::new(store),
            timeout,
        }
    }

    pub(crate) fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    pub(crate) fn changes(&self) -> Option<ChangeFeed> {
        self.inner.changes()
    }

    /// Its writes as plain calls, if it is a store that never waits.
    pub(crate) fn immediate(&self) -> Option<&dyn ImmediateStore> {
        self.inner.immediate()
    }

    fn within<'a, T>(&self, answer: Answer<'a, T>) -> Within<'a, T> {
        Within {
            answer,
            limit: self.timeout,
            timer: None,
        }
    }

    pub(crate) fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
    ) -> Within<'a, CreateOutcome> {
        self.within(self.inner.create(id, record))
    }

    pub(crate) fn load(&self, id: SessionId) -> Within<'_, Option<Record>> {
        self.within(self.inner.load(id))
    }

    pub(crate) fn peek(&self, id: SessionId) -> Within<'_, Option<Peek>> {
        self.within(self.inner.peek(id))
    }

    pub(crate) fn save<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        expected: Stamp,
    ) -> Within<'a, SaveOutcome> {
        self.within(self.inner.save(id, record, expected))
    }

    pub(crate) fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Within<'_, TouchOutcome> {
        self.within(self.inner.touch(id, expected, times))
    }

    pub(crate) fn end<'a>(
        &'a self,
        id: SessionId,
        tombstone: Option<&'a Record>,
    ) -> Within<'a, Option<Record>> {
        self.within(self.inner.end(id, tombstone))
    }

    pub(crate) fn expire<'a>(
        &'a self,
        now: Timestamp,
        due: Due<'a>,
    ) -> Within<'a, Vec<(SessionId, Record)>> {
        self.within(self.inner.expire(now, due))
    }

    pub(crate) fn purge(&self, now: Timestamp, limit: usize) -> Within<'_, usize> {
        self.within(self.inner.purge(now, limit))
    }

    pub(crate) fn owned_by<'a>(
        &'a self,
        owner: &'a Owner,
        page: Page,
    ) -> Within<'a, Vec<SessionId>> {
        self.within(self.inner.owned_by(owner, page))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("capabilities", &self.capabilities())
            .finish_non_exhaustive()
    }
}

/// Waits for an answer at most so long. The timer is made when the first poll gave none: an
/// in-process store answers at once and pays for none.
pub(crate) struct Within<'a, T> {
    answer: Answer<'a, T>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Future for Within<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(result) = self.answer.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| {
            Err(StoreError::unavailable(format!(
                "no answer within {} ms",
                limit.as_millis()
            )))
        })
    }
}
