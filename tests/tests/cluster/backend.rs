//! The stores that nodes can share.

use cloakroom_services::{
    Error, MariaDb, Postgres, Redis, RedisCluster, Requirement, Server, require,
};

/// One kind of store.
pub(crate) struct Backend {
    pub(crate) name: &'static str,
    /// Whether it can be killed and keeps what it has.
    pub(crate) durable: bool,
    find: fn() -> Result<(), Error>,
    start: fn() -> Result<Service, Error>,
}

pub(crate) const BACKENDS: &[Backend] = &[
    Backend {
        name: "redis",
        durable: true,
        find: || Ok(Redis::find().map(drop)?),
        start: || Redis::start_with(&["--appendonly", "yes"]).map(Service::Server),
    },
    Backend {
        name: "redis_cluster",
        durable: false,
        find: || Ok(Redis::find().map(drop)?),
        start: || RedisCluster::start(3, 0).map(Service::Cluster),
    },
    Backend {
        name: "postgres",
        durable: true,
        find: || Ok(Postgres::find().map(drop)?),
        // An acknowledged commit shall survive a SIGKILL, other than by the launcher's own settings.
        start: || Postgres::start_with(&["-c", "synchronous_commit=on"]).map(Service::Server),
    },
    Backend {
        name: "mariadb",
        durable: true,
        find: || Ok(MariaDb::find().map(drop)?),
        start: || MariaDb::start().map(Service::Server),
    },
];

impl Backend {
    pub(crate) fn is_there(&self) -> Requirement<()> {
        require((self.find)())
    }

    pub(crate) fn start(&self) -> Result<Service, Error> {
        (self.start)()
    }
}

/// A running store.
pub(crate) enum Service {
    Server(Server),
    Cluster(RedisCluster),
}

impl Service {
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Server(server) => server.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    pub(crate) fn servers(&self) -> &[Server] {
        match self {
            Self::Server(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }
}
