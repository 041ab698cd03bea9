//! There is no upsert: `create` fails if the id exists, `save` fails if the row is gone.

use cloakroom_core::{CreateOutcome, SaveOutcome, SessionStore, TouchOutcome};

use crate::case::{Case, case};
use crate::sample::{
    caller_now, create, due_at, end, live, load, new_id, put, save, successor, tombstone, touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(an_unknown_id_has_no_row),
        case!(create_stores_the_row),
        case!(create_of_an_existing_id_says_so_and_writes_nothing),
        case!(create_of_an_ended_id_says_so_and_revives_nothing),
        case!(create_does_not_replace_a_row_past_its_deadline),
        case!(save_of_an_absent_row_is_gone_and_stores_nothing),
        case!(touch_of_an_absent_row_is_gone_and_stores_nothing),
        case!(end_of_an_absent_row_leaves_no_tombstone),
        case!(save_and_touch_do_not_bring_back_a_removed_row),
        case!(a_removed_id_can_be_created_anew),
    ]
}

/// Absence is a state: `load` and `peek` answer `None`, not an error.
async fn an_unknown_id_has_no_row<S: SessionStore>(store: &S) {
    let id = new_id();
    assert_eq!(load(store, id).await, None);
    assert_eq!(store.peek(id).await.expect("peek answers"), None);
}

/// What `create` was given is what `load` returns.
async fn create_stores_the_row<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    assert_eq!(load(store, id).await, Some(record));
}

/// `create` of an id that has a live row answers `Exists` with the stored stamp.
async fn create_of_an_existing_id_says_so_and_writes_nothing<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let mut second = live();
    second.body = vec![1, b'x'];
    let outcome = store.create(id, &second).await.expect("create answers");
    assert_eq!(outcome, CreateOutcome::Exists(first.stamp));
    assert_eq!(load(store, id).await, Some(first), "nothing was written");
}

/// `create` of an id that has a tombstone answers `Exists`, too.
async fn create_of_an_ended_id_says_so_and_revives_nothing<S: SessionStore>(store: &S) {
    let id = put(store, &live()).await;
    let tombstone = tombstone(&live());
    end(store, id, Some(&tombstone)).await;
    let outcome = store.create(id, &live()).await.expect("create answers");
    assert_eq!(outcome, CreateOutcome::Exists(tombstone.stamp));
    assert_eq!(load(store, id).await, Some(tombstone), "it stays dead");
}

/// A row past its deadline exists until it is forgotten.
async fn create_does_not_replace_a_row_past_its_deadline<S: SessionStore>(store: &S) {
    let overdue = due_at(caller_now());
    let id = put(store, &overdue).await;
    let outcome = store.create(id, &live()).await.expect("create answers");
    assert_eq!(outcome, CreateOutcome::Exists(overdue.stamp));
    assert_eq!(load(store, id).await, Some(overdue));
}

/// `save` never creates.
async fn save_of_an_absent_row_is_gone_and_stores_nothing<S: SessionStore>(store: &S) {
    let (id, record) = (new_id(), live());
    let outcome = save(store, id, &successor(&record), record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Gone);
    assert_eq!(load(store, id).await, None, "nothing was created");
}

/// `touch` never creates.
async fn touch_of_an_absent_row_is_gone_and_stores_nothing<S: SessionStore>(store: &S) {
    let (id, record) = (new_id(), live());
    let outcome = touch(store, id, record.stamp, record.times).await;
    assert_eq!(outcome, TouchOutcome::Gone);
    assert_eq!(load(store, id).await, None, "nothing was created");
}

/// `end` ends what there is; it does not record the end of what there is not.
async fn end_of_an_absent_row_leaves_no_tombstone<S: SessionStore>(store: &S) {
    let id = new_id();
    assert_eq!(end(store, id, Some(&tombstone(&live()))).await, None);
    assert_eq!(end(store, id, None).await, None);
    assert_eq!(load(store, id).await, None, "nothing was created");
}

/// A slow request cannot bring back a session that was removed meanwhile.
async fn save_and_touch_do_not_bring_back_a_removed_row<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    end(store, id, None).await;
    let outcome = save(store, id, &successor(&record), record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Gone);
    let outcome = touch(store, id, record.stamp, record.times).await;
    assert_eq!(outcome, TouchOutcome::Gone);
    assert_eq!(load(store, id).await, None);
}

/// Once a row is gone its id is free.
async fn a_removed_id_can_be_created_anew<S: SessionStore>(store: &S) {
    let id = put(store, &live()).await;
    end(store, id, None).await;
    let record = live();
    create(store, id, &record).await;
    assert_eq!(load(store, id).await, Some(record));
}
