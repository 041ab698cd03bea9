use std::time::Duration;

use cloakroom_core::{
    Capabilities, Change, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};

use super::due::{Expire, Purge};
use super::feeds::Feeds;
use super::read::{Load, OwnedBy, PeekAt};
use super::store::SqliteStore;
use super::write::{Create, End, Save, Touch};
use crate::shared::run::{Pace, in_batches};

/// Who waits for `SQLite`'s one write lock looks for it only every few milliseconds, and a batch
/// that follows at once would always be there first.
const PACE: Pace = Pace {
    rows: 100,
    pause: Duration::from_millis(10),
};

impl SessionStore for SqliteStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        let stamp = record.stamp;
        self.write_and_tell(
            &Create {
                sql: &self.0.sql,
                id,
                record,
            },
            |outcome| match outcome {
                CreateOutcome::Created => vec![Change::Saved { id, stamp }],
                CreateOutcome::Exists(_) => Vec::new(),
            },
        )
        .await
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.read(&Load {
            sql: &self.0.sql,
            id,
        })
        .await
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        self.read(&PeekAt {
            sql: &self.0.sql,
            id,
        })
        .await
    }

    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        let save = Save {
            sql: &self.0.sql,
            id,
            record,
            expected,
        };
        self.write_and_tell(&save, |outcome| match outcome {
            SaveOutcome::Saved => vec![Change::Saved {
                id,
                stamp: record.stamp,
            }],
            _ => Vec::new(),
        })
        .await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        self.write(&Touch {
            sql: &self.0.sql,
            id,
            expected,
            times,
        })
        .await
    }

    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        let end = End {
            sql: &self.0.sql,
            id,
            tombstone,
        };
        // Told also of a row that cannot be read: others may still hold a copy from when it could be.
        let met = self.write_and_tell(&end, |met| {
            met.iter().map(|_| Change::Ended { id }).collect()
        });
        met.await?.transpose()
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        // One transaction, not batches: what the first had ended would be lost to the caller if
        // the second failed.
        let expire = Expire {
            sql: &self.0.sql,
            now,
            due,
        };
        let timed_out = self.write_and_tell(&expire, |timed_out| {
            let ids = timed_out.ids.iter();
            ids.map(|id| Change::Ended { id: *id }).collect()
        });
        Ok(timed_out.await?.records)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = &self.0.sql;
        in_batches(&self.0.writer, self.0.timeout, PACE, limit, |limit| Purge {
            sql,
            now,
            limit,
        })
        .await
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.read(&OwnedBy {
            sql: &self.0.sql,
            owner,
            page,
        })
        .await
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities
    }

    fn changes(&self) -> Option<ChangeFeed> {
        self.0.feeds.as_ref().map(Feeds::subscribe)
    }
}
