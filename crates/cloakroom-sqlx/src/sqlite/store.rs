use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Capabilities, Change, Reach, StoreError, StoreErrorKind};
use sqlx::sqlite::SqliteConnection;

use super::codes;
use super::connect::Opener;
use super::feeds::Feeds;
use super::migrate::Migrate;
use super::options::SqliteOptions;
use super::sql::{self, Sql};
use crate::shared::name;
use crate::shared::pool::Pool;
use crate::shared::run::{Operation, run};

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
pub struct SqliteStore(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) sql: Sql,
    table: String,
    /// One connection: writers of one process then queue up in order, instead of each polling
    /// for `SQLite`'s write lock.
    pub(super) writer: Pool<Opener>,
    /// The same pool if there is only one connection.
    readers: Pool<Opener>,
    pub(super) timeout: Duration,
    pub(super) capabilities: Capabilities,
    pub(super) feeds: Option<Feeds>,
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
            sql: Sql::new(&options.table, options.single()),
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
                leaves_times: true,
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

    pub(super) async fn write<O: Operation<SqliteConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        run(&self.0.writer, self.0.timeout, operation).await
    }

    pub(super) async fn read<O: Operation<SqliteConnection>>(
        &self,
        operation: &O,
    ) -> Result<O::Output, StoreError> {
        run(&self.0.readers, self.0.timeout, operation).await
    }

    /// Writes, and tells the other managers what changed, if there are any.
    pub(super) async fn write_and_tell<O: Operation<SqliteConnection>>(
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
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    // A disk that is full or broken is neither of these; a wait that took too long is.
    let is_other = source.is_some_and(|source| !codes::is_busy(source));
    if error.kind() != StoreErrorKind::Unavailable || is_other {
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
