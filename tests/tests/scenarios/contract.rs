//! Every other route and error of the playground's contract.

use http::Method;
use serde_json::{Value, json};

use super::{start, stored};

#[tokio::test]
async fn a_visitor_without_data_has_no_session_and_gets_no_cookie() {
    let node = start("").await;
    let answer = node.client().get("/api/session").await;
    assert_eq!(
        answer.json(),
        json!({
            "presented": "none", "ended_reason": null, "id": null, "is_new": true, "owner": null,
            "created_at": null, "expires_at": null, "is_stale": false, "data": {}
        })
    );
    assert_eq!(answer.set_cookies(), [""; 0]);
    assert_eq!(node.client().figure("/creates").await, 0);
}

#[tokio::test]
async fn the_first_attribute_stores_the_session_and_sends_one_cookie() {
    let node = start("").await;
    let client = node.client();
    let answer = client.put("/api/data/colour", "\"red\"").await;
    answer.assert_status(204);
    assert!(answer.body.is_empty());
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 1);
    let attributes: Vec<&str> = cookies[0].split("; ").skip(1).collect();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(attributes.contains(&attribute), "{cookies:?}");
    }
    assert!(
        !attributes.contains(&"Secure"),
        "plain http is the playground's default"
    );
    assert_eq!(client.token().unwrap().len(), 48);

    let session = client.session().await;
    assert_eq!(session["presented"], "active");
    assert_eq!(session["is_new"], false);
    assert_eq!(session["data"], json!({ "colour": "red" }));
    assert_eq!(session["id"].as_str().unwrap().len(), 36);
    for time in ["created_at", "expires_at"] {
        let text = session[time].as_str().unwrap();
        assert!(
            text.len() >= 20 && text.contains('T') && text.ends_with('Z'),
            "{text}"
        );
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_in_json() {
    let node = start("").await;
    let client = node.client();
    for path in [
        "/nope",
        "/api",
        "/api/nope",
        "/api/session/x",
        "/api/housekeeper",
    ] {
        client.get(path).await.assert_refused(404, "not_found");
    }
    client
        .post("/api/housekeeper/mop", "")
        .await
        .assert_refused(404, "not_found");
    for (method, path) in [
        (Method::POST, "/api/session"),
        (Method::GET, "/api/renew"),
        (Method::PATCH, "/api/data/a"),
        (Method::DELETE, "/healthz"),
        (Method::OPTIONS, "/api/data/a"),
    ] {
        let answer = client.send(method, path, "").await;
        answer.assert_refused(405, "method_not_allowed");
        assert!(answer.headers.contains_key("allow"));
        assert_eq!(answer.set_cookies(), [""; 0]);
    }
    assert_eq!(client.looked_at().await, 0);
}

#[tokio::test]
async fn renew_keeps_the_session_and_changes_the_token() {
    let node = start("").await;
    let client = stored(&node).await;
    let (before, token) = (client.session().await, client.token());
    let answer = client.post("/api/renew", "").await;
    answer.assert_status(204);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_ne!(client.token(), token);
    let after = client.session().await;
    assert_eq!(
        (&after["id"], &after["data"]),
        (&before["id"], &before["data"])
    );
}

#[tokio::test]
async fn renew_and_destroy_without_a_session_do_nothing_and_send_no_cookie() {
    let node = start("").await;
    let client = node.client();
    for answer in [
        client.post("/api/renew", "").await,
        client.delete("/api/session").await,
    ] {
        answer.assert_status(204);
        assert_eq!(answer.set_cookies(), [""; 0]);
    }
    assert_eq!(client.figure("/creates").await, 0);
}

#[tokio::test]
async fn timeout_and_login_create_a_session() {
    let node = start("").await;
    let first = node.client();
    first
        .post("/api/timeout", "{\"idle\":\"5m\"}")
        .await
        .assert_status(204);
    let session = first.session().await;
    assert_eq!(
        (&session["presented"], &session["is_new"]),
        (&json!("active"), &json!(false))
    );
    let second = node.client();
    second
        .post("/api/login", "{\"owner\":\"ada\"}")
        .await
        .assert_status(204);
    assert_eq!(second.session().await["owner"], "ada");
}

#[tokio::test]
async fn an_own_timeout_moves_the_deadline() {
    let node = start("").await;
    let client = stored(&node).await;
    let deadline = async || {
        client.session().await["expires_at"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let standard = deadline().await;
    client
        .post("/api/timeout", "{\"idle\":\"5m\"}")
        .await
        .assert_status(204);
    assert!(deadline().await < standard);
    client
        .post("/api/timeout", "{\"idle\":\"2h\"}")
        .await
        .assert_status(204);
    assert!(deadline().await > standard);
}

#[tokio::test]
async fn destroy_removes_the_cookie_and_is_remembered_as_a_logout() {
    let node = start("").await;
    let client = stored(&node).await;
    let thief = client.copy();
    let answer = client.delete("/api/session").await;
    answer.assert_status(204);
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 1);
    for part in ["id=;", "Max-Age=0", "Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookies[0].contains(part), "{cookies:?} has {part}");
    }
    assert_eq!(client.token(), None);
    let told = thief.session().await;
    assert_eq!(
        (&told["presented"], &told["ended_reason"]),
        (&json!("ended"), &json!("logout"))
    );
    assert_eq!(
        (&told["id"], &told["data"], &told["is_new"]),
        (&Value::Null, &json!({}), &json!(true))
    );
}

#[tokio::test]
async fn malformed_and_unknown_tokens_are_told_apart_and_never_adopted() {
    let node = start("").await;
    let stranger = stored(&start("").await).await;
    for (token, presented) in [
        ("short", "malformed"),
        (&"!".repeat(48), "malformed"),
        (&"a".repeat(6_000), "malformed"),
        (stranger.token().unwrap().as_str(), "unknown"),
    ] {
        let client = node.client();
        client.set_cookie("id", token);
        let answer = client.get("/api/session").await;
        assert_eq!(answer.json()["presented"], presented);
        assert_eq!(answer.set_cookies(), [""; 0]);
        client.put("/api/data/a", "1").await.assert_status(204);
        assert_ne!(client.token().unwrap(), token, "a fresh one");
    }
}

#[tokio::test]
async fn the_owner_lists_and_ends_own_sessions_only() {
    let node = start("").await;
    let visitor = stored(&node).await;
    visitor
        .get("/api/sessions")
        .await
        .assert_refused(403, "no_owner");
    visitor
        .delete("/api/sessions")
        .await
        .assert_refused(403, "no_owner");
    let mut ids = Vec::new();
    let mut clients = Vec::new();
    for owner in ["ada", "ada", "ada", "bob"] {
        let client = node.client();
        client
            .post("/api/login", &json!({ "owner": owner }).to_string())
            .await
            .assert_status(204);
        ids.push(client.session().await["id"].as_str().unwrap().to_owned());
        clients.push(client);
    }
    let list = clients[0].get("/api/sessions").await.json();
    let rows = list.as_array().unwrap();
    let listed: Vec<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert!(ids[..3].iter().all(|id| listed.contains(&id.as_str())));
    for row in rows {
        assert_eq!(row["current"], row["id"] == ids[0].as_str());
        assert!(row["created_at"].is_string() && row["last_used_at"].is_string());
        assert_eq!(row.as_object().unwrap().len(), 4);
    }
    let end = async |id: &str| clients[0].delete(&format!("/api/sessions/{id}")).await;
    for id in [
        ids[3].as_str(),
        "nonsense",
        "0193a5b0-0000-7000-8000-000000000000",
    ] {
        end(id).await.assert_refused(404, "not_found");
    }
    end(&ids[1]).await.assert_status(204);
    end(&ids[1]).await.assert_refused(404, "not_found");
    let told = clients[1].session().await;
    assert_eq!(
        (&told["presented"], &told["ended_reason"]),
        (&json!("ended"), &json!("revoked"))
    );
    assert_eq!(
        clients[0].delete("/api/sessions").await.json(),
        json!({ "destroyed": 1 })
    );
    assert_eq!(clients[2].session().await["presented"], "ended");
    assert_eq!(clients[3].session().await["owner"], "bob");
    let own = end(&ids[0]).await;
    own.assert_status(204);
    assert_eq!(clients[0].token(), None, "the own id equals a logout");
}

#[tokio::test]
async fn a_status_of_200_to_599_is_answered_and_5xx_rolls_back() {
    let node = start("").await;
    let client = stored(&node).await;
    for (code, kept) in [
        (200, true),
        (204, true),
        (304, true),
        (404, true),
        (500, false),
        (599, false),
    ] {
        let key = format!("k{code}");
        let answer = client.put(&format!("/api/status/{code}/{key}"), "1").await;
        assert_eq!(answer.status.as_u16(), code);
        assert_eq!(answer.body.is_empty(), matches!(code, 204 | 304), "{code}");
        let expected = if kept { 200 } else { 404 };
        client
            .get(&format!("/api/data/{key}"))
            .await
            .assert_status(expected);
    }
    for code in ["199", "100", "600", "0", "-1", "abc", "1000", "%20"] {
        let answer = client.put(&format!("/api/status/{code}/k"), "1").await;
        answer.assert_refused(400, "bad_request");
    }
    client.get("/api/data/k").await.assert_status(404);
}

#[tokio::test]
async fn commit_on_5xx_keeps_the_changes_of_a_failed_request() {
    let node = start("--commit-on-5xx").await;
    let client = node.client();
    client
        .put("/api/status/503/k", "1")
        .await
        .assert_status(503);
    client.get("/api/data/k").await.assert_status(200);
}

#[tokio::test]
async fn a_panic_stores_nothing_and_the_server_stays_up() {
    let node = start("").await;
    let client = stored(&node).await;
    match client.try_send(Method::POST, "/api/panic/lost", "").await {
        Ok(answer) => answer.assert_status(500),
        Err(broken) => assert!(!broken.to_string().is_empty()),
    }
    assert_eq!(client.session().await["data"], json!({ "colour": "red" }));
    client.put("/api/data/after", "1").await.assert_status(204);
}

#[tokio::test]
async fn the_waiting_time_must_be_a_number() {
    let node = start("").await;
    let client = stored(&node).await;
    for query in [
        "",
        "?ms=",
        "?ms=x",
        "?ms=-1",
        "?ms=1.5",
        "?ms=99999999999999999999",
    ] {
        client
            .get(&format!("/api/slow{query}"))
            .await
            .assert_refused(400, "bad_request");
        let path = format!("/api/slow/k{query}");
        client
            .put(&path, "1")
            .await
            .assert_refused(400, "bad_request");
    }
    client.get("/api/data/k").await.assert_status(404);
    let both = client.get("/api/slow?ms=0").await.json();
    assert_eq!(
        both,
        json!({ "before": { "colour": "red" }, "after": { "colour": "red" } })
    );
    client.put("/api/slow/k?ms=0", "1").await.assert_status(204);
    client.get("/api/data/k").await.assert_status(200);
}

#[tokio::test]
async fn healthz_touches_no_session() {
    let node = start("").await;
    let client = stored(&node).await;
    let before = client.looked_at().await;
    let answer = client.get("/healthz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "ok")
    );
    assert_eq!(client.looked_at().await, before);
}

#[tokio::test]
async fn the_housekeeper_runs_when_it_is_told_to() {
    let node = start("").await;
    for job in ["poll", "purge"] {
        let answer = node
            .client()
            .post(&format!("/api/housekeeper/{job}"), "")
            .await;
        answer.assert_status(200);
        assert!(answer.json().is_object());
    }
}

#[tokio::test]
async fn two_different_live_sessions_are_a_bad_request() {
    let node = start("").await;
    let (one, other) = (stored(&node).await, stored(&node).await);
    let both = format!("id={}; id={}", one.token().unwrap(), other.token().unwrap());
    let client = node.client().header("cookie", &both);
    client
        .get("/api/session")
        .await
        .assert_refused(400, "two_sessions");
    client
        .put("/api/data/a", "1")
        .await
        .assert_refused(400, "two_sessions");
    let twice = format!(
        "id=bogus; id={}; id={}",
        one.token().unwrap(),
        one.token().unwrap()
    );
    let client = node.client().header("cookie", &twice);
    assert_eq!(client.session().await["presented"], "active");
}
