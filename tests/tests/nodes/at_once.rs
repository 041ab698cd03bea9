//! Nodes that verify every use of a copy: what one of them has acknowledged, the next request on any
//! other sees.

use cloakroom_tests::{Client, Node};
use serde_json::json;
use tokio::task::JoinSet;

use crate::stored;
use crate::stores::Running;

/// The same stolen cookie in front of each node, with a copy of the session in each of them.
async fn everywhere(client: &Client, nodes: &[Node; 3]) -> [Client; 3] {
    let copies = nodes
        .each_ref()
        .map(|node| client.copy().at(node.address()));
    for copy in &copies {
        assert_eq!(copy.session().await["presented"], "active");
    }
    copies
}

pub(crate) async fn a_write_is_read_by_all_at_once(store: &Running) {
    let nodes = store.nodes("").await;
    let client = stored(&nodes[0]).await;
    for n in 0..30 {
        let writer = client.at(nodes[n % 3].address());
        let write = writer.put("/api/data/n", &n.to_string()).await;
        write.assert_status(204);
        for node in &nodes {
            let read = client.at(node.address()).get("/api/data/n").await;
            assert_eq!(read.text(), n.to_string());
        }
    }
}

pub(crate) async fn a_logout_is_refused_by_all_at_once(store: &Running) {
    let nodes = store.nodes("").await;
    for n in 0..3 {
        let client = stored(&nodes[n]).await;
        let copies = everywhere(&client, &nodes).await;
        client.delete("/api/session").await.assert_status(204);
        for copy in &copies {
            let session = copy.session().await;
            assert_eq!(session["presented"], "ended");
            assert_eq!(session["ended_reason"], "logout");
        }
    }
}

pub(crate) async fn a_replaced_token_is_refused_by_all_at_once(store: &Running) {
    let nodes = store.nodes("").await;
    let login = "{\"owner\":\"ada\"}";
    for (path, body) in [("/api/renew", ""), ("/api/login", login)] {
        let client = stored(&nodes[0]).await;
        let copies = everywhere(&client, &nodes).await;
        client.post(path, body).await.assert_status(204);
        for (copy, node) in copies.iter().zip(&nodes) {
            let old = copy.session().await;
            assert_eq!(old["presented"], "superseded");
            assert_eq!(old["data"], json!({}));
            copy.put("/api/data/a", "1")
                .await
                .assert_refused(409, "superseded");
            let new = client.at(node.address()).session().await;
            assert_eq!(new["data"], json!({ "colour": "red" }));
        }
    }
}

pub(crate) async fn a_revoked_session_is_refused_by_all_at_once(store: &Running) {
    let nodes = store.nodes("").await;
    let (ada, lost) = (stored(&nodes[0]).await, stored(&nodes[1]).await);
    let stranger = stored(&nodes[2]).await;
    for (client, owner) in [(&ada, "ada"), (&lost, "ada"), (&stranger, "eve")] {
        let login = json!({ "owner": owner }).to_string();
        client.post("/api/login", &login).await.assert_status(204);
    }
    let copies = everywhere(&lost, &nodes).await;
    let id = lost.session().await["id"].clone();
    let path = format!("/api/sessions/{}", id.as_str().unwrap());
    stranger
        .delete(&path)
        .await
        .assert_refused(404, "not_found");
    assert_eq!(lost.session().await["presented"], "active");
    ada.delete(&path).await.assert_status(204);
    for copy in &copies {
        assert_eq!(copy.session().await["ended_reason"], "revoked");
    }
    assert_eq!(ada.session().await["owner"], "ada");
}

pub(crate) async fn increments_of_a_few_sessions_add_up(store: &Running) {
    let nodes = store.nodes("").await;
    let mut adds = JoinSet::new();
    let mut clients = Vec::new();
    for n in 0..5 {
        let client = stored(&nodes[n % 3]).await;
        for node in &nodes {
            let here = client.at(node.address());
            adds.spawn(async move {
                for _ in 0..30 {
                    let add = here.post("/api/data/n/add", "{\"by\":1}").await;
                    add.assert_status(200);
                }
            });
        }
        clients.push(client);
    }
    adds.join_all().await;
    for client in &clients {
        for node in &nodes {
            // A node that wrote itself, or verifies, is not behind.
            let add = client.at(node.address());
            let add = add.post("/api/data/n/add", "{\"by\":0}").await;
            assert_eq!(add.json()["value"], 90);
        }
    }
}
