//! Sessions in Redis or Valkey, for [`cloakroom`]: one server, Sentinel, or a cluster.

mod check;
mod cluster;
mod dial;
mod fault;
mod feed;
mod index;
mod inner;
mod keys;
mod options;
mod reply;
mod row;
mod script;
mod sentinel;
mod server;
mod store;
mod url;
mod wire;

pub use crate::check::Warning;
pub use crate::options::RedisOptions;
pub use crate::store::RedisStore;
