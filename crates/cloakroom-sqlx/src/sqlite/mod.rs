//! Sessions in `SQLite`: one file, one writer, copies that may be exclusive to this process.

mod codes;
mod connect;
mod contract;
mod due;
mod feeds;
mod migrate;
mod options;
mod read;
mod sql;
mod store;
mod write;

pub use self::options::SqliteOptions;
pub use self::store::SqliteStore;
