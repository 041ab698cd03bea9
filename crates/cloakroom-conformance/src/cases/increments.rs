//! Nothing is lost: writers that meet on one row all get through.

use std::sync::Arc;

use cloakroom_core::{CreateOutcome, SaveOutcome, SessionId, SessionStore, Stamp};

use crate::case::{Case, case};
use crate::sample::{at_once, live, load, new_id, patiently, put};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(shared of_26_increments_at_once_none_is_lost),
        case!(shared of_26_writers_on_one_stamp_one_is_saved),
        case!(shared of_50_who_create_one_id_one_succeeds),
        case!(shared of_20_who_end_a_session_one_is_handed_the_record),
    ]
}

/// Adds one to the counter in the body by compare-and-set; how often it had to be tried.
async fn increment<S: SessionStore>(store: &S, id: SessionId) -> usize {
    let mut current = patiently(|| store.load(id)).await.expect("a row");
    for tries in 1..10_000 {
        let mut next = current.clone();
        next.stamp = current.stamp.next();
        let count = next.body.last_mut().expect("the counter");
        *count += 1;
        match patiently(|| store.save(id, &next, current.stamp)).await {
            SaveOutcome::Saved => return tries,
            // The reply was lost, or the store asked to come again: it was stored (rule 5).
            SaveOutcome::Conflict(record) if record.stamp == next.stamp => return tries,
            SaveOutcome::Conflict(record) => current = record,
            other => unreachable!("neither saved nor a conflict: {other:?}"),
        }
    }
    unreachable!("a writer that tries 10,000 times must get through");
}

/// Twenty-six requests that count at once (laravel/framework #7549): the count is twenty-six.
async fn of_26_increments_at_once_none_is_lost<S: SessionStore>(store: &Arc<S>) {
    let mut record = live();
    record.body = vec![1, 0];
    let id = put(&**store, &record).await;
    let tasks = (0..26).map(|_| {
        let store = Arc::clone(store);
        async move { increment(&*store, id).await }
    });
    at_once(tasks).await;
    let counted = load(&**store, id).await.expect("a row");
    assert_eq!(counted.body, [1, 26]);
    assert_eq!(counted.stamp.version, 27, "one write each");
}

/// All read the same state: one replaces it, the others are told what is there now.
async fn of_26_writers_on_one_stamp_one_is_saved<S: SessionStore>(store: &Arc<S>) {
    for _ in 0..10 {
        let record = live();
        let id = put(&**store, &record).await;
        let tasks = (0..26).map(|_| {
            let (store, record) = (Arc::clone(store), record.clone());
            async move {
                let mut next = record.clone();
                next.stamp = record.stamp.next();
                match patiently(|| store.save(id, &next, record.stamp)).await {
                    SaveOutcome::Saved => Some(next.stamp),
                    SaveOutcome::Conflict(current) => {
                        assert_ne!(current.stamp, record.stamp, "the expected stamp came back");
                        (current.stamp == next.stamp).then_some(next.stamp)
                    }
                    other => unreachable!("neither saved nor a conflict: {other:?}"),
                }
            }
        });
        let saved: Vec<Stamp> = at_once(tasks).await.into_iter().flatten().collect();
        let stored = load(&**store, id).await.expect("a row");
        assert_eq!(saved, [stored.stamp]);
    }
}

/// An id belongs to one session.
async fn of_50_who_create_one_id_one_succeeds<S: SessionStore>(store: &Arc<S>) {
    let id = new_id();
    let tasks = (0..50).map(|n| {
        let store = Arc::clone(store);
        async move {
            let mut record = live();
            record.body = vec![1, n];
            let outcome = patiently(|| store.create(id, &record)).await;
            let created = match outcome {
                CreateOutcome::Created => true,
                CreateOutcome::Exists(stamp) => stamp == record.stamp,
            };
            created.then_some(record)
        }
    });
    let created: Vec<_> = at_once(tasks).await.into_iter().flatten().collect();
    let stored = load(&**store, id).await.expect("a row");
    assert_eq!(created, [stored]);
}

/// The first ending wins, and only its caller is handed the attributes.
async fn of_20_who_end_a_session_one_is_handed_the_record<S: SessionStore>(store: &Arc<S>) {
    for keep in [true, false] {
        let record = live();
        let id = put(&**store, &record).await;
        let tasks = (0..20).map(|n| {
            let (store, record) = (Arc::clone(store), record.clone());
            async move {
                let mut tombstone = record.timed_out();
                tombstone.head.push(n);
                let ended = patiently(|| store.end(id, keep.then_some(&tombstone))).await;
                ended.map(|ended| (ended, tombstone))
            }
        });
        let ended: Vec<_> = at_once(tasks).await.into_iter().flatten().collect();
        assert_eq!(ended.len(), 1, "one of them ended it");
        for (returned, tombstone) in ended {
            assert_eq!(returned, record);
            let left = load(&**store, id).await;
            assert_eq!(left, keep.then_some(tombstone));
        }
    }
}
