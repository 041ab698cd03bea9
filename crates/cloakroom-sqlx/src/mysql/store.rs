use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use sqlx::mysql::MySqlConnection;

use super::connect::Dialer;
use super::due::{Expire, Progress, Purge};
use super::migrate::Migrate;
use super::options::MySqlOptions;
use super::read::{Load, OwnedBy, PeekAt};
use super::sql::{self, Sql};
use super::write::{Create, End, Save, Touch};
use crate::shared::cause::Cause;
use crate::shared::pool::Pool;
use crate::shared::run::{MIGRATION, Nothing, Operation, Pace, in_batches, run};

/// Sessions in a `MySQL` (8.0 or newer) or `MariaDB` (10.6 or newer) database.
///
/// Clones share the connections. Every operation of the contract is one round trip; a refused
/// `create`, `save` or `touch` is two, `expire` and a batch of `purge` are two.
#[derive(Clone, Debug)]
pub struct MySqlStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sql: Sql,
    table: String,
    pool: Pool<Dialer>,
    timeout: Duration,
    progress: Progress,
}

impl MySqlStore {
    /// Connects to what a URL names, with the defaults of [`MySqlOptions`].
    ///
    /// # Errors
    ///
    /// As [`MySqlOptions::from_url`] and [`MySqlOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        MySqlOptions::from_url(url)?.connect().await
    }

    pub(super) fn with(options: &MySqlOptions) -> Self {
        let settings = &options.settings;
        let dialer = Dialer {
            options: options.to_connect(),
            lock_timeout: settings.operation_timeout,
            max_packet: AtomicUsize::new(usize::MAX),
        };
        Self(Arc::new(Inner {
            sql: Sql::new(&settings.table),
            table: settings.table.clone(),
            pool: Pool::new(
                dialer,
                settings.max_connections,
                settings.connect_timeout,
                settings.idle_timeout,
            ),
            timeout: settings.operation_timeout,
            progress: Progress::default(),
        }))
    }

    /// Creates the table and its indexes, or brings them up to date.
    ///
    /// May be called at every start, by several nodes at once: the first does it. Where nothing is
    /// to be done, any right to the table is enough. The version of the schema is kept in the
    /// table's comment.
    ///
    /// # Errors
    ///
    /// `Rejected` if the role may not create, or if a table of that name exists that is none of
    /// ours, `Unsupported` if a newer release has changed it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let steps = sql::steps(&self.0.table);
        let migrate = Migrate {
            sql: &self.0.sql,
            steps: &steps,
        };
        run(&self.0.pool, MIGRATION, &migrate).await
    }

    /// Closes the connections; what is called later is `Unavailable`.
    pub async fn close(&self) {
        self.0.pool.close().await;
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.run(&Nothing).await
    }

    async fn run<O: Operation<MySqlConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        run(&self.0.pool, self.0.timeout, operation).await
    }

    /// The server hangs up in the middle of a packet that is too large for it, which would look
    /// like an outage.
    fn fits(&self, record: &Record, size_of_a_byte: usize) -> Result<(), StoreError> {
        let size = (record.head.len() + record.body.len()).saturating_mul(size_of_a_byte);
        if size <= self.0.pool.connector().max_record() {
            Ok(())
        } else {
            let (_, kind, sentence) = Cause::TooLarge.verdict();
            Err(StoreError::new(kind, sentence))
        }
    }
}

/// Rows are locked one by one, so nobody waits for a batch.
const PACE: Pace = Pace {
    rows: 500,
    pause: Duration::ZERO,
};

impl SessionStore for MySqlStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        self.fits(record, 1)?;
        self.run(&Create {
            sql: &self.0.sql,
            id,
            record,
        })
        .await
    }

    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.run(&Load {
            sql: &self.0.sql,
            id,
        })
        .await
    }

    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        self.run(&PeekAt {
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
        self.fits(record, 1)?;
        self.run(&Save {
            sql: &self.0.sql,
            id,
            record,
            expected,
        })
        .await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        self.run(&Touch {
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
        if let Some(tombstone) = tombstone {
            self.fits(tombstone, 2)?;
        }
        self.run(&End {
            sql: &self.0.sql,
            id,
            tombstone,
        })
        .await
    }

    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.run(&Expire {
            sql: &self.0.sql,
            now,
            due,
        })
        .await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let (sql, progress) = (&self.0.sql, &self.0.progress);
        let purge = |limit| Purge {
            sql,
            now,
            limit,
            progress,
        };
        in_batches(&self.0.pool, self.0.timeout, PACE, limit, purge).await
    }

    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.run(&OwnedBy {
            sql: &self.0.sql,
            owner,
            page,
        })
        .await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            leaves_times: true,
            ..Capabilities::default()
        }
    }

    fn changes(&self) -> Option<ChangeFeed> {
        None
    }
}
