//! What the forerunners do and no other page of the playground shows, from the outside: the rows of
//! `docs/compatibility.md` are named.

use std::time::Duration;

use cloakroom_tests::raw::Connection;
use cloakroom_tests::{Client, Node, eventually};
use serde_json::{Value, json};

async fn over(arguments: &[&str]) -> Node {
    let builder = Node::with("--store memory:");
    let builder = arguments.iter().fold(builder, |b, arg| b.arg(*arg));
    builder.start().await
}

async fn signed_up(node: &Node) -> Client {
    let client = node.client();
    client.put("/api/data/a", "1").await.assert_status(204);
    client
}

async fn id(client: &Client) -> String {
    let session = client.session().await;
    let id = session.get("id").and_then(|id| id.as_str());
    id.expect("a stored session has an id").to_owned()
}

#[tokio::test]
async fn j9_the_sessions_that_ended_first_are_forgotten_first() {
    let node = over(&["--max-tombstones", "2"]).await;
    let mut ended = Vec::new();
    for _ in 0..4 {
        let client = signed_up(&node).await;
        ended.push(client.copy());
        client.delete("/api/session").await.assert_status(204);
    }
    let mut told = Vec::new();
    for client in &ended {
        told.push(client.session().await["presented"].clone());
    }
    assert_eq!(told, ["unknown", "unknown", "ended", "ended"]);
    assert_eq!(node.client().figure("/forgotten").await, 2);
}

