//! The calls that a request waits for cost one round trip each.

use cloakroom_core::{CreateOutcome, SaveOutcome, SessionStore, StoreError, TouchOutcome};

use crate::case::{Case, Counter, case};
use crate::sample::{live, new_id, put, successor, tombstone};

pub(super) fn cases<S: SessionStore>() -> Vec<Case<S>> {
    vec![
        case!(counted a_create_costs_one_round_trip),
        case!(counted a_load_costs_one_round_trip),
        case!(counted a_load_of_an_absent_row_costs_one_round_trip),
        case!(counted a_peek_costs_one_round_trip),
        case!(counted a_save_costs_one_round_trip),
        case!(counted a_refused_save_costs_two_round_trips_at_most),
        case!(counted a_touch_costs_one_round_trip),
        case!(counted a_refused_touch_costs_two_round_trips_at_most),
        case!(counted an_end_costs_two_round_trips_at_most),
    ]
}

/// What one kind of call costs. The least of some counts: a new connection, a statement's first use or a
/// heartbeat of the driver makes a call dearer now and then, and nothing makes it cheaper.
struct Costs<'a> {
    count: &'a Counter,
    least: u64,
}

impl<'a> Costs<'a> {
    const TRIES: usize = 5;

    fn new(count: &'a Counter) -> Self {
        let least = u64::MAX;
        Self { count, least }
    }

    fn so_far(&self) -> u64 {
        (self.count)().expect("a backend that counts goes on counting")
    }

    async fn of<T>(&mut self, call: impl Future<Output = Result<T, StoreError>> + Send) -> T {
        let before = self.so_far();
        let answer = call.await.expect("the store answers");
        self.least = self.least.min(self.so_far() - before);
        answer
    }

    fn are_at_most(&self, most: u64) {
        let least = self.least;
        assert!(least >= 1, "no round trip was counted: the count is wrong");
        assert!(least <= most, "{least} round trips, where {most} must do");
    }
}

/// `create` costs one round trip (of a session without an owner: an index entry may be one more).
async fn a_create_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let mut costs = Costs::new(count);
    for _ in 0..Costs::TRIES {
        let outcome = costs.of(store.create(new_id(), &live())).await;
        assert_eq!(outcome, CreateOutcome::Created);
    }
    costs.are_at_most(1);
}

/// `load` costs one round trip, body included.
async fn a_load_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let (mut costs, id) = (Costs::new(count), put(store, &live()).await);
    for _ in 0..Costs::TRIES {
        assert!(costs.of(store.load(id)).await.is_some());
    }
    costs.are_at_most(1);
}

/// Whoever brings an unknown id must not cost more than others.
async fn a_load_of_an_absent_row_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let mut costs = Costs::new(count);
    for _ in 0..Costs::TRIES {
        assert_eq!(costs.of(store.load(new_id())).await, None);
    }
    costs.are_at_most(1);
}

/// `peek` costs one round trip: in some modes every request makes one.
async fn a_peek_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let (mut costs, id) = (Costs::new(count), put(store, &live()).await);
    for _ in 0..Costs::TRIES {
        assert!(costs.of(store.peek(id)).await.is_some());
    }
    costs.are_at_most(1);
}

/// A `save` that succeeds costs one round trip: the comparison is part of the write.
async fn a_save_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let (mut costs, mut record) = (Costs::new(count), live());
    let id = put(store, &record).await;
    for _ in 0..Costs::TRIES {
        let next = successor(&record);
        let outcome = costs.of(store.save(id, &next, record.stamp)).await;
        assert_eq!(outcome, SaveOutcome::Saved);
        record = next;
    }
    costs.are_at_most(1);
}

/// A `save` that is refused may cost one round trip more, which brings the current record.
async fn a_refused_save_costs_two_round_trips_at_most<S: SessionStore>(store: &S, count: &Counter) {
    let (mut costs, record) = (Costs::new(count), live());
    let id = put(store, &record).await;
    for _ in 0..Costs::TRIES {
        let other = successor(&record);
        let outcome = costs.of(store.save(id, &other, other.stamp)).await;
        assert_eq!(outcome, SaveOutcome::Conflict(record.clone()));
    }
    costs.are_at_most(2);
}

/// A `touch` that applies costs one round trip.
async fn a_touch_costs_one_round_trip<S: SessionStore>(store: &S, count: &Counter) {
    let (mut costs, record) = (Costs::new(count), live());
    let id = put(store, &record).await;
    for _ in 0..Costs::TRIES {
        let touch = store.touch(id, record.stamp, record.times);
        assert_eq!(costs.of(touch).await, TouchOutcome::Touched);
    }
    costs.are_at_most(1);
}

/// A `touch` that is refused may cost one round trip more, which says why.
async fn a_refused_touch_costs_two_round_trips_at_most<S: SessionStore>(
    store: &S,
    count: &Counter,
) {
    let (mut costs, record) = (Costs::new(count), live());
    let id = put(store, &record).await;
    for _ in 0..Costs::TRIES {
        let touch = store.touch(id, record.stamp.next(), record.times);
        let outcome = costs.of(touch).await;
        assert_eq!(outcome, TouchOutcome::Moved(record.stamp));
    }
    costs.are_at_most(2);
}

/// `end` costs one round trip, and one more where the database cannot return the row it replaces.
async fn an_end_costs_two_round_trips_at_most<S: SessionStore>(store: &S, count: &Counter) {
    let mut costs = Costs::new(count);
    for _ in 0..Costs::TRIES {
        let record = live();
        let id = put(store, &record).await;
        let ended = costs.of(store.end(id, Some(&tombstone(&record)))).await;
        assert_eq!(ended, Some(record));
    }
    costs.are_at_most(2);
}
