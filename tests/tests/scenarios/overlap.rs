//! Requests of one session that overlap.

use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{start, stored};

#[tokio::test]
async fn twenty_six_parallel_writes_of_different_attributes_all_survive() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut writes = JoinSet::new();
    for letter in 'a'..='z' {
        let client = client.clone();
        writes.spawn(async move {
            client
                .put(
                    &format!("/api/slow/{letter}?ms=20"),
                    &format!("\"{letter}\""),
                )
                .await
        });
    }
    for write in writes.join_all().await {
        write.assert_status(204);
    }
    let data = client.session().await["data"].clone();
    for letter in ('a'..='z').map(String::from) {
        assert_eq!(data[&letter], letter.as_str());
    }
    assert_eq!(data["colour"], "red");
}

#[tokio::test]
async fn twenty_six_parallel_increments_add_up_and_no_two_answers_are_the_same() {
    let node = start("").await;
    let client = stored(&node).await;
    let mut adds = JoinSet::new();
    for _ in 0..26 {
        let client = client.clone();
        adds.spawn(async move { client.post("/api/data/n/add", "{\"by\":1}").await });
    }
    let mut values = Vec::new();
    for answer in adds.join_all().await {
        answer.assert_status(200);
        values.push(answer.json()["value"].as_i64().unwrap());
    }
    values.sort_unstable();
    assert_eq!(values, (1..=26).collect::<Vec<i64>>());
    assert_eq!(client.get("/api/data/n").await.text(), "26");
}

#[tokio::test]
async fn a_slow_read_sees_one_state_throughout() {
    let node = start("").await;
    let client = stored(&node).await;
    let slow = node
        .begin(&client, Method::GET, "/api/slow?ms=300", "")
        .await;
    client
        .put("/api/data/colour", "\"blue\"")
        .await
        .assert_status(204);
    let both = slow.await.unwrap().json();
    assert_eq!(both["before"], json!({ "colour": "red" }));
    assert_eq!(both["after"], both["before"]);
    assert_eq!(client.get("/api/data/colour").await.text(), "\"blue\"");
}

#[tokio::test]
async fn a_slow_request_cannot_revive_a_destroyed_session() {
    let node = start("").await;
    let client = stored(&node).await;
    let (slow, thief) = (client.copy(), client.copy());
    let slow = node
        .begin(&slow, Method::PUT, "/api/slow/late?ms=300", "1")
        .await;
    client.delete("/api/session").await.assert_status(204);
    let late = slow.await.unwrap();
    late.assert_status(204);
    assert_eq!(late.set_cookies(), [""; 0]);
    let told = thief.session().await;
    assert_eq!(
        (&told["presented"], &told["data"]),
        (&json!("ended"), &json!({}))
    );
    assert_eq!(thief.figure("/gone").await, 1);
}

#[tokio::test]
async fn a_write_that_began_before_a_renewal_lands_in_the_renewed_session() {
    let node = start("").await;
    let client = stored(&node).await;
    let slow = client.copy();
    let slow = node
        .begin(&slow, Method::PUT, "/api/slow/late?ms=300", "1")
        .await;
    client.post("/api/renew", "").await.assert_status(204);
    let late = slow.await.unwrap();
    late.assert_status(204);
    assert_eq!(
        late.set_cookies(),
        [""; 0],
        "it must not send the old token"
    );
    assert_eq!(
        client.session().await["data"],
        json!({ "colour": "red", "late": 1 })
    );
}

#[tokio::test]
async fn a_replaced_secret_sees_nothing_and_writes_nothing() {
    let node = start("").await;
    let client = stored(&node).await;
    let old = client.copy();
    client.post("/api/renew", "").await.assert_status(204);
    let look = old.get("/api/session").await;
    assert_eq!(look.set_cookies(), [""; 0]);
    let told = look.json();
    assert_eq!(
        (&told["presented"], &told["data"]),
        (&json!("superseded"), &json!({}))
    );
    assert_eq!(told["owner"], json!(null));
    for answer in [
        old.put("/api/data/a", "1").await,
        old.delete("/api/data").await,
        old.post("/api/data/n/add", "{\"by\":1}").await,
        old.post("/api/login", "{\"owner\":\"eve\"}").await,
    ] {
        answer.assert_status(409);
        assert_eq!(answer.set_cookies(), [""; 0]);
    }
    assert_eq!(client.session().await["data"], json!({ "colour": "red" }));
}

#[tokio::test]
async fn after_the_window_a_replaced_secret_is_unknown() {
    let node = start("--superseded 0s").await;
    let client = stored(&node).await;
    let old = client.copy();
    client.post("/api/renew", "").await.assert_status(204);
    assert_eq!(old.session().await["presented"], "unknown");
}

#[tokio::test]
async fn a_planted_token_gets_nothing_from_the_victims_login() {
    let node = start("").await;
    let attacker = stored(&node).await;
    let (victim, open) = (attacker.copy(), attacker.copy());
    let slow = node
        .begin(&open, Method::PUT, "/api/slow/planted?ms=300", "1")
        .await;
    victim
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    assert_ne!(victim.token(), attacker.token());
    let late = slow.await.unwrap();
    late.assert_status(409);
    assert_eq!(late.set_cookies(), [""; 0]);
    let told = attacker.session().await;
    assert_eq!(
        (&told["presented"], &told["owner"]),
        (&json!("superseded"), &json!(null))
    );
    let session = victim.session().await;
    assert_eq!(
        (&session["owner"], &session["data"]),
        (&json!("ada"), &json!({ "colour": "red" }))
    );
}

#[tokio::test]
async fn a_login_over_another_owner_starts_an_empty_session() {
    let node = start("").await;
    let client = stored(&node).await;
    client
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    let (ada, adas) = (client.session().await, client.copy());
    assert_eq!(ada["data"], json!({ "colour": "red" }));
    client
        .post("/api/login", "{\"owner\":\"bob\"}")
        .await
        .assert_status(204);
    let bob = client.session().await;
    assert_eq!((&bob["owner"], &bob["data"]), (&json!("bob"), &json!({})));
    assert_ne!(bob["id"], ada["id"]);
    let told = adas.session().await;
    assert_eq!(
        (&told["presented"], &told["ended_reason"]),
        (&json!("ended"), &json!("replaced"))
    );
}

#[tokio::test]
async fn a_slow_reader_does_not_take_back_a_newer_cookie() {
    let node = start("").await;
    let client = stored(&node).await;
    let slow = node
        .begin(&client, Method::GET, "/api/slow?ms=300", "")
        .await;
    client.post("/api/renew", "").await.assert_status(204);
    let token = client.token();
    assert_eq!(slow.await.unwrap().set_cookies(), [""; 0]);
    assert_eq!(client.token(), token);
    assert_eq!(client.session().await["presented"], "active");
}

#[tokio::test]
async fn ending_all_others_ends_requests_that_are_under_way() {
    let node = start("").await;
    let (here, there) = (node.client(), node.client());
    for client in [&here, &there] {
        client
            .post("/api/login", "{\"owner\":\"ada\"}")
            .await
            .assert_status(204);
    }
    let slow = node
        .begin(&there, Method::PUT, "/api/slow/late?ms=300", "1")
        .await;
    assert_eq!(
        here.delete("/api/sessions").await.json(),
        json!({ "destroyed": 1 })
    );
    assert_eq!(slow.await.unwrap().set_cookies(), [""; 0]);
    assert_eq!(there.session().await["ended_reason"], "revoked");
}
