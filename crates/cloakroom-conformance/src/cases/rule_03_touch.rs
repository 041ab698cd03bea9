//! `touch` applies only if the stamp is `expected` and the row is live; it moves times forward only,
//! changes no stamp and sends no notice. `save` sets the times exactly.

use cloakroom_core::{SaveOutcome, SessionStore, Times, Timestamp, TouchOutcome};

use crate::case::{Case, Needs, case};
use crate::sample::{
    DAY, HOUR, SECOND, end, live, load, now, owned, owner, put, save, saved, successor, tombstone,
    touch,
};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(touch_moves_all_three_times_forward),
        case!(touch_never_moves_a_time_back),
        case!(touch_moves_each_time_by_itself),
        case!(touch_changes_neither_stamp_nor_owner_nor_payload),
        case!(touch_to_never_is_later_than_any_time),
        case!(touch_does_not_take_never_back),
        case!(touch_with_another_stamp_says_moved_and_moves_nothing),
        case!(touch_compares_nonce_and_version),
        case!(touch_does_not_revive_an_ended_row),
        case!(save_shortens_what_a_touch_had_moved),
        case!(save_after_a_touch_needs_no_new_stamp),
        case!(a_save_that_leaves_the_times_moves_none if Needs::LeavesTimes),
        case!(a_save_that_leaves_the_times_is_a_save if Needs::LeavesTimes),
    ]
}

fn later(times: Times) -> Times {
    Times {
        used_at: times.used_at + SECOND,
        deadline: times.deadline.map(|at| at + HOUR),
        expires_at: times.expires_at.map(|at| at + DAY),
    }
}

/// A use is remembered, and keeps the session alive.
async fn touch_moves_all_three_times_forward<S: SessionStore>(store: &S) {
    let mut record = live();
    let id = put(store, &record).await;
    let times = later(record.times);
    let outcome = touch(store, id, record.stamp, times).await;
    assert_eq!(outcome, TouchOutcome::Touched);
    record.times = times;
    assert_eq!(load(store, id).await, Some(record));
}

/// A touch that comes late answers `Touched` and changes nothing.
async fn touch_never_moves_a_time_back<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let earlier = Times {
        used_at: record.times.used_at - DAY,
        deadline: record.times.deadline.map(|at| at - SECOND),
        expires_at: record.times.expires_at.map(|at| at - SECOND),
    };
    let outcome = touch(store, id, record.stamp, earlier).await;
    assert_eq!(outcome, TouchOutcome::Touched);
    assert_eq!(load(store, id).await, Some(record));
}

/// Each of the three becomes the later of both, whatever the other two do.
async fn touch_moves_each_time_by_itself<S: SessionStore>(store: &S) {
    let record = live();
    let (old, new) = (record.times, later(record.times));
    let early = Times {
        used_at: old.used_at - SECOND,
        deadline: old.deadline.map(|at| at - SECOND),
        expires_at: old.expires_at.map(|at| at - SECOND),
    };
    for mix in 0..8 {
        let pick = |bit: u8| mix & bit != 0;
        let times = Times {
            used_at: if pick(1) { new.used_at } else { early.used_at },
            deadline: if pick(2) {
                new.deadline
            } else {
                early.deadline
            },
            expires_at: if pick(4) {
                new.expires_at
            } else {
                early.expires_at
            },
        };
        let id = put(store, &record).await;
        touch(store, id, record.stamp, times).await;
        let stored = load(store, id).await.map(|record| record.times);
        assert_eq!(stored, Some(old.forward(times)), "mix {mix}");
    }
}

/// A touch is not a write: other copies of the record stay current.
async fn touch_changes_neither_stamp_nor_owner_nor_payload<S: SessionStore>(store: &S) {
    let record = owned(&owner("ada"));
    let id = put(store, &record).await;
    let times = later(record.times);
    touch(store, id, record.stamp, times).await;
    let peek = store.peek(id).await.expect("peek answers").expect("a row");
    assert_eq!((peek.stamp, peek.deadline), (record.stamp, times.deadline));
    let stored = load(store, id).await.expect("a row");
    assert_eq!(stored.stamp, record.stamp);
    assert_eq!(stored.owner, record.owner);
    assert_eq!((stored.head, stored.body), (record.head, record.body));
}

/// `None` is never, which is later than every time.
async fn touch_to_never_is_later_than_any_time<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let never = Times {
        used_at: record.times.used_at,
        deadline: None,
        expires_at: None,
    };
    touch(store, id, record.stamp, never).await;
    let stored = load(store, id).await.map(|record| record.times);
    assert_eq!(stored, Some(never));
}

