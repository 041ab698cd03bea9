//! The dyn twin of [`SessionStore`], and the time limit on every call to it.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};

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

    pub(crate) async fn create(
        &self,
        id: SessionId,
        record: &Record,
    ) -> Result<CreateOutcome, StoreError> {
        within(self.timeout, self.inner.create(id, record)).await
    }

    pub(crate) async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        within(self.timeout, self.inner.load(id)).await
    }

    pub(crate) async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        within(self.timeout, self.inner.peek(id)).await
    }

    pub(crate) async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        within(self.timeout, self.inner.save(id, record, expected)).await
    }

    pub(crate) async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        within(self.timeout, self.inner.touch(id, expected, times)).await
    }

    pub(crate) async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        within(self.timeout, self.inner.end(id, tombstone)).await
    }

    pub(crate) async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        within(self.timeout, self.inner.expire(now, due)).await
    }

    pub(crate) async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        within(self.timeout, self.inner.purge(now, limit)).await
    }

    pub(crate) async fn owned_by(
        &self,
        owner: &Owner,
        page: Page,
    ) -> Result<Vec<SessionId>, StoreError> {
        within(self.timeout, self.inner.owned_by(owner, page)).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("capabilities", &self.capabilities())
            .finish_non_exhaustive()
    }
}

/// Waits at most so long. The answer is polled once before a timer is made: an in-process store
/// answers at once and pays for none.
async fn within<T>(limit: Duration, mut answer: Answer<'_, T>) -> Result<T, StoreError> {
    let first = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(result) => result,
        Poll::Pending => tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|_| {
                Err(StoreError::unavailable(format!(
                    "no answer within {} ms",
                    limit.as_millis()
                )))
            }),
    }
}
