//! What has left L1 is counted and told: once each time, whatever moka's own clean-up does meanwhile.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::sync::{Arc, Mutex};

use cloakroom::{
    Cache, CommitAt, Event, Eviction, Job, MemoryStore, SessionId, SessionLayer,
    SessionLayerBuilder,
};
use cloakroom_conformance::ManualClock;

use self::support::{Client, MIN, count, quiet, read};

/// Which sessions were told to have left, in order.
type Told = Arc<Mutex<Vec<SessionId>>>;

fn layer(
    clock: &ManualClock,
    set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> (SessionLayer, Told) {
    let told = Told::default();
    let listener = {
        let told = Arc::clone(&told);
        move |event: &Event| {
            if let Event::Evicted { id } = event {
                told.lock().unwrap().push(*id);
            }
        }
    };
    let builder = quiet(MemoryStore::new(), clock).listener(listener);
    (set(builder).build().unwrap(), told)
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

/// How many have left so far: as told, which is as counted.
fn left(layer: &SessionLayer, told: &Told) -> u64 {
    let counted = layer.manager().stats().evictions;
    assert_eq!(u64::try_from(told.lock().unwrap().len()).unwrap(), counted);
    counted
}

#[tokio::test]
async fn every_exit_is_counted_and_told_at_once() {
    let clock = ManualClock::default();
    let (layer, told) = layer(&clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::OnExit))
    });
    let mut expected = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let client = signed_up(&layer).await;
        expected.push(client.id());
        clients.push(client);
        assert_eq!(*told.lock().unwrap(), expected);
    }
    for _ in 0..3 {
        for client in &clients {
            client.visit(&layer, read).await.ok();
            expected.push(client.id());
            assert_eq!(*told.lock().unwrap(), expected);
        }
    }
    assert_eq!(left(&layer, &told), 20);
    let l1 = layer.manager().stats().l1;
    assert_eq!((l1.entries, l1.entries_max), (0, 1));
}

#[tokio::test]
async fn an_exit_is_that_of_the_last_request_only() {
    let clock = ManualClock::default();
    let (layer, told) = layer(&clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::OnExit))
    });
    let client = signed_up(&layer).await;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let slow = tokio::spawn(client.visit(&layer, move |_| async move {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }));
    starts.recv().await.unwrap();
    for _ in 0..3 {
        client.visit(&layer, read).await.ok();
        assert_eq!(left(&layer, &told), 1, "the exit after the creation");
    }
    slow.abort();
    assert!(slow.await.unwrap_err().is_cancelled());
    client.visit(&layer, read).await.ok();
    assert_eq!(
        left(&layer, &told),
        3,
        "the cancelled one, and the one after it"
    );
}

#[tokio::test]
async fn whoever_makes_room_for_others_is_told_and_the_bound_is_kept() {
    for max in [1, 5, 40] {
        let clock = ManualClock::default();
        let (layer, told) = layer(&clock, |builder| builder.cache(Cache::entries(max)));
        let mut clients = Vec::new();
        for n in 1..=max + 30 {
            clients.push(signed_up(&layer).await);
            assert_eq!(
                left(&layer, &told),
                n.saturating_sub(max),
                "of at most {max}"
            );
        }
        let first: Vec<_> = clients.iter().take(30).map(Client::id).collect();
        assert_eq!(*told.lock().unwrap(), first, "the least recently used");
        let most = layer.manager().stats().l1.entries_max;
        assert!(most <= max + 1, "{most} of at most {max}");
        // Back again, and others have to go.
        for client in clients.iter().take(30) {
            client.visit(&layer, read).await.ok();
        }
        assert_eq!(left(&layer, &told), 60, "of at most {max}");
    }
}

/// Nobody asks for the figures here, which would clean up.
#[tokio::test]
async fn a_small_cache_does_not_grow_between_two_looks_at_it() {
    for (max, most) in [(1, 2), (5, 6), (80, 91)] {
        let clock = ManualClock::default();
        let (layer, told) = layer(&clock, |builder| builder.cache(Cache::entries(max)));
        for _ in 0..5 * max {
            signed_up(&layer).await;
        }
        let entries_max = layer.manager().stats().l1.entries_max;
        assert!(entries_max <= most, "{entries_max} of at most {max}");
        assert_eq!(left(&layer, &told), 4 * max);
    }
}

