//! Random requests on three nodes while connections and the server fail, and a ledger of what each was
//! told, which must be true of one store without failures.
#![expect(clippy::print_stdout, reason = "the seed and the figures of a run")]

mod chance;
mod faults;
mod ledger;
mod work;

use std::sync::Arc;
use std::time::Duration;

use cloakroom_tests::eventually;
use tokio::task::JoinSet;

use self::chance::Chance;
use self::ledger::Ledger;
use crate::look::add;
use crate::since::Since;
use crate::stored;
use crate::stores::Running;

const SESSIONS: usize = 6;

/// How long it goes on: a minute, or as many as `CLOAKROOM_HISTORY_SECONDS` says.
fn length() -> Duration {
    let given = std::env::var("CLOAKROOM_HISTORY_SECONDS").ok();
    Duration::from_secs(given.map_or(60, |given| given.parse().unwrap()))
}

pub(crate) async fn a_random_history_with_faults_is_true(store: &Running) {
    let nodes = store.nodes("").await;
    let mut chance = Chance::new();
    println!("a random history: CLOAKROOM_HISTORY_SEED={}", chance.seed());
    let (start, length) = (Since::now(), length());
    let mut ledgers = Vec::new();
    let mut workers = JoinSet::new();
    for n in 0..SESSIONS {
        let client = stored(&nodes[n % 3]).await;
        let ledger = Arc::new(Ledger::new(client, store.bound()));
        for (place, node) in nodes.iter().enumerate() {
            let at = (place, node.address().to_owned());
            let (ledger, chance) = (Arc::clone(&ledger), chance.fork());
            workers.spawn(work::at_one_node(ledger, at, chance, start, length));
        }
        // Half of them end on the way.
        if n % 2 == 0 {
            let node = nodes[chance.below(3)].address().to_owned();
            let after = length * u32::try_from(3 + n).unwrap() / 10;
            workers.spawn(work::end(Arc::clone(&ledger), node, start, after));
        }
        ledgers.push(ledger);
    }
    let seen = faults::rage(store, &mut chance, start, length).await;
    while let Some(done) = workers.join_next().await {
        done.unwrap();
    }
    for ledger in &ledgers {
        for node in &nodes {
            heal(ledger, node.address()).await;
        }
        ledger.check();
    }
    let told = |count: fn(&Ledger) -> usize| ledgers.iter().map(|l| count(l)).sum::<usize>();
    println!(
        "{seen:?}; {} increments, {} of them without an answer",
        told(Ledger::answered) + told(Ledger::open),
        told(Ledger::open)
    );
    assert!(told(Ledger::answered) > 0, "something has happened");
}

/// The node answers again, and tells the truth.
async fn heal(ledger: &Ledger, node: &str) {
    let client = ledger.client(node);
    if ledger.has_ended() {
        eventually("the node says that it has ended", async || {
            let answer = client.get("/api/session").await;
            answer.status == 200 && answer.json()["ended_reason"] == "logout"
        })
        .await;
        return;
    }
    eventually("the node heals", async || {
        let value = add(&client).await;
        ledger.added(value);
        value.is_some()
    })
    .await;
}
