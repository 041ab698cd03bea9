//! J9: what is remembered of ended sessions is bounded in number.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use cloakroom::{
    EndReason, Job, MemoryStore, Presented, Session, SessionLayer, SessionLayerBuilder,
};
use cloakroom_conformance::{FaultyStore, ManualClock, Op};

use self::support::{Client, MIN, MS, count, quiet};

const KEPT: usize = 3;

async fn presented(session: Session) -> Presented {
    session.presented()
}

fn bounded(store: &MemoryStore, clock: &ManualClock) -> SessionLayerBuilder {
    quiet(store.clone(), clock)
        .touch_interval(MS)
        .max_tombstones(KEPT)
}

async fn clients(layer: &SessionLayer, n: usize) -> Vec<Client> {
    let clients: Vec<Client> = std::iter::repeat_with(Client::new).take(n).collect();
    for client in &clients {
        client.visit(layer, count).await.ok();
    }
    clients
}

/// What each of them is told of its session.
async fn told(layer: &SessionLayer, clients: &[Client]) -> Vec<Presented> {
    let mut all = Vec::new();
    for client in clients {
        all.push(client.fork().visit(layer, presented).await.ok());
    }
    all
}

async fn logout(session: Session) {
    session.destroy().unwrap();
}

#[tokio::test]
async fn beyond_the_bound_the_sessions_that_ended_first_are_forgotten_first() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = bounded(&store, &clock).build().unwrap();
    let clients = clients(&layer, 10).await;
    for client in &clients {
        client.fork().visit(&layer, logout).await.ok();
        assert!(store.len() <= 10);
    }
    assert_eq!(store.len(), KEPT);
    let told = told(&layer, &clients).await;
    assert_eq!(told[..7], [Presented::Unknown; 7]);
    let logged_out = |outcome: &Presented| {
        let reason = EndReason::Logout;
        matches!(outcome, Presented::Ended { reason: why, .. } if *why == reason)
    };
    assert!(told[7..].iter().all(logged_out), "{told:?}");
    assert_eq!(layer.manager().stats().forgotten, 7);
}

#[tokio::test]
async fn time_outs_count_like_endings_on_purpose() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = bounded(&store, &clock).retention(120 * MIN).build();
    let layer = layer.unwrap();
    let first = clients(&layer, 1).await;
    first[0].fork().visit(&layer, logout).await.ok();
    let many = clients(&layer, 1_200).await;
    clock.advance(61 * MIN);
    let report = layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!(report.expired, 1_200);
    assert_eq!(store.len(), KEPT);
    assert_eq!(told(&layer, &first).await, [Presented::Unknown]);
    let told = told(&layer, &many).await;
    let remembered = told.iter().filter(|told| **told != Presented::Unknown);
    assert_eq!(remembered.count(), KEPT);
}

#[tokio::test]
async fn a_visitor_who_meets_the_time_out_is_told_even_where_nothing_is_kept() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = bounded(&store, &clock).max_tombstones(1).build().unwrap();
    let clients = clients(&layer, 2).await;
    clock.advance(61 * MIN);
    for client in &clients {
        let outcome = client.fork().visit(&layer, presented).await.ok();
        assert!(matches!(outcome, Presented::TimedOut { .. }), "{outcome:?}");
    }
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn those_whose_retention_is_over_make_room() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = bounded(&store, &clock).retention(10 * MIN).build().unwrap();
    for _ in 0..50 {
        let clients = clients(&layer, KEPT).await;
        for client in &clients {
            client.fork().visit(&layer, logout).await.ok();
        }
        assert!(!told(&layer, &clients).await.contains(&Presented::Unknown));
        clock.advance(11 * MIN);
    }
    assert_eq!(layer.manager().stats().forgotten, 0);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_bound_of_zero_is_a_retention_of_zero() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = bounded(&store, &clock).max_tombstones(0).build().unwrap();
    let clients = clients(&layer, 2).await;
    clients[0].fork().visit(&layer, logout).await.ok();
    assert_eq!(store.len(), 1);
    clock.advance(61 * MIN);
    assert_eq!(told(&layer, &clients).await, [Presented::Unknown; 2]);
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_tombstone_that_cannot_be_forgotten_hurts_nobody_and_goes_in_its_time() {
    let (memory, clock) = (MemoryStore::new(), ManualClock::default());
    let (store, faults) = FaultyStore::new(memory.clone());
    let layer = quiet(store, &clock).max_tombstones(1).build().unwrap();
    let clients = clients(&layer, 2).await;
    clients[0].fork().visit(&layer, logout).await.ok();
    // The second ending is performed, and the forgetting of the first fails.
    let gate = faults.hold_reply(Op::End);
    let request = tokio::spawn(clients[1].visit(&layer, logout));
    gate.arrived(1).await;
    faults.fail(Op::End, 1);
    gate.release();
    assert!(request.await.unwrap().status.is_success());
    assert_eq!(faults.counts().of(Op::End), 3);
    assert_eq!((memory.len(), layer.manager().stats().forgotten), (2, 0));
    clock.advance(Duration::from_hours(2));
    layer.manager().run_now(Job::Purge).await.unwrap();
    assert!(memory.is_empty());
}

#[tokio::test]
async fn an_hour_of_signing_in_and_out_fills_no_store() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let layer = quiet(store.clone(), &clock).max_tombstones(100).build();
    let layer = layer.unwrap();
    for _ in 0..3_600 {
        let client = Client::new();
        client.visit(&layer, count).await.ok();
        client.visit(&layer, logout).await.ok();
        clock.advance(Duration::from_secs(1));
        assert!(store.len() <= 100);
    }
    assert_eq!(layer.manager().stats().forgotten, 3_500);
}
