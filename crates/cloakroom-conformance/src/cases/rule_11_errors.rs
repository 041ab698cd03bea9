//! Errors are one of four kinds; busy is not absent.

use std::sync::Arc;

use cloakroom_core::{SaveOutcome, SessionStore, StoreErrorKind};

use crate::case::{Case, Needs, case};
use crate::sample::{at_once, live, load, new_id, put, save, successor};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(shared busy_is_not_absent),
        case!(shared a_busy_store_refuses_no_save_as_gone),
        case!(what_is_too_large_is_rejected_and_changes_nothing if Needs::ByteLimit),
    ]
}

/// Forty readers and eight writers on one row: a reader may be told `Unavailable`, but never that
/// there is no session.
async fn busy_is_not_absent<S: SessionStore>(store: &Arc<S>) {
    let id = put(&**store, &live()).await;
    let tasks = (0..48).map(|n| {
        let store = Arc::clone(store);
        async move {
            for _ in 0..10 {
                let seen = match store.load(id).await {
                    Ok(seen) => seen.expect("the row is there all the time"),
                    Err(error) => {
                        assert!(error.is_retryable(), "{error}");
                        continue;
                    }
                };
                if n % 6 == 0 {
                    let answer = store.save(id, &successor(&seen), seen.stamp).await;
                    assert!(answer.is_ok() || answer.is_err_and(|error| error.is_retryable()));
                } else {
                    let peek = store.peek(id).await;
                    assert!(!matches!(peek, Ok(None)), "the row is there all the time");
                }
            }
        }
    });
    at_once(tasks).await;
}

/// Of many savers each is told `Saved`, `Conflict` or `Unavailable`; the session is never gone.
async fn a_busy_store_refuses_no_save_as_gone<S: SessionStore>(store: &Arc<S>) {
    let record = live();
    let id = put(&**store, &record).await;
    let savers = (0..32).map(|_| {
        let (store, record) = (Arc::clone(store), record.clone());
        async move {
            match store.save(id, &successor(&record), record.stamp).await {
                Ok(SaveOutcome::Saved) => 1,
                Ok(SaveOutcome::Conflict(current)) => {
                    assert_ne!(current.stamp, record.stamp);
                    0
                }
                Err(error) if error.is_retryable() => 0,
                other => unreachable!("neither saved nor a conflict: {other:?}"),
            }
        }
    });
    let saved: usize = at_once(savers).await.into_iter().sum();
    assert!(saved <= 1, "{saved} saves replaced one stamp");
}

/// A store that has a limit says `Rejected`, before anything is written.
async fn what_is_too_large_is_rejected_and_changes_nothing<S: SessionStore>(store: &S) {
    let max = store.capabilities().max_record_bytes.expect("a limit");
    let record = live();
    let mut large = successor(&record);
    large.body = vec![1; max + 1];
    let id = new_id();
    let error = store.create(id, &large).await.expect_err("too large");
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert_eq!(load(store, id).await, None);
    let id = put(store, &record).await;
    let error = store.save(id, &large, record.stamp).await;
    assert_eq!(
        error.expect_err("too large").kind(),
        StoreErrorKind::Rejected
    );
    assert_eq!(load(store, id).await.as_ref(), Some(&record));
    let mut largest = successor(&record);
    largest.body = vec![1; max - largest.head.len()];
    let outcome = save(store, id, &largest, record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Saved, "the limit itself is allowed");
}
