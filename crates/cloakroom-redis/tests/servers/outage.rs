//! Servers that are down, frozen, busy or full: `Unavailable`, never absence, and then it heals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::{
    Change, CreateOutcome, Record, SaveOutcome, SessionId, SessionStore, StoreErrorKind,
};
use cloakroom_redis::{RedisOptions, RedisStore};
use cloakroom_services::Redis;
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "a_server_that_is_killed_and_restarted_keeps_what_it_confirmed",
            killed,
        ),
        trial("a_frozen_server_is_unavailable_and_heals", frozen),
        trial("one_deadline_spans_all_scripts_of_an_operation", slow),
        trial(
            "a_lost_connection_is_replaced_before_it_is_missed",
            lost_connection,
        ),
        trial(
            "no_confirmed_write_is_lost_while_connections_are_killed",
            writes_under_fire,
        ),
        trial("a_busy_server_is_unavailable_and_heals", busy),
        trial("a_full_server_refuses_writes_and_answers_loads", full),
        trial("a_store_outlives_the_runtime_of_its_first_use", runtimes),
        trial("too_few_replicas_are_told", wait),
    ]
}

const UNAVAILABLE: StoreErrorKind = StoreErrorKind::Unavailable;

async fn killed() {
    let server = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap();
    let store = connect(&server).await;
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    server.kill().unwrap();
    for _ in 0..3 {
        assert_eq!(kind(store.load(id).await), UNAVAILABLE);
        assert_eq!(
            kind(store.save(id, &next(&first), first.stamp).await),
            UNAVAILABLE
        );
        assert_eq!(kind(store.end(id, None).await), UNAVAILABLE);
    }
    server.restart().unwrap();
    let stored = heals(|| store.load(id)).await;
    assert_eq!(stored, Some(first));
}

async fn frozen() {
    let server = server();
    let store = quick(server.url()).connect().await.unwrap();
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    server.freeze().unwrap();
    assert_eq!(kind(store.load(id).await), UNAVAILABLE);
    let second = next(&first);
    assert_eq!(
        kind(store.save(id, &second, first.stamp).await),
        UNAVAILABLE
    );
    server.thaw().unwrap();
    let stored = heals(|| store.load(id)).await.unwrap();
    // The write may have been on its way: then it is there once, and by its stamp.
    assert!(stored == first || stored == second);
    let third = next(&stored);
    let saved = heals(|| store.save(id, &third, stored.stamp)).await;
    assert_eq!(saved, SaveOutcome::Saved);
}

/// A write that follows finds the new connection, although it is never sent again.
async fn lost_connection() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    for _ in 0..10 {
        admin.run::<()>("CLIENT KILL TYPE normal SKIPME yes").await;
        // Nothing is asked of the store meanwhile: it notices by itself.
        while admin.run::<String>("CLIENT LIST").await.lines().count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The other one is seen by the server before its greeting is over.
        heals(|| store.load(new_id())).await;
        let created = store.create(new_id(), &record()).await;
        assert_eq!(created.unwrap(), CreateOutcome::Created);
    }
}

