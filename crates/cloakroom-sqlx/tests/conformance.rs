//! The store contract, case by case, on every database.

#![expect(clippy::panic, reason = "a case fails by panicking")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};

use cloakroom_conformance::{Backend, Missing, RoundTrips, run};
use cloakroom_services::{Error, shared};
use cloakroom_sqlx::{
    MySqlOptions, MySqlStore, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore,
};

fn main() -> ExitCode {
    let folder = Folder::new();
    let (shared_file, own_file) = (folder.0.clone(), folder.0.clone());
    run([
        Backend::new("sqlite", move || {
            let options = SqliteOptions::new(shared_file.join(fresh()));
            async { Ok(sqlite(options).await) }
        })
        .own_clock(),
        Backend::new("sqlite_exclusive", move || {
            let options = SqliteOptions::new(own_file.join(fresh())).exclusive(true);
            async { Ok(sqlite(options).await) }
        }),
        Backend::new("sqlite_memory", || async {
            Ok(sqlite(SqliteOptions::in_memory()).await)
        }),
        Backend::counted("postgres", || async {
            let (url, count) = counted(url(shared::postgres())?).await;
            Ok((postgres(&url).await, count))
        })
        .own_clock(),
        Backend::counted("mariadb", || async {
            let (url, count) = counted(url(shared::mariadb())?).await;
            Ok((mysql(&url).await, count))
        })
        .own_clock(),
    ])
}

/// Each case has a file or a table of its own.
fn fresh() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("case_{}_{count}", std::process::id())
}

async fn sqlite(options: SqliteOptions) -> SqliteStore {
    let store = options.open().await.expect("the file can be opened");
    store.migrate().await.expect("the table can be made");
    store
}

async fn postgres(url: &str) -> PostgresStore {
    let options = PostgresOptions::from_url(url).expect("the URL is right");
    let store = options.table(fresh()).max_connections(4).connect().await;
    let store = store.expect("the server answers");
    store.migrate().await.expect("the table can be made");
    store
}

async fn mysql(url: &str) -> MySqlStore {
    let options = MySqlOptions::from_url(url).expect("the URL is right");
    let store = options.table(fresh()).max_connections(4).connect().await;
    let store = store.expect("the server answers");
    store.migrate().await.expect("the table can be made");
    store
}

/// Round trips are counted on the wire, where the URL gives the server's address.
async fn counted(url: String) -> (String, impl Fn() -> Option<u64> + use<>) {
    let server = address(&url);
    let trips = match server {
        Some(server) => Some(RoundTrips::to(server).await.expect("there is a free port")),
        None => None,
    };
    let through = trips
        .as_ref()
        .zip(server)
        .map(|(trips, server)| url.replace(&server.to_string(), &trips.address().to_string()));
    let count = move || trips.as_ref().map(RoundTrips::count);
    (through.unwrap_or(url), count)
}

/// `postgres://user:password@127.0.0.1:5432/...`
fn address(url: &str) -> Option<SocketAddr> {
    let server = url.split("://").nth(1)?.split(['/', '?']).next()?;
    server.rsplit('@').next()?.parse().ok()
}

fn url(service: Result<String, Error>) -> Result<String, Missing> {
    service.map_err(|error| match error {
        Error::Missing(missing) => Missing::new(
            format!("{} is not installed", missing.service()),
            missing.command(),
        ),
        error => panic!("{error}"),
    })
}

/// Files of a run, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(fresh());
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
