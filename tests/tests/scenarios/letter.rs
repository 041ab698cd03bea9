//! The contract of the playground to the letter: what a reader of its page tries and finds otherwise.

use cloakroom_tests::raw::Connection;
use serde_json::{Value, json};

use super::{start, stored};

#[tokio::test]
async fn metrics_say_of_the_housekeeper_what_the_statistics_say() {
    let node = start("--poll off --purge off --retention 0s").await;
    let client = stored(&node).await;
    client
        .post("/api/housekeeper/poll", "")
        .await
        .assert_status(200);
    client
        .post("/api/housekeeper/purge", "")
        .await
        .assert_status(200);
    let stats = client.get("/api/stats").await.json();
    let metrics = client.get("/metrics").await.text();
    for job in ["poll", "purge"] {
        let last = &stats["housekeeper"][job];
        let number = |value: &Value| match value {
            Value::Bool(yes) => u64::from(*yes),
            Value::Null => 0,
            Value::Number(number) => number.as_u64().unwrap(),
            other => u64::from(!other.as_str().unwrap().is_empty()),
        };
        assert!(number(&last["at"]) > 0, "{stats}");
        for (metric, field) in [
            ("run_ms", "at"),
            ("took_ms", "took_ms"),
            ("expired", "expired"),
            ("purged", "purged"),
            ("evicted", "evicted"),
            ("unfinished", "unfinished"),
            ("failed", "error"),
        ] {
            assert!(!last[field].is_null() || field == "error", "{stats}");
            let name = format!("cloakroom_housekeeper_{job}_last_{metric}");
            let line = format!("{name} {}", number(&last[field]));
            assert!(
                metrics.lines().any(|found| found == line),
                "{line} in {metrics}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_whose_write_was_dropped_says_so() {
    let node = start("").await;
    for (path, body, kind) in [
        ("/api/session", None, "ended"),
        ("/api/login", Some("{\"owner\":\"ada\"}"), "superseded"),
    ] {
        let client = stored(&node).await;
        let (open, at) = (client.copy(), node.address().to_owned());
        let mut stream = Connection::open(&at).await;
        let token = open.token().unwrap();
        stream
            .send(format!(
                "PUT /api/stream/late?ms=1500 HTTP/1.1\r\nHost: a\r\nCookie: id={token}\r\n\
                 Connection: close\r\nContent-Length: 1\r\n\r\n1"
            ))
            .await;
        stream.until("\r\n\r\n").await;
        match body {
            None => client.delete(path).await.assert_status(204),
            Some(body) => client.post(path, body).await.assert_status(204),
        }
        let rest = stream.rest().await;
        assert!(rest.contains(&format!("error: {kind}\n")), "{rest}");
        client.get("/api/data/late").await.assert_status(404);
    }
    let client = stored(&node).await;
    let whole = client.put("/api/stream/late?ms=10", "1").await;
    assert_eq!(whole.text(), "ok\n");
    assert_eq!(client.get("/api/data/late").await.text(), "1");
}
