use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{
    Capabilities, Change, ChangeFeed, CreateOutcome, Due, Owner, Page, Peek, Reach, Record,
    SaveOutcome, SessionId, SessionStore, Stamp, StoreError, StoreErrorKind, Times, Timestamp,
    TouchOutcome,
};
use sqlx::sqlite::SqliteConnection;

use super::connect::Opener;
use super::due::{Expire, Purge};
use super::feeds::Feeds;
use super::migrate::Migrate;
use super::options::SqliteOptions;
use super::read::{Load, OwnedBy, PeekAt};
use super::sql::{self, Sql};
use super::write::{Create, End, Save, Touch};
use crate::shared::name;
use crate::shared::pool::Pool;
use crate::shared::run::{Operation, in_batches, run};

/// Sessions in a `SQLite` database.
///
/// Clones share the connections. Several processes may open one file, and then verify their
/// copies before use; opened [exclusively](SqliteOptions::exclusive) the file belongs to this
/// store, and copies in memory are current.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use cloakroom_core::{SessionId, SessionStore};
/// use cloakroom_sqlx::SqliteStore;
///
/// let store = SqliteStore::in_memory().await?;
/// store.migrate().await?;
/// assert_eq!(store.load(SessionId::from_bytes([1; 16])).await?, None);
/// # Ok::<(), cloakroom_core::StoreError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct SqliteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sql: Sql,
    table: String,
    /// One connection: writers of one process then queue up in order, instead of each polling
    /// for `SQLite`'s write lock.
    writer: Pool<Opener>,
    /// The same pool if there is only one connection.
    readers: Pool<Opener>,
    timeout: Duration,
    capabilities: Capabilities,
    feeds: Option<Feeds>,
}

impl SqliteStore {
    /// Opens a file, shared with other processes, and creates it if it is missing. It does not
    /// create the table: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// As [`SqliteOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open().await
    }

    /// Opens what a URL names: `sqlite:PATH`; see [`SqliteOptions::from_url`].
    ///
    /// # Errors
    ///
    /// As [`SqliteOptions::from_url`] and [`SqliteOptions::open`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        SqliteOptions::from_url(url)?.open().await
    }

    /// An empty database in memory, for tests.
    ///
    /// # Errors
    ///
    /// As [`SqliteOptions::open`].
    pub async fn in_memory() -> Result<Self, StoreError> {
        SqliteOptions::in_memory().open().await
    }

    pub(super) async fn with(options: SqliteOptions) -> Result<Self, StoreError> {
        name::checked("table", &options.table)?;
        let pool = |size| {
            let opener = Opener {
                options: options.to_connect(),
                // A little less than the whole operation may take, so that it is SQLite who says
                // that the file is busy.
                patience: options.timeout * 9 / 10,
            };
            Pool::new(opener, size, options.timeout, Duration::MAX)
        };
        let writer = pool(1);
        let readers = if options.single() {
            writer.clone()
        } else {
            pool(options.readers)
        };
        let store = Self(Arc::new(Inner {
            sql: Sql::new(&options.table),
            writer,
            readers,
            timeout: options.timeout,
            capabilities: Capabilities {
                durable: !options.in_memory,
                exclusive: options.single(),
                reach: if options.single() {
                    Reach::Changes
                } else {
                    Reach::None
                },
                ..Capabilities::default()
            },
            feeds: options.single().then(Feeds::default),
            table: options.table,
        }));
        store
            .write(&Hold)
            .await
            .map_err(|error| in_use(error, options.exclusive))?;
        Ok(store)
    }

    /// Creates the table and its indexes, or brings them up to date.
    ///
    /// May be called at every start, by several processes at once: the first does it.
    ///
    /// # Errors
    ///
    /// `Rejected` if a table of that name exists that is none of ours, `Unsupported` if a newer
    /// release has changed it, `Unavailable` if the file stays locked.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let steps = sql::steps(&self.0.table);
        self.write(&Migrate {
            sql: &self.0.sql,
            steps: &steps,
        })
        .await
    }

    /// Closes the connections; what is called later is `Unavailable`. Dropping the store closes
    /// them as well, a moment later, in their own threads.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    async fn write<O: Operation<SqliteConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        run(&self.0.writer, self.0.timeout, operation).await
    }

    async fn read<O: Operation<SqliteConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        run(&self.0.readers, self.0.timeout, operation).await
    }

    /// Writes, and tells the other managers what changed, if there are any.
    async fn write_and_tell<O: Operation<SqliteConnection>>(
        &self,
        operation: &O,
        changes: impl FnOnce(&O::Output) -> Vec<Change>,
    ) -> Result<O::Output, StoreError> {
        let Some(feeds) = &self.0.feeds else {
            return self.write(operation).await;
        };
        let pending = feeds.begin();
        let result = self.write(operation).await;
        match &result {
            Ok(output) => pending.settle(changes(output)),
            // It may still be on its way: dropped, it counts as given up.
            Err(error) if error.kind() == StoreErrorKind::Unavailable => drop(pending),
            Err(_) => pending.settle([]),
        }
        result
    }
}

/// Takes the file into possession: an exclusive lock comes with the first transaction.
struct Hold;

impl Operation<SqliteConnection> for Hold {
    type Output = ();

    const REPEATABLE: bool = true;

    async fn run(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), crate::shared::failure::Failure> {
        sqlx::query("SELECT count(*) FROM sqlite_schema")
            .execute(connection)
            .await?;
        Ok(())
    }
}

fn in_use(error: StoreError, exclusive: bool) -> StoreError {
    if error.kind() != StoreErrorKind::Unavailable {
        return error;
    }
    let sentence = if exclusive {
        "the database file is in use: an exclusive store needs it for itself, so close the other \
         process (or store) that has it open, or open it shared"
    } else {
        "the database file cannot be read: another process (or store) has opened it exclusively; \
         close that one, or open both shared"
    };
    StoreError::rejected(sentence).with_source(error)
}

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
        self.write_and_tell(&end, |ended| {
            ended.iter().map(|_| Change::Ended { id }).collect()
        })
        .await
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
        self.write_and_tell(&expire, |ended| {
            ended
                .iter()
                .map(|(id, _)| Change::Ended { id: *id })
                .collect()
        })
        .await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let sql = &self.0.sql;
        in_batches(&self.0.writer, self.0.timeout, limit, |limit| Purge {
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