/// Eight writers on two stores count up, and all connections are killed again and again.
async fn writes_under_fire() {
    let server = server();
    let stores = [connect(&server).await, connect(&server).await];
    let mut feed = stores[0].changes().unwrap();
    hears(&mut feed, Change::Live).await;
    let (id, mut first) = (new_id(), record());
    first.body = 0_u64.to_be_bytes().to_vec();
    stores[0].create(id, &first).await.unwrap();
    let mut admin = Admin::of(&server).await;
    let fire = tokio::spawn(async move {
        loop {
            admin.run::<()>("CLIENT KILL TYPE normal SKIPME yes").await;
            admin.run::<()>("CLIENT KILL TYPE pubsub").await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..8 {
        writers.spawn(count_up(stores[n % 2].clone(), id));
    }
    let mut sum = Told::default();
    while let Some(told) = writers.join_next().await {
        let told = told.unwrap();
        sum.confirmed += told.confirmed;
        sum.hit += told.hit;
        sum.open += told.open;
    }
    fire.abort();
    let body = stored(&stores[1], id).await.body;
    let counted = u64::from_be_bytes(body.try_into().unwrap());
    let possible = sum.confirmed..=sum.confirmed + sum.open;
    assert!(possible.contains(&counted), "{sum:?} {counted}");
    assert!(sum.confirmed == 8 * 40 && sum.hit > 0, "{sum:?}");
    // The feed was shot at as well, and is back.
    let last = stored(&stores[1], id).await;
    let after = next(&last);
    let saved = stores[1].save(id, &after, last.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
    let stamp = after.stamp;
    hears(&mut feed, Change::Saved { id, stamp }).await;
}

async fn stored(store: &RedisStore, id: SessionId) -> Record {
    heals(|| store.load(id)).await.unwrap()
}

/// What became of additions.
#[derive(Debug, Default)]
struct Told {
    confirmed: u64,
    /// Had no answer.
    hit: u64,
    /// Of those: it stayed open whether they were stored.
    open: u64,
}

/// Adds one forty times.
async fn count_up(store: RedisStore, id: SessionId) -> Told {
    let mut told = Told::default();
    while told.confirmed < 40 {
        let current = stored(&store, id).await;
        let count = u64::from_be_bytes(current.body.clone().try_into().unwrap());
        let mut new = next(&current);
        new.body = (count + 1).to_be_bytes().to_vec();
        match store.save(id, &new, current.stamp).await {
            Ok(SaveOutcome::Saved) => told.confirmed += 1,
            Ok(SaveOutcome::Conflict(other)) => assert_ne!(other.stamp, new.stamp),
            Ok(other) => panic!("nobody ended it: {other:?}"),
            Err(error) => {
                assert_eq!(error.kind(), UNAVAILABLE);
                told.hit += 1;
                // Settled by its stamp, or it was overwritten, or it never arrived.
                if stored(&store, id).await.stamp == new.stamp {
                    told.confirmed += 1;
                } else {
                    told.open += 1;
                }
            }
        }
    }
    told
}

async fn busy() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    admin.run::<()>("CONFIG SET lua-time-limit 20").await;
    let mut script = redis::cmd("EVAL");
    script.arg("while true do end").arg(0);
    let mut other = Admin::of(&server).await;
    let running = tokio::spawn(async move {
        let result: redis::RedisResult<()> = other.try_send(&script).await;
        result
    });
    let error = loop {
        if let Err(error) = store.load(id).await {
            break error;
        }
    };
    assert_eq!(error.kind(), UNAVAILABLE, "{error}");
    assert_eq!(
        kind(store.save(id, &next(&first), first.stamp).await),
        UNAVAILABLE
    );
    admin.run::<()>("SCRIPT KILL").await;
    assert!(running.await.unwrap().is_err());
    assert_eq!(heals(|| store.load(id)).await, Some(first));
}

async fn full() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    admin.run::<()>("CONFIG SET maxmemory 1").await;
    assert_eq!(kind(store.create(new_id(), &first).await), UNAVAILABLE);
    assert_eq!(
        kind(store.save(id, &next(&first), first.stamp).await),
        UNAVAILABLE
    );
    assert_eq!(store.load(id).await.unwrap(), Some(first.clone()));
    assert!(store.peek(id).await.unwrap().is_some());
    assert_eq!(
        store.end(id, None).await.unwrap(),
        Some(first),
        "an ending needs no memory"
    );
}

async fn runtimes() {
    let server = server();
    let store = RedisOptions::parse(server.url()).unwrap().open().unwrap();
    let (id, first) = (new_id(), record());
    for round in 0..3 {
        let (store, first) = (store.clone(), first.clone());
        let elsewhere = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                if round == 0 {
                    store.create(id, &first).await.unwrap();
                }
                let stored = heals(|| store.load(id)).await;
                assert_eq!(stored, Some(first));
            });
        });
        tokio::task::spawn_blocking(move || elsewhere.join().unwrap())
            .await
            .unwrap();
    }
}

async fn wait() {
    let master = server();
    let replica = server();
    let waiting = async |most| {
        let options = RedisOptions::parse(master.url()).unwrap();
        let options = options.wait_for_replicas(1, most).unwrap();
        // The operation as a whole must outlast the wait.
        let options = options.command_timeout(most + Duration::from_secs(5));
        options.connect().await.unwrap()
    };
    let store = waiting(Duration::from_millis(100)).await;
    let (id, first) = (new_id(), record());
    let error = store.create(id, &first).await.unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("0 of 1"),
        "{error}"
    );
    assert_eq!(
        store.load(id).await.unwrap(),
        Some(first.clone()),
        "the master has it"
    );

    let mut admin = Admin::of(&replica).await;
    admin
        .run::<()>(&format!("REPLICAOF 127.0.0.1 {}", master.port()))
        .await;
    // Answered as soon as it is confirmed; a busy machine may take its time over that.
    let store = waiting(Duration::from_secs(10)).await;
    let second = next(&first);
    let saved = heals(|| store.save(id, &second, first.stamp));
    // An attempt that was not confirmed is stored all the same: its stamp is met as a conflict.
    match saved.await {
        SaveOutcome::Saved => {}
        SaveOutcome::Conflict(current) => assert_eq!(current, second),
        other => panic!("{other:?}"),
    }
    in_step(&mut Admin::of(&master).await).await;
    let third = next(&second);
    let saved = store.save(id, &third, second.stamp).await;
    assert_eq!(saved.unwrap(), SaveOutcome::Saved);
}

/// Hands bytes on, and those of the server so much later.
async fn delaying(port: u16, delay: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let delay = Arc::clone(&delay);
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                    let millis = delay.load(Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    if to_client.write_all(&bytes[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    own
}

async fn slow() {
    let server = server();
    let delay = Arc::new(AtomicU64::new(0));
    let port = delaying(server.port(), Arc::clone(&delay)).await;
    let options = RedisOptions::parse(&format!("redis://127.0.0.1:{port}")).unwrap();
    let options = options.connect_timeout(Duration::from_secs(20));
    let store = options
        .command_timeout(Duration::from_secs(2))
        .connect()
        .await
        .unwrap();
    let (id, ada) = (new_id(), owned("ada"));
    store.create(id, &ada).await.unwrap();
    // The server knows the scripts from now on.
    store.load(id).await.unwrap();
    let stale = store.save(id, &next(&ada), next(&ada).stamp).await.unwrap();
    assert_eq!(stale, SaveOutcome::Conflict(ada.clone()));
    // Enough for one script, and not for two.
    delay.store(1_200, Ordering::Relaxed);
    assert_eq!(store.load(id).await.unwrap(), Some(ada.clone()));
    assert_eq!(kind(store.create(new_id(), &ada).await), UNAVAILABLE);
    // What is done is told, though there was no time to clean up after it.
    heals(|| store.load(id)).await;
    let mut nobody = next(&ada);
    nobody.owner = None;
    let saved = store.save(id, &nobody, ada.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
}
