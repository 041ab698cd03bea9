//! `purge` removes rows with `expires_at <= now`, live or ended, re-checking each.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Due, SessionStore, Timestamp};

use crate::case::{Case, Needs, case};
use crate::sample::{
    DAY, HOUR, at_once, caller_now, create, due_at, end, expiring, live, load, new_id, now,
    patiently, put, saved, successor, tombstone, touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    use Needs::Search;
    vec![
        case!(purge_spares_the_living),
        case!(purge_spares_what_may_never_be_forgotten),
        case!(purge_spares_a_tombstone_that_is_still_remembered),
        case!(purge_removes_at_the_instant_of_expires_at if Search),
        case!(purge_removes_tombstones if Search),
        case!(purge_removes_live_rows_that_nobody_ended if Search),
        case!(purge_removes_what_expire_has_ended if Search),
        case!(purge_removes_at_most_so_many if Search),
        case!(purge_spares_what_was_touched if Search),
        case!(purge_spares_what_a_save_prolonged if Search),
        case!(purge_removes_what_a_save_shortened if Search),
        case!(a_purged_id_is_free if Search),
        case!(shared purging_at_once_is_merely_redundant if Search),
        case!(a_purger_whose_clock_is_ahead_forgets_nobody if Needs::OwnClock),
    ]
}

async fn purge<S: SessionStore>(store: &S, limit: usize) -> usize {
    let purged = store.purge(caller_now(), limit).await;
    purged.expect("purge answers")
}

fn expired() -> cloakroom_core::Record {
    expiring(caller_now() - HOUR, caller_now())
}

/// Neither the live nor the overdue go before their `expires_at`.
async fn purge_spares_the_living<S: SessionStore>(store: &S) {
    for record in [live(), due_at(caller_now() - DAY), due_at(None)] {
        let id = put(store, &record).await;
        assert_eq!(purge(store, 100).await, 0);
        assert_eq!(load(store, id).await, Some(record));
    }
}

/// No `expires_at`: never, at whatever time.
async fn purge_spares_what_may_never_be_forgotten<S: SessionStore>(store: &S) {
    let mut record = live();
    record.times.deadline = None;
    record.times.expires_at = None;
    let id = put(store, &record).await;
    let purged = store.purge(Timestamp::MAX, 100).await;
    assert_eq!(purged.expect("purge answers"), 0);
    assert_eq!(load(store, id).await, Some(record));
}

/// Retention is kept.
async fn purge_spares_a_tombstone_that_is_still_remembered<S: SessionStore>(store: &S) {
    let id = put(store, &live()).await;
    let tombstone = tombstone(&live());
    end(store, id, Some(&tombstone)).await;
    assert_eq!(purge(store, 100).await, 0);
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// `now >= expires_at`, to the millisecond.
async fn purge_removes_at_the_instant_of_expires_at<S: SessionStore>(store: &S) {
    let at = caller_now();
    let gone = put(store, &expiring(at - HOUR, at)).await;
    let later = at + Duration::from_millis(1);
    let left = put(store, &expiring(at - HOUR, later)).await;
    let purged = store.purge(at, 100).await.expect("purge answers");
    assert_eq!(purged, 1);
    assert_eq!(load(store, gone).await, None);
    assert!(load(store, left).await.is_some());
}

/// The memory of an ended session ends, too.
async fn purge_removes_tombstones<S: SessionStore>(store: &S) {
    let id = put(store, &live()).await;
    let mut tombstone = tombstone(&live());
    tombstone.times.expires_at = Some(caller_now());
    end(store, id, Some(&tombstone)).await;
    assert_eq!(purge(store, 100).await, 1);
    assert_eq!(load(store, id).await, None);
}

/// A row may go without ever having been ended.
async fn purge_removes_live_rows_that_nobody_ended<S: SessionStore>(store: &S) {
    let id = put(store, &expired()).await;
    let mut endless = expired();
    endless.times.deadline = None;
    let odd = put(store, &endless).await;
    assert_eq!(purge(store, 100).await, 2);
    assert_eq!(load(store, id).await, None);
    assert_eq!(load(store, odd).await, None);
}

/// `expire` keeps `expires_at`, and `purge` goes by it.
async fn purge_removes_what_expire_has_ended<S: SessionStore>(store: &S) {
    let id = put(store, &expired()).await;
    let ended = store.expire(caller_now(), Due::Limit(10)).await;
    assert_eq!(ended.expect("expire answers").len(), 1);
    assert!(load(store, id).await.is_some());
    assert_eq!(purge(store, 100).await, 1);
    assert_eq!(load(store, id).await, None);
}

/// Ten may go, in steps of four: 4, 4, 2, 0. A limit of 0 removes nothing.
async fn purge_removes_at_most_so_many<S: SessionStore>(store: &S) {
    for n in 0..10 {
        let id = put(store, &expired()).await;
        if n % 2 == 0 {
            let mut tombstone = tombstone(&live());
            tombstone.times.expires_at = Some(caller_now());
            end(store, id, Some(&tombstone)).await;
        }
    }
    assert_eq!(purge(store, 0).await, 0);
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(purge(store, 4).await);
    }
    assert_eq!(steps, [4, 4, 2, 0]);
}

