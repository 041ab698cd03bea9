//! A cluster: every slot, redirects, failover, and a feed from every master.

use std::time::Duration;

use cloakroom_core::{
    Change, ChangeFeed, CreateOutcome, Due, Page, SaveOutcome, SessionId, SessionStore,
    StoreErrorKind,
};
use cloakroom_redis::RedisStore;
use cloakroom_services::{RedisCluster, Server};
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("cluster_every_master_is_used_and_heard", everywhere),
        trial("cluster_a_slot_on_the_move_is_followed", moving),
        trial("cluster_a_graceful_failover_is_noticed", graceful),
        trial("cluster_a_dead_master_is_replaced", dead),
        trial("cluster_a_frozen_node_is_a_lost_feed", frozen),
        trial("cluster_one_seed_is_enough", seed),
    ]
}

async fn live(store: &RedisStore) -> ChangeFeed {
    let mut feed = store.changes().unwrap();
    hears(&mut feed, Change::Live).await;
    feed
}

/// Sessions on all masters.
async fn fill(store: &RedisStore) -> Vec<(SessionId, cloakroom_core::Record)> {
    let mut all = Vec::new();
    for _ in 0..60 {
        let (id, record) = (new_id(), owned("ada"));
        let created = store.create(id, &record).await.unwrap();
        assert_eq!(created, CreateOutcome::Created);
        all.push((id, record));
    }
    all
}

async fn everywhere() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let other = RedisStore::connect(cluster.url()).await.unwrap();
    let mut feed = live(&other).await;
    let all = fill(&store).await;
    for node in cluster.nodes() {
        let mut admin = Admin::of(node).await;
        assert!(admin.run::<u64>("DBSIZE").await > 5);
        assert_eq!(admin.run::<Vec<String>>("PUBSUB CHANNELS").await.len(), 1);
    }
    // Each once: what comes over the cluster's bus as well is a copy.
    let mut told = Vec::new();
    for _ in &all {
        told.push(hear(&mut feed).await);
    }
    for (id, record) in &all {
        let (id, stamp) = (*id, record.stamp);
        assert!(told.contains(&Change::Saved { id, stamp }), "{id}");
    }
    let page = Page {
        after: None,
        limit: 100,
    };
    let mut ids: Vec<SessionId> = all.iter().map(|(id, _)| *id).collect();
    ids.sort();
    assert_eq!(store.owned_by(&owner("ada"), page).await.unwrap(), ids);
    assert_eq!(other.expire(now(), Due::Ids(&ids)).await.unwrap(), []);
    for (id, record) in &all {
        assert_eq!(other.load(*id).await.unwrap().as_ref(), Some(record));
        assert_eq!(other.end(*id, None).await.unwrap().as_ref(), Some(record));
    }
    assert_eq!(store.owned_by(&owner("ada"), page).await.unwrap(), []);
}

async fn node_id(admin: &mut Admin) -> String {
    admin.run("CLUSTER MYID").await
}

