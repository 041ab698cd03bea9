//! How many commands a request costs, by the count of the server.

use cloakroom_tests::{Client, Node, eventually};
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::since::Since;
use crate::stored;
use crate::stores::Running;

/// Only requests send commands.
const QUIET: &str = "--poll off --purge off";

/// A stored session. The server knows every script, and the copy on the node is trusted.
async fn warm(admin: &mut Admin, node: &Node) -> Client {
    let (client, other) = (stored(node).await, stored(node).await);
    other.put("/api/data/warm", "1").await.assert_status(204);
    let login = "{\"owner\":\"warm\"}";
    other.post("/api/login", login).await.assert_status(204);
    other.delete("/api/session").await.assert_status(204);
    eventually("a read costs nothing: the feed is up", async || {
        admin.commands().await;
        assert_eq!(client.session().await["presented"], "active");
        admin.commands().await == 0
    })
    .await;
    client
}

pub(crate) async fn a_request_sends_the_fewest_commands_that_can_be(store: &Running) {
    let [one, two, three] = store.nodes(QUIET).await;
    let mut admin = Admin::of(store.server()).await;
    for node in [&one, &two, &three] {
        let client = warm(&mut admin, node).await;
        // A load's script, too.
        client.at(two.address()).session().await;
    }
    let client = stored(&one).await;
    admin.commands().await;

    client.get("/healthz").await.assert_status(200);
    assert_eq!(admin.commands().await, 0, "a session that is not used");
    for _ in 0..20 {
        client.get("/api/data/colour").await.assert_status(200);
    }
    assert_eq!(admin.commands().await, 0, "reads of a copy");
    let there = client.at(two.address());
    assert_eq!(there.session().await["presented"], "active");
    assert_eq!(admin.commands().await, 1, "a cold read");
    there.get("/api/data/colour").await.assert_status(200);
    assert_eq!(admin.commands().await, 0, "and what follows it");
    fifty_cold_reads_cost_one_command(&mut admin, [&one, &three]).await;

    client.put("/api/data/a", "1").await.assert_status(204);
    assert_eq!(admin.commands().await, 1, "a write");
    client.put("/api/data/a", "1").await.assert_status(204);
    assert_eq!(admin.commands().await, 0, "a write of what is there");
    client.post("/api/renew", "").await.assert_status(204);
    assert_eq!(admin.commands().await, 1, "a renewal");
    client.delete("/api/session").await.assert_status(204);
    assert_eq!(admin.commands().await, 1, "a logout");

    let new = stored(&one).await;
    assert_eq!(admin.commands().await, 1, "a new session");
    let login = "{\"owner\":\"ada\"}";
    new.post("/api/login", login).await.assert_status(204);
    assert_eq!(admin.commands().await, 2, "a login");
    new.put("/api/data/a", "1").await.assert_status(204);
    assert_eq!(admin.commands().await, 1, "a write of an owner's session");
    let owned = one.client();
    owned.post("/api/login", login).await.assert_status(204);
    assert_eq!(admin.commands().await, 2, "a new session with an owner");
    one.client().get("/api/session").await.assert_status(200);
    assert_eq!(admin.commands().await, 0, "a look without a token");
}

/// On a machine that is too busy for the feed's heartbeat a node takes it for broken, and looks at a copy
/// once more: that is counted by the node, and tried again.
async fn fifty_cold_reads_cost_one_command(admin: &mut Admin, [one, other]: [&Node; 2]) {
    for _ in 0..5 {
        let client = stored(one).await;
        let operator = other.client();
        let before = operator.figure("/peeks").await;
        admin.commands().await;
        fifty_at_once(&client.at(other.address())).await;
        let commands = admin.commands().await;
        let looks = operator.figure("/peeks").await - before;
        assert_eq!(commands, 1 + looks, "fifty cold reads at once");
        if looks == 0 {
            return;
        }
    }
    unreachable!("the feed is never up for as long as fifty reads take");
}

async fn fifty_at_once(client: &Client) {
    let mut reads = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        reads.spawn(async move { client.session().await });
    }
    for session in reads.join_all().await {
        assert_eq!(session["data"]["colour"], "red");
    }
}

pub(crate) async fn a_copy_that_is_verified_costs_one_look(store: &Running) {
    let nodes = store
        .nodes("--poll off --purge off --coherence verify")
        .await;
    let mut admin = Admin::of(store.server()).await;
    let client = stored(&nodes[0]).await;
    client.get("/api/session").await.assert_status(200);
    admin.commands().await;
    for _ in 0..20 {
        client.get("/api/data/colour").await.assert_status(200);
    }
    assert_eq!(admin.commands().await, 20);
}

pub(crate) async fn a_thousand_reads_touch_once_in_an_interval(store: &Running) {
    // A second, spread by id, downwards only, by a tenth at most.
    const INTERVAL: u128 = 900;
    let [node, ..] = store.nodes("--poll off --purge off --touch 1s").await;
    let mut admin = Admin::of(store.server()).await;
    let client = warm(&mut admin, &node).await;
    let before = client.figure("/touches").await;
    let start = Since::now();
    eventually("a read touches", async || {
        assert_eq!(client.session().await["presented"], "active");
        client.figure("/touches").await > before
    })
    .await;
    admin.commands().await;
    let touched = client.figure("/touches").await;
    let mut reads = JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        reads.spawn(async move {
            for _ in 0..100 {
                client.get("/api/data/colour").await.assert_status(200);
            }
        });
    }
    reads.join_all().await;
    let (commands, all) = (admin.commands().await, client.figure("/touches").await);
    let intervals = start.elapsed().as_millis().div_ceil(INTERVAL);
    assert!(u128::from(all - before) <= intervals, "{all} touches");
    assert_eq!(commands, all - touched, "and nothing else was sent");
}
