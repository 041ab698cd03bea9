//! What only a real connection shows.

use cloakroom_tests::eventually;
use cloakroom_tests::raw::Connection;
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{start, stored};

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let node = start("").await;
    let client = node.client().over_http2();
    client
        .put("/api/data/colour", "\"red\"")
        .await
        .assert_status(204);
    let mut writes = JoinSet::new();
    for n in 0..20 {
        let client = client.clone();
        writes.spawn(async move { client.put(&format!("/api/slow/k{n}?ms=10"), "1").await });
    }
    for write in writes.join_all().await {
        write.assert_status(204);
    }
    assert_eq!(
        client.session().await["data"].as_object().unwrap().len(),
        21
    );
    client.get("/nope").await.assert_refused(404, "not_found");
    let over_http1 = client.at(node.address());
    assert_eq!(over_http1.session().await["presented"], "active");
}

#[tokio::test]
async fn the_write_is_in_the_store_before_the_client_has_the_head() {
    let node = start("").await;
    let client = stored(&node).await;
    for n in 0..50 {
        let mut connection = Connection::open(node.address()).await;
        let body = n.to_string();
        let (token, length) = (client.token().unwrap(), body.len());
        let head = format!(
            "PUT /api/data/n HTTP/1.1\r\nhost: x\r\ncookie: id={token}\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.send(head + &body).await;
        connection.until("HTTP/1.1 204").await;
        assert_eq!(client.get("/api/data/n").await.text(), body);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_stores_nothing_and_leaves_nothing_behind() {
    let mut node = start("--drain 1h").await;
    let client = stored(&node).await;
    let token = client.token().unwrap();
    let before = client.looked_at().await;
    let mut connections = Vec::new();
    for _ in 0..5 {
        let mut connection = Connection::open(node.address()).await;
        let head = format!(
            "PUT /api/slow/left?ms=600000 HTTP/1.1\r\nhost: x\r\ncookie: id={token}\r\ncontent-length: 1\r\n\r\n1"
        );
        connection.send(head).await;
        connections.push(connection);
    }
    eventually("the handlers run", async || {
        client.looked_at().await >= before + 5
    })
    .await;
    drop(connections);
    assert_eq!(client.session().await["data"], json!({ "colour": "red" }));
    let thief = client.copy();
    client.delete("/api/session").await.assert_status(204);
    assert_eq!(thief.session().await["presented"], "ended");
    // Handlers that were not cancelled would hold up this end for ten minutes.
    drop((client, thief));
    node.signal("TERM").await;
    assert_eq!(node.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_addition_is_stored_though_its_answer_is_lost() {
    let node = start("").await;
    let client = stored(&node).await;
    let token = client.token().unwrap();
    let mut connection = Connection::open(node.address()).await;
    let head = format!(
        "POST /api/data/n/add HTTP/1.1\r\nhost: x\r\ncookie: id={token}\r\ncontent-length: 8\r\n\r\n{{\"by\":1}}"
    );
    connection.send(head).await;
    eventually("the addition lands", async || {
        client.get("/api/data/n").await.text() == "1"
    })
    .await;
}

#[tokio::test]
async fn a_streamed_body_that_writes_at_its_end_is_committed_late() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut connection = Connection::open(node.address()).await;
    let token = client.token().unwrap();
    let head = format!(
        "PUT /api/stream/late?ms=300 HTTP/1.1\r\nhost: x\r\ncookie: id={token}\r\ncontent-length: 1\r\n\r\n7"
    );
    connection.send(head).await;
    let head = connection.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    client.get("/api/data/late").await.assert_status(404);
    connection.until("0\r\n\r\n").await;
    assert_eq!(client.get("/api/data/late").await.text(), "7");
    assert_eq!(client.figure("/late_commits").await, 1);
}

#[tokio::test]
async fn a_streamed_body_without_a_stored_session_says_so() {
    let node = start("").await;
    let client = node.client();
    let answer = client.put("/api/stream/late?ms=10", "7").await;
    answer.assert_status(200);
    assert_eq!(answer.set_cookies(), [""; 0]);
    assert!(
        answer.text().contains("error: new_session"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_streamed_body_cannot_revive_a_session_that_ended_meanwhile() {
    let node = start("").await;
    let client = stored(&node).await;
    let (streaming, thief) = (client.copy(), client.copy());
    let stream = node
        .begin(&streaming, Method::PUT, "/api/stream/late?ms=300", "7")
        .await;
    client.delete("/api/session").await.assert_status(204);
    stream.await.unwrap().assert_status(200);
    assert_eq!(thief.session().await["presented"], "ended");
}

#[tokio::test]
async fn thousands_of_cookies_and_broken_headers_do_no_harm() {
    let node = start("").await;
    let client = stored(&node).await;
    let token = client.token().unwrap();
    let many: Vec<String> = (0..2_000).map(|n| format!("c{n}=v")).collect();
    let line = format!("{}; id={token}", many.join("; "));
    let asked = node.client().header("cookie", &line).session().await;
    assert_eq!(asked["presented"], "active");
    let broken = node
        .client()
        .header("cookie", "\u{80}=\u{ff}; ; =;=")
        .session()
        .await;
    assert_eq!(broken["presented"], "none");
    let split = node
        .client()
        .header("cookie", "a=b")
        .header("cookie", &format!("id={token}"));
    assert_eq!(split.session().await["presented"], "active");
}

#[tokio::test]
async fn a_slow_client_that_never_ends_its_head_holds_up_nobody() {
    let node = start("").await;
    let mut slow = Connection::open(node.address()).await;
    slow.send("GET /api/session HTTP/1.1\r\nhost:").await;
    stored(&node).await;
}
