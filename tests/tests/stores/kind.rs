//! The stores that have a driver, and how a test comes to an empty one.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cloakroom_redis::RedisOptions;
use cloakroom_services::{Error, shared};
use cloakroom_sqlx::{MySqlOptions, PostgresOptions, SqliteOptions};
use futures_util::future::BoxFuture;

use crate::store::Driver;

/// One kind of store.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Where it is. Tests share the server.
    pub(crate) url: fn() -> Result<String, Error>,
    /// A store of one test's own there; the folder is the test's, too.
    pub(crate) open: for<'a> fn(&'a str, &'a Path) -> BoxFuture<'a, Driver>,
    /// Rows are forgotten by the clock of the server.
    pub(crate) own_clock: bool,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind {
        name: "sqlite",
        url: || Ok(String::new()),
        open: |_, folder| Box::pin(sqlite(folder)),
        own_clock: false,
    },
    Kind {
        name: "postgres",
        url: shared::postgres,
        open: |url, _| Box::pin(postgres(url)),
        own_clock: false,
    },
    Kind {
        name: "mariadb",
        url: shared::mariadb,
        open: |url, _| Box::pin(mariadb(url)),
        own_clock: false,
    },
    Kind {
        name: "redis",
        url: shared::redis,
        open: |url, _| Box::pin(redis(url)),
        own_clock: true,
    },
    Kind {
        name: "redis_cluster",
        url: shared::redis_cluster,
        open: |url, _| Box::pin(redis(url)),
        own_clock: true,
    },
];

/// Enough for requests that overlap; many tests share the server.
const CONNECTIONS: usize = 4;

/// A name that no other test of this machine has.
fn fresh() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("scenario_{}_{count}", std::process::id())
}

async fn sqlite(folder: &Path) -> Driver {
    let store = SqliteOptions::new(folder.join("sessions.sqlite"))
        .open()
        .await;
    let store = store.expect("the file can be opened");
    store.migrate().await.expect("the table can be made");
    Driver::Sqlite(store)
}

async fn postgres(url: &str) -> Driver {
    let options = PostgresOptions::from_url(url).expect("the URL is right");
    let options = options.table(fresh()).max_connections(CONNECTIONS);
    let store = options.connect().await.expect("the server answers");
    store.migrate().await.expect("the table can be made");
    Driver::Postgres(store)
}

async fn mariadb(url: &str) -> Driver {
    let options = MySqlOptions::from_url(url).expect("the URL is right");
    let options = options.table(fresh()).max_connections(CONNECTIONS);
    let store = options.connect().await.expect("the server answers");
    store.migrate().await.expect("the table can be made");
    Driver::MySql(store)
}

async fn redis(url: &str) -> Driver {
    let options = RedisOptions::parse(url)
        .and_then(|options| options.prefix(&format!("{}:", fresh())))
        .expect("the URL and the prefix are right");
    Driver::Redis(options.connect().await.expect("the server answers"))
}
