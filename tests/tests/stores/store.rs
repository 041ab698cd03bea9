//! One type for the stores of all drivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use cloakroom_redis::RedisStore;
use cloakroom_sqlx::{MySqlStore, PostgresStore, SqliteStore};

#[derive(Clone)]
pub(crate) enum Driver {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    MySql(MySqlStore),
    Redis(RedisStore),
}

/// A store that knows how many rows it was made to keep, as the memory store does.
#[derive(Clone)]
pub(crate) struct Store {
    driver: Driver,
    rows: Arc<AtomicUsize>,
}

impl Store {
    pub(crate) fn new(driver: Driver) -> Self {
        let rows = Arc::default();
        Self { driver, rows }
    }

    /// The same store, as if it were empty.
    pub(crate) fn counting_anew(&self) -> Self {
        Self::new(self.driver.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! of {
    ($driver:expr, $store:ident => $call:expr) => {
        match &$driver {
            Driver::Sqlite($store) => $call,
            Driver::Postgres($store) => $call,
            Driver::MySql($store) => $call,
            Driver::Redis($store) => $call,
        }
    };
}

impl SessionStore for Store {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        let outcome = of!(self.driver, store => store.create(id, record).await)?;
        if outcome == CreateOutcome::Created {
            self.rows.fetch_add(1, Ordering::Relaxed);
        }
        Ok(outcome)
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        of!(self.driver, store => store.load(id).await)
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        of!(self.driver, store => store.peek(id).await)
    }

    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        of!(self.driver, store => store.save(id, record, expected).await)
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        of!(self.driver, store => store.touch(id, expected, times).await)
    }

    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        let ended = of!(self.driver, store => store.end(id, tombstone).await)?;
        if ended.is_some() && tombstone.is_none() {
            self.rows.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(ended)
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        of!(self.driver, store => store.expire(now, due).await)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let purged = of!(self.driver, store => store.purge(now, limit).await)?;
        self.rows.fetch_sub(purged, Ordering::Relaxed);
        Ok(purged)
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        of!(self.driver, store => store.owned_by(owner, page).await)
    }

    fn capabilities(&self) -> Capabilities {
        of!(self.driver, store => store.capabilities())
    }

    fn changes(&self) -> Option<ChangeFeed> {
        of!(self.driver, store => store.changes())
    }
}
