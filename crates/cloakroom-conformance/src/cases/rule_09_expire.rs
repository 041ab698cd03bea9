//! `expire` of named sessions: re-checks each row as it ends it, and returns what it ended.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{
    Due, Record, SaveOutcome, SessionId, SessionStore, State, Timestamp, TouchOutcome,
};

use crate::case::{Case, Needs, case};
use crate::sample::{
    DAY, HOUR, SECOND, at_once, caller_now, due_at, end, load, new_id, now, owner, patiently, put,
    save, saved, successor, tombstone, touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(expire_returns_what_it_ended_as_it_was),
        case!(expire_keeps_head_and_times_and_empties_the_rest),
        case!(a_session_has_ended_at_the_instant_of_its_deadline),
        case!(expire_spares_what_has_no_deadline),
        case!(expire_looks_only_at_the_ids_it_was_given),
        case!(expire_returns_an_id_once),
        case!(expire_does_not_end_the_ended),
        case!(expire_spares_what_was_touched_meanwhile),
        case!(expire_spares_what_a_save_prolonged),
        case!(what_has_expired_answers_ended),
        case!(shared of_many_who_expire_a_session_exactly_one_reports_it),
        case!(a_caller_whose_clock_is_ahead_ends_nobody if Needs::OwnClock),
    ]
}

async fn expire<S: SessionStore>(
    store: &S,
    now: Timestamp,
    ids: &[SessionId],
) -> Vec<(SessionId, Record)> {
    let ended = store.expire(now, Due::Ids(ids)).await;
    ended.expect("expire answers")
}

/// The return is the expiry event: the live record, attributes and owner included.
async fn expire_returns_what_it_ended_as_it_was<S: SessionStore>(store: &S) {
    let mut record = due_at(caller_now());
    record.owner = Some(owner("ada"));
    let id = put(store, &record).await;
    let ended = expire(store, caller_now(), &[id]).await;
    assert_eq!(ended, [(id, record)]);
}

/// An ended row with its head as it was: without a reason in it the session timed out.
async fn expire_keeps_head_and_times_and_empties_the_rest<S: SessionStore>(store: &S) {
    let mut record = due_at(caller_now());
    record.owner = Some(owner("ada"));
    let id = put(store, &record).await;
    expire(store, caller_now(), &[id]).await;
    let left = load(store, id).await.expect("a tombstone");
    assert_eq!(left.state, State::Ended);
    assert_eq!((left.owner, left.body.len()), (None, 0));
    assert_eq!(left.head, record.head);
    assert_eq!(left.times.deadline, record.times.deadline);
    assert_eq!(left.times.expires_at, record.times.expires_at);
    assert_ne!(left.stamp, record.stamp, "an ending is a write");
}

/// `now >= deadline`, to the millisecond.
async fn a_session_has_ended_at_the_instant_of_its_deadline<S: SessionStore>(store: &S) {
    let now = caller_now();
    let milli = Duration::from_millis(1);
    let due = put(store, &due_at(now)).await;
    let before = put(store, &due_at(now - milli)).await;
    let after = put(store, &due_at(now + milli)).await;
    let mut ended: Vec<_> = expire(store, now, &[due, before, after])
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ended.sort();
    assert_eq!(ended, [due.min(before), due.max(before)]);
    let spared = load(store, after).await.expect("a row");
    assert_eq!(spared.state, State::Live);
}

/// No deadline: never.
async fn expire_spares_what_has_no_deadline<S: SessionStore>(store: &S) {
    let record = due_at(None);
    let id = put(store, &record).await;
    for now in [caller_now(), now() + DAY, Timestamp::MAX] {
        assert_eq!(expire(store, now, &[id]).await, []);
    }
    assert_eq!(load(store, id).await, Some(record));
}

