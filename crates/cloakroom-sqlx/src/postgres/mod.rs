//! Sessions in `PostgreSQL`: one statement an operation, endings pushed by `NOTIFY`.

mod codes;
mod connect;
mod due;
mod hub;
mod listener;
mod migrate;
mod options;
mod read;
mod sql;
mod store;
mod uuid;
mod write;

pub use self::options::PostgresOptions;
pub use self::store::PostgresStore;
