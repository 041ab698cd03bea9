//! What each operation costs in round trips, as counted on the wire.

use cloakroom_conformance::RoundTrips;
use cloakroom_core::{Due, Page, SessionStore};

use crate::support::record::{at, id, next, owned, owner, tombstone};

/// The cost of every operation on a store whose statements are prepared, over one connection.
pub(crate) async fn of<S: SessionStore>(store: &S, trips: &RoundTrips) -> Vec<(&'static str, u64)> {
    // The first use of each statement prepares it; the second shows what it costs from then on.
    once(store, trips).await;
    once(store, trips).await
}

async fn once<S: SessionStore>(store: &S, trips: &RoundTrips) -> Vec<(&'static str, u64)> {
    let (id, first) = (id(), owned("ada"));
    let (second, third) = (next(&first, b"x"), next(&first, b"y"));
    let (tomb, page) = (
        tombstone(&second),
        Page {
            after: None,
            limit: 5,
        },
    );
    let mut before = trips.count();
    let mut costs = Vec::new();
    macro_rules! cost {
        ($name:literal, $operation:expr) => {
            assert!($operation.await.is_ok(), $name);
            let now = trips.count();
            costs.push(($name, now - before));
            before = now;
        };
    }
    cost!("create", store.create(id, &first));
    cost!("create of what exists", store.create(id, &first));
    cost!("load", store.load(id));
    cost!("peek", store.peek(id));
    cost!("touch", store.touch(id, first.stamp, first.times));
    cost!("refused touch", store.touch(id, second.stamp, first.times));
    cost!("save", store.save(id, &second, first.stamp));
    cost!("refused save", store.save(id, &third, first.stamp));
    cost!("end", store.end(id, Some(&tomb)));
    cost!("end of what has ended", store.end(id, None));
    cost!("expire", store.expire(at(1), Due::Limit(5)));
    cost!("purge", store.purge(at(1), 5));
    cost!("owned_by", store.owned_by(&owner("ada"), page));
    let _ = before;
    costs
}