/// A stored `None` stays, whatever a touch says.
async fn touch_does_not_take_never_back<S: SessionStore>(store: &S) {
    let mut record = live();
    record.times.deadline = None;
    record.times.expires_at = None;
    let id = put(store, &record).await;
    let some = Times {
        used_at: record.times.used_at,
        deadline: Some(Timestamp::MAX),
        expires_at: Some(Timestamp::MAX),
    };
    let outcome = touch(store, id, record.stamp, some).await;
    assert_eq!(outcome, TouchOutcome::Touched);
    assert_eq!(load(store, id).await, Some(record));
}

/// The caller's copy is stale: it is told the stamp to read anew.
async fn touch_with_another_stamp_says_moved_and_moves_nothing<S: SessionStore>(store: &S) {
    let first = live();
    let id = put(store, &first).await;
    let second = successor(&first);
    saved(store, id, &second, first.stamp).await;
    let outcome = touch(store, id, first.stamp, later(first.times)).await;
    assert_eq!(outcome, TouchOutcome::Moved(second.stamp));
    assert_eq!(load(store, id).await, Some(second));
}

/// Half a stamp is another stamp.
async fn touch_compares_nonce_and_version<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let (mut nonce, mut version) = (record.stamp, record.stamp);
    nonce.nonce = !nonce.nonce;
    version.version += 1;
    for expected in [nonce, version] {
        let outcome = touch(store, id, expected, later(record.times)).await;
        assert_eq!(outcome, TouchOutcome::Moved(record.stamp));
    }
    assert_eq!(load(store, id).await, Some(record));
}

/// The dead stay dead, and are not kept for longer.
async fn touch_does_not_revive_an_ended_row<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let tombstone = tombstone(&record);
    end(store, id, Some(&tombstone)).await;
    for expected in [record.stamp, tombstone.stamp] {
        let outcome = touch(store, id, expected, later(tombstone.times)).await;
        assert_eq!(outcome, TouchOutcome::Ended);
    }
    assert_eq!(load(store, id).await, Some(tombstone));
}

/// `save` sets the times exactly: a shortened timeout is final.
async fn save_shortens_what_a_touch_had_moved<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    touch(store, id, record.stamp, later(record.times)).await;
    let mut shorter = successor(&record);
    shorter.times = Times {
        used_at: record.times.used_at - HOUR,
        deadline: Some(now() + SECOND),
        expires_at: Some(now() + HOUR),
    };
    saved(store, id, &shorter, record.stamp).await;
    assert_eq!(load(store, id).await, Some(shorter));
}

/// Because a touch changes no stamp, whoever read before it can still save.
async fn save_after_a_touch_needs_no_new_stamp<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    touch(store, id, record.stamp, later(record.times)).await;
    saved(store, id, &successor(&record), record.stamp).await;
}

/// What other nodes have touched meanwhile stays, whatever times the record carries along.
async fn a_save_that_leaves_the_times_moves_none<S: SessionStore>(store: &S) {
    for record in [live(), owned(&owner("ada"))] {
        let id = put(store, &record).await;
        let mut stored = successor(&record);
        stored.times = later(record.times);
        touch(store, id, record.stamp, stored.times).await;
        let mut written = stored.clone();
        written.leaves_times = true;
        written.times = record.times;
        saved(store, id, &written, record.stamp).await;
        assert_eq!(load(store, id).await, Some(stored.clone()));
        // And a save that does not leave them sets them.
        let mut next = successor(&stored);
        next.times = record.times;
        saved(store, id, &next, stored.stamp).await;
        assert_eq!(load(store, id).await, Some(next));
    }
}

/// It compares, and brings the current record, as any other.
async fn a_save_that_leaves_the_times_is_a_save<S: SessionStore>(store: &S) {
    let record = live();
    let id = put(store, &record).await;
    let mut first = successor(&record);
    first.leaves_times = true;
    saved(store, id, &first, record.stamp).await;
    let mut late = successor(&record);
    late.leaves_times = true;
    let outcome = save(store, id, &late, record.stamp).await;
    assert_eq!(outcome, SaveOutcome::Conflict(first.clone()));
    let tombstone = tombstone(&first);
    end(store, id, Some(&tombstone)).await;
    let mut dead = successor(&first);
    dead.leaves_times = true;
    let outcome = save(store, id, &dead, first.stamp).await;
    assert_eq!(outcome, SaveOutcome::Ended(tombstone));
    end(store, id, None).await;
    let outcome = save(store, id, &dead, first.stamp).await;
    assert_eq!(outcome, SaveOutcome::Gone);
}
