//! The settings of L1, and when changes are written; over memory, whose figures are the plainest.

use cloakroom_tests::{Client, Node, eventually};
use http::Method;

async fn stored(node: &Node) -> Client {
    let client = node.client();
    client
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    client
}

#[tokio::test]
async fn without_l1_every_request_loads_its_own_copy() {
    let node = Node::with("--store memory: --cache-entries 0")
        .start()
        .await;
    let client = stored(&node).await;
    for loads in 1..=3 {
        assert_eq!(client.get("/api/data/colour").await.text(), "\"red\"");
        assert_eq!(client.figure("/loads").await, loads);
    }
    assert_eq!(client.figure("/l1/entries").await, 0);
    assert_eq!(client.figure("/l1/hits").await, 0);
}

#[tokio::test]
async fn on_exit_a_copy_leaves_l1_with_its_last_request() {
    let node = Node::with("--store memory: --evict on-exit").start().await;
    let client = stored(&node).await;
    let slow = node
        .begin(&client, Method::GET, "/api/slow?ms=300", "")
        .await;
    let loads = client.figure("/loads").await;
    assert_eq!(client.get("/api/data/colour").await.text(), "\"red\"");
    assert_eq!(
        client.figure("/loads").await,
        loads,
        "the slow request's copy is shared"
    );
    slow.await.unwrap().assert_status(200);
    let empty = async || client.figure("/l1/entries").await == 0;
    eventually("the copy has left", empty).await;
    assert_eq!(client.get("/api/data/colour").await.text(), "\"red\"");
    assert_eq!(client.figure("/loads").await, loads + 1);
}

#[tokio::test]
async fn every_exit_is_an_eviction_in_the_figures() {
    let node = Node::with("--store memory: --evict on-exit").start().await;
    let client = stored(&node).await;
    let before = client.figure("/evictions").await;
    for _ in 0..5 {
        client.get("/api/data/colour").await.assert_status(200);
    }
    let all = async || client.figure("/evictions").await == before + 5;
    eventually("each read has ended with an eviction", all).await;
    assert!(client.figure("/l1/entries_max").await <= 1);
}

#[tokio::test]
async fn l1_never_holds_more_than_its_bound_and_loses_nothing() {
    let node = Node::with("--store memory: --cache-entries 5")
        .start()
        .await;
    let mut clients = Vec::new();
    for n in 0..20 {
        let client = node.client();
        client
            .put("/api/data/n", &n.to_string())
            .await
            .assert_status(204);
        clients.push(client);
    }
    let operator = node.client();
    operator
        .post("/api/housekeeper/poll", "")
        .await
        .assert_status(200);
    assert!(operator.figure("/l1/entries").await <= 5);
    for (n, client) in clients.iter().enumerate() {
        assert_eq!(client.get("/api/data/n").await.text(), n.to_string());
    }
}

#[tokio::test]
async fn with_last_exit_a_change_is_seen_at_once_and_written_when_the_last_request_leaves() {
    let node = Node::with("--store memory: --commit last-exit")
        .start()
        .await;
    let client = stored(&node).await;
    let slow = node
        .begin(&client, Method::GET, "/api/slow?ms=400", "")
        .await;
    client
        .put("/api/data/colour", "\"blue\"")
        .await
        .assert_status(204);
    client.put("/api/data/size", "1").await.assert_status(204);
    assert_eq!(client.get("/api/data/colour").await.text(), "\"blue\"");
    assert_eq!(client.figure("/saves").await, 0);
    slow.await.unwrap().assert_status(200);
    eventually("both are written", async || {
        client.figure("/saves").await == 1
    })
    .await;
    assert_eq!(client.session().await["data"]["size"], 1);
}

#[tokio::test]
async fn with_last_exit_a_stop_writes_what_waits() {
    let directory = cloakroom_tests::TempDir::new();
    let path = directory.path().join("sessions.sqlite");
    let over = |arguments: &str| {
        Node::with("--store")
            .arg(format!("sqlite:{}", path.display()))
            .args(arguments)
    };
    let mut node = over("--coherence exclusive --commit last-exit")
        .start()
        .await;
    let client = stored(&node).await;
    let slow = node
        .begin(&client, Method::GET, "/api/slow?ms=300", "")
        .await;
    client
        .put("/api/data/colour", "\"blue\"")
        .await
        .assert_status(204);
    node.signal("TERM").await;
    slow.await.unwrap().assert_status(200);
    assert_eq!(node.ended().await.code(), Some(0));
    let node = over("").start().await;
    assert_eq!(
        client
            .at(node.address())
            .get("/api/data/colour")
            .await
            .text(),
        "\"blue\""
    );
}
