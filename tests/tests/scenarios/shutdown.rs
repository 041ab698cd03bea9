//! SIGTERM: requests under way end, late commits land, new connections are refused.

use std::os::unix::process::ExitStatusExt;

use cloakroom_tests::socket::Socket;
use http::Method;
use tokio::net::TcpStream;

use super::{start, stored};

#[tokio::test]
async fn requests_under_way_are_answered_and_the_status_is_0() {
    for signal in ["TERM", "INT"] {
        let mut node = start("").await;
        let client = stored(&node).await;
        let slow = node
            .begin(&client, Method::PUT, "/api/slow/late?ms=400", "1")
            .await;
        node.signal(signal).await;
        slow.await.unwrap().assert_status(204);
        assert_eq!(node.ended().await.code(), Some(0));
        assert!(TcpStream::connect(node.address()).await.is_err());
        assert_eq!(node.stdout().len(), 1, "{:?}", node.stdout());
    }
}

#[tokio::test]
async fn requests_over_http2_are_answered_too() {
    let mut node = start("").await;
    let client = stored(&node).await.over_http2();
    let slow = node
        .begin(&client, Method::PUT, "/api/slow/late?ms=400", "1")
        .await;
    node.signal("TERM").await;
    slow.await.unwrap().assert_status(204);
    assert_eq!(node.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_body_that_still_streams_ends_whole() {
    let mut node = start("").await;
    let client = stored(&node).await;
    let stream = node
        .begin(&client, Method::PUT, "/api/stream/late?ms=400", "1")
        .await;
    node.signal("TERM").await;
    assert_eq!(stream.await.unwrap().text(), "ok\n");
    assert_eq!(node.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_open_socket_and_an_idle_connection_do_not_hold_up_the_end() {
    let mut node = start("--drain 1h").await;
    let client = stored(&node).await;
    let mut socket = Socket::open(&node, client.token().as_deref())
        .await
        .unwrap();
    assert_eq!(socket.say("a=1").await.as_deref(), Some("ok"));
    let _idle = TcpStream::connect(node.address()).await.unwrap();
    node.signal("TERM").await;
    assert_eq!(socket.hear().await, None);
    assert_eq!(node.ended().await.code(), Some(0));
}

#[tokio::test]
async fn what_runs_longer_than_the_drain_is_cut_off() {
    let mut node = start("--drain 100ms").await;
    let client = stored(&node).await;
    let operator = node.client();
    let before = operator.looked_at().await;
    let slow = tokio::spawn(async move {
        client
            .try_send(Method::PUT, "/api/slow/late?ms=600000", "1")
            .await
            .is_err()
    });
    cloakroom_tests::eventually("it runs", async || operator.looked_at().await > before).await;
    node.signal("TERM").await;
    let status = node.ended().await;
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert!(slow.await.unwrap(), "the connection was closed");
}

#[tokio::test]
async fn who_is_told_twice_to_stop_does_not_wait_for_requests() {
    let mut node = start("--drain 1h").await;
    let client = stored(&node).await;
    let operator = node.client();
    let before = operator.looked_at().await;
    let slow = tokio::spawn(async move {
        client
            .try_send(Method::PUT, "/api/slow/late?ms=600000", "1")
            .await
            .is_err()
    });
    cloakroom_tests::eventually("it runs", async || operator.looked_at().await > before).await;
    node.signal("TERM").await;
    // A signal that is still on its way would swallow the second one.
    cloakroom_tests::eventually("it has heard", async || {
        operator
            .try_send(Method::GET, "/healthz", "")
            .await
            .is_err()
    })
    .await;
    node.signal("INT").await;
    let status = node.ended().await;
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert!(slow.await.unwrap(), "the connection was closed");
}
