//! `CommitAt::LastExit`: changes that wait until the last request of the session leaves (SEEDS.md
//! row T12).

mod support;

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{
    BuildError, Cache, Coherence, CommitAt, Contradiction, Event, Eviction, Job, MemoryStore,
    Owner, Session, SessionLayer,
};
use cloakroom_conformance::{Faults, FaultyStore, ManualClock, Op};
use tokio::sync::Notify;

use support::{Client, MIN, MS, count, quiet, read};

/// Long enough that only the last exit can end the wait.
const LONG: CommitAt = CommitAt::LastExit {
    at_most: Duration::from_hours(1),
};

fn layer(commit_at: CommitAt) -> (SessionLayer, Faults) {
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &ManualClock::default())
        .commit_at(commit_at)
        .build()
        .expect("a layer");
    (layer, faults)
}

async fn with_a_session(commit_at: CommitAt) -> (SessionLayer, Faults, Client) {
    let (layer, faults) = layer(commit_at);
    let client = Client::new();
    assert_eq!(client.visit(&layer, count).await.ok(), 1);
    assert_eq!(
        faults.take_counts().create,
        1,
        "a create happens at the head as always"
    );
    (layer, faults, client)
}

/// A request that holds its session until it is told to go.
fn staying(client: &Client, layer: &SessionLayer) -> (Arc<Notify>, tokio::task::JoinHandle<()>) {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let visit = client.visit(
        layer,
        move |_: Session| async move { told.notified().await },
    );
    let task = tokio::spawn(async move {
        visit.await.ok();
    });
    (go, task)
}

#[tokio::test]
async fn changes_are_seen_at_once_and_stored_when_the_last_request_leaves() {
    let (layer, faults, client) = with_a_session(LONG).await;
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    assert_eq!(client.visit(&layer, count).await.ok(), 2);
    assert_eq!(
        client.visit(&layer, count).await.ok(),
        3,
        "a second request sees the change"
    );
    assert_eq!(
        faults.counts().save,
        0,
        "nothing is stored while one request stays"
    );
    go.notify_one();
    staying.await.unwrap();
    layer.manager().settled().await;
    assert_eq!(faults.counts().save, 1, "all changes go in one write");
    layer.manager().reset();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(3));
}

#[tokio::test]
async fn changes_wait_no_longer_than_the_bound() {
    let (layer, faults, client) = with_a_session(CommitAt::LastExit { at_most: 20 * MS }).await;
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    client.visit(&layer, count).await.ok();
    layer.manager().settled().await;
    assert_eq!(faults.counts().save, 1, "though one request still stays");
    go.notify_one();
    staying.await.unwrap();
}

#[tokio::test]
async fn what_waits_is_found_and_stored_though_others_have_taken_its_place_in_l1() {
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &ManualClock::default())
        .cache(Cache::entries(1).eviction(Eviction::Idle(Duration::ZERO)))
        .commit_at(LONG)
        .build()
        .unwrap();
    let client = Client::new();
    client.visit(&layer, count).await.ok();
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    client.visit(&layer, count).await.ok();
    for _ in 0..10 {
        Client::new().visit(&layer, count).await.ok();
        layer.manager().run_now(Job::Poll).await.unwrap();
    }
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
    assert_eq!(faults.counts().save, 0);
    go.notify_one();
    staying.await.unwrap();
    layer.manager().settled().await;
    layer.manager().reset();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_login_and_an_explicit_commit_happen_at_once_and_take_what_waits_along() {
    let (layer, faults, client) = with_a_session(LONG).await;
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    client.visit(&layer, count).await.ok();
    let login = |session: Session| async move { session.login(Owner::new("ada").unwrap()) };
    client.visit(&layer, login).await.ok().unwrap();
    assert_eq!(faults.counts().save, 1);
    layer.manager().reset();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
    client
        .visit(&layer, |session| async move {
            session.insert("n", 7_u64).unwrap();
            session.commit().await
        })
        .await
        .ok()
        .unwrap();
    assert_eq!(faults.counts().save, 2);
    go.notify_one();
    staying.await.unwrap();
    layer.manager().settled().await;
    assert_eq!(
        faults.counts().save,
        2,
        "what was taken along is not written again"
    );
}

#[tokio::test]
async fn a_destroy_takes_what_waits_with_it() {
    let (layer, faults, client) = with_a_session(LONG).await;
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    client.visit(&layer, count).await.ok();
    let ended = client.fork();
    client
        .visit(&layer, |session| async move { session.destroy() })
        .await
        .ok()
        .unwrap();
    go.notify_one();
    staying.await.unwrap();
    layer.manager().settled().await;
    assert_eq!((faults.counts().save, faults.counts().end), (0, 1));
    assert_eq!(ended.visit(&layer, read).await.ok(), None);
}

#[tokio::test]
async fn a_deferred_save_that_fails_is_an_event_and_is_counted() {
    let (layer, faults, client) = with_a_session(LONG).await;
    let mut events = layer.manager().events();
    faults.fail(Op::Save, usize::MAX);
    faults.fail(Op::Peek, usize::MAX);
    client.visit(&layer, count).await.ok();
    layer.manager().settled().await;
    let failed = loop {
        if let Event::CommitFailed { late, .. } = events.next().await.unwrap() {
            break late;
        }
    };
    assert!(failed, "it is told as a late commit");
    assert_eq!(layer.manager().stats().late_commits_lost, 1);
    faults.clear();
    assert_eq!(
        client.visit(&layer, read).await.ok(),
        Some(1),
        "the store's state is what counts"
    );
}

#[tokio::test]
async fn a_shutdown_stores_what_waits() {
    let (layer, faults, client) = with_a_session(LONG).await;
    let (go, staying) = staying(&client, &layer);
    tokio::task::yield_now().await;
    client.visit(&layer, count).await.ok();
    assert_eq!(layer.manager().shutdown().await.lost, 0);
    assert_eq!(faults.counts().save, 1);
    go.notify_one();
    staying.await.unwrap();
}

#[tokio::test]
async fn verifying_every_use_and_deferring_contradict_each_other() {
    let refused = quiet(MemoryStore::new(), &ManualClock::default())
        .idle_timeout(MIN)
        .coherence(Coherence::Verify)
        .commit_at(CommitAt::last_exit())
        .build();
    let why = Contradiction::LastExitVerified;
    assert_eq!(refused.unwrap_err(), BuildError::Contradiction(why));
    assert!(why.to_string().contains("Verify"));
}

#[tokio::test]
async fn deferring_without_a_cache_to_keep_it_in_is_a_contradiction() {
    for none in [Cache::none(), Cache::entries(0), Cache::bytes(0)] {
        let refused = quiet(MemoryStore::new(), &ManualClock::default())
            .cache(none)
            .commit_at(CommitAt::last_exit())
            .build();
        let why = Contradiction::LastExitUncached;
        assert_eq!(refused.unwrap_err(), BuildError::Contradiction(why));
        assert!(why.to_string().contains("ResponseHead"));
    }
}
