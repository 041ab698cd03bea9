//! A master that sentinels name, and its failover.

use std::time::Duration;

use cloakroom_core::{Change, CreateOutcome, SessionStore, StoreErrorKind};
use cloakroom_redis::RedisStore;
use cloakroom_services::RedisSentinel;
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("sentinel_names_the_master", named),
        trial("sentinel_failover_on_request_is_followed", on_request),
        trial("sentinel_a_dead_master_is_replaced", dead),
        trial(
            "sentinel_a_replaced_master_is_left_though_it_still_answers",
            replaced,
        ),
        trial("sentinel_one_that_is_silent_is_not_waited_for", silent),
    ]
}

async fn named() {
    let group = RedisSentinel::start().unwrap();
    let dead = cloakroom_services::free_port().unwrap();
    let port = group.sentinel().port();
    let url = format!("redis+sentinel://127.0.0.1:{dead},127.0.0.1:{port}/cloakroom/2");
    let store = RedisStore::connect(&url).await.unwrap();
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    assert_eq!(store.load(id).await.unwrap(), Some(first));
    let mut feed = store.changes().unwrap();
    hears(&mut feed, Change::Live).await;
    store.end(id, None).await.unwrap();
    hears(&mut feed, Change::Ended { id }).await;
    let unknown = format!("redis+sentinel://127.0.0.1:{port}/other");
    assert_eq!(
        kind(RedisStore::connect(&unknown).await),
        StoreErrorKind::Rejected
    );
}

async fn follows(store: &RedisStore, feed: &mut cloakroom_core::ChangeFeed) {
    hears(feed, Change::Lost).await;
    hears(feed, Change::Live).await;
    let (id, record) = (new_id(), record());
    let created = heals(|| store.create(id, &record)).await;
    assert!(matches!(
        created,
        CreateOutcome::Created | CreateOutcome::Exists(_)
    ));
    let stamp = record.stamp;
    hears(feed, Change::Saved { id, stamp }).await;
}

async fn on_request() {
    let group = RedisSentinel::start().unwrap();
    let store = quick(group.url()).connect().await.unwrap();
    let mut feed = store.changes().unwrap();
    hears(&mut feed, Change::Live).await;
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    in_step(&mut Admin::of(group.master()).await).await;
    let mut admin = Admin::of(group.sentinel()).await;
    // It wants to have heard of the replica lately.
    while admin
        .try_run::<()>("SENTINEL FAILOVER cloakroom")
        .await
        .is_err()
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    follows(&store, &mut feed).await;
    assert_eq!(heals(|| store.load(id)).await, Some(first));
    let mut promoted = Admin::of(group.replica()).await;
    assert!(
        promoted.run::<u64>("DBSIZE").await >= 2,
        "commands go to the new master"
    );
}

async fn dead() {
    let group = RedisSentinel::start().unwrap();
    let store = quick(group.url()).connect().await.unwrap();
    let mut feed = store.changes().unwrap();
    hears(&mut feed, Change::Live).await;
    group.master().kill().unwrap();
    follows(&store, &mut feed).await;
}

/// Without a feed, and without a connection that breaks.
async fn replaced() {
    let group = RedisSentinel::start().unwrap();
    let store = RedisStore::connect(group.url()).await.unwrap();
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    in_step(&mut Admin::of(group.master()).await).await;
    let mut promoted = Admin::of(group.replica()).await;
    promoted.run::<()>("REPLICAOF NO ONE").await;
    let mut sentinel = Admin::of(group.sentinel()).await;
    sentinel.run::<()>("SENTINEL REMOVE cloakroom").await;
    let port = group.replica().port();
    let monitor = format!("SENTINEL MONITOR cloakroom 127.0.0.1 {port} 1");
    sentinel.run::<()>(&monitor).await;
    promoted.scripts().await;
    let mut followed = async || {
        assert_eq!(heals(|| store.load(id)).await.as_ref(), Some(&first));
        promoted.scripts().await
    };
    while followed().await == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = next(&first);
    store.save(id, &second, first.stamp).await.unwrap();
    assert!(promoted.scripts().await > 0, "writes go there as well");
    // Nobody asks any more when the store is gone.
    drop(store);
    loop {
        let clients: String = sentinel.run("CLIENT LIST").await;
        if !clients.contains("lib-name=cloakroom") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn silent() {
    let group = RedisSentinel::start().unwrap();
    // The kernel takes connections, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let addresses = [silent.local_addr().unwrap().port(), group.sentinel().port()];
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/cloakroom",
        addresses[0], addresses[1]
    );
    // A minute for each: this test ends sooner.
    let patience = Duration::from_secs(100);
    let options = cloakroom_redis::RedisOptions::parse(&url).unwrap();
    let options = options.connect_timeout(patience).command_timeout(patience);
    let store = options.connect().await.unwrap();
    let mut asked = Vec::new();
    let mut master = Admin::of(group.master()).await;
    for _ in 0..3 {
        asked.extend(std::iter::from_fn(|| silent.accept().ok()));
        assert_eq!(asked.len(), 1, "who answered is asked first the next time");
        master.run::<()>("CLIENT KILL TYPE normal SKIPME yes").await;
        heals(|| store.load(new_id())).await;
    }
}
