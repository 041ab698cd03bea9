//! Records, ids and times for the cases, and calls that must succeed.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{
    Clock, CreateOutcome, Owner, Page, Record, SaveOutcome, SessionId, SessionStore, Stamp, State,
    StoreError, SystemClock, Times, Timestamp, TouchOutcome,
};
use tokio::sync::Barrier;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);

/// The real present: stores with a clock of their own compare with it.
pub(crate) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// The callers' present in the cases about `expire` and `purge`: behind the clock of every store,
/// so that the caller's is the earlier one and decides.
pub(crate) fn caller_now() -> Timestamp {
    now() - HOUR
}

pub(crate) fn new_id() -> SessionId {
    SessionId::generate(now())
}

pub(crate) fn owner(name: &str) -> Owner {
    Owner::new(name).expect("the name is valid")
}

/// A live record that is not due for an hour.
pub(crate) fn live() -> Record {
    let now = now();
    let times = Times {
        used_at: now,
        deadline: Some(now + HOUR),
        expires_at: Some(now + DAY),
    };
    Record::from_stored(
        Stamp::first(),
        State::Live,
        None,
        times,
        vec![1, 0, 255, b'h'],
        vec![1, b'b', 0, 200, b'\n'],
    )
}

pub(crate) fn owned(owner: &Owner) -> Record {
    let mut record = live();
    record.owner = Some(owner.clone());
    record
}

/// A live record with this deadline, not forgotten for a day.
pub(crate) fn due_at(deadline: impl Into<Option<Timestamp>>) -> Record {
    let mut record = live();
    record.times.deadline = deadline.into();
    record
}

/// A live record that ended and may be forgotten at these times.
pub(crate) fn expiring(deadline: Timestamp, expires_at: Timestamp) -> Record {
    let mut record = due_at(deadline);
    record.times.expires_at = Some(expires_at);
    record
}

/// What the next write of this record might be.
pub(crate) fn successor(record: &Record) -> Record {
    let mut next = record.clone();
    next.stamp = record.stamp.next();
    next.body.push(next.stamp.nonce.to_le_bytes()[0]);
    next
}

/// A tombstone as a logout leaves it, kept for a day.
pub(crate) fn tombstone(of: &Record) -> Record {
    let mut tombstone = of.timed_out();
    tombstone.head.push(b'!');
    tombstone.times.expires_at = Some(now() + DAY);
    tombstone
}

pub(crate) async fn create<S: SessionStore>(store: &S, id: SessionId, record: &Record) {
    let outcome = store.create(id, record).await.expect("create answers");
    assert_eq!(outcome, CreateOutcome::Created, "the id was free");
}

/// Stores a record under a fresh id.
pub(crate) async fn put<S: SessionStore>(store: &S, record: &Record) -> SessionId {
    let id = new_id();
    create(store, id, record).await;
    id
}

pub(crate) async fn load<S: SessionStore>(store: &S, id: SessionId) -> Option<Record> {
    store.load(id).await.expect("load answers")
}

pub(crate) async fn save<S: SessionStore>(
    store: &S,
    id: SessionId,
    record: &Record,
    expected: Stamp,
) -> SaveOutcome {
    let outcome = store.save(id, record, expected).await;
    outcome.expect("save answers")
}

/// Saves what must be saved.
pub(crate) async fn saved<S: SessionStore>(
    store: &S,
    id: SessionId,
    record: &Record,
    expected: Stamp,
) {
    let outcome = save(store, id, record, expected).await;
    assert_eq!(outcome, SaveOutcome::Saved, "the stamp was the stored one");
}

pub(crate) async fn touch<S: SessionStore>(
    store: &S,
    id: SessionId,
    expected: Stamp,
    times: Times,
) -> TouchOutcome {
    let outcome = store.touch(id, expected, times).await;
    outcome.expect("touch answers")
}

pub(crate) async fn end<S: SessionStore>(
    store: &S,
    id: SessionId,
    tombstone: Option<&Record>,
) -> Option<Record> {
    store.end(id, tombstone).await.expect("end answers")
}

/// All ids that the store lists for an owner, read page by page.
pub(crate) async fn list<S: SessionStore>(
    store: &S,
    owner: &Owner,
    limit: usize,
) -> Vec<SessionId> {
    let mut all = Vec::new();
    loop {
        let page = Page {
            after: all.last().copied(),
            limit,
        };
        let ids = store.owned_by(owner, page).await.expect("owned_by answers");
        assert!(ids.len() <= limit, "a page has at most `limit` ids");
        all.extend_from_slice(&ids);
        if ids.len() < limit {
            return all;
        }
    }
}

/// Asks again as long as the store says that it is busy, as a caller under contention does.
pub(crate) async fn patiently<T, F, Fut>(call: F) -> T
where
    F: Fn() -> Fut + Send,
    Fut: Future<Output = Result<T, StoreError>> + Send,
    T: Send,
{
    for _ in 0..200 {
        match call().await {
            Err(error) if error.is_retryable() => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer.expect("the store answers"),
        }
    }
    call().await.expect("the store is not busy for ever")
}

/// Starts tasks at the same moment and waits for all; a panic in one is a panic here.
pub(crate) async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static> + Send,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let start = Arc::new(Barrier::new(tasks.len()));
    let handles: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        match handle.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
