//! What a client may be told while servers and connections fail.

use cloakroom_tests::{Answer, Client};
use http::Method;
use serde_json::Value;

/// A look at a live session: the session, or `None` for 503; never another answer, and never a word
/// about the cookie.
pub(crate) async fn look(client: &Client) -> Option<Value> {
    let answer = client.get("/api/session").await;
    assert_eq!(answer.set_cookies(), [""; 0]);
    if is_unavailable(&answer) {
        return None;
    }
    let session = answer.json();
    assert_eq!(session["presented"], "active", "a live session: {session}");
    Some(session)
}

/// Adds one: what is stored then, or `None` if it stays open whether it was.
pub(crate) async fn add(client: &Client) -> Option<i64> {
    let answer = client
        .send(Method::POST, "/api/data/n/add", "{\"by\":1}")
        .await;
    if is_unavailable(&answer) {
        return None;
    }
    answer.assert_status(200);
    Some(answer.json()["value"].as_i64().unwrap())
}

/// 503, which always says when to come back.
pub(crate) fn is_unavailable(answer: &Answer) -> bool {
    let unavailable = answer.status == 503;
    assert_eq!(answer.headers.contains_key("retry-after"), unavailable);
    unavailable
}
