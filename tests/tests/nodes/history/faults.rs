//! What happens to the store on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom_services::Server;

use super::chance::Chance;
use crate::admin::Admin;
use crate::since::Since;
use crate::stores::Running;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    FeedBroken,
    ConnectionsBroken,
    Hiccup,
    Frozen,
    Killed,
}

/// Lets the store fail again and again until the time is over, each way once at least; how often it did
/// which way. A server that is killed has written all that it acknowledged.
pub(super) async fn rage(
    store: &Running,
    chance: &mut Chance,
    start: Since,
    length: Duration,
) -> BTreeMap<Fault, usize> {
    let servers = store.servers();
    let mut seen = BTreeMap::new();
    // Each kind once, then as it comes.
    let mut first = vec![Fault::Frozen, Fault::Hiccup, Fault::Killed];
    if store.is_redis() {
        first.extend([Fault::ConnectionsBroken, Fault::FeedBroken]);
    }
    let all = first.clone();
    while start.elapsed() < length || !first.is_empty() {
        let fault = first.pop().unwrap_or_else(|| all[chance.below(all.len())]);
        let server = &servers[chance.below(servers.len())];
        // Now and then long enough for a cluster to give the server up.
        let absence = Duration::from_secs(chance.below(2) as u64 * 3);
        strike(server, fault, absence).await;
        *seen.entry(fault).or_insert(0) += 1;
        let calm = 100 + chance.below(900) as u64;
        tokio::time::sleep(Duration::from_millis(calm)).await;
    }
    seen
}

async fn strike(server: &Server, fault: Fault, absence: Duration) {
    match fault {
        Fault::FeedBroken => Admin::of(server).await.kill_feed().await,
        Fault::ConnectionsBroken => Admin::of(server).await.kill_all().await,
        Fault::Hiccup => freeze(server, 300).await,
        // Longer than any operation waits.
        Fault::Frozen => freeze(server, 2_500).await,
        Fault::Killed => {
            tokio::task::block_in_place(|| server.kill()).unwrap();
            tokio::time::sleep(absence).await;
            tokio::task::block_in_place(|| server.restart()).unwrap();
        }
    }
}

async fn freeze(server: &Server, millis: u64) {
    tokio::task::block_in_place(|| server.freeze()).unwrap();
    tokio::time::sleep(Duration::from_millis(millis)).await;
    tokio::task::block_in_place(|| server.thaw()).unwrap();
}
