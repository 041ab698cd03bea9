use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{
    Capabilities, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Reach, Record, SaveOutcome,
    SessionId, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use sqlx::postgres::PgConnection;

use super::connect::Dialer;
use super::due::{Expire, Purge};
use super::hub::Hub;
use super::migrate::Migrate;
use super::options::PostgresOptions;
use super::read::{Load, OwnedBy, PeekAt};
use super::sql::{self, Sql};
use super::write::{Create, End, Save, Touch};
use crate::shared::pool::Pool;
use crate::shared::run::{MIGRATION, Nothing, Operation, Pace, in_batches, run};

/// Sessions in a `PostgreSQL` database (12 or newer).
///
/// Clones share the connections. Every operation of the contract is one statement. Endings are
/// pushed to the other nodes, see [`PostgresOptions::push_endings`].
#[derive(Clone, Debug)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sql: Sql,
    schema: Option<String>,
    table: String,
    pool: Pool<Dialer>,
    timeout: Duration,
    hub: Option<Arc<Hub>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(hub) = &self.hub {
            hub.close();
        }
    }
}

impl PostgresStore {
    /// Connects to what a URL names, with the defaults of [`PostgresOptions`].
    ///
    /// # Errors
    ///
    /// As [`PostgresOptions::from_url`] and [`PostgresOptions::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        PostgresOptions::from_url(url)?.connect().await
    }

    pub(super) fn with(options: &PostgresOptions) -> Self {
        let settings = &options.settings;
        let dialer = Dialer {
            options: options.to_connect(),
        };
        let channel = options.notice_channel();
        let hub = channel.map(|channel| {
            let (options, channel) = (options.to_connect(), channel.to_owned());
            Arc::new(Hub::new(options, channel, settings.connect_timeout))
        });
        Self(Arc::new(Inner {
            sql: Sql::new(options.schema.as_deref(), &settings.table, channel),
            schema: options.schema.clone(),
            table: settings.table.clone(),
            pool: Pool::new(
                dialer,
                settings.max_connections,
                settings.connect_timeout,
                settings.idle_timeout,
            ),
            timeout: settings.operation_timeout,
            hub,
        }))
    }

    /// Creates the table and its indexes, or brings them up to date.
    ///
    /// May be called at every start, by several nodes at once: the first does it. Where nothing is
    /// to be done, the right to SELECT is enough.
    ///
    /// # Errors
    ///
    /// `Rejected` if the role may not create, or if a table of that name exists that is none of
    /// ours, `Unsupported` if a newer release has changed it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let steps = sql::steps(self.0.schema.as_deref(), &self.0.table);
        run(
            &self.0.pool,
            MIGRATION,
            &Migrate {
                sql: &self.0.sql,
                steps: &steps,
            },
        )
        .await
    }

    /// Closes the connections; what is called later is `Unavailable`.
    pub async fn close(&self) {
        if let Some(hub) = &self.0.hub {
            hub.close();
        }
        self.0.pool.close().await;
    }

    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.run(&Nothing).await
    }

    async fn run<O: Operation<PgConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        if let Some(hub) = &self.0.hub {
            hub.start_if_wanted();
        }
        run(&self.0.pool, self.0.timeout, operation).await
    }
}

/// Rows are locked one by one, so nobody waits for a batch.
const PACE: Pace = Pace {
    rows: 500,
    pause: Duration::ZERO,
};

impl SessionStore for PostgresStore {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
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
        let sql = &self.0.sql;
        in_batches(&self.0.pool, self.0.timeout, PACE, limit, |limit| Purge {
            sql,
            now,
            limit,
        })
        .await
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
            reach: if self.0.hub.is_some() {
                Reach::Endings
            } else {
                Reach::None
            },
            leaves_times: true,
            ..Capabilities::default()
        }
    }

    fn changes(&self) -> Option<ChangeFeed> {
        self.0.hub.as_ref().map(Hub::subscribe)
    }
}