/// What was kept alive since is not expired.
async fn purge_spares_what_was_touched<S: SessionStore>(store: &S) {
    let mut record = expired();
    let id = put(store, &record).await;
    record.times = live().times;
    touch(store, id, record.stamp, record.times).await;
    assert_eq!(purge(store, 100).await, 0);
    assert_eq!(load(store, id).await, Some(record));
}

/// A save that moves `expires_at` later, or takes it away, counts like a touch.
async fn purge_spares_what_a_save_prolonged<S: SessionStore>(store: &S) {
    for expires_at in [Some(now() + HOUR), None] {
        let record = expired();
        let id = put(store, &record).await;
        let mut next = successor(&record);
        next.times.expires_at = expires_at;
        saved(store, id, &next, record.stamp).await;
        assert_eq!(purge(store, 100).await, 0);
        assert_eq!(load(store, id).await, Some(next));
    }
}

/// A save that moves `expires_at` earlier is found at its new time.
async fn purge_removes_what_a_save_shortened<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let mut shorter = successor(&record);
    shorter.times = expired().times;
    saved(store, id, &shorter, record.stamp).await;
    assert_eq!(purge(store, 100).await, 1);
    assert_eq!(load(store, id).await, None);
}

/// Nothing of a purged row is in the way of a new one, nor ends it.
async fn a_purged_id_is_free<S: SessionStore>(store: &S) {
    let id = new_id();
    for _ in 0..3 {
        create(store, id, &expired()).await;
        assert_eq!(purge(store, 100).await, 1);
    }
    let record = live();
    create(store, id, &record).await;
    assert_eq!(purge(store, 100).await, 0);
    assert_eq!(load(store, id).await, Some(record));
}

/// Several nodes purge at once: together they remove what is expired, once, and nothing else.
async fn purging_at_once_is_merely_redundant<S: SessionStore>(store: &Arc<S>) {
    let living = live();
    let kept = put(&**store, &living).await;
    let mut gone = Vec::new();
    for _ in 0..50 {
        gone.push(put(&**store, &expired()).await);
    }
    let purgers = (0..6).map(|_| {
        let store = Arc::clone(store);
        async move {
            let mut purged = 0;
            for _ in 0..10 {
                purged += patiently(|| store.purge(caller_now(), 7)).await;
            }
            purged
        }
    });
    let purged: usize = at_once(purgers).await.into_iter().sum();
    assert_eq!(purged + purge(&**store, 50).await, 50);
    for id in gone {
        assert_eq!(load(&**store, id).await, None);
    }
    assert_eq!(load(&**store, kept).await, Some(living));
}

/// Time is the earlier of the caller's `now` and the store's clock.
async fn a_purger_whose_clock_is_ahead_forgets_nobody<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let purged = store.purge(Timestamp::MAX, 100).await;
    assert_eq!(purged.expect("purge answers"), 0);
    assert_eq!(load(store, id).await, Some(record));
}
