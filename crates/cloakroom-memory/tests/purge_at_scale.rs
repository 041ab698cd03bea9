//! A million expired rows go while requests are served.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::{
    Record, SaveOutcome, SessionId, SessionStore, Stamp, State, Times, Timestamp,
};
use cloakroom_memory::MemoryStore;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn record(expires_at: Timestamp) -> Record {
    let times = Times {
        used_at: NOW,
        deadline: Some(expires_at),
        expires_at: Some(expires_at),
    };
    Record::from_stored(
        Stamp::first(),
        State::Live,
        None,
        times,
        vec![1; 60],
        vec![1; 40],
    )
}

async fn fill(store: &MemoryStore, rows: u64) {
    for n in 0..rows {
        let mut record = record(NOW - Duration::from_millis(n % 1_000));
        if n % 2 == 0 {
            record.state = State::Ended;
        }
        let created = store.create(SessionId::generate(NOW), &record).await;
        created.expect("the memory store never fails");
    }
}

/// Loads and saves one session until told to stop; how long each pair took.
async fn requests(store: MemoryStore, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let id = SessionId::generate(NOW);
    let mut took = Vec::new();
    let mut stamp = Stamp::first();
    let mut next = record(NOW + Duration::from_hours(1));
    next.stamp = stamp;
    store.create(id, &next).await.expect("never fails");
    while !stop.load(Ordering::Relaxed) {
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let begin = Instant::now();
        // To be scheduled again is part of what a request waits for.
        tokio::task::yield_now().await;
        let loaded = store.load(id).await.expect("never fails");
        assert_eq!(loaded.map(|record| record.stamp), Some(stamp));
        next.stamp = stamp.next();
        let saved = store.save(id, &next, stamp).await.expect("never fails");
        assert_eq!(saved, SaveOutcome::Saved);
        stamp = next.stamp;
        took.push(begin.elapsed());
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    took
}

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |share: usize| took.get(took.len() * share / 10_000).copied();
    println!(
        "{what}: {} requests, median {:?}, p99 {:?}, p99.9 {:?}, most {:?}",
        took.len(),
        at(5_000).unwrap_or_default(),
        at(9_900).unwrap_or_default(),
        at(9_990).unwrap_or_default(),
        took.last().copied().unwrap_or_default(),
    );
}

/// Eight clients while `work` runs; how long their requests took.
async fn beside<T>(store: &MemoryStore, work: impl Future<Output = T>) -> (T, Vec<Duration>) {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| tokio::spawn(requests(store.clone(), Arc::clone(&stop))))
        .collect();
    let done = work.await;
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.await.unwrap_or_default());
    }
    (done, took)
}

/// As a housekeeper does: batch after batch.
async fn purge(store: MemoryStore, limit: usize) -> usize {
    let mut purged = 0;
    loop {
        match store.purge(NOW, limit).await.expect("never fails") {
            0 => return purged,
            some => purged += some,
        }
        tokio::task::yield_now().await;
    }
}

async fn purge_beside_requests(rows: u64, limit: usize) {
    let store = MemoryStore::new();
    fill(&store, rows).await;
    let purger = tokio::spawn(purge(store.clone(), limit));
    let (gone, took) = beside(&store, purger).await;
    assert_eq!(gone.unwrap_or_default() as u64, rows);
    assert_eq!(store.len(), 8, "the living are there");
    show(&format!("purging {rows} rows by {limit}"), took);
}

async fn measure() {
    let idle = tokio::time::sleep(Duration::from_secs(1));
    let ((), took) = beside(&MemoryStore::new(), idle).await;
    show("idle", took);
    for limit in [1_000, 100_000] {
        purge_beside_requests(1_000_000, limit).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purging_spares_the_sessions_in_use() {
    purge_beside_requests(50_000, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release -p cloakroom-memory --test purge_at_scale -- --ignored --nocapture --test-threads 1"]
async fn a_million_expired_rows_beside_requests() {
    measure().await;
}

#[tokio::test]
#[ignore = "a measurement, as above"]
async fn a_million_expired_rows_beside_requests_on_one_thread() {
    measure().await;
}
