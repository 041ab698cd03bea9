//! The contract of the playground to the letter: what a reader of its page tries and finds otherwise.

use cloakroom_tests::raw::Connection;
use cloakroom_tests::socket::Socket;
use cloakroom_tests::{Client, Node, Refusal};
use http::Method;
use serde_json::{Value, json};

use super::{start, stored};

/// More than a body may have.
fn too_much() -> Vec<u8> {
    vec![b' '; (2 << 20) + 1]
}

async fn signed_in(node: &Node) -> Client {
    let client = stored(node).await;
    client
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    client
}

/// The client, and one that still holds the secret which it has replaced.
async fn superseded(node: &Node) -> (Client, Client) {
    let client = signed_in(node).await;
    let old = client.copy();
    client.post("/api/renew", "").await.assert_status(204);
    (client, old)
}

/// What a start that fails says, which is one line without a colour.
async fn refused(arguments: &str) -> String {
    let builder = Node::with(&format!("--store {}", crate::STORE)).args(arguments);
    let Refusal { status, stderr, .. } = builder
        .env("CLOAKROOM_FOO", "a variable that is warned about")
        .refused()
        .await;
    assert_eq!(status.code(), Some(2), "{arguments}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments}: {stderr}");
    assert!(!stderr.contains('\u{1b}'), "{arguments}: {stderr}");
    stderr
}

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
async fn an_id_that_is_none_is_not_found_and_a_key_that_is_none_is_a_bad_request() {
    let node = start("").await;
    let client = signed_in(&node).await;
    for id in [
        "%ff",
        "x",
        "%2f",
        "00000000-0000-0000-0000-00000000000g",
        "%00",
    ] {
        for path in ["sessions", "manage"] {
            let answer = client.delete(&format!("/api/{path}/{id}")).await;
            answer.assert_refused(404, "not_found");
        }
        let found = client.get(&format!("/api/manage/{id}")).await;
        found.assert_refused(404, "not_found");
    }
    let job = client.post("/api/housekeeper/%ff", "").await;
    job.assert_refused(404, "not_found");
    for path in ["/api/data/%ff", "/api/scope/%ff"] {
        client.get(path).await.assert_refused(400, "bad_request");
        client
            .put(path, "1")
            .await
            .assert_refused(400, "bad_request");
    }
    client.get("/api/data/colour").await.assert_status(200);
}

#[tokio::test]
async fn a_start_that_fails_says_so_in_one_line_whatever_there_is_to_be_warned_about() {
    let line = refused("--idle soon").await;
    assert!(line.starts_with("playground: --idle"), "{line}");
    refused("--coherence verify --commit last-exit").await;
    refused("--listen 203.0.113.1:1").await;
    let node = Node::with(&format!("--store {}", crate::STORE))
        .env("CLOAKROOM_FOO", "1")
        .start()
        .await;
    node.client().get("/healthz").await.assert_status(200);
    let told = node.stderr();
    let [warning] = told.as_slice() else {
        unreachable!("one warning: {told:?}")
    };
    assert!(
        warning.contains("CLOAKROOM_FOO") && !warning.contains('\u{1b}'),
        "{warning}"
    );
}

