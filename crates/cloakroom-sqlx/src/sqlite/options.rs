use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use cloakroom_core::StoreError;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};

use super::SqliteStore;
use crate::shared::name;

/// The page size that `SQLite` gives new files.
const PAGE: u64 = 4_096;

/// Where the database file is, and how it is opened.
///
/// ```no_run
/// # async fn open() -> Result<(), cloakroom_core::StoreError> {
/// use cloakroom_sqlx::SqliteOptions;
///
/// let store = SqliteOptions::new("sessions.db").exclusive(true).open().await?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SqliteOptions {
    pub(super) connect: SqliteConnectOptions,
    pub(super) in_memory: bool,
    pub(super) read_only: bool,
    pub(super) exclusive: bool,
    pub(super) synchronous: SqliteSynchronous,
    pub(super) table: String,
    pub(super) readers: usize,
    pub(super) timeout: Duration,
}

impl SqliteOptions {
    /// A database file, which is created if it is missing.
    pub fn new(path: impl AsRef<Path>) -> Self {
        let connect = SqliteConnectOptions::new().filename(path);
        Self::with(connect.create_if_missing(true), false)
    }

    /// A database in memory, gone with the store: for tests.
    pub fn in_memory() -> Self {
        Self::with(SqliteConnectOptions::new().in_memory(true), true)
    }

    /// `sqlite:PATH`, `sqlite://PATH` or `sqlite::memory:`; `?mode=ro` opens the file read-only,
    /// `?mode=rw` does not create a missing one.
    ///
    /// # Errors
    ///
    /// `Rejected` for another scheme or a parameter that `SQLite` does not know.
    pub fn from_url(url: &str) -> Result<Self, StoreError> {
        let not_understood = "the URL is not understood: `sqlite:PATH` is expected";
        if !url.starts_with("sqlite:") {
            return Err(StoreError::rejected(not_understood));
        }
        let in_memory = url.contains(":memory:") || url.contains("mode=memory");
        let connect = SqliteConnectOptions::from_str(url)
            .map_err(|_| StoreError::rejected(not_understood))?;
        let has = |mode: &str| {
            let query = url.split_once('?').map_or("", |(_, query)| query);
            query.split('&').any(|pair| pair == mode)
        };
        let connect = connect.create_if_missing(!has("mode=rw"));
        let mut options = Self::with(connect, in_memory);
        options.read_only = has("mode=ro");
        Ok(options)
    }

    fn with(connect: SqliteConnectOptions, in_memory: bool) -> Self {
        Self {
            connect,
            in_memory,
            read_only: false,
            exclusive: false,
            synchronous: SqliteSynchronous::Normal,
            table: name::DEFAULT_TABLE.to_owned(),
            readers: 4,
            timeout: Duration::from_secs(2),
        }
    }

    /// Locks the file for this store, so that no other process (nor another store of this one) can
    /// read or write it. Default: no.
    ///
    /// Copies in memory are then used without asking, since nobody else can write.
    pub fn exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Opens the file for reading only; every write is then `Rejected`. Default: no.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Waits for the disk at every commit (`synchronous = FULL`). Default: no.
    ///
    /// Without it a crash of the process loses nothing, but a crash of the machine may lose the
    /// last commits; the file is intact in both cases.
    pub fn synchronous_full(mut self, full: bool) -> Self {
        self.synchronous = if full {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        };
        self
    }

    /// The name of the table. Default: `cloakroom_sessions`.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// How many connections read, each a thread; one more writes. Default: 4.
    ///
    /// An exclusive or in-memory database has one connection for everything.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// The greatest size of the file in bytes. Default: none but the disk's.
    ///
    /// What does not fit is refused as on a full disk.
    pub fn size_limit(mut self, bytes: u64) -> Self {
        self.connect = self
            .connect
            .pragma("max_page_count", (bytes / PAGE).max(1).to_string());
        self
    }

    /// How long an operation may take, the wait for other writers included; then it is
    /// `Unavailable`. Default: 2 s.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Opens the database. It does not create the table: see [`SqliteStore::migrate`].
    ///
    /// # Errors
    ///
    /// `Rejected` if the table's name is no identifier, if the file cannot be opened, or if
    /// another process has it open and one of the two wants it exclusively.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        SqliteStore::with(self).await
    }

    pub(super) fn single(&self) -> bool {
        self.exclusive || self.in_memory
    }

    pub(super) fn to_connect(&self) -> SqliteConnectOptions {
        let mut connect = self
            .connect
            .clone()
            .disable_statement_logging()
            .foreign_keys(false);
        if self.in_memory {
            return connect;
        }
        connect = connect.synchronous(self.synchronous);
        if self.exclusive {
            connect = connect.locking_mode(SqliteLockingMode::Exclusive);
        }
        if self.read_only {
            connect.read_only(true).create_if_missing(false)
        } else {
            connect.journal_mode(SqliteJournalMode::Wal)
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("file", &self.connect.get_filename())
            .field("exclusive", &self.exclusive)
            .field("read_only", &self.read_only)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
