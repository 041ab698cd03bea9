//! A store that fails.

use cloakroom_tests::{Client, eventually};
use http::Method;
use serde_json::Value;

use crate::look::is_unavailable;
use crate::stored;
use crate::stores::Running;

/// A look at the session while the store fails: the session as it was stored, or 503.
async fn look(client: &Client) -> Option<Value> {
    let session = crate::look::look(client).await?;
    assert_eq!(session["data"]["colour"], "red");
    Some(session)
}

pub(crate) async fn a_frozen_store_is_unavailable_and_never_anonymous_and_heals(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    for server in store.servers() {
        server.freeze().unwrap();
    }
    for node in &nodes {
        let client = client.at(node.address());
        // A copy may be shown for as long as its mode declares.
        eventually("the node notices", async || look(&client).await.is_none()).await;
        let write = client.put("/api/data/lost", "1").await;
        assert!(is_unavailable(&write), "{}", write.text());
        let health = client.get("/healthz").await;
        assert_eq!(health.text(), "ok", "who needs no session is served");
    }
    for server in store.servers() {
        server.thaw().unwrap();
    }
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node heals", async || look(&client).await.is_some()).await;
        let write = async || client.put("/api/data/after", "1").await.status == 204;
        eventually("it writes again", write).await;
    }
}

pub(crate) async fn a_stale_copy_is_shown_read_only_while_the_store_is_frozen(store: &Running) {
    let node = store.node("--stale-if-error 1h").await;
    let client = stored(&node).await;
    assert!(look(&client).await.is_some());
    for server in store.servers() {
        server.freeze().unwrap();
    }
    let stale = async |stale: bool| look(&client).await.is_some_and(|s| s["is_stale"] == stale);
    eventually("the copy is told to be stale", async || stale(true).await).await;
    client
        .put("/api/data/lost", "1")
        .await
        .assert_refused(503, "unavailable");
    let thief = node.client();
    let mut forged = client.token().unwrap();
    forged.replace_range(40.., "AAAAAAAA");
    thief.set_cookie("id", &forged);
    thief
        .get("/api/session")
        .await
        .assert_refused(503, "unavailable");
    for server in store.servers() {
        server.thaw().unwrap();
    }
    eventually("the copy is current again", async || stale(false).await).await;
    eventually("it writes again", async || {
        client.put("/api/data/after", "1").await.status == 204
    })
    .await;
}

pub(crate) async fn a_store_that_is_killed_and_restarted_heals_and_keeps_everything(
    store: &Running,
) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let mut acknowledged = 0;
    for _ in 0..20 {
        let answer = client.post("/api/data/n/add", "{\"by\":1}").await;
        acknowledged = answer.json()["value"].as_i64().unwrap();
    }
    for server in store.servers() {
        server.kill().unwrap();
    }
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node notices", async || look(&client).await.is_none()).await;
    }
    for server in store.servers() {
        server.restart().unwrap();
    }
    for node in &nodes {
        let client = client.at(node.address());
        eventually("the node heals", async || look(&client).await.is_some()).await;
    }
    assert_eq!(
        client.get("/api/data/n").await.text(),
        acknowledged.to_string()
    );
    client.delete("/api/session").await.assert_status(204);
    // Another part of a cluster may still be coming back.
    eventually("new sessions are stored", async || {
        let new = nodes[2].client();
        !is_unavailable(&new.send(Method::PUT, "/api/data/a", "1").await)
    })
    .await;
}

pub(crate) async fn a_store_that_is_down_at_the_start_is_a_one_line_error(store: &Running) {
    for server in store.servers() {
        server.stop().unwrap();
    }
    let refusal = store.builder("").refused().await;
    assert_eq!(refusal.status.code(), Some(2), "{refusal:?}");
    assert_eq!(
        refusal.stderr.trim_end().lines().count(),
        1,
        "{}",
        refusal.stderr
    );
    assert!(refusal.stderr.contains("--store"), "{}", refusal.stderr);
}
