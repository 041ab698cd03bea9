//! The index of an owner's sessions, which cleans itself.

use std::time::Duration;

use cloakroom_core::{Page, SaveOutcome, SessionId, SessionStore, Timestamp, TouchOutcome};
use cloakroom_redis::RedisStore;
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("entries_come_and_go_with_their_sessions", come_and_go),
        trial("an_index_expires_with_its_furthest_entry", expires),
        trial("entries_of_sessions_that_lapsed_are_trimmed", trimmed),
        trial("a_session_that_lives_on_renews_its_entry", renewed),
        trial(
            "an_entry_without_an_end_goes_when_its_row_has_gone",
            endless,
        ),
        trial("pages_are_in_the_order_of_ids", pages),
        trial(
            "a_late_removal_spares_an_entry_that_was_made_again",
            made_again,
        ),
    ]
}

const ALL: Page = Page {
    after: None,
    limit: 1000,
};

/// Until when the only entry of ada's index is kept.
async fn kept_until(admin: &mut Admin) -> u64 {
    let members: Vec<Vec<u8>> = admin.run("ZRANGE cloakroom:owner:ada 0 -1").await;
    let [member] = members.as_slice() else {
        panic!("one entry: {members:?}");
    };
    u64::from_be_bytes(member[16..].try_into().unwrap())
}

async fn list(store: &RedisStore, name: &str) -> Vec<SessionId> {
    store.owned_by(&owner(name), ALL).await.unwrap()
}

async fn come_and_go() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, anonymous) = (new_id(), record());
    store.create(id, &anonymous).await.unwrap();
    let mut ada = next(&anonymous);
    ada.owner = Some(owner("ada"));
    store.save(id, &ada, anonymous.stamp).await.unwrap();
    assert_eq!(list(&store, "ada").await, [id]);
    let mut bob = next(&ada);
    bob.owner = Some(owner("b}{b"));
    store.save(id, &bob, ada.stamp).await.unwrap();
    assert_eq!(list(&store, "ada").await, []);
    assert_eq!(list(&store, "b}{b").await, [id]);
    let mut nobody = next(&bob);
    nobody.owner = None;
    store.save(id, &nobody, bob.stamp).await.unwrap();
    assert_eq!(list(&store, "b}{b").await, []);
    let keys: Vec<String> = admin.run("KEYS *").await;
    assert_eq!(keys, [key(id)], "an empty index leaves no key");
}

async fn expires() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let index = "PTTL cloakroom:owner:ada";
    let (near, mut far) = (owned("ada"), owned("ada"));
    store.create(new_id(), &near).await.unwrap();
    far.times.expires_at = Some(now() + HOUR * 10);
    store.create(new_id(), &far).await.unwrap();
    store.create(new_id(), &near).await.unwrap();
    // One lifetime more than the furthest row.
    let left: i64 = admin.run(index).await;
    assert!((19..=20).contains(&(left / 3_600_000)), "{left}");
    let mut endless = owned("ada");
    endless.times.expires_at = None;
    let id = new_id();
    store.create(id, &endless).await.unwrap();
    assert_eq!(admin.run::<i64>(index).await, -1);
    // Saved and touched without end: no entry to renew.
    let second = next(&endless);
    store.save(id, &second, endless.stamp).await.unwrap();
    let touched = store.touch(id, second.stamp, second.times).await.unwrap();
    assert_eq!(touched, TouchOutcome::Touched);
    // Without it the index expires again.
    store.end(id, None).await.unwrap();
    let left: i64 = admin.run(index).await;
    assert!((19..=20).contains(&(left / 3_600_000)), "{left}");
}

async fn trimmed() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut short = owned("ada");
    short.times.expires_at = Some(now() + Duration::from_millis(500));
    for _ in 0..30 {
        store.create(new_id(), &short).await.unwrap();
    }
    let kept = new_id();
    store.create(kept, &owned("ada")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await; // twice the lifetime
    // By whoever makes an entry, a few at a time...
    let size = "ZCARD cloakroom:owner:ada";
    let before: u64 = admin.run(size).await;
    store.create(kept, &owned("ada")).await.unwrap();
    let after: u64 = admin.run(size).await;
    assert!(before > 20 && after < before, "{before} {after}");
    // ...and by whoever reads: a page is filled up with the living.
    let page = Page {
        after: None,
        limit: 1,
    };
    assert_eq!(store.owned_by(&owner("ada"), page).await.unwrap(), [kept]);
    assert_eq!(list(&store, "ada").await, [kept]);
    assert_eq!(admin.run::<u64>(size).await, 1);
}