#[tokio::test]
async fn what_is_in_use_leaves_with_its_last_use() {
    let clock = ManualClock::default();
    let (layer, told) = layer(&clock, |builder| builder.cache(Cache::entries(2)));
    let client = signed_up(&layer).await;
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = Arc::clone(&go);
    let slow = tokio::spawn(client.visit(&layer, move |_| async move {
        started.send(()).unwrap();
        wait.notified().await;
    }));
    starts.recv().await.unwrap();
    for n in 1..=4 {
        signed_up(&layer).await;
        assert_eq!(left(&layer, &told), u64::saturating_sub(n, 2));
    }
    assert!(!told.lock().unwrap().contains(&client.id()));
    go.notify_one();
    slow.await.unwrap();
    assert_eq!(left(&layer, &told), 3);
    assert_eq!(told.lock().unwrap().last(), Some(&client.id()));
    // One that is used again before its last use ends has not left.
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
    assert_eq!(left(&layer, &told), 4, "one of two made room");
}

#[tokio::test]
async fn endings_idle_ones_and_a_reset_are_told_once_each() {
    let clock = ManualClock::default();
    let (layer, told) = layer(&clock, |builder| {
        builder.cache(Cache::entries(100).eviction(Eviction::Idle(MIN)))
    });
    let (ended, idle, kept) = (
        signed_up(&layer).await,
        signed_up(&layer).await,
        signed_up(&layer).await,
    );
    let (ended_id, idle_id, kept_id) = (ended.id(), idle.id(), kept.id());
    let end = |session: cloakroom::Session| async move { session.destroy().unwrap() };
    ended.visit(&layer, end).await.ok();
    assert_eq!(left(&layer, &told), 1);
    clock.advance(MIN);
    kept.visit(&layer, read).await.ok();
    let report = layer.manager().run_now(Job::Poll).await.unwrap();
    assert_eq!((report.evicted, left(&layer, &told)), (1, 2));
    layer.manager().reset();
    layer.manager().reset();
    assert_eq!(left(&layer, &told), 3);
    assert_eq!(*told.lock().unwrap(), [ended_id, idle_id, kept_id]);
    drop(layer);
    assert_eq!(told.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_waits_to_be_stored_leaves_when_it_is() {
    let clock = ManualClock::default();
    let (layer, told) = layer(&clock, |builder| {
        builder
            .commit_at(CommitAt::LastExit { at_most: MIN })
            .cache(Cache::entries(100).eviction(Eviction::OnExit))
    });
    let client = signed_up(&layer).await;
    for n in 2..5 {
        client.visit(&layer, count).await.ok();
        layer.manager().settled().await;
        assert_eq!(left(&layer, &told), n);
    }
    assert_eq!(layer.manager().stats().l1.entries, 0);
}

/// Two threads, sessions that come, leave and are used at the same time: each arrival has one leaving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrivals_and_leavings_balance_whatever_overlaps() {
    for eviction in [Eviction::Never, Eviction::OnExit] {
        let clock = ManualClock::default();
        let (layer, told) = layer(&clock, |builder| {
            builder.cache(Cache::entries(4).eviction(eviction))
        });
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(signed_up(&layer).await);
        }
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let (layer, clients) = (layer.clone(), clients.clone());
                tokio::spawn(async move {
                    for n in 0..500 {
                        let client = &clients[(n * (task + 1)) % clients.len()];
                        client.visit(&layer, read).await.ok();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        layer.manager().reset();
        let stats = layer.manager().stats();
        assert_eq!(stats.l1.entries, 0);
        let arrivals = stats.creates + stats.loads;
        let left = left(&layer, &told);
        // A use that overlaps an exit brings the session back without a load.
        assert!(left >= arrivals / 2, "{left} of {arrivals}");
        for client in &clients {
            assert!(!layer.manager().is_cached(client.id()));
        }
    }
}
