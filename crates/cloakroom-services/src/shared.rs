//! One server of each kind for all tests of a program: the one that an environment variable names, or one started at the first
//! call and kept until the program ends.
//!
//! Many tests use it at the same time: each keeps to a table, a schema or a key prefix of its own, and none stops it.

use std::sync::OnceLock;

use crate::{Error, MariaDb, Postgres, Redis, RedisCluster, RedisSentinel, Server, Valkey};

/// The URL of a Redis server: `REDIS_URL`, or our own.
///
/// # Errors
///
/// If there is no variable and Redis is not installed or does not start. The same answer at every call.
pub fn redis() -> Result<String, Error> {
    static SHARED: Shared<Server> = Shared::new("REDIS_URL");
    SHARED.url(Redis::start, Server::url)
}

/// The URL of a Redis cluster of three masters, as `redis+cluster://a,b,c`: `REDIS_CLUSTER_URL`, or our own.
///
/// # Errors
///
/// As [`redis`].
pub fn redis_cluster() -> Result<String, Error> {
    static SHARED: Shared<RedisCluster> = Shared::new("REDIS_CLUSTER_URL");
    SHARED.url(|| RedisCluster::start(3, 0), RedisCluster::url)
}

/// The URL of a Redis master behind Sentinel, as `redis+sentinel://host:port/name`: `REDIS_SENTINEL_URL`, or our own.
///
/// # Errors
///
/// As [`redis`].
pub fn redis_sentinel() -> Result<String, Error> {
    static SHARED: Shared<RedisSentinel> = Shared::new("REDIS_SENTINEL_URL");
    SHARED.url(RedisSentinel::start, RedisSentinel::url)
}

/// The URL of a Valkey server, as `redis://...`: `VALKEY_URL`, or our own.
///
/// # Errors
///
/// As [`redis`].
pub fn valkey() -> Result<String, Error> {
    static SHARED: Shared<Server> = Shared::new("VALKEY_URL");
    SHARED.url(Valkey::start, Server::url)
}

/// The URL of a `PostgreSQL` database: `PG_URL`, or our own.
///
/// # Errors
///
/// As [`redis`].
pub fn postgres() -> Result<String, Error> {
    static SHARED: Shared<Server> = Shared::new("PG_URL");
    SHARED.url(Postgres::start, Server::url)
}

/// The URL of a `MariaDB` or `MySQL` database: `MYSQL_URL`, or our own.
///
/// # Errors
///
/// As [`redis`].
pub fn mariadb() -> Result<String, Error> {
    static SHARED: Shared<Server> = Shared::new("MYSQL_URL");
    SHARED.url(MariaDb::start, Server::url)
}

struct Shared<T> {
    variable: &'static str,
    /// Never dropped: the watcher ends it with the program.
    own: OnceLock<Result<T, Error>>,
}

impl<T> Shared<T> {
    const fn new(variable: &'static str) -> Self {
        Self {
            variable,
            own: OnceLock::new(),
        }
    }

    fn url(
        &self,
        start: impl FnOnce() -> Result<T, Error>,
        url: impl Fn(&T) -> &str,
    ) -> Result<String, Error> {
        match std::env::var(self.variable) {
            Ok(given) if !given.is_empty() => Ok(given),
            _ => match self.own.get_or_init(start) {
                Ok(server) => Ok(url(server).to_owned()),
                Err(error) => Err(error.clone()),
            },
        }
    }
}
