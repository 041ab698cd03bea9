//! A write whose reply is lost is not repeated blindly: the caller recognises its own stamp.

use cloakroom_core::{CreateOutcome, SaveOutcome, SessionStore, TouchOutcome};

use crate::case::{Case, case};
use crate::sample::{DAY, end, live, load, put, save, saved, successor, tombstone, touch};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(a_repeated_create_finds_its_own_stamp),
        case!(a_repeated_save_finds_its_own_stamp),
        case!(a_save_that_was_overtaken_finds_the_others_stamp),
        case!(a_peek_shows_whether_a_write_was_stored),
        case!(a_repeated_touch_does_no_harm),
        case!(a_repeated_end_keeps_its_tombstone),
    ]
}

/// `Exists` with our own stamp means that the first attempt was stored.
async fn a_repeated_create_finds_its_own_stamp<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let again = store.create(id, &record).await.expect("create answers");
    assert_eq!(again, CreateOutcome::Exists(record.stamp));
}

/// `Conflict` with our own stamp means that the first attempt was stored.
async fn a_repeated_save_finds_its_own_stamp<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let second = successor(&first);
    saved(store, id, &second, first.stamp).await;
    let again = save(store, id, &second, first.stamp).await;
    assert_eq!(again, SaveOutcome::Conflict(second));
}

/// Another writer came in between: the repeated save says so, and both writes stay apart.
async fn a_save_that_was_overtaken_finds_the_others_stamp<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let (ours, theirs) = (successor(&first), successor(&first));
    saved(store, id, &theirs, first.stamp).await;
    let again = save(store, id, &ours, first.stamp).await;
    assert_eq!(again, SaveOutcome::Conflict(theirs.clone()));
    assert_eq!(
        ours.stamp.version, theirs.stamp.version,
        "only the nonce differs"
    );
    assert_eq!(load(store, id).await, Some(theirs));
}

/// One peek settles an unknown write.
async fn a_peek_shows_whether_a_write_was_stored<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let second = successor(&first);
    let peek = async || store.peek(id).await.expect("peek answers").expect("a row");
    assert_eq!(peek().await.stamp, first.stamp);
    saved(store, id, &second, first.stamp).await;
    assert_eq!(peek().await.stamp, second.stamp);
}

/// Forward only: twice is once.
async fn a_repeated_touch_does_no_harm<S: SessionStore>(store: &S) {
    let mut record = live();
    let id = put(store, &record).await;
    let mut times = record.times;
    times.used_at = times.used_at + DAY;
    for _ in 0..2 {
        let outcome = touch(store, id, record.stamp, times).await;
        assert_eq!(outcome, TouchOutcome::Touched);
    }
    record.times = times;
    assert_eq!(load(store, id).await, Some(record));
}

/// The second attempt of the same ending is a second ending: `None`, and the tombstone stays.
async fn a_repeated_end_keeps_its_tombstone<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    assert_eq!(end(store, id, Some(&tombstone)).await, Some(record));
    assert_eq!(end(store, id, Some(&tombstone)).await, None);
    assert_eq!(load(store, id).await, Some(tombstone));
}
