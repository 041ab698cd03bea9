//! Nodes that agree.

use cloakroom_tests::{Node, eventually};
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::stored;
use crate::stores::Running;

pub(crate) async fn overlapping_writes_on_different_nodes_all_survive(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let mut writes = JoinSet::new();
    for (n, letter) in ('a'..='z').enumerate() {
        let client = client.at(nodes[n % 3].address());
        writes.spawn(async move {
            client
                .put(
                    &format!("/api/slow/{letter}?ms=30"),
                    &format!("\"{letter}\""),
                )
                .await
        });
    }
    for write in writes.join_all().await {
        write.assert_status(204);
    }
    for node in &nodes {
        let read = client.at(node.address());
        let all = async || read.session().await["data"].as_object().unwrap().len() == 27;
        eventually("the node sees all 27", all).await;
    }
}

pub(crate) async fn increments_on_three_nodes_add_up(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let mut adds = JoinSet::new();
    for n in 0..15 {
        let client = client.at(nodes[n % 3].address());
        adds.spawn(async move {
            let mut values = Vec::new();
            for _ in 0..30 {
                let answer = client.post("/api/data/n/add", "{\"by\":1}").await;
                answer.assert_status(200);
                values.push(answer.json()["value"].as_i64().unwrap());
            }
            values
        });
    }
    let mut values: Vec<i64> = adds.join_all().await.into_iter().flatten().collect();
    values.sort_unstable();
    assert_eq!(
        values,
        (1..=450).collect::<Vec<_>>(),
        "each answer is what was stored"
    );
}

pub(crate) async fn a_logout_on_one_node_is_refused_by_all(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let thieves = nodes
        .each_ref()
        .map(|node| client.copy().at(node.address()));
    for thief in &thieves {
        assert_eq!(thief.session().await["presented"], "active");
    }
    client.delete("/api/session").await.assert_status(204);
    for thief in &thieves {
        let told = async || thief.session().await["ended_reason"] == "logout";
        eventually("the node knows of the end", told).await;
        thief.put("/api/data/a", "1").await.assert_status(204);
        assert_eq!(
            thief.session().await["data"],
            json!({ "a": 1 }),
            "a session of its own"
        );
    }
}

pub(crate) async fn a_slow_request_on_another_node_cannot_revive_a_destroyed_session(
    store: &Running,
) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let there = client.copy().at(nodes[1].address());
    let slow = nodes[1]
        .begin(&there, Method::PUT, "/api/slow/late?ms=400", "1")
        .await;
    let thief = client.copy().at(nodes[2].address());
    client.delete("/api/session").await.assert_status(204);
    assert_eq!(slow.await.unwrap().set_cookies(), [""; 0]);
    eventually("it is dead", async || {
        thief.session().await["presented"] == "ended"
    })
    .await;
    assert_eq!(there.session().await["presented"], "ended");
}

pub(crate) async fn a_token_replaced_on_one_node_is_superseded_on_all(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let old = nodes
        .each_ref()
        .map(|node| client.copy().at(node.address()));
    for old in &old {
        assert_eq!(old.session().await["presented"], "active");
    }
    client.post("/api/renew", "").await.assert_status(204);
    for (old, node) in old.iter().zip(&nodes) {
        let told = async || old.session().await["presented"] == "superseded";
        eventually("the node knows of the renewal", told).await;
        old.put("/api/data/a", "1").await.assert_status(409);
        assert_eq!(
            client.at(node.address()).session().await["presented"],
            "active"
        );
    }
}

pub(crate) async fn a_planted_token_gets_nothing_from_a_login_on_another_node(store: &Running) {
    let nodes = store.named_nodes().await;
    let victim = stored(&nodes[0]).await;
    let attacker = victim.copy().at(nodes[1].address());
    let slow = nodes[1]
        .begin(&attacker, Method::PUT, "/api/slow/planted?ms=400", "1")
        .await;
    victim
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    slow.await.unwrap().assert_status(409);
    let session = victim.at(nodes[2].address()).session().await;
    assert_eq!(
        (&session["owner"], &session["data"]),
        (&json!("ada"), &json!({ "colour": "red" }))
    );
    let told = async || attacker.session().await["presented"] == "superseded";
    eventually("the node knows of the login", told).await;
}

pub(crate) async fn an_owner_ends_sessions_that_live_on_other_nodes(store: &Running) {
    let nodes = store.named_nodes().await;
    let clients = nodes.each_ref().map(Node::client);
    for client in &clients {
        client
            .post("/api/login", "{\"owner\":\"ada\"}")
            .await
            .assert_status(204);
    }
    let list = clients[1].get("/api/sessions").await.json();
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(
        clients[0].delete("/api/sessions").await.json(),
        json!({ "destroyed": 2 })
    );
    for client in &clients[1..] {
        let told = async || client.session().await["ended_reason"] == "revoked";
        eventually("the node knows of the end", told).await;
    }
    assert_eq!(clients[0].session().await["owner"], "ada");
}

pub(crate) async fn a_node_that_is_killed_loses_nothing_acknowledged(store: &Running) {
    let nodes = store.named_nodes().await;
    let client = stored(&nodes[0]).await;
    let writer = client.clone();
    let writing = tokio::spawn(async move {
        let mut acknowledged = 0;
        while let Ok(answer) = writer
            .try_send(Method::POST, "/api/data/n/add", "{\"by\":1}")
            .await
        {
            answer.assert_status(200);
            acknowledged = answer.json()["value"].as_i64().unwrap();
        }
        acknowledged
    });
    let there = client.at(nodes[1].address());
    let value = async || there.get("/api/data/n").await.text().parse().unwrap_or(0);
    eventually("some writes are in", async || value().await >= 20).await;
    nodes[0].signal("KILL").await;
    let acknowledged: i64 = writing.await.unwrap();
    let kept = value().await;
    // The one whose answer was lost may be in or not.
    assert!(
        (acknowledged..=acknowledged + 1).contains(&kept),
        "{acknowledged} and {kept}"
    );
}
