//! Session stores of cloakroom in SQL databases: SQLite, PostgreSQL, MySQL and MariaDB.

mod failure;
mod name;
mod pool;
mod row;
mod run;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;

#[cfg(feature = "sqlite")]
pub use crate::sqlite::{SqliteOptions, SqliteStore};
