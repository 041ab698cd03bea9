//! Stores do not decide liveness: a row past its deadline but not yet forgotten is returned.

use cloakroom_core::{SessionStore, State, TouchOutcome};

use crate::case::{Case, case};
use crate::sample::{
    DAY, caller_now, due_at, end, live, load, now, owned, owner, put, saved, successor, tombstone,
    touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(load_returns_a_row_past_its_deadline),
        case!(peek_returns_a_row_past_its_deadline),
        case!(peek_agrees_with_load),
        case!(a_row_past_its_deadline_can_be_saved),
        case!(a_row_past_its_deadline_can_be_touched),
        case!(reading_changes_nothing),
    ]
}

/// Whoever reads it judges it, then ends it.
async fn load_returns_a_row_past_its_deadline<S: SessionStore>(store: &S) {
    for deadline in [caller_now(), now() - DAY, cloakroom_core::Timestamp::EPOCH] {
        let overdue = due_at(deadline);
        let id = put(store, &overdue).await;
        assert_eq!(load(store, id).await, Some(overdue));
    }
}

/// `peek` shows the deadline, and that the row is still live.
async fn peek_returns_a_row_past_its_deadline<S: SessionStore>(store: &S) {
    let overdue = due_at(caller_now());
    let id = put(store, &overdue).await;
    let peek = store.peek(id).await.expect("peek answers").expect("a row");
    assert_eq!(peek.state, State::Live);
    assert_eq!(peek.deadline, overdue.times.deadline);
    assert_eq!(peek.stamp, overdue.stamp);
}

/// `peek` is `load` without the payload, for live and ended rows, with and without a deadline.
async fn peek_agrees_with_load<S: SessionStore>(store: &S) {
    let ended = put(store, &live()).await;
    end(store, ended, Some(&tombstone(&live()))).await;
    let rows = [
        put(store, &live()).await,
        put(store, &owned(&owner("ada"))).await,
        put(store, &due_at(None)).await,
        ended,
    ];
    for id in rows {
        let record = load(store, id).await.expect("a row");
        let peek = store.peek(id).await.expect("peek answers").expect("a row");
        assert_eq!(
            (peek.stamp, peek.state, peek.deadline),
            (record.stamp, record.state, record.times.deadline)
        );
    }
}

/// `save` looks at state and stamp, not at the clock.
async fn a_row_past_its_deadline_can_be_saved<S: SessionStore>(store: &S) {
    let overdue = due_at(caller_now());
    let id = put(store, &overdue).await;
    let mut next = successor(&overdue);
    next.times.deadline = Some(now() + DAY);
    saved(store, id, &next, overdue.stamp).await;
    assert_eq!(load(store, id).await, Some(next));
}

/// `touch` looks at state and stamp, not at the clock: a request that was in time may come late.
async fn a_row_past_its_deadline_can_be_touched<S: SessionStore>(store: &S) {
    let mut overdue = due_at(caller_now());
    let id = put(store, &overdue).await;
    overdue.times.deadline = Some(now() + DAY);
    let outcome = touch(store, id, overdue.stamp, overdue.times).await;
    assert_eq!(outcome, TouchOutcome::Touched);
    assert_eq!(load(store, id).await, Some(overdue));
}

/// `load` and `peek` keep nothing alive, and end nothing.
async fn reading_changes_nothing<S: SessionStore>(store: &S) {
    for record in [live(), due_at(caller_now())] {
        let id = put(store, &record).await;
        for _ in 0..5 {
            store.peek(id).await.expect("peek answers");
            assert_eq!(load(store, id).await.as_ref(), Some(&record));
        }
    }
}
