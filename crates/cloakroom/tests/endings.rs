//! How a session ended is told as it was: the first ending stands, and no time-out is told that has
//! not come.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::{
    Capabilities, ChangeFeed, Clock as _, CreateOutcome, Due, EndReason, Event, Job, MemoryStore,
    OnShutdown, Owner, Page, Peek, Presented, Record, SaveOutcome, Session, SessionId,
    SessionLayer, SessionStore, Stamp, StoreError, Times, Timestamp, TouchOutcome,
};
use cloakroom_conformance::{FaultyStore, ManualClock, Op};

use self::support::{Client, MIN, MS, count, quiet, read};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

async fn presented(session: Session) -> Presented {
    session.presented()
}

async fn clients(layer: &SessionLayer, n: usize) -> Vec<Client> {
    let clients: Vec<Client> = std::iter::repeat_with(Client::new).take(n).collect();
    for client in &clients {
        client.visit(layer, count).await.ok();
    }
    clients
}

async fn told(layer: &SessionLayer, clients: &[Client]) -> Vec<Presented> {
    let mut all = Vec::new();
    for client in clients {
        all.push(client.fork().visit(layer, presented).await.ok());
    }
    all
}

/// A server that ends its sessions when it stops.
fn stopping(store: impl SessionStore, clock: &ManualClock, max: usize) -> SessionLayer {
    quiet(store, clock)
        .retention(10 * HOUR)
        .max_tombstones(max)
        .on_shutdown(OnShutdown::Destroy)
        .build()
        .unwrap()
}

/// The next server on the same store, and the time-outs that it tells of.
fn next(store: &MemoryStore, clock: &ManualClock) -> (SessionLayer, Arc<Mutex<Vec<SessionId>>>) {
    let expired = Arc::<Mutex<Vec<SessionId>>>::default();
    let seen = Arc::clone(&expired);
    let layer = quiet(store.clone(), clock)
        .retention(10 * HOUR)
        .listener(move |event: &Event| {
            if let Event::Expired { id, .. } = event {
                seen.lock().unwrap().push(*id);
            }
        })
        .build()
        .unwrap();
    (layer, expired)
}

