//! Attributes: every value, every key, every body.

use http::Method;
use serde_json::{Value, json};

use super::{start, stored};

#[tokio::test]
async fn attributes_are_read_set_removed_and_cleared() {
    let node = start("").await;
    let client = stored(&node).await;
    let answer = client.get("/api/data/colour").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "\"red\"")
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    client
        .get("/api/data/size")
        .await
        .assert_refused(404, "not_found");
    client.delete("/api/data/colour").await.assert_status(204);
    client.delete("/api/data/colour").await.assert_status(204);
    client
        .get("/api/data/colour")
        .await
        .assert_refused(404, "not_found");

    client.put("/api/data/a", "1").await.assert_status(204);
    let id = client.session().await["id"].clone();
    client.delete("/api/data").await.assert_status(204);
    let session = client.session().await;
    assert_eq!(
        (&session["data"], &session["id"]),
        (&json!({}), &id),
        "clear leaves it stored"
    );
}

#[tokio::test]
async fn values_keep_their_type_and_every_digit() {
    let node = start("").await;
    let client = node.client();
    for value in [
        "1",
        "1.0",
        "-0",
        "1e400",
        "12345678901234567890123",
        "0.1000",
        "\"\"",
        "null",
        "true",
        "[1,1.0,{\"a\":[]}]",
        "\"\\u00e4<&>\"",
        "\"ä€😀\"",
    ] {
        client.put("/api/data/v", value).await.assert_status(204);
        assert_eq!(client.get("/api/data/v").await.text(), value);
        assert!(
            client
                .get("/api/session")
                .await
                .text()
                .contains(&format!("\"v\":{value}"))
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_bad_request() {
    let node = start("").await;
    let client = stored(&node).await;
    for body in ["", "red", "{", "[1,]", "1 2", "'a'", "NaN", "{\"a\":1}}"] {
        client
            .put("/api/data/colour", body)
            .await
            .assert_refused(400, "bad_request");
    }
    let broken = client
        .send(Method::PUT, "/api/data/colour", vec![b'"', 0xff, b'"'])
        .await;
    broken.assert_refused(400, "bad_request");
    assert_eq!(client.get("/api/data/colour").await.text(), "\"red\"");
}

#[tokio::test]
async fn a_body_of_another_shape_is_a_bad_request() {
    let node = start("").await;
    let client = stored(&node).await;
    for (path, body) in [
        ("/api/data/n/add", "{}"),
        ("/api/data/n/add", "{\"by\":\"1\"}"),
        ("/api/data/n/add", "{\"by\":1.5}"),
        ("/api/data/n/add", "{\"by\":9223372036854775808}"),
        ("/api/data/n/add", "1"),
        ("/api/login", "{}"),
        ("/api/login", "{\"owner\":1}"),
        ("/api/login", "{\"owner\":\"\"}"),
        ("/api/login", "{\"owner\":\"a\\nb\"}"),
        ("/api/login", "owner=ada"),
        ("/api/timeout", "{}"),
        ("/api/timeout", "{\"idle\":5}"),
        ("/api/timeout", "{\"idle\":\"soon\"}"),
        ("/api/timeout", "{\"idle\":\"disabled\"}"),
        ("/api/timeout", "{\"idle\":\"0s\"}"),
    ] {
        client
            .post(path, body)
            .await
            .assert_refused(400, "bad_request");
    }
    let long = json!({ "owner": "a".repeat(256) }).to_string();
    client
        .post("/api/login", &long)
        .await
        .assert_refused(400, "bad_request");
    assert_eq!(client.session().await["owner"], Value::Null);
}

#[tokio::test]
async fn a_key_is_1_to_128_of_the_named_characters() {
    let node = start("").await;
    let client = node.client();
    let longest = "k".repeat(128);
    for key in ["a", "A-Z_a.z0-9", "..", longest.as_str()] {
        client
            .put(&format!("/api/data/{key}"), "1")
            .await
            .assert_status(204);
        client
            .get(&format!("/api/data/{key}"))
            .await
            .assert_status(200);
    }
    let too_long = "k".repeat(129);
    for key in [
        "a%20b",
        "%C3%A4",
        "a%2Fb",
        "a%00",
        "%FF",
        "a:b",
        "",
        too_long.as_str(),
    ] {
        for answer in [
            client.put(&format!("/api/data/{key}"), "1").await,
            client.get(&format!("/api/data/{key}")).await,
            client.delete(&format!("/api/data/{key}")).await,
            client
                .post(&format!("/api/data/{key}/add"), "{\"by\":1}")
                .await,
            client.put(&format!("/api/slow/{key}?ms=0"), "1").await,
            client.put(&format!("/api/stream/{key}?ms=0"), "1").await,
            client.post(&format!("/api/panic/{key}"), "").await,
            client.put(&format!("/api/status/200/{key}"), "1").await,
        ] {
            answer.assert_refused(400, "bad_request");
        }
    }
}

#[tokio::test]
async fn add_returns_what_it_stored() {
    let node = start("").await;
    let client = node.client();
    for (by, sum) in [(5, 5), (-7, -2), (0, -2)] {
        let answer = client
            .post("/api/data/n/add", &json!({ "by": by }).to_string())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({ "value": sum }))
        );
    }
    assert_eq!(client.get("/api/data/n").await.text(), "-2");
}

#[tokio::test]
async fn add_to_what_has_no_sum_stores_nothing() {
    let node = start("").await;
    let client = node.client();
    for value in [
        "1.0",
        "\"1\"",
        "null",
        "[]",
        "9223372036854775807",
        "18446744073709551615",
    ] {
        client.put("/api/data/n", value).await.assert_status(204);
        client
            .post("/api/data/n/add", "{\"by\":1}")
            .await
            .assert_refused(400, "bad_request");
        assert_eq!(client.get("/api/data/n").await.text(), value);
    }
    let fresh = node.client();
    fresh
        .post("/api/data/n/add", "{\"by\":1.5}")
        .await
        .assert_refused(400, "bad_request");
    assert_eq!(fresh.token(), None);
}

#[tokio::test]
async fn a_body_over_2_mib_or_attributes_over_the_limit_are_too_large() {
    let node = start("--max-bytes 64KiB").await;
    let client = stored(&node).await;
    let sized = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    client
        .put("/api/data/big", &sized(60 << 10))
        .await
        .assert_status(204);
    for bytes in [64 << 10, 1 << 20, 2 << 20, (2 << 20) + 1, 5 << 20] {
        client
            .put("/api/data/big", &sized(bytes))
            .await
            .assert_refused(413, "too_large");
    }
    client
        .put("/api/data/more", &sized(8 << 10))
        .await
        .assert_refused(413, "too_large");
    let data = client.session().await["data"].clone();
    assert_eq!(
        data["big"].as_str().unwrap().len(),
        (60 << 10) - 2,
        "nothing changed"
    );
    assert_eq!(data["colour"], "red");
    assert_eq!(data.as_object().unwrap().len(), 2);
}