async fn renewed() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, mut current) = (new_id(), owned("ada"));
    store.create(id, &current).await.unwrap();
    let mut until = kept_until(&mut admin).await;
    for hours in [3, 90] {
        let mut times = current.times;
        times.used_at = times.used_at + HOUR * hours;
        times.expires_at = times.expires_at.map(|at| at + HOUR * hours);
        let touched = store.touch(id, current.stamp, times).await.unwrap();
        assert_eq!(touched, TouchOutcome::Touched);
        let renewed = kept_until(&mut admin).await;
        assert!(renewed > until, "{renewed} {until}");
        until = renewed;
        let mut longer = next(&current);
        longer.times = times;
        longer.times.expires_at = times.expires_at.map(|at| at + HOUR * hours * 8);
        let saved = store.save(id, &longer, current.stamp).await.unwrap();
        assert_eq!(saved, SaveOutcome::Saved);
        let renewed = kept_until(&mut admin).await;
        assert!(renewed > until, "{renewed} {until}");
        until = renewed;
        current = longer;
    }
    // The row knows its entry: it is taken away with the session.
    store.end(id, None).await.unwrap();
    assert_eq!(admin.run::<u64>("EXISTS cloakroom:owner:ada").await, 0);
}

async fn endless() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let mut record = owned("ada");
    record.times.expires_at = None;
    let an_hour_ago = Timestamp::from_millis(now().as_millis() - 3_600_000);
    let mut lost = Vec::new();
    let mut kept = Vec::new();
    for n in 0..30 {
        let id = SessionId::generate(an_hour_ago);
        store.create(id, &record).await.unwrap();
        if n % 3 == 0 { &mut kept } else { &mut lost }.push(id);
    }
    // As if its row were still to come.
    let young = new_id();
    store.create(young, &record).await.unwrap();
    for id in lost.iter().chain([&young]) {
        assert_eq!(admin.run::<u64>(&format!("DEL {}", key(*id))).await, 1);
    }
    kept.push(young);
    kept.sort_unstable();
    let size = "ZCARD cloakroom:owner:ada";
    assert_eq!(admin.run::<u64>(size).await, 31);
    let first = list(&store, "ada").await;
    let whole = "a page is not shortened: it would be the last";
    assert_eq!(first.len(), 31, "{whole}");
    // A few are looked at each time.
    let mut left = admin.run::<u64>(size).await;
    while left > 11 {
        list(&store, "ada").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now: u64 = admin.run(size).await;
        assert!(left - now <= 16, "no more than two listings' worth");
        left = now;
    }
    assert_eq!(list(&store, "ada").await, kept);
    // The living stay, and the young, however often somebody looks.
    for _ in 0..9 {
        list(&store, "ada").await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(admin.run::<u64>(size).await, 11);
}

async fn pages() {
    let server = server();
    let store = connect(&server).await;
    let mut all = Vec::new();
    for n in 0..25_u32 {
        let (id, mut record) = (new_id(), owned("ada"));
        // The order must not be that of their expiry.
        record.times.expires_at = Some(now() + HOUR * (30 - n));
        store.create(id, &record).await.unwrap();
        all.push(id);
    }
    all.sort();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = Page { after, limit: 10 };
        let ids = store.owned_by(&owner("ada"), page).await.unwrap();
        seen.extend_from_slice(&ids);
        if ids.len() < 10 {
            break;
        }
        after = ids.last().copied();
    }
    assert_eq!(seen, all);
}

/// A -> B, then B -> A, with the same times: the entry of A is made again while the removal that
/// belongs to the first change is still on its way.
async fn made_again() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), owned("ada"));
    store.create(id, &first).await.unwrap();
    let old = kept_until(&mut admin).await;
    // A second creation is refused, but its entry went first.
    store.create(id, &first).await.unwrap();
    let new = kept_until(&mut admin).await;
    assert!(new > old, "every entry has a time of its own");
    store.end(id, None).await.unwrap();
    assert_eq!(
        list(&store, "ada").await,
        [id],
        "only the entry that the row knows is removed"
    );
}