/// Others are left alone, due or not; unknown ids and an empty list are fine.
async fn expire_looks_only_at_the_ids_it_was_given<S: SessionStore>(store: &S) {
    let (asked, other) = (due_at(caller_now()), due_at(caller_now()));
    let asked_id = put(store, &asked).await;
    let other_id = put(store, &other).await;
    assert_eq!(expire(store, caller_now(), &[]).await, []);
    assert_eq!(expire(store, caller_now(), &[new_id()]).await, []);
    let ended = expire(store, caller_now(), &[new_id(), asked_id]).await;
    assert_eq!(ended, [(asked_id, asked)]);
    assert_eq!(load(store, other_id).await, Some(other));
}

/// An id that is named twice, or asked for again, is reported once.
async fn expire_returns_an_id_once<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    let ended = expire(store, caller_now(), &[id, id]).await;
    assert_eq!(ended, [(id, record)]);
    assert_eq!(expire(store, caller_now(), &[id]).await, []);
}

/// A tombstone past its deadline is not a session that ends.
async fn expire_does_not_end_the_ended<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    assert_eq!(expire(store, caller_now(), &[id]).await, []);
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// Another node kept the session alive: nobody may end it by an old deadline.
async fn expire_spares_what_was_touched_meanwhile<S: SessionStore>(store: &S) {
    let mut record = due_at(caller_now());
    let id = put(store, &record).await;
    record.times.deadline = Some(now() + HOUR);
    let outcome = touch(store, id, record.stamp, record.times).await;
    assert_eq!(outcome, TouchOutcome::Touched);
    assert_eq!(expire(store, caller_now(), &[id]).await, []);
    assert_eq!(load(store, id).await, Some(record));
}

/// A save that moves the deadline later, or takes it away, counts like a touch.
async fn expire_spares_what_a_save_prolonged<S: SessionStore>(store: &S) {
    for deadline in [Some(now() + HOUR), None] {
        let record = due_at(caller_now());
        let id = put(store, &record).await;
        let mut next = successor(&record);
        next.times.deadline = deadline;
        saved(store, id, &next, record.stamp).await;
        assert_eq!(expire(store, caller_now() + SECOND, &[id]).await, []);
        assert_eq!(load(store, id).await, Some(next));
    }
}

/// What `expire` leaves is a tombstone like any other.
async fn what_has_expired_answers_ended<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    expire(store, caller_now(), &[id]).await;
    let left = load(store, id).await.expect("a tombstone");
    let outcome = save(store, id, &successor(&record), record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Ended(left.clone()));
    let outcome = touch(store, id, record.stamp, record.times).await;
    assert_eq!(outcome, TouchOutcome::Ended);
    assert_eq!(load(store, id).await, Some(left));
}

/// Eight nodes judge the same sessions expired at once: each ending is told by one of them.
async fn of_many_who_expire_a_session_exactly_one_reports_it<S: SessionStore>(store: &Arc<S>) {
    let now = caller_now();
    for _ in 0..5 {
        let mut ids = Vec::new();
        for _ in 0..10 {
            ids.push(put(&**store, &due_at(now)).await);
        }
        ids.sort();
        let expirers = (0..8).map(|_| {
            let (store, ids) = (Arc::clone(store), ids.clone());
            async move { patiently(|| store.expire(now, Due::Ids(&ids))).await }
        });
        let told = at_once(expirers).await.into_iter().flatten();
        let mut told: Vec<_> = told.map(|(id, _)| id).collect();
        told.sort();
        assert_eq!(told, ids, "each exactly once");
    }
}

/// Time is the earlier of the caller's `now` and the store's clock.
async fn a_caller_whose_clock_is_ahead_ends_nobody<S: SessionStore>(store: &S) {
    let record = due_at(now() + HOUR);
    let id = put(store, &record).await;
    for ahead in [now() + DAY, Timestamp::MAX] {
        assert_eq!(expire(store, ahead, &[id]).await, []);
    }
    assert_eq!(load(store, id).await, Some(record));
}
