//! Dropping any future at any await leaves the old state or the new one, never half, and a store
//! that works.

use cloakroom_core::{Due, Record, SessionId, SessionStore, State, TouchOutcome};

use crate::case::{Case, case};
use crate::give_up::give_up_after;
use crate::sample::{
    DAY, caller_now, due_at, end, expiring, live, load, new_id, owned, owner, put, save, saved,
    successor, tombstone, touch,
};

/// More awaits than an operation should ever need.
const MOST_POLLS: usize = 200;

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(a_dropped_create_stored_all_or_nothing),
        case!(a_dropped_save_stored_all_or_nothing),
        case!(a_dropped_touch_moved_all_or_nothing),
        case!(a_dropped_end_ended_all_or_nothing),
        case!(a_dropped_removal_removed_all_or_nothing),
        case!(a_dropped_expire_ended_all_or_nothing),
        case!(a_dropped_purge_removed_all_or_nothing),
        case!(a_dropped_read_leaves_nothing_for_the_next_to_read),
    ]
}

/// A row that has nothing to do with the dropped call: a connection with an unread reply would
/// answer for it with another's row, or not at all.
struct Bystander {
    id: SessionId,
    record: Record,
}

impl Bystander {
    async fn new<S: SessionStore>(store: &S) -> Self {
        let record = owned(&owner("bystander"));
        let id = put(store, &record).await;
        Self { id, record }
    }

    /// Reads and writes as if nothing had happened.
    async fn still_works<S: SessionStore>(&mut self, store: &S) {
        for _ in 0..3 {
            let peek = store.peek(self.id).await.expect("peek answers");
            assert_eq!(peek.map(|peek| peek.stamp), Some(self.record.stamp));
            assert_eq!(load(store, self.id).await.as_ref(), Some(&self.record));
        }
        let next = successor(&self.record);
        saved(store, self.id, &next, self.record.stamp).await;
        self.record = next;
    }
}

/// Then a repeated `create` finds its own stamp, or an id that is free.
async fn a_dropped_create_stored_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let (id, record) = (new_id(), owned(&owner("ada")));
        let done = give_up_after(polls, store.create(id, &record)).await;
        let stored = load(store, id).await;
        assert!(stored.is_none() || stored.as_ref() == Some(&record));
        store.create(id, &record).await.expect("create answers");
        assert_eq!(load(store, id).await, Some(record));
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// Owner, times, head and body change together.
async fn a_dropped_save_stored_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let old = owned(&owner("ada"));
        let id = put(store, &old).await;
        let mut new = successor(&old);
        new.owner = Some(owner("grace"));
        new.head = vec![7; 50];
        new.body = vec![8; 5_000];
        new.times.used_at = old.times.used_at + DAY;
        let done = give_up_after(polls, store.save(id, &new, old.stamp)).await;
        let stored = load(store, id).await.expect("the row is there");
        assert!(stored == old || stored == new, "half a save: {stored:?}");
        // It may still arrive; once the row moves on it cannot.
        save(store, id, &new, old.stamp).await;
        assert_eq!(load(store, id).await, Some(new));
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// The three times move together.
async fn a_dropped_touch_moved_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let old = live();
        let id = put(store, &old).await;
        let mut new = old.clone();
        new.times.used_at = old.times.used_at + DAY;
        new.times.deadline = old.times.deadline.map(|at| at + DAY);
        new.times.expires_at = old.times.expires_at.map(|at| at + DAY);
        let done = give_up_after(polls, store.touch(id, old.stamp, new.times)).await;
        let stored = load(store, id).await.expect("the row is there");
        assert!(stored == old || stored == new, "half a touch: {stored:?}");
        let again = touch(store, id, old.stamp, new.times).await;
        assert_eq!(again, TouchOutcome::Touched);
        assert_eq!(load(store, id).await, Some(new));
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// Live as it was, or the tombstone.
async fn a_dropped_end_ended_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let record = owned(&owner("ada"));
        let id = put(store, &record).await;
        let tombstone = tombstone(&record);
        let done = give_up_after(polls, store.end(id, Some(&tombstone))).await;
        let stored = load(store, id).await.expect("the row is there");
        assert!(stored == record || stored == tombstone, "{stored:?}");
        end(store, id, Some(&tombstone)).await;
        assert_eq!(load(store, id).await, Some(tombstone));
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// Live as it was, or gone.
async fn a_dropped_removal_removed_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let record = owned(&owner("ada"));
        let id = put(store, &record).await;
        let done = give_up_after(polls, store.end(id, None)).await;
        let stored = load(store, id).await;
        assert!(stored.is_none() || stored == Some(record), "{stored:?}");
        end(store, id, None).await;
        assert_eq!(load(store, id).await, None);
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// Every row is live as it was, or a whole tombstone.
async fn a_dropped_expire_ended_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        let mut record = due_at(caller_now());
        record.owner = Some(owner("ada"));
        let ids = [
            put(store, &record).await,
            put(store, &record).await,
            put(store, &record).await,
        ];
        let done = give_up_after(polls, store.expire(caller_now(), Due::Ids(&ids))).await;
        for id in ids {
            let stored = load(store, id).await.expect("the row is there");
            let whole = match stored.state {
                State::Live => stored == record,
                State::Ended => stored.owner.is_none() && stored.body.is_empty(),
            };
            assert!(whole, "half an ending: {stored:?}");
        }
        let again = store.expire(caller_now(), Due::Ids(&ids)).await;
        again.expect("expire answers");
        for id in ids {
            let stored = load(store, id).await.expect("the row is there");
            assert_eq!(stored.state, State::Ended);
        }
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// Every row is there as it was, or gone, and the living are all there.
async fn a_dropped_purge_removed_all_or_nothing<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    for polls in 0..MOST_POLLS {
        // With native expiry the row may be gone at once, which is one of the two.
        let record = expiring(caller_now() - DAY, caller_now());
        let id = put(store, &record).await;
        let done = give_up_after(polls, store.purge(caller_now(), 10)).await;
        let stored = load(store, id).await;
        assert!(stored.is_none() || stored == Some(record), "{stored:?}");
        store.purge(caller_now(), 10).await.expect("purge answers");
        assert_eq!(load(store, id).await, None);
        bystander.still_works(store).await;
        if done.is_some() {
            return;
        }
    }
}

/// A client that disconnects during a load must not poison the connection for the next.
async fn a_dropped_read_leaves_nothing_for_the_next_to_read<S: SessionStore>(store: &S) {
    let mut bystander = Bystander::new(store).await;
    let mut record = live();
    record.body =
        vec![9; 100_000.min(store.capabilities().max_record_bytes.unwrap_or(100_000) / 2)];
    let id = put(store, &record).await;
    for polls in 0..MOST_POLLS {
        let loaded = give_up_after(polls, store.load(id)).await;
        bystander.still_works(store).await;
        let peeked = give_up_after(polls, store.peek(id)).await;
        bystander.still_works(store).await;
        if loaded.is_some() && peeked.is_some() {
            return;
        }
    }
}
