//! The change feed proves itself, breaks in time and heals.

use std::time::Duration;

use cloakroom_core::{Change, Record, SessionId, SessionStore};
use cloakroom_redis::{RedisOptions, RedisStore};
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("another_nodes_changes_are_told", told),
        trial("what_only_the_writer_would_hear_is_not_published", alone),
        trial("who_comes_and_goes_is_told_from_then_to_then", company),
        trial("a_write_whose_reply_nobody_awaits_is_told", dropped),
        trial("who_may_not_count_the_listeners_publishes", uncounted),
        trial("a_killed_feed_says_lost_then_live", killed),
        trial("a_frozen_server_is_a_lost_feed_within_the_bound", frozen),
        trial(
            "a_restarted_server_is_a_lost_feed_then_a_live_one",
            restarted,
        ),
        trial("a_demoted_master_is_a_lost_feed", demoted),
        trial("a_flush_is_told_as_all_gone", flushed),
        trial("a_message_that_is_none_of_ours_is_taken_seriously", foreign),
        trial("a_feed_may_be_asked_for_outside_a_runtime", outside),
        trial("a_feed_that_nobody_reads_ends", unheard),
    ]
}

async fn told() {
    let server = server();
    let (writer, reader) = (connect(&server).await, connect(&server).await);
    let mut feed = reader.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    let (id, first) = (new_id(), record());
    writer.create(id, &first).await.unwrap();
    let second = next(&first);
    writer.save(id, &second, first.stamp).await.unwrap();
    writer.touch(id, second.stamp, second.times).await.unwrap();
    writer.save(id, &next(&second), first.stamp).await.unwrap();
    writer.end(id, None).await.unwrap();
    let expected = [
        Change::Saved {
            id,
            stamp: first.stamp,
        },
        Change::Saved {
            id,
            stamp: second.stamp,
        },
        Change::Ended { id },
    ];
    for change in expected {
        assert_eq!(hear(&mut feed).await, change);
    }
}

/// How often anything was published on the server.
async fn published(admin: &mut Admin) -> u64 {
    let stats: String = admin.run("INFO commandstats").await;
    let calls = stats.split("cmdstat_publish:calls=").nth(1);
    calls.map_or(0, |calls| {
        let (calls, _) = calls.split_once(',').unwrap();
        calls.parse().unwrap()
    })
}

async fn alone() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    // Two managers of one process.
    let mut feeds = [store.changes().unwrap(), store.changes().unwrap()];
    for feed in &mut feeds {
        assert_eq!(hear(feed).await, Change::Live);
    }
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    let second = next(&first);
    store.save(id, &second, first.stamp).await.unwrap();
    store.save(id, &next(&second), first.stamp).await.unwrap();
    store.end(id, None).await.unwrap();
    store.end(id, None).await.unwrap();
    for feed in &mut feeds {
        for stamp in [first.stamp, second.stamp] {
            assert_eq!(hear(feed).await, Change::Saved { id, stamp });
        }
        assert_eq!(hear(feed).await, Change::Ended { id });
    }
    assert_eq!(published(&mut admin).await, 0);
}

