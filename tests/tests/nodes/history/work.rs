//! The clients of the history.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_tests::{Answer, Client};
use http::Method;

use super::chance::Chance;
use super::ledger::Ledger;
use crate::look::is_unavailable;
use crate::since::Since;

/// Looks and adds through one node until the time is over.
pub(super) async fn at_one_node(
    ledger: Arc<Ledger>,
    (place, node): (usize, String),
    mut chance: Chance,
    start: Since,
    length: Duration,
) {
    let client = ledger.client(&node);
    while start.elapsed() < length {
        let begun = Since::now();
        let done = if chance.below(10) < 6 {
            add(&ledger, &client, begun, place).await
        } else {
            look(&ledger, &client, begun, place).await
        };
        if done {
            return;
        }
        let pause = Duration::from_millis(chance.below(20) as u64);
        tokio::time::sleep(pause).await;
    }
}

/// Whether the session has ended.
async fn add(ledger: &Ledger, client: &Client, begun: Since, place: usize) -> bool {
    // A jar of its own: on a dead session a write begins another one.
    let once = client.copy();
    let answer = once
        .send(Method::POST, "/api/data/n/add", "{\"by\":1}")
        .await;
    if is_unavailable(&answer) {
        ledger.is_open();
        return false;
    }
    if is_of_another(&answer) {
        ledger.told_ended();
        return true;
    }
    answer.assert_status(200);
    let value = answer.json()["value"].as_i64().unwrap();
    ledger.stored(begun, place, value);
    false
}

fn is_of_another(answer: &Answer) -> bool {
    answer.status == 409 && answer.json()["error"] == "ended" || !answer.set_cookies().is_empty()
}

/// Whether the session has ended.
async fn look(ledger: &Ledger, client: &Client, begun: Since, place: usize) -> bool {
    let answer = client.get("/api/session").await;
    assert_eq!(answer.set_cookies(), [""; 0]);
    if is_unavailable(&answer) {
        return false;
    }
    let session = answer.json();
    if session["ended_reason"] == "logout" {
        ledger.told_ended();
        // It stays so.
        return false;
    }
    assert_eq!(session["presented"], "active", "{session}");
    let value = session["data"]["n"].as_i64().unwrap_or(0);
    ledger.shown(begun, place, value);
    false
}

/// Logs out after a while, with as many tries as it takes.
pub(super) async fn end(ledger: Arc<Ledger>, node: String, start: Since, after: Duration) {
    tokio::time::sleep(after.saturating_sub(start.elapsed())).await;
    ledger.ending();
    loop {
        let answer = ledger.client(&node).delete("/api/session").await;
        if !is_unavailable(&answer) {
            answer.assert_status(204);
            return ledger.ended();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
