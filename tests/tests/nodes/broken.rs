//! Connections that break, and a part of a cluster that is lost.
#![expect(clippy::print_stdout, reason = "the figures are the point")]

use std::time::Duration;

use cloakroom_tests::{Client, eventually};
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::look::{add, is_unavailable, look};
use crate::since::Since;
use crate::stored;
use crate::stores::Running;

pub(crate) async fn a_feed_that_breaks_shows_nothing_old_and_comes_back(store: &Running) {
    let nodes = store.nodes("--poll off").await;
    let mut admin = Admin::of(store.server()).await;
    let client = stored(&nodes[0]).await;
    let there = [&nodes[1], &nodes[2]].map(|node| client.at(node.address()));
    let mut worst = Duration::ZERO;
    for round in 0..10 {
        for there in &there {
            look(there).await.unwrap();
        }
        admin.kill_feed().await;
        let write = client.put("/api/data/n", &round.to_string()).await;
        write.assert_status(204);
        let told = Since::now();
        for there in &there {
            let seen = async || there.get("/api/data/n").await.text() == round.to_string();
            eventually("the write is seen", seen).await;
        }
        worst = worst.max(told.elapsed());
    }
    println!("a write after the feed broke is seen by all: worst of 10 {worst:.1?}");
    assert!(worst < store.bound(), "{worst:?}");
    admin.kill_feed().await;
    client.delete("/api/session").await.assert_status(204);
    let new = stored(&nodes[0]).await;
    for node in &nodes[1..] {
        let there = new.at(node.address());
        eventually("a copy is trusted again", async || {
            admin.commands().await;
            look(&there).await.unwrap();
            admin.commands().await == 0
        })
        .await;
    }
}

pub(crate) async fn connections_that_break_lose_no_increment(store: &Running) {
    let nodes = store.nodes("").await;
    let client = stored(&nodes[0]).await;
    let mut admin = Admin::of(store.server()).await;
    let fire = tokio::spawn(async move {
        loop {
            admin.kill_all().await;
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    });
    let mut writers = JoinSet::new();
    for n in 0..9 {
        writers.spawn(forty(client.at(nodes[n % 3].address())));
    }
    let told = writers.join_all().await;
    fire.abort();
    let mut values: Vec<i64> = told.iter().flat_map(|(values, _)| values.clone()).collect();
    let open: usize = told.iter().map(|(_, open)| open).sum();
    let count = values.len();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), count, "each answer is a value of its own");
    let mut kept = None;
    eventually("it heals", async || {
        kept = look(&client).await;
        kept.is_some()
    })
    .await;
    let kept = kept.unwrap()["data"]["n"].as_u64().unwrap();
    let kept = usize::try_from(kept).unwrap();
    assert!(
        (count..=count + open).contains(&kept),
        "{count} {open} {kept}"
    );
}

/// Forty acknowledged increments and looks between them, however many tries it takes: the values, and
/// how many tries stayed open.
async fn forty(client: Client) -> (Vec<i64>, usize) {
    let (mut values, mut open) = (Vec::new(), 0);
    while values.len() < 40 {
        match add(&client).await {
            Some(value) => values.push(value),
            None => open += 1,
        }
        look(&client).await;
    }
    (values, open)
}

pub(crate) async fn a_lost_part_of_a_cluster_is_never_taken_for_empty(store: &Running) {
    let nodes = store.nodes("").await;
    let mut clients = Vec::new();
    for n in 0..15 {
        let client = stored(&nodes[n % 3]).await;
        clients.push(client);
    }
    let [first, ..] = store.servers() else {
        unreachable!("a cluster has servers")
    };
    let mut admin = Admin::of(first).await;
    // What it comes back with.
    assert_eq!(admin.run("SAVE").await, "+OK");
    first.kill().unwrap();
    for node in &nodes {
        eventually("some sessions cannot be had", async || {
            let mut missed = 0;
            for client in &clients {
                let client = client.at(node.address());
                missed += usize::from(look(&client).await.is_none());
            }
            missed > 0
        })
        .await;
    }
    let mut refused = 0;
    for client in &clients {
        let write = client.put("/api/data/a", "1").await;
        if is_unavailable(&write) {
            refused += 1;
        } else {
            write.assert_status(204);
        }
    }
    assert!(refused > 0, "a write to the lost part is refused");
    first.restart().unwrap();
    for client in &clients {
        for node in &nodes {
            let client = client.at(node.address());
            eventually("it heals", async || look(&client).await.is_some()).await;
            let write = async || !is_unavailable(&client.put("/api/data/b", "1").await);
            eventually("it writes again", write).await;
        }
    }
}
