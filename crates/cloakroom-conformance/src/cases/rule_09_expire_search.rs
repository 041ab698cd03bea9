//! `expire` that searches: finds whatever is due, at most so many.

use std::collections::BTreeSet;
use std::sync::Arc;

use cloakroom_core::{Due, Record, SessionId, SessionStore, Timestamp};

use crate::case::{Case, Needs, case};
use crate::sample::{
    DAY, HOUR, at_once, caller_now, due_at, end, load, now, patiently, put, saved, successor,
    tombstone, touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    use Needs::Search;
    vec![
        case!(expire_finds_what_is_due_and_only_that if Search),
        case!(expire_ends_at_most_so_many if Search),
        case!(expire_finds_what_a_save_made_due if Search),
        case!(expire_finds_what_got_its_first_deadline_from_a_save if Search),
        case!(expire_does_not_find_what_moved_later if Search),
        case!(expire_finds_what_moved_later_at_its_new_deadline if Search),
        case!(expire_does_not_find_the_ended if Search),
        case!(shared of_many_who_search_exactly_one_reports_each if Search),
        case!(a_searcher_whose_clock_is_ahead_ends_nobody if Needs::OwnClock),
        case!(a_store_with_native_expiry_finds_nothing if Needs::NativeExpiry),
    ]
}

async fn search<S: SessionStore>(
    store: &S,
    now: Timestamp,
    limit: usize,
) -> Vec<(SessionId, Record)> {
    let ended = store.expire(now, Due::Limit(limit)).await;
    ended.expect("expire answers")
}

/// Among many rows, those with `deadline <= now`.
async fn expire_finds_what_is_due_and_only_that<S: SessionStore>(store: &S) {
    let now = caller_now();
    let mut due = BTreeSet::new();
    for n in 0..10 {
        let ago = std::time::Duration::from_millis(n);
        due.insert(put(store, &due_at(now - ago)).await);
        let soon = std::time::Duration::from_millis(n + 1);
        put(store, &due_at(now + soon)).await;
        put(store, &due_at(None)).await;
    }
    let ended = search(store, now, 100).await;
    let ids: BTreeSet<_> = ended.iter().map(|(id, _)| *id).collect();
    assert_eq!((ids, ended.len()), (due, 10));
    assert_eq!(search(store, now, 100).await, [], "and each once");
}

/// Ten are due, in steps of three: 3, 3, 3, 1, 0. A limit of 0 ends nobody.
async fn expire_ends_at_most_so_many<S: SessionStore>(store: &S) {
    for _ in 0..10 {
        put(store, &due_at(caller_now())).await;
    }
    assert_eq!(search(store, caller_now(), 0).await, []);
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.push(search(store, caller_now(), 3).await.len());
    }
    assert_eq!(steps, [3, 3, 3, 1, 0]);
}

/// A save that moves the deadline earlier moves it for those who search, too.
async fn expire_finds_what_a_save_made_due<S: SessionStore>(store: &S) {
    let record = due_at(now() + DAY);
    let id = put(store, &record).await;
    let mut shorter = successor(&record);
    shorter.times.deadline = Some(caller_now());
    saved(store, id, &shorter, record.stamp).await;
    assert_eq!(search(store, caller_now(), 10).await, [(id, shorter)]);
}

/// From never to a deadline.
async fn expire_finds_what_got_its_first_deadline_from_a_save<S: SessionStore>(store: &S) {
    let mut record = due_at(None);
    record.times.expires_at = None;
    let id = put(store, &record).await;
    let mut limited = successor(&record);
    limited.times.deadline = Some(caller_now());
    limited.times.expires_at = Some(now() + DAY);
    saved(store, id, &limited, record.stamp).await;
    assert_eq!(search(store, caller_now(), 10).await, [(id, limited)]);
}

/// Touched, saved, or made endless since: not due.
async fn expire_does_not_find_what_moved_later<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let touched = put(store, &record).await;
    let mut times = record.times;
    times.deadline = Some(now() + HOUR);
    touch(store, touched, record.stamp, times).await;
    for deadline in [Some(now() + HOUR), None] {
        let id = put(store, &record).await;
        let mut next = successor(&record);
        next.times.deadline = deadline;
        saved(store, id, &next, record.stamp).await;
    }
    assert_eq!(search(store, caller_now(), 10).await, []);
}

/// What was looked at too early is found when its time has come.
async fn expire_finds_what_moved_later_at_its_new_deadline<S: SessionStore>(store: &S) {
    let (early, late) = (caller_now() - HOUR, caller_now());
    let mut record = due_at(early);
    let id = put(store, &record).await;
    record.times.deadline = Some(late);
    touch(store, id, record.stamp, record.times).await;
    assert_eq!(search(store, early, 10).await, []);
    assert_eq!(search(store, late, 10).await, [(id, record)]);
}

/// Tombstones keep their deadline, and are not found by it.
async fn expire_does_not_find_the_ended<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    assert_eq!(search(store, caller_now(), 10).await, []);
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// Several nodes search at once until nothing is left: each ending is told by one of them.
async fn of_many_who_search_exactly_one_reports_each<S: SessionStore>(store: &Arc<S>) {
    let now = caller_now();
    let mut due = Vec::new();
    for _ in 0..60 {
        due.push(put(&**store, &due_at(now)).await);
    }
    due.sort();
    let searchers = (0..6).map(|_| {
        let store = Arc::clone(store);
        async move {
            let mut told = Vec::new();
            for _ in 0..12 {
                let ended = patiently(|| store.expire(now, Due::Limit(7))).await;
                assert!(ended.len() <= 7, "at most so many");
                told.extend(ended.into_iter().map(|(id, _)| id));
            }
            told
        }
    });
    let mut told: Vec<_> = at_once(searchers).await.into_iter().flatten().collect();
    told.extend(
        search(&**store, now, 60)
            .await
            .into_iter()
            .map(|(id, _)| id),
    );
    told.sort();
    assert_eq!(told, due, "each exactly once");
}

/// Time is the earlier of the caller's `now` and the store's clock.
async fn a_searcher_whose_clock_is_ahead_ends_nobody<S: SessionStore>(store: &S) {
    let record = due_at(now() + HOUR);
    let id = put(store, &record).await;
    assert_eq!(search(store, Timestamp::MAX, 10).await, []);
    assert_eq!(load(store, id).await, Some(record));
}

/// A store that says `Expiry::Native` answers a search with nothing, and ends nothing.
async fn a_store_with_native_expiry_finds_nothing<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    assert_eq!(search(store, caller_now(), 10).await, []);
    assert_eq!(load(store, id).await, Some(record));
}
