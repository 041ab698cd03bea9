//! Nodes that trust their copies while the feed is up: how soon they hear.
#![expect(clippy::print_stdout, reason = "the figures are the point")]

use std::time::Duration;

use cloakroom_tests::{Client, Node, eventually};
use serde_json::json;

use crate::since::Since;
use crate::stored;
use crate::stores::Running;

/// What is declared for the worst case: the feed has broken and nobody knows yet.
const DECLARED: Duration = Duration::from_millis(1_250);

/// Cookies of the session, with a copy of it in each of these nodes.
async fn copies(client: &Client, nodes: &[Node]) -> Vec<Client> {
    let mut copies = Vec::new();
    for node in nodes {
        let copy = client.copy().at(node.address());
        assert_eq!(copy.session().await["presented"], "active");
        copies.push(copy);
    }
    copies
}

/// How long it takes until all refuse, from when the client was told.
async fn refused_by(copies: &[Client], outcome: &str) -> Duration {
    let told = Since::now();
    for copy in copies {
        eventually("the node refuses the token", async || {
            let session = copy.session().await;
            assert!(session["presented"] == "active" || session["presented"] == outcome);
            session["presented"] == outcome
        })
        .await;
    }
    told.elapsed()
}

pub(crate) async fn a_logout_is_refused_by_all_within_milliseconds(store: &Running) {
    let nodes = store.nodes("").await;
    let mut delays = Vec::new();
    for n in 0..30 {
        let client = stored(&nodes[0]).await;
        let copies = copies(&client, &nodes[1..]).await;
        let outcome = if n % 3 == 0 {
            client.post("/api/renew", "").await.assert_status(204);
            "superseded"
        } else {
            client.delete("/api/session").await.assert_status(204);
            "ended"
        };
        delays.push(refused_by(&copies, outcome).await);
    }
    delays.sort_unstable();
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!("a logout is refused by all: median {median:.1?}, worst of 30 {worst:.1?}");
    assert!(median < DECLARED, "{delays:?}");
}

pub(crate) async fn a_revoked_session_is_refused_by_all(store: &Running) {
    let nodes = store.nodes("").await;
    let (ada, lost) = (stored(&nodes[0]).await, stored(&nodes[1]).await);
    for client in [&ada, &lost] {
        let login = json!({ "owner": "ada" }).to_string();
        client.post("/api/login", &login).await.assert_status(204);
    }
    let copies = copies(&lost, &nodes).await;
    let id = lost.session().await["id"].clone();
    let path = format!("/api/sessions/{}", id.as_str().unwrap());
    ada.delete(&path).await.assert_status(204);
    refused_by(&copies, "ended").await;
    for copy in &copies {
        assert_eq!(copy.session().await["ended_reason"], "revoked");
    }
    assert_eq!(ada.session().await["owner"], "ada");
}

pub(crate) async fn an_ending_is_pushed_though_copies_may_be_old(store: &Running) {
    // Longer than this case waits for anything.
    let nodes = store.nodes("--coherence bounded=10m").await;
    let hot = stored(&nodes[0]).await;
    let there = hot.at(nodes[1].address());
    eventually("the feed is up: a copy is used as it is", async || {
        let before = there.figure("/peeks").await;
        assert_eq!(there.get("/api/data/colour").await.text(), "\"red\"");
        there.figure("/loads").await > 0 && there.figure("/peeks").await == before
    })
    .await;
    there.get("/api/data/colour").await.assert_status(200);
    let mut delays = Vec::new();
    for n in 0..10 {
        let client = stored(&nodes[0]).await;
        let copies = copies(&client, &nodes[1..]).await;
        let outcome = match n % 3 {
            0 => {
                let login = json!({ "owner": "ada" }).to_string();
                client.post("/api/login", &login).await.assert_status(204);
                "superseded"
            }
            1 => {
                client.post("/api/renew", "").await.assert_status(204);
                "superseded"
            }
            _ => {
                client.delete("/api/session").await.assert_status(204);
                "ended"
            }
        };
        delays.push(refused_by(&copies, outcome).await);
    }
    delays.sort_unstable();
    println!("an ending is pushed: median {:.1?}", delays[5]);
    // Where a feed broke just then a copy is looked at once more, which is no push.
    let mut writes = 0;
    eventually("a write is not pushed: too dear", async || {
        let old = there.get("/api/data/colour").await;
        writes += 1;
        let new = hot.put("/api/data/colour", &writes.to_string()).await;
        new.assert_status(204);
        there.get("/api/data/colour").await.text() == old.text()
    })
    .await;
}
