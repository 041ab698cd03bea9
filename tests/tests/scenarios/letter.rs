//! The contract of the playground to the letter: what a reader of its page tries and finds otherwise.

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
