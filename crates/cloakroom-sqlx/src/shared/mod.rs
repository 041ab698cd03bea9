//! What all databases share: the pool, the deadline and the retries, errors, names, rows, schemas.

pub(crate) mod cause;
pub(crate) mod failure;
pub(crate) mod name;
pub(crate) mod pool;
pub(crate) mod row;
pub(crate) mod run;
pub(crate) mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod settings;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod settle;
pub(crate) mod statement;
