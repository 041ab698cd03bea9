//! The names of tables and schemas, as an operator gives them.

use crate::stored;
use crate::stores::Running;

pub(crate) async fn two_tables_are_two_stores(store: &Running) {
    let [plain, other] = [
        store.node("").await,
        store.node("--table other_sessions").await,
    ];
    let client = stored(&plain).await;
    let there = client.at(other.address()).session().await;
    assert_eq!(there["presented"], "unknown");
    let client = stored(&other).await;
    let again = store.node("--table other_sessions").await;
    let found = client.at(again.address()).session().await;
    assert_eq!(found["presented"], "active");
}

pub(crate) async fn a_table_lies_in_the_schema_that_was_named(store: &Running) {
    let plain = store.node("").await;
    let named = store
        .node("--schema public --table cloakroom_sessions")
        .await;
    let client = stored(&plain).await;
    let found = client.at(named.address()).session().await;
    assert_eq!(found["presented"], "active", "it is where the server looks");
    let refusal = store.builder("--schema nowhere").refused().await;
    assert_eq!(refusal.status.code(), Some(2), "{refusal:?}");
    assert_eq!(refusal.stderr.lines().count(), 1, "{refusal:?}");
}
