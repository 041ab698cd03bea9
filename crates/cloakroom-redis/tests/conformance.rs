//! The store contract, case by case, on every kind of server.
#![expect(clippy::panic, reason = "a case fails by panicking")]

use std::net::SocketAddr;
use std::process::ExitCode;

use cloakroom_conformance::{Backend, Missing, RoundTrips, run};
use cloakroom_core::{Clock, SessionId, SystemClock};
use cloakroom_redis::{RedisOptions, RedisStore};
use cloakroom_services::{Error, REQUIRE_VARIABLE, shared};

fn main() -> ExitCode {
    let mut backends = vec![
        backend("redis", shared::redis),
        backend("redis_cluster", shared::redis_cluster),
        backend("redis_sentinel", shared::redis_sentinel),
    ];
    // Not every system has Valkey: where services are required it is left out, else ignored.
    let required = std::env::var_os(REQUIRE_VARIABLE).is_some_and(|value| value == "1");
    match shared::valkey() {
        Err(Error::Missing(_)) if required => {}
        _ => backends.push(backend("valkey", shared::valkey)),
    }
    run(backends)
}

fn backend(name: &str, url: fn() -> Result<String, Error>) -> Backend {
    let factory = move || async move {
        match url() {
            Ok(url) => Ok(counted(&url).await),
            Err(Error::Missing(missing)) => Err(Missing::new(
                format!("{} is not installed", missing.service()),
                missing.command(),
            )),
            Err(error) => panic!("{error}"),
        }
    };
    Backend::counted(name, factory).own_clock()
}

/// A store whose round trips are counted on the wire, if it is one server without TLS: others tell
/// their clients, or check, where they are.
async fn counted(url: &str) -> (RedisStore, impl Fn() -> Option<u64> + use<>) {
    let trips = match address(url) {
        Some(server) => Some(RoundTrips::to(server).await.expect("there is a free port")),
        None => None,
    };
    let through = trips
        .as_ref()
        .zip(address(url))
        .map(|(trips, server)| url.replace(&server.to_string(), &trips.address().to_string()));
    let store = store(through.as_deref().unwrap_or(url)).await;
    (store, move || trips.as_ref().map(RoundTrips::count))
}

/// `redis://user:password@127.0.0.1:6379/...`
fn address(url: &str) -> Option<SocketAddr> {
    let server = url.strip_prefix("redis://")?.split(['/', '?']).next()?;
    server.rsplit('@').next()?.parse().ok()
}

/// Each case has a prefix, and so keys, indexes and a channel, of its own.
async fn store(url: &str) -> RedisStore {
    let prefix = format!("{}:", SessionId::generate(SystemClock::default().now()));
    let options = RedisOptions::parse(url)
        .and_then(|options| options.prefix(&prefix))
        .expect("the URL and the prefix are right");
    options.connect().await.expect("the server answers")
}
