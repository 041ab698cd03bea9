//! The store contract, case by case, on every kind of server.
#![expect(clippy::panic, reason = "a case fails by panicking")]

use std::process::ExitCode;

use cloakroom_conformance::{Backend, Missing, run};
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
            Ok(url) => Ok(store(&url).await),
            Err(Error::Missing(missing)) => Err(Missing::new(
                format!("{} is not installed", missing.service()),
                missing.command(),
            )),
            Err(error) => panic!("{error}"),
        }
    };
    Backend::new(name, factory).own_clock()
}

/// Each case has a prefix, and so keys, indexes and a channel, of its own.
async fn store(url: &str) -> RedisStore {
    let prefix = format!("{}:", SessionId::generate(SystemClock::default().now()));
    let options = RedisOptions::parse(url)
        .and_then(|options| options.prefix(&prefix))
        .expect("the URL and the prefix are right");
    options.connect().await.expect("the server answers")
}
