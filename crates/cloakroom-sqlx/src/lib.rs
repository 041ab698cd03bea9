//! Session stores of cloakroom in SQL databases: `SQLite`, `PostgreSQL`, `MySQL` and `MariaDB`.

mod cause;
mod failure;
#[cfg(feature = "mysql")]
mod mysql;
mod name;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod run;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;

#[cfg(feature = "mysql")]
pub use crate::mysql::{MySqlOptions, MySqlStore};
#[cfg(feature = "postgres")]
pub use crate::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use crate::sqlite::{SqliteOptions, SqliteStore};
