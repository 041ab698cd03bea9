//! `/api/stats` and `/metrics`.

use super::start;

#[tokio::test]
async fn all_figures_of_the_contract_are_there() {
    let node = start("").await;
    let client = node.client();
    for path in [
        "/l1/entries",
        "/l1/hits",
        "/l1/misses",
        "/loads",
        "/peeks",
        "/creates",
        "/saves",
        "/touches",
        "/ends",
        "/expired",
        "/purged",
        "/conflicts",
        "/gone",
        "/superseded",
        "/late_commits",
        "/late_commits_lost",
        "/evictions",
        "/presented/none",
        "/presented/malformed",
        "/presented/unknown",
        "/presented/superseded",
        "/presented/timed_out",
        "/presented/ended",
        "/presented/active",
    ] {
        assert_eq!(client.figure(path).await, 0, "{path}");
    }
    for job in ["poll", "purge"] {
        client
            .post(&format!("/api/housekeeper/{job}"), "")
            .await
            .assert_status(200);
        let stats = client.get("/api/stats").await.json();
        assert!(stats["housekeeper"][job].is_object(), "{stats}");
    }
}

#[tokio::test]
async fn each_thing_that_happens_is_counted_once_and_as_itself() {
    let node = start("").await;
    let (client, operator) = (node.client(), node.client());
    client.put("/api/data/a", "1").await.assert_status(204);
    assert_eq!(operator.figure("/creates").await, 1);
    assert_eq!(operator.figure("/saves").await, 0, "a create is not a save");
    client.put("/api/data/a", "2").await.assert_status(204);
    assert_eq!(operator.figure("/saves").await, 1);
    for _ in 0..5 {
        client.get("/api/data/a").await.assert_status(200);
    }
    assert_eq!(operator.figure("/saves").await, 1, "reads write nothing");
    assert_eq!(operator.figure("/l1/hits").await, 6);
    assert_eq!(
        operator.figure("/loads").await,
        0,
        "what this node wrote it need not load"
    );
    assert_eq!(operator.figure("/l1/entries").await, 1);
    assert_eq!(operator.figure("/presented/active").await, 6);
    assert_eq!(operator.figure("/presented/none").await, 1);
    client.put("/api/data/a", "2").await.assert_status(204);
    assert_eq!(
        operator.figure("/saves").await,
        1,
        "an equal value is no write"
    );
    client.delete("/api/session").await.assert_status(204);
    assert_eq!(operator.figure("/ends").await, 1);
}

#[tokio::test]
async fn junk_tokens_are_no_store_traffic() {
    let node = start("").await;
    let client = node.client();
    for n in 0..50 {
        client.set_cookie("id", &format!("junk{n}"));
        assert_eq!(client.session().await["presented"], "malformed");
    }
    assert_eq!(client.figure("/loads").await, 0);
    assert_eq!(client.figure("/presented/malformed").await, 50);
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let node = start("").await;
    let client = node.client();
    client.put("/api/data/a", "1").await.assert_status(204);
    let answer = client.get("/metrics").await;
    answer.assert_status(200);
    assert!(
        answer.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    let text = answer.text();
    assert!(
        text.lines().any(|line| line.starts_with("# TYPE")),
        "{text}"
    );
    let creates = text
        .lines()
        .find(|line| !line.starts_with('#') && line.contains("creates"));
    assert!(creates.is_some_and(|line| line.ends_with(" 1")), "{text}");
}
