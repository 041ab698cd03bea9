//! One key per session, its native expiry, and what is found under the key.

use cloakroom_core::{
    CreateOutcome, Due, SaveOutcome, SessionStore, State, StoreErrorKind, Timestamp, TouchOutcome,
};
use cloakroom_redis::RedisOptions;
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_session_is_one_key_that_expires_by_itself", one_key),
        trial("a_touch_moves_the_native_expiry_forward_only", touch_moves),
        trial("two_prefixes_and_two_databases_are_apart", apart),
        trial("what_is_no_row_is_an_error_and_stays", no_row),
        trial(
            "a_tombstone_of_expire_keeps_the_head_and_counts_on",
            expire_counts_on,
        ),
        trial(
            "an_overdue_session_is_ended_by_the_earlier_clock",
            earlier_clock,
        ),
        trial("what_is_too_large_is_rejected", too_large),
    ]
}

async fn one_key() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), record());
    assert_eq!(
        store.create(id, &first).await.unwrap(),
        CreateOutcome::Created
    );
    let keys: Vec<String> = admin.run("KEYS *").await;
    assert_eq!(keys, [key(id)]);
    let left: i64 = admin.run(&format!("PTTL {}", key(id))).await;
    assert!((7_100_000..=7_200_000).contains(&left), "{left}");

    let mut endless = next(&first);
    endless.times.expires_at = None;
    let saved = store.save(id, &endless, first.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
    assert_eq!(admin.run::<i64>(&format!("PTTL {}", key(id))).await, -1);

    let mut short = next(&endless);
    short.times.expires_at = Some(now() + std::time::Duration::from_millis(50));
    store.save(id, &short, endless.stamp).await.unwrap();
    while store.load(id).await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(store.peek(id).await.unwrap(), None);
    assert_eq!(
        store.save(id, &next(&short), short.stamp).await.unwrap(),
        SaveOutcome::Gone
    );
}

async fn touch_moves() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    let hours = async |admin: &mut Admin| {
        let left: i64 = admin.run(&format!("PTTL {}", key(id))).await;
        (left + 60_000) / 3_600_000
    };
    assert_eq!(hours(&mut admin).await, 2);

    let mut earlier = first.times;
    earlier.expires_at = Some(now() + HOUR);
    let touched = store.touch(id, first.stamp, earlier).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    assert_eq!(hours(&mut admin).await, 2);

    let mut later = first.times;
    later.expires_at = Some(now() + HOUR * 5);
    store.touch(id, first.stamp, later).await.unwrap();
    assert_eq!(hours(&mut admin).await, 5);

    later.expires_at = None;
    store.touch(id, first.stamp, later).await.unwrap();
    assert_eq!(admin.run::<i64>(&format!("PTTL {}", key(id))).await, -1);
    let stored = store.load(id).await.unwrap().unwrap();
    assert_eq!((stored.stamp, stored.times.expires_at), (first.stamp, None));
}

async fn apart() {
    let server = server();
    let open = |url: String, prefix: &str| {
        let options = RedisOptions::parse(&url).unwrap().prefix(prefix).unwrap();
        options.open().unwrap()
    };
    let stores = [
        open(server.url().to_owned(), "cloakroom:"),
        open(server.url().to_owned(), "other:"),
        open(
            format!("redis://127.0.0.1:{}/3", server.port()),
            "cloakroom:",
        ),
    ];
    let id = new_id();
    for store in &stores {
        let created = store.create(id, &record()).await.unwrap();
        assert_eq!(created, CreateOutcome::Created);
    }
}

