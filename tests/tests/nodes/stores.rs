//! The stores that several nodes can share.

use std::path::PathBuf;
use std::time::Duration;

use cloakroom_services::{
    Error, MariaDb, Missing, Postgres, Redis, RedisCluster, RedisSentinel, Requirement, Server,
    require,
};
use cloakroom_tests::{Node, NodeBuilder, TempDir};

/// One kind of store.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    find: fn() -> Result<PathBuf, Missing>,
    start: fn() -> Result<Running, Error>,
}

/// A store of a case's own, and how its nodes are started.
pub(crate) struct Running {
    service: Service,
    url: String,
}

enum Service {
    Server(Server),
    Cluster(RedisCluster),
    Sentinel(Box<RedisSentinel>),
    /// A file, in a folder that goes when this is dropped.
    File {
        _folder: TempDir,
    },
}

/// Every acknowledged write is on the disk, so that a kill takes none along.
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

pub(crate) const REDIS: Kind = Kind {
    name: "redis",
    find: Redis::find,
    start: || Ok(Redis::start_with(DURABLE)?.into()),
};

pub(crate) const CLUSTER: Kind = Kind {
    name: "redis_cluster",
    find: Redis::find,
    start: || {
        let cluster = RedisCluster::start_with(3, 0, DURABLE)?;
        Ok(Running {
            url: cluster.url().to_owned(),
            service: Service::Cluster(cluster),
        })
    },
};

/// A master with a replica that would take its place. Acknowledged is what the master has: what its replica
/// has not heard of when it dies is lost, as Redis copies later.
pub(crate) const SENTINEL: Kind = Kind {
    name: "redis_sentinel",
    find: Redis::find,
    start: || {
        let group = RedisSentinel::start()?;
        Ok(Running {
            url: group.url().to_owned(),
            service: Service::Sentinel(Box::new(group)),
        })
    },
};

pub(crate) const POSTGRES: Kind = Kind {
    name: "postgres",
    find: Postgres::find,
    start: || Ok(Postgres::start_with(&["-c", "synchronous_commit=on"])?.into()),
};

pub(crate) const MARIADB: Kind = Kind {
    name: "mariadb",
    find: MariaDb::find,
    start: || Ok(MariaDb::start()?.into()),
};

/// Shared by processes of one machine.
pub(crate) const SQLITE: Kind = Kind {
    name: "sqlite",
    find: || Ok(PathBuf::new()),
    start: || {
        let folder = TempDir::new();
        let path = folder.path().join("sessions.sqlite");
        Ok(Running {
            url: format!("sqlite:{}", path.display()),
            service: Service::File { _folder: folder },
        })
    },
};

impl Kind {
    pub(crate) fn is_there(self) -> Requirement<PathBuf> {
        require((self.find)().map_err(Into::into))
    }

    pub(crate) fn start(self) -> Result<Running, Error> {
        (self.start)()
    }
}

impl From<Server> for Running {
    fn from(server: Server) -> Self {
        Self {
            url: server.url().to_owned(),
            service: Service::Server(server),
        }
    }
}

impl Running {
    /// The processes of the store, if it has any.
    pub(crate) fn servers(&self) -> &[Server] {
        match &self.service {
            Service::Server(server) => std::slice::from_ref(server),
            Service::Cluster(cluster) => cluster.nodes(),
            // What the sentinel itself does is not the store's.
            Service::Sentinel(group) => group.servers(),
            Service::File { .. } => &[],
        }
    }

    /// Who names the master.
    pub(crate) fn sentinel(&self) -> &Server {
        let Service::Sentinel(group) = &self.service else {
            unreachable!("the case is for a store with a sentinel")
        };
        group.sentinel()
    }

    /// The only process of the store.
    pub(crate) fn server(&self) -> &Server {
        let [server] = self.servers() else {
            unreachable!("the case is for stores of one server")
        };
        server
    }

    pub(crate) fn is_redis(&self) -> bool {
        self.url.starts_with("redis")
    }

    /// How old a copy may be that a node shows: nothing where it verifies; with a feed the declared
    /// 1.25 s, and more time for a machine that is busy otherwise.
    pub(crate) fn bound(&self) -> Duration {
        if self.is_redis() {
            Duration::from_secs(3)
        } else {
            Duration::ZERO
        }
    }

    /// Three nodes over the store, with these options.
    pub(crate) async fn nodes(&self, options: &str) -> [Node; 3] {
        // One after the other: the first one makes the tables.
        [
            self.node(options).await,
            self.node(options).await,
            self.node(options).await,
        ]
    }

    /// The same, each with a name of its own.
    pub(crate) async fn named_nodes(&self) -> [Node; 3] {
        [
            self.node("--node n1").await,
            self.node("--node n2").await,
            self.node("--node n3").await,
        ]
    }

    /// One node over the store, with these options.
    pub(crate) async fn node(&self, options: &str) -> Node {
        self.builder(options).start().await
    }

    pub(crate) fn builder(&self, options: &str) -> NodeBuilder {
        Node::with("--store").arg(&self.url).args(options)
    }
}
