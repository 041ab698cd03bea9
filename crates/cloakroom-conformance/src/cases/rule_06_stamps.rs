//! Freshness is equality of stamps, never order.

use cloakroom_core::{SessionStore, Stamp, TouchOutcome};

use crate::case::{Case, case};
use crate::sample::{end, live, load, put, save, saved, successor, tombstone, touch};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(versions_may_go_backward),
        case!(versions_may_repeat),
        case!(stamps_keep_all_their_bits),
        case!(stamps_at_the_limits_compare_exactly),
        case!(a_tombstone_may_carry_an_older_version),
    ]
}

/// The numbers at which signed columns, floats and text go wrong.
const EDGES: [u64; 9] = [
    0,
    1,
    (1 << 31) - 1,
    1 << 32,
    (1 << 53) + 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// After a failover a writer may hold a stamp higher than what it writes next: the store takes it.
async fn versions_may_go_backward<S: SessionStore>(store: &S) {
    let mut first = live();
    first.stamp.version = 1_000;
    let id = put(store, &first).await;
    let mut second = successor(&first);
    second.stamp.version = 3;
    saved(store, id, &second, first.stamp).await;
    assert_eq!(load(store, id).await, Some(second));
}

/// The same version twice in a row: the nonce tells them apart.
async fn versions_may_repeat<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let mut second = successor(&first);
    second.stamp.version = first.stamp.version;
    saved(store, id, &second, first.stamp).await;
    let stale = save(store, id, &successor(&first), first.stamp).await;
    assert_eq!(stale, cloakroom_core::SaveOutcome::Conflict(second));
}

/// Version and nonce are 64 bits each, unsigned.
async fn stamps_keep_all_their_bits<S: SessionStore>(store: &S) {
    for version in EDGES {
        for nonce in EDGES {
            let mut record = live();
            record.stamp = Stamp { version, nonce };
            let id = put(store, &record).await;
            let peek = store.peek(id).await.expect("peek answers").expect("a row");
            assert_eq!(peek.stamp, record.stamp);
            let stored = load(store, id).await.expect("a row");
            assert_eq!(stored.stamp, record.stamp);
        }
    }
}

/// Every comparison of stamps is exact at the limits: save, touch, and what they answer.
async fn stamps_at_the_limits_compare_exactly<S: SessionStore>(store: &S) {
    let mut current = live();
    let id = put(store, &current).await;
    for edge in EDGES {
        let mut next = successor(&current);
        next.stamp = Stamp {
            version: edge,
            nonce: !edge,
        };
        saved(store, id, &next, current.stamp).await;
        let near = Stamp {
            version: edge ^ 1,
            nonce: !edge,
        };
        let moved = touch(store, id, near, next.times).await;
        assert_eq!(moved, TouchOutcome::Moved(next.stamp));
        let touched = touch(store, id, next.stamp, next.times).await;
        assert_eq!(touched, TouchOutcome::Touched);
        current = next;
    }
    assert_eq!(load(store, id).await, Some(current));
}

/// The ending is unconditional, whatever its stamp looks like.
async fn a_tombstone_may_carry_an_older_version<S: SessionStore>(store: &S) {
    let mut record = live();
    record.stamp.version = u64::MAX;
    let id = put(store, &record).await;
    let mut tombstone = tombstone(&record);
    tombstone.stamp.version = 0;
    assert_eq!(end(store, id, Some(&tombstone)).await, Some(record));
    assert_eq!(load(store, id).await, Some(tombstone));
}