async fn moving() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    let mut admins = Vec::new();
    for node in cluster.nodes() {
        admins.push(Admin::of(node).await);
    }
    let slot: u64 = admins[0].run(&format!("CLUSTER KEYSLOT {}", key(id))).await;
    let mut home = 0;
    for (n, admin) in admins.iter_mut().enumerate() {
        if admin
            .run::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}"))
            .await
            > 0
        {
            home = n;
        }
    }
    let away = (home + 1) % 3;
    let (home_id, away_id) = (
        node_id(&mut admins[home]).await,
        node_id(&mut admins[away]).await,
    );
    let setslot = format!("CLUSTER SETSLOT {slot}");
    admins[away]
        .run::<()>(&format!("{setslot} IMPORTING {home_id}"))
        .await;
    admins[home]
        .run::<()>(&format!("{setslot} MIGRATING {away_id}"))
        .await;
    // Still at home: served there. Then moved: asked for at the new node, once each time.
    assert_eq!(store.load(id).await.unwrap(), Some(first.clone()));
    let port = cluster.nodes()[away].port();
    let migrate = format!("MIGRATE 127.0.0.1 {port} {} 0 1000", key(id));
    admins[home].run::<()>(&migrate).await;
    let second = next(&first);
    let saved = store.save(id, &second, first.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
    assert_eq!(store.load(id).await.unwrap(), Some(second.clone()));
    // Moved for good.
    for admin in [away, home] {
        admins[admin]
            .run::<()>(&format!("{setslot} NODE {away_id}"))
            .await;
    }
    let third = next(&second);
    let saved = store.save(id, &third, second.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
    assert_eq!(store.load(id).await.unwrap(), Some(third));
}

/// The replica of this node, by its port.
async fn replica_of(cluster: &RedisCluster, master: &Server) -> Admin {
    let id = node_id(&mut Admin::of(master).await).await;
    let nodes: String = Admin::of(master).await.run("CLUSTER NODES").await;
    let line = nodes
        .lines()
        .find(|line| line.contains("slave") && line.contains(&id))
        .unwrap();
    let address = line.split([' ', '@']).nth(1).unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    assert!(cluster.nodes().iter().any(|node| node.port() == port));
    Admin::new(port).await
}

async fn all_are_there(store: &RedisStore, all: &[(SessionId, cloakroom_core::Record)]) {
    for (id, record) in all {
        assert_eq!(heals(|| store.load(*id)).await.as_ref(), Some(record));
    }
}

async fn writes_are_told(store: &RedisStore, feed: &mut ChangeFeed) {
    for _ in 0..30 {
        let (id, record) = (new_id(), record());
        let created = heals(|| store.create(id, &record)).await;
        // After an attempt without an answer the row may be there already.
        assert!(matches!(
            created,
            CreateOutcome::Created | CreateOutcome::Exists(_)
        ));
        let stamp = record.stamp;
        hears(feed, Change::Saved { id, stamp }).await;
    }
}

async fn graceful() {
    let cluster = RedisCluster::start(3, 3).unwrap();
    let store = RedisStore::connect(cluster.url()).await.unwrap();
    let mut feed = live(&store).await;
    let all = fill(&store).await;
    let mut replica = replica_of(&cluster, &cluster.nodes()[0]).await;
    replica.run::<()>("CLUSTER FAILOVER").await;
    hears(&mut feed, Change::Lost).await;
    hears(&mut feed, Change::Live).await;
    all_are_there(&store, &all).await;
    writes_are_told(&store, &mut feed).await;
}

async fn dead() {
    let cluster = RedisCluster::start(3, 3).unwrap();
    let store = quick(cluster.url()).connect().await.unwrap();
    let mut feed = live(&store).await;
    let all = fill(&store).await;
    in_step(&mut Admin::of(&cluster.nodes()[1]).await).await;
    cluster.nodes()[1].kill().unwrap();
    hears(&mut feed, Change::Lost).await;
    hears(&mut feed, Change::Live).await;
    all_are_there(&store, &all).await;
    writes_are_told(&store, &mut feed).await;
    cluster.nodes()[1].restart().unwrap();
    writes_are_told(&store, &mut feed).await;
}

async fn frozen() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let store = quick(cluster.url()).connect().await.unwrap();
    let mut feed = live(&store).await;
    let all = fill(&store).await;
    while tokio::time::timeout(Duration::from_millis(300), feed.next())
        .await
        .is_ok()
    {}
    cluster.nodes()[2].freeze().unwrap();
    let lost = tokio::time::timeout(LOST_BY, feed.next()).await;
    assert_eq!(lost.expect("in time"), Some(Change::Lost));
    for (id, _) in all.iter().take(20) {
        match store.load(*id).await {
            Ok(found) => assert!(found.is_some(), "busy is not absent"),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
    }
    cluster.nodes()[2].thaw().unwrap();
    hears(&mut feed, Change::Live).await;
    all_are_there(&store, &all).await;
    writes_are_told(&store, &mut feed).await;
}

async fn seed() {
    let cluster = RedisCluster::start(3, 0).unwrap();
    let port = cluster.nodes()[1].port();
    let store = RedisStore::connect(&format!("redis+cluster://127.0.0.1:{port}"))
        .await
        .unwrap();
    let all = fill(&store).await;
    all_are_there(&store, &all).await;
    let dead = cloakroom_services::free_port().unwrap();
    let url = format!("redis+cluster://127.0.0.1:{dead},127.0.0.1:{port}");
    let store = RedisStore::connect(&url).await.unwrap();
    all_are_there(&store, &all).await;
}