#[tokio::test]
async fn j9_a_client_is_told_that_it_timed_out_by_header_and_status() {
    let settings = "outcome_header=x-outcome; timed_out_status=419; poll=off";
    let node = over(&["--idle", "200ms", "--touch", "0s", "--settings", settings]).await;
    let client = signed_up(&node).await;
    client.get("/api/live").await.assert_status(200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = client.get("/api/live").await;
    answer.assert_status(419);
    assert_eq!(answer.headers["x-outcome"], "timed_out");
    let nobody = node.client().get("/api/live").await;
    nobody.assert_status(401);
    assert_eq!(nobody.headers["x-outcome"], "none");
}

#[tokio::test]
async fn j11_a_hook_fills_a_new_session_or_refuses_it() {
    let filling = over(&["--on-create", "fill"]).await;
    let client = signed_up(&filling).await;
    let data = client.session().await["data"].clone();
    assert_eq!(data, json!({ "a": 1, "made_by": "on_create" }));
    let refusing = over(&["--on-create", "refuse=403"]).await;
    let client = refusing.client();
    let answer = client.put("/api/data/a", "1").await;
    answer.assert_status(403);
    assert!(answer.set_cookies().is_empty());
    assert_eq!(client.figure("/creates").await, 0);
}

#[tokio::test]
async fn j14_t14_a_session_is_found_and_ended_by_its_id() {
    let node = over(&[]).await;
    let (client, operator) = (signed_up(&node).await, node.client());
    let path = format!("/api/manage/{}", id(&client).await);
    let found = operator.get(&path).await.json();
    assert_eq!(
        (&found["cached"], &found["exists"]),
        (&json!(true), &json!(true))
    );
    assert!(found["session"]["created_at"].is_string(), "{found}");
    let ended = operator.delete(&path).await.json();
    assert_eq!(ended, json!({ "destroyed": true }));
    let again = operator.delete(&path).await.json();
    assert_eq!(again, json!({ "destroyed": false }));
    let found = operator.get(&path).await.json();
    assert_eq!(
        (&found["exists"], &found["session"]),
        (&json!(false), &Value::Null)
    );
    let session = client.session().await;
    assert_eq!(session["ended_reason"], "revoked");
    operator.get("/api/manage/nobody").await.assert_status(404);
}

#[tokio::test]
async fn t14_candidates_that_are_due_are_ended_and_told() {
    let node = over(&[
        "--settings",
        "poll=off;purge=off;idle_timeout=2s;touch_interval=0s",
    ])
    .await;
    let (client, operator) = (signed_up(&node).await, node.client());
    let id = id(&client).await;
    let body = json!({ "ids": [id] }).to_string();
    let nobody = operator.post("/api/manage/expired", &body).await.json();
    assert_eq!(nobody, json!({ "ended": [] }));
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    let one = operator.post("/api/manage/expired", &body).await.json();
    assert_eq!(one, json!({ "ended": [id] }));
    assert_eq!(operator.figure("/expired").await, 1);
    let time = operator.figure("/session_time/total_ms").await;
    assert!(time >= 2_000, "an end at the deadline: {time}");
}

#[tokio::test]
async fn j16_a_reset_empties_l1_and_ends_nothing() {
    let node = over(&[]).await;
    let (client, operator) = (signed_up(&node).await, node.client());
    operator
        .post("/api/manage/reset", "")
        .await
        .assert_status(204);
    assert_eq!(operator.figure("/l1/entries").await, 0);
    assert_eq!(operator.figure("/l1/entries_max").await, 1);
    assert_eq!(client.session().await["presented"], "active");
}

#[tokio::test]
async fn t5_a_schedule_is_changed_while_it_runs() {
    let node = over(&["--poll", "off"]).await;
    let operator = node.client();
    let poll = async |schedule: &str| {
        let body = json!({ "schedule": schedule }).to_string();
        operator.put("/api/housekeeper/poll", &body).await
    };
    poll("50ms").await.assert_status(204);
    eventually("the poll runs", async || {
        let stats = operator.get("/api/stats").await.json();
        stats["housekeeper"]["poll"].is_object()
    })
    .await;
    poll("15 24 *").await.assert_refused(400, "bad_request");
    poll("off").await.assert_status(204);
}

#[tokio::test]
async fn t1_a_scope_shares_the_session_and_has_attributes_of_its_own() {
    let node = over(&[]).await;
    let client = signed_up(&node).await;
    let before = id(&client).await;
    client.put("/api/scope/a", "2").await.assert_status(204);
    assert_eq!(client.get("/api/data/a").await.text(), "1");
    assert_eq!(client.get("/api/scope/a").await.text(), "2");
    client.delete("/api/scope/a").await.assert_status(204);
    client.get("/api/scope/a").await.assert_status(404);
    assert_eq!(id(&client).await, before);
    client.put("/api/scope/b", "3").await.assert_status(204);
    client.delete("/api/session").await.assert_status(204);
    client.get("/api/scope/b").await.assert_status(404);
}

#[tokio::test]
async fn t19_by_scheme_the_cookie_is_secure_where_a_trusted_proxy_says_https() {
    let trusting = "cookie.name=id; cookie.secure=by-scheme; trust_forwarded_proto=true";
    for (settings, expected) in [(trusting, true), (&trusting[..40], false)] {
        let node = over(&["--settings", settings]).await;
        let client = node.client().header("x-forwarded-proto", "https");
        let answer = client.put("/api/data/a", "1").await;
        let cookies = answer.set_cookies();
        assert_eq!(cookies[0].contains("; Secure"), expected, "{cookies:?}");
    }
}

#[tokio::test]
async fn t22_what_happens_is_told_as_a_stream() {
    let node = over(&[]).await;
    let mut raw = Connection::open(node.address()).await;
    raw.send("GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    raw.until("\r\n\r\n").await;
    let client = signed_up(&node).await;
    client.post("/api/renew", "").await.assert_status(204);
    client.delete("/api/session").await.assert_status(204);
    let text = raw.until("\"reason\":\"logout\"").await;
    let told = [
        "\"event\":\"created\"",
        "\"added\":[\"a\"],\"event\":\"committed\"",
        "\"event\":\"renewed\"",
        "\"attributes\":{\"a\":\"1\"},\"event\":\"ended\"",
    ];
    let places = told.map(|words| text.find(words).expect(words));
    assert!(places.is_sorted(), "{text}");
}

/// J15: every name of every forerunner.
#[tokio::test]
async fn j15_settings_are_taken_under_the_forerunners_names_and_refused_by_name() {
    let theirs = "SessionTimeout=30;SessionCleanupTime=60;SessionPollingTime=1;size=500;ttl=1h;\
                  frequency=15 * *;evictionPolicy=300;savePeriod=60;workerName=n1";
    let node = over(&["--settings", theirs]).await;
    signed_up(&node).await;
    for (wrong, word) in [
        ("SessionTimout=30", "SessionTimeout"),
        ("size=-1", "size"),
        ("size", "parted"),
        ("frequency=15 24 *", "hour"),
    ] {
        let refusal = Node::with("--store memory:").arg("--settings").arg(wrong);
        let refusal = refusal.refused().await;
        assert!(refusal.stderr.contains(word), "{}", refusal.stderr);
    }
}