async fn no_row() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, good) = (new_id(), record());
    store.create(id, &good).await.unwrap();
    let row = admin.get(&key(id)).await.unwrap();
    let (mut newer, mut stranger) = (row.clone(), row.clone());
    newer[2] = 2;
    stranger[10] ^= 1;
    let table = [
        (row[..row.len() - 1].to_vec(), StoreErrorKind::Corrupt),
        (row[..40].to_vec(), StoreErrorKind::Corrupt),
        (b"hello".to_vec(), StoreErrorKind::Corrupt),
        (stranger, StoreErrorKind::Corrupt),
        (newer, StoreErrorKind::Unsupported),
    ];
    for (value, expected) in table {
        admin.set(&key(id), &value).await;
        let tombstone = tombstone(&good);
        // A header that is whole can be compared without the rest.
        if value.len() != row.len() - 1 {
            assert_eq!(kind(store.peek(id).await), expected, "{value:?}");
            assert_eq!(
                kind(store.touch(id, good.stamp.next(), good.times).await),
                expected
            );
            assert_eq!(kind(store.create(id, &good).await), expected, "{value:?}");
        }
        assert_eq!(kind(store.load(id).await), expected, "{value:?}");
        let refused = store.save(id, &next(&good), good.stamp.next()).await;
        assert_eq!(kind(refused), expected, "{value:?}");
        assert_eq!(
            kind(store.end(id, Some(&tombstone)).await),
            expected,
            "{value:?}"
        );
        assert_eq!(kind(store.end(id, None).await), expected, "{value:?}");
        let expired = store.expire(Timestamp::MAX, Due::Ids(&[id])).await;
        assert_eq!(kind(expired), expected, "{value:?}");
        assert_eq!(
            admin.get(&key(id)).await.unwrap(),
            value,
            "the value is left as it is"
        );
    }

    admin.run::<()>(&format!("DEL {}", key(id))).await;
    admin.run::<()>(&format!("RPUSH {} x", key(id))).await;
    let corrupt = StoreErrorKind::Corrupt;
    assert_eq!(kind(store.load(id).await), corrupt);
    assert_eq!(kind(store.peek(id).await), corrupt);
    assert_eq!(kind(store.create(id, &good).await), corrupt);
    assert_eq!(
        kind(store.save(id, &next(&good), good.stamp).await),
        corrupt
    );
    assert_eq!(kind(store.end(id, None).await), corrupt);
    assert_eq!(admin.run::<i64>(&format!("LLEN {}", key(id))).await, 1);
}

async fn expire_counts_on() {
    let server = server();
    let store = connect(&server).await;
    for (version, after) in [(0xff, 0x100), (u64::MAX, 0), (1 << 53, (1 << 53) + 1)] {
        let (id, mut due) = (new_id(), owned("ada"));
        due.stamp.version = version;
        due.times.deadline = Some(now());
        store.create(id, &due).await.unwrap();
        let ended = store.expire(Timestamp::MAX, Due::Ids(&[id])).await.unwrap();
        assert_eq!(ended, [(id, due.clone())]);
        let left = store.load(id).await.unwrap().unwrap();
        assert_eq!(
            (left.state, left.owner, left.stamp.version),
            (State::Ended, None, after)
        );
        assert_eq!(
            (left.head, left.body, left.times),
            (due.head, vec![], due.times)
        );
        assert_ne!(left.stamp.nonce, due.stamp.nonce);
        assert_eq!(
            store.expire(Timestamp::MAX, Due::Ids(&[id])).await.unwrap(),
            []
        );
    }
}

async fn earlier_clock() {
    let server = server();
    let store = connect(&server).await;
    let (id, living) = (new_id(), record());
    store.create(id, &living).await.unwrap();
    let ours_is_wrong = store.expire(Timestamp::MAX, Due::Ids(&[id])).await.unwrap();
    assert_eq!(ours_is_wrong, [], "the server's clock is the earlier one");
    let mut due = next(&living);
    due.times.deadline = Some(now() - HOUR);
    store.save(id, &due, living.stamp).await.unwrap();
    let early = store
        .expire(now() - HOUR * 2, Due::Ids(&[id]))
        .await
        .unwrap();
    assert_eq!(early, [], "the caller's clock is the earlier one");
    assert_eq!(store.expire(now(), Due::Ids(&[id])).await.unwrap().len(), 1);
}

async fn too_large() {
    let server = server();
    let store = connect(&server).await;
    let max = store.capabilities().max_record_bytes.unwrap();
    let (id, mut large) = (new_id(), record());
    large.body = vec![7; max - large.head.len()];
    store.create(id, &large).await.unwrap();
    assert_eq!(store.load(id).await.unwrap().unwrap(), large);
    large.body.push(7);
    assert_eq!(
        kind(store.create(new_id(), &large).await),
        StoreErrorKind::Rejected
    );
}
