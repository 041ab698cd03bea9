//! Redis and Valkey: one server, a cluster, Sentinel.

mod cluster;
mod reply;
mod sentinel;
mod standalone;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinel;
pub use standalone::{Redis, Valkey};
