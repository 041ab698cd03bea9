//! How sessions end by time. The sleeps are the sessions' own timeouts, a fraction of a second; a
//! machine that is slower only makes them end more surely.

use std::time::Duration;

use cloakroom_tests::eventually;
use serde_json::json;

use super::{start, stored};

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test]
async fn an_unused_session_times_out_and_its_holder_is_told() {
    let node = start("--idle 250ms").await;
    let client = stored(&node).await;
    let token = client.token();
    pass(400).await;
    let answer = client.get("/api/session").await;
    assert_eq!(answer.set_cookies(), [""; 0]);
    let told = answer.json();
    assert_eq!(
        (&told["presented"], &told["data"]),
        (&json!("timed_out"), &json!({}))
    );
    assert_eq!(
        (&told["id"], &told["ended_reason"]),
        (&json!(null), &json!(null))
    );
    client.put("/api/data/new", "1").await.assert_status(204);
    assert_ne!(client.token(), token);
    assert_eq!(client.session().await["data"], json!({ "new": 1 }));
}

#[tokio::test]
async fn a_session_has_its_own_timeout() {
    let node = start("").await;
    let (short, standard) = (stored(&node).await, stored(&node).await);
    short
        .post("/api/timeout", "{\"idle\":\"100ms\"}")
        .await
        .assert_status(204);
    pass(250).await;
    assert_eq!(short.session().await["presented"], "timed_out");
    assert_eq!(standard.session().await["presented"], "active");
}

#[tokio::test]
async fn use_does_not_move_the_absolute_deadline() {
    let node = start("--idle never --absolute 300ms").await;
    let client = stored(&node).await;
    let deadline = client.session().await["expires_at"].clone();
    for _ in 0..20 {
        let session = client.session().await;
        if session["presented"] == "timed_out" {
            return;
        }
        assert_eq!(session["expires_at"], deadline);
        pass(25).await;
    }
    assert_eq!(client.session().await["presented"], "timed_out");
}

#[tokio::test]
async fn never_and_never_have_no_deadline() {
    let node = start("--idle never --absolute never").await;
    let client = stored(&node).await;
    assert_eq!(client.session().await["expires_at"], json!(null));
}

#[tokio::test]
async fn after_the_retention_an_ended_session_is_unknown() {
    let node = start("--retention 200ms").await;
    let client = stored(&node).await;
    let thief = client.copy();
    client.delete("/api/session").await.assert_status(204);
    eventually("it is forgotten", async || {
        thief.session().await["presented"] == "unknown"
    })
    .await;
}

#[tokio::test]
async fn without_retention_nothing_is_told_of_an_ended_session() {
    let node = start("--idle 100ms --retention 0s").await;
    let (left, destroyed) = (stored(&node).await, stored(&node).await);
    let thief = destroyed.copy();
    destroyed.delete("/api/session").await.assert_status(204);
    assert_eq!(thief.session().await["presented"], "unknown");
    pass(250).await;
    assert_eq!(left.session().await["presented"], "unknown");
}

#[tokio::test]
async fn disabled_sessions_are_501_and_set_no_cookie() {
    let node = start("--idle disabled").await;
    let client = node.client();
    for answer in [
        client.get("/api/session").await,
        client.put("/api/data/a", "1").await,
        client.post("/api/login", "{\"owner\":\"ada\"}").await,
        client.delete("/api/session").await,
    ] {
        answer.assert_refused(501, "disabled");
        assert_eq!(answer.set_cookies(), [""; 0]);
    }
    assert_eq!(client.get("/healthz").await.text(), "ok");
    let page = client.get("/").await;
    page.assert_status(501);
    assert!(page.text().contains("disabled"));
}

#[tokio::test]
async fn the_poll_ends_what_is_due_without_a_visit() {
    let node = start("--idle 100ms --poll off --purge off").await;
    stored(&node).await;
    pass(250).await;
    let operator = node.client();
    operator
        .post("/api/housekeeper/poll", "")
        .await
        .assert_status(200);
    assert_eq!(operator.figure("/expired").await, 1);
}

#[tokio::test]
async fn max_age_follows_the_timeout() {
    for (arguments, expected) in [
        ("--max-age timeout", Some("Max-Age=1800")),
        ("--max-age timeout --idle 1500ms", Some("Max-Age=1")),
        ("--max-age timeout --absolute 10m", Some("Max-Age=600")),
        ("--max-age 1h", Some("Max-Age=3600")),
        ("--max-age 1000d", Some("Max-Age=34560000")),
        ("--max-age session", None),
    ] {
        let node = start(arguments).await;
        let answer = node.client().put("/api/data/a", "1").await;
        let cookies = answer.set_cookies();
        let found = cookies[0]
            .split("; ")
            .find(|part| part.starts_with("Max-Age"));
        // What is left of the absolute timeout may be a second less by now.
        let less = found == Some("Max-Age=599") && expected == Some("Max-Age=600");
        assert!(found == expected || less, "{arguments}: {cookies:?}");
    }
}

#[tokio::test]
async fn eager_stores_every_visitor() {
    let node = start("--eager").await;
    let client = node.client();
    let answer = client.get("/api/session").await;
    assert_eq!(answer.json()["is_new"], true);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.session().await["presented"], "active");
    assert_eq!(client.get("/healthz").await.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn save_on_create_stores_the_session_before_the_handler() {
    let node = start("--save-on-create").await;
    let client = node.client();
    let answer = client.get("/api/session").await;
    assert!(
        answer.json()["id"].is_string(),
        "the create came before the handler"
    );
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.figure("/creates").await, 1);
    assert_eq!(client.session().await["presented"], "active");
}
