//! A master that is replaced by its replica, and the nodes that follow.

use cloakroom_services::Server;
use cloakroom_tests::{Client, Node, eventually};

use crate::admin::Admin;
use crate::look::{add, look};
use crate::stored;
use crate::stores::Running;

/// The servers as they were at the start.
fn pair(store: &Running) -> [&Server; 2] {
    let [master, replica] = store.servers() else {
        unreachable!("the case is for a master with a replica")
    };
    [master, replica]
}

/// Both servers have the same, so that a failover loses nothing.
async fn in_step([master, replica]: [&Server; 2]) {
    let (mut master, mut replica) = (Admin::of(master).await, Admin::of(replica).await);
    eventually("the replica is in step", async || {
        let told = master.figure("replication", "master_repl_offset").await;
        let heard = replica.figure("replication", "slave_repl_offset").await;
        told == heard
    })
    .await;
}

/// What is said of these sessions while the store changes hands, until every node writes again.
async fn all_write_again(nodes: &[Node; 3], client: &Client, gone: &Client, last: i64) -> i64 {
    let mut last = last;
    for node in nodes {
        let (client, gone) = (client.at(node.address()), gone.copy().at(node.address()));
        let mut open = 0;
        eventually("the node writes again", async || {
            look(&client).await;
            let answer = gone.get("/api/session").await;
            assert!(answer.status == 503 || answer.json()["presented"] == "ended");
            let Some(value) = add(&client).await else {
                open += 1;
                return false;
            };
            let next = last + 1..=last + 1 + open;
            assert!(next.contains(&value), "{next:?} {value}");
            last = value;
            true
        })
        .await;
    }
    last
}

/// A live session with a count, and one that has ended.
async fn sessions(nodes: &[Node; 3]) -> (Client, Client, i64) {
    let (client, gone) = (stored(&nodes[0]).await, stored(&nodes[1]).await);
    let thief = gone.copy();
    gone.delete("/api/session").await.assert_status(204);
    let mut last = 0;
    for n in 0..12 {
        last = add(&client.at(nodes[n % 3].address())).await.unwrap();
    }
    assert_eq!(last, 12);
    (client, thief, last)
}

pub(crate) async fn a_master_that_dies_is_replaced_and_nobody_is_forgotten(store: &Running) {
    let nodes = store.nodes("").await;
    let (client, gone, last) = sessions(&nodes).await;
    let [master, replica] = pair(store);
    in_step([master, replica]).await;
    master.kill().unwrap();
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node notices", async || look(&client).await.is_none()).await;
    }
    let last = all_write_again(&nodes, &client, &gone, last).await;
    // It comes back as what it is now, and has nothing to say.
    master.restart().unwrap();
    eventually("the old master follows the new one", async || {
        // The sentinel breaks its connections with the same command that gives it its place.
        let told = Admin::of(master).await.try_run("INFO replication").await;
        told.is_ok_and(|info| info.contains("role:slave"))
    })
    .await;
    in_step([replica, master]).await;
    all_write_again(&nodes, &client, &gone, last).await;
    client.delete("/api/session").await.assert_status(204);
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node knows of the end", async || {
            client.session().await["presented"] != "active"
        })
        .await;
    }
}

/// No connection breaks here: who does not ask goes on writing to a server that nobody reads.
pub(crate) async fn a_replaced_master_that_is_still_there_is_left(store: &Running) {
    let nodes = store.nodes("--coherence verify").await;
    let (client, gone, last) = sessions(&nodes).await;
    let [master, replica] = pair(store);
    in_step([master, replica]).await;
    // The sentinel would make the old one a replica at once, which breaks its connections.
    let mut sentinel = Admin::of(store.sentinel()).await;
    Admin::of(replica).await.run("REPLICAOF NO ONE").await;
    sentinel.run("SENTINEL REMOVE cloakroom").await;
    let monitor = format!("SENTINEL MONITOR cloakroom 127.0.0.1 {} 1", replica.port());
    sentinel.run(&monitor).await;
    let mut promoted = Admin::of(replica).await;
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node asks the new master", async || {
            promoted.commands().await;
            look(&client).await;
            promoted.commands().await > 0
        })
        .await;
    }
    all_write_again(&nodes, &client, &gone, last).await;
}
