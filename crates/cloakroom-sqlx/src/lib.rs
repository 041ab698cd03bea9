//! Session stores of cloakroom in SQL databases: `SQLite`, `PostgreSQL`, `MySQL` and `MariaDB`.
//!
//! Each database is a feature, and none is on by default: `sqlite` (`SqliteStore`), `postgres`
//! (`PostgresStore`), `mysql` (`MySqlStore`, for `MariaDB` as well). The driver is sqlx, with
//! none of its type features.
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use cloakroom_core::{CreateOutcome, Record, SessionId, SessionStore, Stamp, State};
//! use cloakroom_core::{Times, Timestamp};
//! use cloakroom_sqlx::SqliteStore;
//!
//! let store = SqliteStore::connect("sqlite::memory:").await?;
//! store.migrate().await?;
//!
//! let times = Times { used_at: Timestamp::EPOCH, deadline: None, expires_at: None };
//! let record = Record::from_stored(Stamp::first(), State::Live, None, times, vec![1], vec![1]);
//! let id = SessionId::generate(Timestamp::EPOCH);
//! assert_eq!(store.create(id, &record).await?, CreateOutcome::Created);
//! assert_eq!(store.load(id).await?, Some(record));
//! # Ok::<(), cloakroom_core::StoreError>(())
//! # }).unwrap();
//! ```
//!
//! # The table
//!
//! One table, `cloakroom_sessions` unless the options name another: `id` (a `UUIDv7`, 16 bytes),
//! `version` and `nonce` (the stamp), `state` (0 live, 1 ended), `owner`, `used_at`, `deadline` and
//! `expires_at` (milliseconds since 1970; NULL is never), `head` and `body` (opaque). Indexes:
//! `deadline`, of live rows, for the search of what has timed out; `expires_at` for the purge;
//! `owner` with `id` for the list of an owner's sessions. There is no credential in it.
//!
//! `migrate()` creates the table and brings it up to date. It may be called at every start, by many
//! nodes at once. It keeps the schema's version in a table `..._schema` (`MySQL`, `MariaDB`: in the
//! table's comment), and refuses a table that it has not made.
//!
//! # Privileges
//!
//! `migrate()` needs CREATE (in the schema, or the database) when there is something to be done. The
//! role of the application needs no more than this:
//!
//! ```sql
//! -- PostgreSQL (SELECT on the second table only if the application calls migrate)
//! GRANT SELECT, INSERT, UPDATE, DELETE ON cloakroom_sessions TO app;
//! GRANT SELECT ON cloakroom_sessions_schema TO app;
//! -- MySQL, MariaDB
//! GRANT SELECT, INSERT, UPDATE, DELETE ON app.cloakroom_sessions TO app@'%';
//! ```
//!
//! # Sizing
//!
//! An operation holds a connection for its one round trip: ten connections at 1 ms serve ten thousand
//! operations a second. Connections are neither pinged before their use nor after it; one that lies
//! idle for a minute is closed, which must be sooner than the server (`wait_timeout`) and the
//! firewalls forget it. `PostgreSQL` needs one connection more for each node, which listens for
//! endings. Prepared statements and `LISTEN` live as long as their connection, so a pooler in
//! between has to work in session mode.
//!
//! What is due is found, ended and purged by index, and rows that somebody is writing are skipped
//! (`PostgreSQL`, `MySQL`, `MariaDB`), so that nodes that keep house at once are merely redundant.
//! The plans, as `EXPLAIN` shows them and a test checks them:
//!
//! | | expire | purge | owner |
//! |---|---|---|---|
//! | `SQLite` | `SEARCH .. USING INDEX .._deadline` | `SEARCH .. USING COVERING INDEX .._expires_at` | `.._owner` |
//! | `PostgreSQL` | `Index Scan using .._deadline` under `LockRows` | `Index Scan using .._expires_at` under `LockRows`, then the primary key | `Index Scan using .._owner` |
//! | `MySQL`, `MariaDB` | `range` over `.._deadline` | `range` over `.._expires_at` | `range` over `.._owner` |
//!
//! Sessions are updated often: on `PostgreSQL` a lower `autovacuum_vacuum_scale_factor` for this
//! table (0.02) keeps it small. `MySQL` and `MariaDB` run in `READ COMMITTED` here, which wants
//! `binlog_format` to be `ROW` or `MIXED`.
//!
//! # Failures
//!
//! Busy, timeouts, lost connections, a server that starts, stops or only reads, no connection free
//! and a full disk are `Unavailable`, and heal by themselves. A deadlock or a serialisation failure
//! is tried again within the timeout. What cannot be applied, cannot be understood or is not allowed
//! is `Rejected`, with a sentence that says how to mend it; a row that cannot be read is `Corrupt`.
//! No error holds the password or a row's values. A future that is dropped closes its connection,
//! so the next operation never meets its answer.
//!
//! # Coherence
//!
//! Nodes verify their copies by a peek. `PostgreSQL` also pushes endings, renewals and logins, for
//! those who choose a bounded staleness. A `SQLite` file opened exclusively needs neither: nobody
//! else can write.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod shared;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "mysql")]
pub use crate::mysql::{MySqlOptions, MySqlStore};
#[cfg(feature = "postgres")]
pub use crate::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use crate::sqlite::{SqliteOptions, SqliteStore};
