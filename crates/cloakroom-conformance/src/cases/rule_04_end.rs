//! `end` is unconditional: it replaces the row by the tombstone, or removes it. The first ending
//! wins, and one without a tombstone leaves nothing.

use cloakroom_core::{Due, SaveOutcome, SessionStore, State};

use crate::case::{Case, case};
use crate::sample::{
    caller_now, due_at, end, live, load, owned, owner, put, saved, successor, tombstone,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(end_leaves_the_tombstone),
        case!(end_returns_what_it_ended),
        case!(end_without_a_tombstone_removes_the_row),
        case!(end_asks_for_no_stamp),
        case!(end_ends_a_row_past_its_deadline),
        case!(the_first_ending_wins),
        case!(an_ending_without_a_tombstone_forgets_an_earlier_one),
        case!(an_ending_without_a_tombstone_forgets_a_timeout),
        case!(a_logout_does_not_overwrite_a_timeout),
        case!(a_tombstone_without_expiry_is_kept_as_it_is),
    ]
}

/// The row is the tombstone, field by field: ended, no owner, no body.
async fn end_leaves_the_tombstone<S: SessionStore>(store: &S) {
    let record = owned(&owner("ada"));
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    let stored = load(store, id).await.expect("a tombstone");
    assert_eq!(stored.state, State::Ended);
    assert_eq!((&stored.owner, stored.body.len()), (&None, 0));
    assert_eq!(stored, tombstone);
    let peek = store.peek(id).await.expect("peek answers").expect("a row");
    assert_eq!((peek.state, peek.stamp), (State::Ended, tombstone.stamp));
}

/// The live record comes back whole: listeners may want its attributes.
async fn end_returns_what_it_ended<S: SessionStore>(store: &S) {
    let record = owned(&owner("ada"));
    let id = put(store, &record).await;
    let ended = end(store, id, Some(&tombstone(&record))).await;
    assert_eq!(ended, Some(record));
    let record = live();
    let id = put(store, &record).await;
    assert_eq!(end(store, id, None).await, Some(record), "no retention");
}

/// Retention 0: nothing is remembered.
async fn end_without_a_tombstone_removes_the_row<S: SessionStore>(store: &S) {
    let id = put(store, &live()).await;
    end(store, id, None).await;
    assert_eq!(load(store, id).await, None);
    assert_eq!(store.peek(id).await.expect("peek answers"), None);
}

/// No hot writer outruns a logout: the tombstone may be built from a copy that is long stale.
async fn end_asks_for_no_stamp<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let mut current = first.clone();
    for _ in 0..5 {
        let next = successor(&current);
        saved(store, id, &next, current.stamp).await;
        current = next;
    }
    let tombstone = tombstone(&first);
    assert_eq!(end(store, id, Some(&tombstone)).await, Some(current));
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// Stores do not decide liveness: what is overdue but not ended is ended now, and returned.
async fn end_ends_a_row_past_its_deadline<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    assert_eq!(end(store, id, Some(&tombstone)).await, Some(record));
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// A second ending returns nothing and leaves the first tombstone, with its reason.
async fn the_first_ending_wins<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let first = tombstone(&record);
    end(store, id, Some(&first)).await;
    let mut second = tombstone(&record);
    second.head = vec![1, b'?'];
    assert_eq!(end(store, id, Some(&second)).await, None);
    assert_eq!(load(store, id).await, Some(first));
}

/// Where there are too many tombstones one is forgotten before its time. It had ended before, so
/// nothing is returned; and forgotten is not alive.
async fn an_ending_without_a_tombstone_forgets_an_earlier_one<S: SessionStore>(store: &S) {
    let record = owned(&owner("ada"));
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    assert_eq!(end(store, id, None).await, None);
    assert_eq!(load(store, id).await, None);
    assert_eq!(end(store, id, None).await, None, "there is no row any more");
    let revived = store.save(id, &successor(&record), record.stamp).await;
    assert_eq!(revived.expect("save answers"), SaveOutcome::Gone);
}

/// The same for what `expire` has left.
async fn an_ending_without_a_tombstone_forgets_a_timeout<S: SessionStore>(store: &S) {
    let id = put(store, &due_at(caller_now())).await;
    let ended = store.expire(caller_now(), Due::Ids(&[id])).await;
    assert_eq!(ended.expect("expire answers").len(), 1);
    assert_eq!(end(store, id, None).await, None);
    assert_eq!(load(store, id).await, None);
}

/// The first ending wins when it was `expire`, too.
async fn a_logout_does_not_overwrite_a_timeout<S: SessionStore>(store: &S) {
    let record = due_at(caller_now());
    let id = put(store, &record).await;
    let ended = store.expire(caller_now(), Due::Ids(&[id])).await;
    assert_eq!(ended.expect("expire answers").len(), 1);
    let timed_out = load(store, id).await;
    assert_eq!(end(store, id, Some(&tombstone(&record))).await, None);
    assert_eq!(load(store, id).await, timed_out);
}

/// A tombstone's times are stored as they are given, `None` included.
async fn a_tombstone_without_expiry_is_kept_as_it_is<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let mut tombstone = tombstone(&record);
    tombstone.times.deadline = None;
    tombstone.times.expires_at = None;
    end(store, id, Some(&tombstone)).await;
    assert_eq!(load(store, id).await, Some(tombstone));
}