async fn company() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut own = store.changes().unwrap();
    assert_eq!(hear(&mut own).await, Change::Live);
    let mut told = 0;
    for _ in 0..3 {
        let other = connect(&server).await;
        let mut feed = other.changes().unwrap();
        assert_eq!(hear(&mut feed).await, Change::Live);
        // Every one of them, from the first on.
        for _ in 0..20 {
            let id = new_id();
            store.end(id, None).await.unwrap();
            let record = record();
            store.create(id, &record).await.unwrap();
            let change = Change::Saved {
                id,
                stamp: record.stamp,
            };
            assert_eq!(hear(&mut feed).await, change);
            assert_eq!(hear(&mut own).await, change);
        }
        told += 20;
        assert_eq!(published(&mut admin).await, told);
        drop((feed, other));
        // Alone again: that is found out, if not by the next write.
        loop {
            let before = published(&mut admin).await;
            store.create(new_id(), &record()).await.unwrap();
            hear(&mut own).await;
            told = published(&mut admin).await;
            if told == before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn dropped() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    let first = save_next(&store, id, &first).await; // so that the server knows the script
    for _ in 0..2 {
        assert!(matches!(hear(&mut feed).await, Change::Saved { .. }));
    }
    let second = next(&first);
    let change = Change::Saved {
        id,
        stamp: second.stamp,
    };
    // The server holds every write back, and answers all else.
    admin.run::<()>("CLIENT PAUSE 600000 WRITE").await;
    {
        let mut save = std::pin::pin!(store.save(id, &second, first.stamp));
        // It has arrived once the server says so.
        while admin
            .run::<String>("INFO clients")
            .await
            .contains("blocked_clients:0")
        {
            let waited = tokio::time::timeout(Duration::from_millis(20), &mut save).await;
            assert!(waited.is_err(), "it is held back");
        }
    }
    assert_eq!(hear(&mut feed).await, change);
    // Carried out only now, when whoever was told has looked and found the old.
    admin.run::<()>("CLIENT UNPAUSE").await;
    assert_eq!(hear(&mut feed).await, change);
    assert_eq!(store.load(id).await.unwrap(), Some(second));
    assert_eq!(published(&mut admin).await, 1);
    // The next one is not published again.
    store.end(id, None).await.unwrap();
    assert_eq!(hear(&mut feed).await, Change::Ended { id });
    assert_eq!(published(&mut admin).await, 1);
}

async fn save_next(store: &RedisStore, id: SessionId, record: &Record) -> Record {
    let next = next(record);
    store.save(id, &next, record.stamp).await.unwrap();
    next
}

async fn uncounted() {
    let server = server();
    let mut admin = Admin::of(&server).await;
    admin
        .run::<()>("ACL SETUSER app on >hunter2 ~* &* +@all -pubsub")
        .await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}", server.port());
    let store = RedisOptions::parse(&url).unwrap().connect().await.unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    let stamp = first.stamp;
    assert_eq!(hear(&mut feed).await, Change::Saved { id, stamp });
    assert_eq!(published(&mut admin).await, 1);
}

async fn killed() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    for _ in 0..5 {
        assert_eq!(admin.run::<u64>("CLIENT KILL TYPE pubsub").await, 1);
        assert_eq!(hear(&mut feed).await, Change::Lost);
        assert_eq!(hear(&mut feed).await, Change::Live);
        let (id, record) = (new_id(), record());
        store.create(id, &record).await.unwrap();
        let stamp = record.stamp;
        assert_eq!(hear(&mut feed).await, Change::Saved { id, stamp });
    }
}

async fn frozen() {
    let server = server();
    let store = quick(server.url()).connect().await.unwrap();
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    server.freeze().unwrap();
    let lost = tokio::time::timeout(LOST_BY, feed.next()).await;
    assert_eq!(lost.expect("in time"), Some(Change::Lost));
    server.thaw().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    let (id, record) = (new_id(), record());
    heals(|| store.create(id, &record)).await;
    let stamp = record.stamp;
    hears(&mut feed, Change::Saved { id, stamp }).await;
}

async fn restarted() {
    let server = server();
    let store = connect(&server).await;
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    server.kill().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Lost);
    server.restart().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
}

async fn demoted() {
    let server = server();
    let other = crate::support::server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    admin
        .run::<()>(&format!("REPLICAOF 127.0.0.1 {}", other.port()))
        .await;
    assert_eq!(hear(&mut feed).await, Change::Lost);
    admin.run::<()>("REPLICAOF NO ONE").await;
    assert_eq!(hear(&mut feed).await, Change::Live);
}

async fn flushed() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    admin.run::<()>("FLUSHALL").await;
    assert_eq!(hear(&mut feed).await, Change::AllGone);
}

async fn foreign() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    admin.run::<()>("PUBLISH cloakroom:changes hello").await;
    assert_eq!(hear(&mut feed).await, Change::AllGone);
}

async fn outside() {
    let server = server();
    let url = server.url().to_owned();
    let asked = std::thread::spawn(move || {
        let store = RedisOptions::parse(&url).unwrap().open().unwrap();
        let feeds = [store.changes().unwrap(), store.changes().unwrap()];
        (store, feeds)
    });
    let (store, mut feeds) = asked.join().unwrap();
    store.load(new_id()).await.unwrap();
    for feed in &mut feeds {
        assert_eq!(hear(feed).await, Change::Live);
    }
    let mut third = store.changes().unwrap();
    assert_eq!(hear(&mut third).await, Change::Live);
}

async fn unheard() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut feed = store.changes().unwrap();
    assert_eq!(hear(&mut feed).await, Change::Live);
    drop(feed);
    loop {
        let channels: Vec<String> = admin.run("PUBSUB CHANNELS").await;
        if channels.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut feed = store.changes().unwrap();
    store.load(new_id()).await.unwrap();
    hears(&mut feed, Change::Live).await;
}
