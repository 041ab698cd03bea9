//! Sessions in `MySQL` and `MariaDB`: compare-and-set by the number of matched rows.

mod codes;
mod connect;
mod due;
mod migrate;
mod options;
mod read;
mod sql;
mod store;
mod write;

pub use self::options::MySqlOptions;
pub use self::store::MySqlStore;