async fn passes(layer: &SessionLayer) {
    for job in [Job::Poll, Job::Purge] {
        layer.manager().run_now(job).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_shutdown_has_ended_never_times_out() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = stopping(store.clone(), &clock, 100);
    let mut all = clients(&layer, 3).await;
    // Those are not in L1 any more.
    layer.manager().reset();
    all.extend(clients(&layer, 2).await);
    let at = clock.advance(MIN);
    assert_eq!(layer.manager().shutdown().await.destroyed, 5);
    drop(layer);

    let (layer, expired) = next(&store, &clock);
    let reason = EndReason::Shutdown;
    let ended = vec![Presented::Ended { at, reason }; 5];
    assert_eq!(told(&layer, &all).await, ended);
    // Past all deadlines.
    clock.advance(2 * HOUR);
    assert_eq!(told(&layer, &all).await, ended);
    passes(&layer).await;
    let ids: Vec<SessionId> = all.iter().map(Client::id).collect();
    layer.manager().check_expiration(&ids).await.unwrap();
    assert_eq!(told(&layer, &all).await, ended);
    assert_eq!(*expired.lock().unwrap(), []);
    clock.set(at + 10 * HOUR);
    assert_eq!(told(&layer, &all).await, [Presented::Unknown; 5]);
    clock.advance(5 * SECOND);
    passes(&layer).await;
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_shutdown_leaves_no_more_tombstones_than_may_be() {
    for (max, kept) in [(0, 0), (2, 2), (4, 4), (9, 4)] {
        let (store, clock) = (MemoryStore::new(), ManualClock::default());
        let layer = stopping(store.clone(), &clock, max);
        let all = clients(&layer, 4).await;
        layer.manager().reset();
        assert_eq!(layer.manager().shutdown().await.destroyed, 4);
        assert_eq!(store.len(), kept, "of at most {max}");
        drop(layer);
        let (layer, _) = next(&store, &clock);
        for _ in 0..2 {
            let told = told(&layer, &all).await;
            let unknown = told.iter().filter(|told| **told == Presented::Unknown);
            assert_eq!(unknown.count(), 4 - kept, "{told:?}");
            let timed_out = |told: &Presented| matches!(told, Presented::TimedOut { .. });
            assert!(!told.iter().any(timed_out), "{told:?}");
            clock.advance(2 * HOUR);
        }
    }
}

#[tokio::test]
async fn a_shutdown_that_cannot_leave_its_reason_revives_nobody_and_tells_no_time_out() {
    for op in [Op::Create, Op::End] {
        let (memory, clock) = (MemoryStore::new(), ManualClock::default());
        let (store, faults) = FaultyStore::new(memory.clone());
        let layer = stopping(store, &clock, 100);
        let all = clients(&layer, 3).await;
        layer.manager().reset();
        faults.fail(op, 99);
        assert_eq!(layer.manager().shutdown().await.destroyed, 3);
        drop(layer);
        let (layer, _) = next(&memory, &clock);
        assert_eq!(told(&layer, &all).await, [Presented::Unknown; 3], "{op:?}");
    }
}

#[tokio::test]
async fn a_row_that_waits_for_its_reason_opens_to_nobody() {
    let (memory, clock) = (MemoryStore::new(), ManualClock::default());
    let (store, faults) = FaultyStore::new(memory.clone());
    let layer = stopping(store, &clock, 100);
    let all = clients(&layer, 1).await;
    layer.manager().reset();
    let gate = faults.hold_reply(Op::Create);
    let manager = layer.manager().clone();
    let stop = tokio::spawn(async move { manager.shutdown().await });
    gate.arrived(1).await;
    let (other, expired) = next(&memory, &clock);
    assert_eq!(told(&other, &all).await, [Presented::Unknown]);
    let stats = other.manager().stats();
    assert_eq!((stats.forged, stats.unreadable), (1, 0));
    clock.advance(2 * HOUR);
    passes(&other).await;
    assert_eq!(*expired.lock().unwrap(), []);
    gate.release();
    assert_eq!(stop.await.unwrap().destroyed, 1);
}

#[tokio::test]
async fn a_time_out_that_is_still_to_come_is_not_told() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let (layer, _) = next(&store, &clock);
    let client = clients(&layer, 1).await;
    let deadline = clock.now() + 65 * MIN;
    // Another node whose clock is wrong has ended it.
    let ids = [client[0].id()];
    store.expire(Timestamp::MAX, Due::Ids(&ids)).await.unwrap();
    for (now, expected) in [
        (clock.now(), Presented::Unknown),
        (deadline - 5 * SECOND - MS, Presented::Unknown),
        // So far clocks may differ; what is told lies not ahead of the clock that tells it.
        (
            deadline - 5 * SECOND,
            Presented::TimedOut {
                at: deadline - 5 * SECOND,
            },
        ),
        (deadline - MS, Presented::TimedOut { at: deadline - MS }),
        (deadline, Presented::TimedOut { at: deadline }),
        (deadline + HOUR, Presented::TimedOut { at: deadline }),
    ] {
        clock.set(now);
        // Not what L1 remembers of unknown ids.
        let (layer, _) = next(&store, &clock);
        assert_eq!(told(&layer, &client).await, [expected], "{now}");
    }
}

/// A store with a clock of its own, which most databases are.
struct Database {
    rows: MemoryStore,
    clock: ManualClock,
}

impl SessionStore for Database {
    async fn create(&self, id: SessionId, record: &Record) -> Result<CreateOutcome, StoreError> {
        self.rows.create(id, record).await
    }
    async fn load(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        self.rows.load(id).await
    }
    async fn peek(&self, id: SessionId) -> Result<Option<Peek>, StoreError> {
        self.rows.peek(id).await
    }
    async fn save(
        &self,
        id: SessionId,
        record: &Record,
        expected: Stamp,
    ) -> Result<SaveOutcome, StoreError> {
        self.rows.save(id, record, expected).await
    }
    async fn touch(
        &self,
        id: SessionId,
        expected: Stamp,
        times: Times,
    ) -> Result<TouchOutcome, StoreError> {
        self.rows.touch(id, expected, times).await
    }
    async fn end(
        &self,
        id: SessionId,
        tombstone: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        self.rows.end(id, tombstone).await
    }
    async fn expire(
        &self,
        now: Timestamp,
        due: Due<'_>,
    ) -> Result<Vec<(SessionId, Record)>, StoreError> {
        self.rows.expire(now.min(self.clock.now()), due).await
    }
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.rows.purge(now.min(self.clock.now()), limit).await
    }
    async fn owned_by(&self, owner: &Owner, page: Page) -> Result<Vec<SessionId>, StoreError> {
        self.rows.owned_by(owner, page).await
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
    fn changes(&self) -> Option<ChangeFeed> {
        None
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_of_the_store_ends_nobody() {
    let (rows, true_time, ahead) = (
        MemoryStore::new(),
        ManualClock::default(),
        ManualClock::default(),
    );
    let database = || Database {
        rows: rows.clone(),
        clock: true_time.clone(),
    };
    let right = quiet(database(), &true_time).build().unwrap();
    let wrong = quiet(database(), &ahead).build().unwrap();
    let client = clients(&right, 1).await;
    client[0].visit(&wrong, read).await.ok();
    ahead.set(true_time.now() + 70 * MIN);
    // Neither alive nor dead, to a node that knows no better; but not timed out.
    let seen = client[0].fork().visit(&wrong, presented).await;
    assert_eq!((seen.status.as_u16(), seen.set_cookie), (503, None));
    passes(&wrong).await;
    let ids = [client[0].id()];
    wrong.manager().check_expiration(&ids).await.unwrap();
    assert_eq!(wrong.manager().stats().expired, 0);
    assert_eq!(client[0].visit(&right, read).await.ok(), Some(1));
    // Its clock is put right: nothing has happened.
    ahead.set(true_time.now());
    assert_eq!(client[0].visit(&wrong, read).await.ok(), Some(1));
}
