//! `save` is atomic: it replaces exactly the stamp `expected`, or changes nothing.

use cloakroom_core::{CreateOutcome, Record, SaveOutcome, SessionStore, State, Times};

use crate::case::{Case, case};
use crate::sample::{
    DAY, HOUR, end, live, load, now, owned, owner, put, save, saved, successor, tombstone,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(save_replaces_every_field),
        case!(save_can_empty_what_was_there),
        case!(save_with_a_stale_stamp_changes_nothing),
        case!(save_compares_the_nonce),
        case!(save_compares_the_version),
        case!(a_conflict_brings_the_current_record),
        case!(a_conflict_brings_the_times_that_a_touch_moved),
        case!(each_save_makes_the_one_before_stale),
        case!(save_of_an_ended_row_brings_the_tombstone_and_changes_nothing),
        case!(save_of_an_ended_row_fails_with_the_tombstones_own_stamp),
        case!(plain_calls_do_what_the_futures_do),
    ]
}

/// All fields of the new record are stored, none of the old one is left.
async fn save_replaces_every_field<S: SessionStore>(store: &S) {
    let first = owned(&owner("ada"));
    let id = put(store, &first).await;
    let times = Times {
        used_at: now() - HOUR,
        deadline: Some(now() + DAY),
        expires_at: None,
    };
    let second = Record::from_stored(
        first.stamp.next(),
        State::Live,
        Some(owner("grace")),
        times,
        vec![2, 1],
        vec![2; 100],
    );
    saved(store, id, &second, first.stamp).await;
    assert_eq!(load(store, id).await, Some(second));
}

/// Owner, deadline and body may be taken away.
async fn save_can_empty_what_was_there<S: SessionStore>(store: &S) {
    let first = owned(&owner("ada"));
    let id = put(store, &first).await;
    let mut second = successor(&first);
    second.owner = None;
    second.times.deadline = None;
    second.times.expires_at = None;
    second.body.clear();
    saved(store, id, &second, first.stamp).await;
    assert_eq!(load(store, id).await, Some(second));
}

/// A writer that read an older state changes nothing.
async fn save_with_a_stale_stamp_changes_nothing<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let second = successor(&first);
    saved(store, id, &second, first.stamp).await;
    let mut stale = successor(&first);
    stale.owner = Some(owner("mallory"));
    let outcome = save(store, id, &stale, first.stamp).await;
    assert_eq!(outcome, SaveOutcome::Conflict(second.clone()));
    assert_eq!(load(store, id).await, Some(second), "nothing was written");
}

/// The same version with another nonce is another state.
async fn save_compares_the_nonce<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let mut expected = record.stamp;
    expected.nonce ^= 1;
    let outcome = save(store, id, &successor(&record), expected).await;
    assert_eq!(outcome, SaveOutcome::Conflict(record.clone()));
    assert_eq!(load(store, id).await, Some(record));
}

/// The same nonce with another version is another state.
async fn save_compares_the_version<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    for version in [0, 2, u64::MAX] {
        let mut expected = record.stamp;
        expected.version = version;
        let outcome = save(store, id, &successor(&record), expected).await;
        assert_eq!(outcome, SaveOutcome::Conflict(record.clone()), "{version}");
    }
    assert_eq!(load(store, id).await, Some(record));
}

/// What a conflict brings can be saved upon: its stamp is the stored one, never the expected one.
async fn a_conflict_brings_the_current_record<S: SessionStore>(store: &S) {
    let first = owned(&owner("ada"));
    let id = put(store, &first).await;
    let second = successor(&first);
    saved(store, id, &second, first.stamp).await;
    let outcome = save(store, id, &successor(&first), first.stamp).await;
    let SaveOutcome::Conflict(current) = outcome else {
        unreachable!("expected a conflict, got {outcome:?}");
    };
    assert_ne!(current.stamp, first.stamp);
    assert_eq!(current, second);
    let third = successor(&current);
    saved(store, id, &third, current.stamp).await;
    assert_eq!(load(store, id).await, Some(third));
}

/// A touch changes no stamp, but a conflict shows what it moved.
async fn a_conflict_brings_the_times_that_a_touch_moved<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let later = Times {
        deadline: Some(now() + DAY),
        expires_at: Some(now() + DAY + DAY),
        ..record.times
    };
    crate::sample::touch(store, id, record.stamp, later).await;
    let outcome = save(store, id, &successor(&record), record.stamp.next()).await;
    let mut touched = record;
    touched.times = later;
    assert_eq!(outcome, SaveOutcome::Conflict(touched));
}

/// A chain of saves, each on the stamp of the one before.
async fn each_save_makes_the_one_before_stale<S: SessionStore>(store: &S) {
    let mut current = live();
    let id = put(store, &current).await;
    for _ in 0..20 {
        let next = successor(&current);
        saved(store, id, &next, current.stamp).await;
        let late = save(store, id, &successor(&current), current.stamp).await;
        assert_eq!(late, SaveOutcome::Conflict(next.clone()));
        current = next;
    }
    assert_eq!(load(store, id).await, Some(current));
}

/// The dead stay dead: a slow request that saves after a logout is told so.
async fn save_of_an_ended_row_brings_the_tombstone_and_changes_nothing<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    let outcome = save(store, id, &successor(&record), record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Ended(tombstone.clone()));
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// Not even the right stamp lets a save change a tombstone.
async fn save_of_an_ended_row_fails_with_the_tombstones_own_stamp<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    let outcome = save(store, id, &successor(&record), tombstone.stamp).await;
    assert_eq!(outcome, SaveOutcome::Ended(tombstone.clone()));
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// The writes of [`SessionStore::immediate`], where a store has them, answer and store what `create`
/// and `save` would.
async fn plain_calls_do_what_the_futures_do<S: SessionStore>(store: &S) {
    let first = owned(&owner("ada"));
    let id = put(store, &first).await;
    let second = successor(&first);
    let ended = put(store, &first).await;
    let grave = tombstone(&first);
    end(store, ended, Some(&grave)).await;
    let fresh = crate::sample::new_id();
    if let Some(now) = store.immediate() {
        assert_eq!(
            now.create_now(id, &second),
            CreateOutcome::Exists(first.stamp)
        );
        assert_eq!(now.create_now(fresh, &first), CreateOutcome::Created);
        assert_eq!(now.save_now(id, &second, first.stamp), SaveOutcome::Saved);
        let third = successor(&second);
        let refused = now.save_now(id, &third, first.stamp);
        assert_eq!(refused, SaveOutcome::Conflict(second.clone()));
        let refused = now.save_now(ended, &second, first.stamp);
        assert_eq!(refused, SaveOutcome::Ended(grave));
        let refused = now.save_now(crate::sample::new_id(), &second, first.stamp);
        assert_eq!(refused, SaveOutcome::Gone);
        assert_eq!(load(store, id).await, Some(second));
        assert_eq!(load(store, fresh).await, Some(first));
    }
}
