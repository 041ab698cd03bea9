//! The scenarios over `SQLite`: a file in each node's own working directory; and what only a store
//! that outlives its process can show.

mod scenarios;

use cloakroom_tests::{Node, NodeBuilder, TempDir};
use serde_json::json;

const STORE: &str = "sqlite:cloakroom.sqlite";

fn over(directory: &TempDir, arguments: &str) -> NodeBuilder {
    let path = directory.path().join("sessions.sqlite");
    Node::with("--store")
        .arg(format!("sqlite:{}", path.display()))
        .args(arguments)
}

#[tokio::test]
async fn sqlite_is_the_default_store() {
    let node = Node::with("").start().await;
    assert!(node.directory().join("cloakroom.sqlite").is_file());
}

#[tokio::test]
async fn sessions_survive_a_restart() {
    let directory = TempDir::new();
    let mut node = over(&directory, "").start().await;
    let client = node.client();
    client
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    client
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    let (ended, before) = (node.client(), client.session().await);
    ended
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    let thief = ended.copy();
    ended.delete("/api/session").await.assert_status(204);
    node.signal("TERM").await;
    assert_eq!(node.ended().await.code(), Some(0));

    let node = over(&directory, "").start().await;
    assert_eq!(client.at(node.address()).session().await, before);
    assert_eq!(
        thief.at(node.address()).session().await["ended_reason"],
        "logout"
    );
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = TempDir::new();
    let mut node = over(&directory, "").start().await;
    let client = node.client();
    for n in 1..=20 {
        let answer = client.post("/api/data/n/add", "{\"by\":1}").await;
        assert_eq!(answer.json(), json!({ "value": n }));
    }
    node.signal("KILL").await;
    node.ended().await;
    let node = over(&directory, "").start().await;
    assert_eq!(
        client.at(node.address()).get("/api/data/n").await.text(),
        "20"
    );
}

#[tokio::test]
async fn two_processes_share_a_file() {
    let directory = TempDir::new();
    let (one, other) = (
        over(&directory, "").start().await,
        over(&directory, "").start().await,
    );
    let here = one.client();
    for n in 1..=10 {
        let there = here.at(other.address());
        assert_eq!(
            here.post("/api/data/n/add", "{\"by\":1}").await.json()["value"],
            2 * n - 1
        );
        assert_eq!(
            there.post("/api/data/n/add", "{\"by\":1}").await.json()["value"],
            2 * n
        );
    }
    let thief = here.copy().at(other.address());
    here.delete("/api/session").await.assert_status(204);
    assert_eq!(thief.session().await["presented"], "ended");
}

#[tokio::test]
async fn an_exclusive_file_is_locked_for_its_process() {
    let directory = TempDir::new();
    let mut first = over(&directory, "--coherence exclusive").start().await;
    for arguments in ["", "--coherence exclusive"] {
        let refusal = over(&directory, arguments).refused().await;
        assert_eq!(refusal.status.code(), Some(2));
        assert_eq!(
            refusal.stderr.trim_end().lines().count(),
            1,
            "{}",
            refusal.stderr
        );
        assert!(refusal.stderr.contains("exclusive"), "{}", refusal.stderr);
    }
    let client = first.client();
    client.put("/api/data/a", "1").await.assert_status(204);
    client.get("/api/data/a").await.assert_status(200);
    assert_eq!(client.figure("/peeks").await, 0, "nobody else can write");
    first.signal("TERM").await;
    first.ended().await;
    let next = over(&directory, "").start().await;
    assert_eq!(
        client.at(next.address()).get("/api/data/a").await.text(),
        "1"
    );
}

#[tokio::test]
async fn a_shutdown_that_destroys_leaves_nobody_signed_in_in_an_exclusive_file() {
    let directory = TempDir::new();
    let destroy = "--coherence exclusive --on-shutdown destroy --cache-entries 2 --retention 0s";
    let mut first = over(&directory, destroy).start().await;
    // More than this node holds in memory when it is told to stop.
    let clients: Vec<_> = std::iter::repeat_with(|| first.client()).take(6).collect();
    for client in &clients {
        client.put("/api/data/a", "1").await.assert_status(204);
    }
    first.signal("TERM").await;
    first.ended().await;
    let next = over(&directory, "").start().await;
    for client in &clients {
        let session = client.at(next.address()).session().await;
        assert_ne!(session["presented"], "active", "{session}");
    }
}

#[tokio::test]
async fn a_mode_that_the_store_cannot_give_is_refused() {
    for arguments in [
        "--coherence push",
        "--on-shutdown destroy",
        "--commit last-exit",
    ] {
        let refusal = over(&TempDir::new(), arguments).refused().await;
        assert_eq!(refusal.status.code(), Some(2), "{arguments}");
        assert_eq!(
            refusal.stderr.trim_end().lines().count(),
            1,
            "{}",
            refusal.stderr
        );
    }
}