#[tokio::test]
async fn options_that_do_not_fit_together_are_named_as_they_are_written() {
    let table: &[(&str, &[&str])] = &[
        ("--touch 20m", &["--touch 20m", "half of --idle"]),
        (
            "--settings touch_interval=20m",
            &["--settings touch_interval", "half of --idle"],
        ),
        ("--affinity", &["--affinity", "--node NAME"]),
        (
            "--coherence verify --commit last-exit",
            &["--commit last-exit", "--coherence verify", "response-head"],
        ),
        (
            "--cache-entries 0 --commit last-exit",
            &[
                "--commit last-exit",
                "--cache-entries is 0",
                "response-head",
            ],
        ),
        ("--name __Host-id", &["--name", "--secure"]),
        (
            "--max-age 500ms",
            &["--max-age 500ms", "session, timeout", "1s"],
        ),
        ("--transport header --name cookie", &["--name", "cookie"]),
        ("--table 1st", &["--table", "1 to 48", "digit"]),
        ("--schema a-b", &["--schema", "1 to 48"]),
        ("--schema here", &["--schema", "postgres://"]),
    ];
    for (arguments, needles) in table {
        let line = refused(arguments).await;
        for needle in *needles {
            assert!(line.contains(needle), "{arguments}: {line} names {needle}");
        }
        for word in ["::", "(..)", "`", "CommitAt", "Coherence", "idle timeout"] {
            assert!(
                !line.contains(word),
                "{arguments}: {line} does not say {word}"
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

#[tokio::test]
async fn who_holds_a_replaced_secret_ends_nobody_and_is_told_why() {
    let node = start("").await;
    let (client, old) = superseded(&node).await;
    let other = signed_in(&node).await;
    let id = client.session().await["id"].as_str().unwrap().to_owned();
    for path in [
        "/api/sessions",
        &format!("/api/sessions/{id}"),
        "/api/sessions/x",
    ] {
        let answer = old.delete(path).await;
        answer.assert_refused(409, "superseded");
        assert_eq!(answer.set_cookies(), [""; 0], "{path}");
    }
    // A read finds no owner.
    old.get("/api/sessions")
        .await
        .assert_refused(403, "no_owner");
    for alive in [client, other] {
        assert_eq!(alive.session().await["presented"], "active");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_on_every_route_and_changes_nothing() {
    let node = start("").await;
    for client in [signed_in(&node).await, signed_in(&node).await.over_http2()] {
        let before = client.token();
        for (method, path) in [
            (Method::PUT, "/api/data/colour"),
            (Method::DELETE, "/api/data/colour"),
            (Method::DELETE, "/api/data"),
            (Method::POST, "/api/renew"),
            (Method::POST, "/api/login"),
            (Method::DELETE, "/api/sessions"),
            (Method::DELETE, "/api/session"),
            (Method::POST, "/form/clear"),
            (Method::POST, "/form/set"),
            (Method::POST, "/api/housekeeper/purge"),
            (Method::GET, "/api/session"),
            (Method::GET, "/nowhere"),
        ] {
            let answer = client.send(method, path, too_much()).await;
            answer.assert_refused(413, "too_large");
            assert_eq!(answer.set_cookies(), [""; 0], "{path}");
        }
        assert_eq!(client.token(), before);
        assert_eq!(client.session().await["data"], json!({ "colour": "red" }));
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_counted_before_anything_is_done() {
    let node = start("").await;
    let client = signed_in(&node).await;
    let token = client.token().unwrap();
    let chunked = |length: usize| {
        let body = " ".repeat(length);
        format!(
            "DELETE /api/data/colour HTTP/1.1\r\nHost: a\r\nCookie: id={token}\r\n\
             Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let mut connection = Connection::open(node.address()).await;
    connection.send(chunked((2 << 20) + 1)).await;
    let answer = connection.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"),
        "{answer}"
    );
    client.get("/api/data/colour").await.assert_status(200);
    let mut connection = Connection::open(node.address()).await;
    connection.send(chunked(2 << 20)).await;
    let answer = connection.rest().await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    client.get("/api/data/colour").await.assert_status(404);
}

#[tokio::test]
async fn changes_that_are_too_large_only_over_those_of_others_are_413() {
    let node = start("--max-bytes 200").await;
    let client = stored(&node).await;
    let long = format!("\"{}\"", "x".repeat(120));
    let slow = node
        .begin(&client, Method::PUT, "/api/slow/a?ms=1000", &long)
        .await;
    client.put("/api/data/b", &long).await.assert_status(204);
    slow.await.unwrap().assert_status(413);
    client.get("/api/data/a").await.assert_status(404);
    client.get("/api/data/b").await.assert_status(200);
}

#[tokio::test]
async fn a_timeout_of_its_own_changes_the_age_of_the_cookie_at_once() {
    let node = start("--max-age timeout").await;
    let client = stored(&node).await;
    for (idle, age) in [("2h", 7_200), ("10m", 600), ("default", 1_800)] {
        let answer = client
            .post("/api/timeout", &format!("{{\"idle\":\"{idle}\"}}"))
            .await;
        answer.assert_status(204);
        let cookies = answer.set_cookies();
        let age = format!("Max-Age={age}");
        assert!(
            matches!(cookies.as_slice(), [one] if one.contains(&age)),
            "{cookies:?}"
        );
    }
    let plain = start("").await;
    let client = stored(&plain).await;
    let answer = client.post("/api/timeout", "{\"idle\":\"2h\"}").await;
    assert_eq!(answer.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn an_operator_lists_and_ends_the_sessions_of_an_owner() {
    let node = start("").await;
    let operator = node.client();
    let clients = [signed_in(&node).await, signed_in(&node).await];
    let mut ids = Vec::new();
    for client in &clients {
        ids.push(client.session().await["id"].clone());
    }
    let listed = operator.get("/api/manage/owner/ada").await.json();
    let listed = listed.as_array().unwrap();
    let found: Vec<&Value> = listed.iter().map(|row| &row["id"]).collect();
    assert_eq!(found, ids.iter().collect::<Vec<_>>(), "oldest first");
    assert!(listed.iter().all(|row| row["owner"] == "ada"), "{listed:?}");
    let nobody = operator.delete("/api/manage/owner/bob").await;
    assert_eq!(nobody.json(), json!({ "destroyed": 0 }));
    let ended = operator.delete("/api/manage/owner/ada").await;
    ended.assert_status(200);
    assert_eq!(ended.json(), json!({ "destroyed": 2 }));
    assert_eq!(
        operator.get("/api/manage/owner/ada").await.json(),
        json!([])
    );
    for client in clients {
        assert_eq!(client.session().await["ended_reason"], "revoked");
    }
    let wrong = operator.get("/api/manage/owner/%ff").await;
    wrong.assert_refused(400, "bad_request");
}

#[tokio::test]
async fn the_page_says_only_what_its_own_forms_say() {
    let node = start("").await;
    let client = node.client();
    for (query, shown) in [
        ("error=Call+0900-1234", "0900"),
        ("error=%3Cb%3E", "did not work"),
        ("done=Call+0900-1234", "0900"),
    ] {
        let page = client.get(&format!("/?{query}")).await;
        page.assert_status(200);
        assert!(!page.text().contains(shown), "{query}");
    }
    for (query, shown) in [("error=no_owner", "no_owner"), ("done=poll", "Done: poll")] {
        assert!(
            client
                .get(&format!("/?{query}"))
                .await
                .text()
                .contains(shown),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_message_over_the_limit_closes_the_socket_with_the_reason() {
    let node = start("--max-bytes 8MiB").await;
    let client = stored(&node).await;
    let open = || async {
        Socket::open(&node, client.token().as_deref())
            .await
            .unwrap()
    };
    let right = format!("a={}", "x".repeat((2 << 20) - 2));
    assert_eq!(open().await.say(&right).await.as_deref(), Some("ok"));
    let wrong = format!("b={right}");
    assert_eq!(open().await.closed_by(&wrong).await, Some(1009));
    client.get("/api/data/b").await.assert_status(404);
}

#[tokio::test]
async fn a_stop_waits_for_requests_and_not_for_a_client_that_has_none() {
    // Longer than the harness waits for the end of a process.
    let mut node = start("--drain 10m").await;
    let mut idle = Vec::new();
    for said in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
        "GET / HTTP/1.1\r\nHos",
        "",
    ] {
        let mut connection = Connection::open(node.address()).await;
        connection.send(said).await;
        idle.push(connection);
    }
    let client = node.client();
    let running = node
        .begin(&client, Method::PUT, "/api/slow/a?ms=1000", "1")
        .await;
    node.signal("TERM").await;
    assert_eq!(node.ended().await.code(), Some(0));
    running.await.unwrap().assert_status(204);
    assert_eq!(node.stderr(), [""; 0]);
    drop(idle);
}
