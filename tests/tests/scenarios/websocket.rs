//! The WebSocket: a session that is held long after its response head.

use cloakroom_tests::socket::Socket;
use serde_json::json;

use super::{start, stored};

#[tokio::test]
async fn each_message_is_stored_before_its_echo() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut socket = Socket::open(&node, client.token().as_deref())
        .await
        .unwrap();
    for (message, value) in [("a=1", "\"1\""), ("a=x=y", "\"x=y\""), ("a=", "\"\"")] {
        assert_eq!(socket.say(message).await.as_deref(), Some("ok"));
        assert_eq!(client.get("/api/data/a").await.text(), value);
    }
    for message in ["", "novalue", "b d=1", "=1"] {
        assert_eq!(
            socket.say(message).await.as_deref(),
            Some("error: bad_request")
        );
    }
}

#[tokio::test]
async fn a_socket_without_a_stored_session_cannot_make_one() {
    let node = start("").await;
    let mut socket = Socket::open(&node, None).await.unwrap();
    assert_eq!(
        socket.say("a=1").await.as_deref(),
        Some("error: new_session")
    );
    assert_eq!(node.client().figure("/creates").await, 0);
}

#[tokio::test]
async fn an_open_socket_neither_blocks_nor_overwrites_other_requests() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut socket = Socket::open(&node, client.token().as_deref())
        .await
        .unwrap();
    client
        .put("/api/data/colour", "\"blue\"")
        .await
        .assert_status(204);
    assert_eq!(socket.say("a=1").await.as_deref(), Some("ok"));
    assert_eq!(
        client.session().await["data"],
        json!({ "colour": "blue", "a": "1" })
    );
}

#[tokio::test]
async fn a_socket_whose_session_was_destroyed_says_so() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut socket = Socket::open(&node, client.token().as_deref())
        .await
        .unwrap();
    client.delete("/api/session").await.assert_status(204);
    assert_eq!(socket.say("a=1").await.as_deref(), Some("error: ended"));
}

#[tokio::test]
async fn a_socket_that_was_open_before_the_login_writes_nothing_into_it() {
    let node = start("").await;
    let victim = stored(&node).await;
    let mut planted = Socket::open(&node, victim.token().as_deref())
        .await
        .unwrap();
    victim
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    assert_eq!(
        planted.say("a=1").await.as_deref(),
        Some("error: superseded")
    );
    assert_eq!(victim.session().await["data"], json!({ "colour": "red" }));
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_a_bad_request() {
    let node = start("").await;
    node.client()
        .get("/api/ws")
        .await
        .assert_refused(400, "bad_request");
}
