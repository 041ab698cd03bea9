//! How many commands an operation costs, by the server's own count.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use cloakroom_core::{Due, SaveOutcome, SessionStore, TouchOutcome};
use libtest_mimic::Trial;

use crate::support::*;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("every_operation_costs_one_command", one_command),
        trial("an_owner_costs_one_more_only_when_it_changes", owners),
        trial(
            "a_server_that_forgot_its_scripts_learns_them_again",
            flushed,
        ),
        trial("dropped_calls_leave_no_reply_behind", dropped),
    ]
}

async fn one_command() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    // The first run of a script takes two: it has to be sent once.
    for warm in [false, true] {
        let (id, first) = (new_id(), record());
        let second = next(&first);
        let mut counts = Vec::new();
        admin.scripts().await;
        store.create(id, &first).await.unwrap();
        counts.push(admin.scripts().await);
        store.load(id).await.unwrap();
        counts.push(admin.scripts().await);
        store.load(new_id()).await.unwrap();
        counts.push(admin.scripts().await);
        store.peek(id).await.unwrap();
        counts.push(admin.scripts().await);
        let saved = store.save(id, &second, first.stamp).await.unwrap();
        assert_eq!(saved, SaveOutcome::Saved);
        counts.push(admin.scripts().await);
        let conflict = store.save(id, &next(&second), first.stamp).await.unwrap();
        assert_eq!(conflict, SaveOutcome::Conflict(second.clone()));
        counts.push(admin.scripts().await);
        let touched = store.touch(id, second.stamp, second.times).await.unwrap();
        assert_eq!(touched, TouchOutcome::Touched);
        counts.push(admin.scripts().await);
        let moved = store.touch(id, first.stamp, second.times).await.unwrap();
        assert_eq!(moved, TouchOutcome::Moved(second.stamp));
        counts.push(admin.scripts().await);
        store.expire(now(), Due::Ids(&[id])).await.unwrap();
        counts.push(admin.scripts().await);
        let ended = store.end(id, Some(&tombstone(&second))).await.unwrap();
        assert_eq!(ended, Some(second));
        counts.push(admin.scripts().await);
        store.purge(now(), 100).await.unwrap();
        counts.push(admin.scripts().await);
        if warm {
            assert_eq!(counts, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
        }
    }
}

async fn owners() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let stranger = connect(&server).await;
    let ada = owner("ada");
    for warm in [false, true] {
        let (id, first) = (new_id(), owned("ada"));
        let mut counts = Vec::new();
        admin.scripts().await;
        store.create(id, &first).await.unwrap();
        counts.push(admin.scripts().await);
        let second = next(&first);
        store.save(id, &second, first.stamp).await.unwrap();
        counts.push(admin.scripts().await);
        store.touch(id, second.stamp, second.times).await.unwrap();
        counts.push(admin.scripts().await);
        // A login: the owner is set on a session that was seen without one.
        let (anonymous, before) = (new_id(), record());
        store.create(anonymous, &before).await.unwrap();
        admin.scripts().await;
        let mut login = next(&before);
        login.owner = Some(ada.clone());
        store.save(anonymous, &login, before.stamp).await.unwrap();
        counts.push(admin.scripts().await);
        // A node that saves without having loaded does not know the owner.
        let after = next(&login);
        stranger.save(anonymous, &after, login.stamp).await.unwrap();
        counts.push(admin.scripts().await);
        store.end(id, None).await.unwrap();
        counts.push(admin.scripts().await);
        if warm {
            assert_eq!(counts, [2, 1, 1, 2, 1, 2]);
        }
    }
}

async fn flushed() {
    let server = server();
    let (store, mut admin) = (connect(&server).await, Admin::of(&server).await);
    let (id, first) = (new_id(), record());
    store.create(id, &first).await.unwrap();
    admin.run::<()>("SCRIPT FLUSH").await;
    let second = next(&first);
    let saved = store.save(id, &second, first.stamp).await.unwrap();
    assert_eq!(saved, SaveOutcome::Saved);
    assert_eq!(store.load(id).await.unwrap(), Some(second));
}

/// Calls are dropped at every stage, on one shared connection; each later reply must be its own.
async fn dropped() {
    let server = server();
    let store = connect(&server).await;
    let mut kept = Vec::new();
    for _ in 0..40 {
        let (id, record) = (new_id(), record());
        store.create(id, &record).await.unwrap();
        kept.push((id, record));
    }
    for polls in 0..20 {
        for (id, _) in &kept {
            let mut call = Box::pin(store.load(*id));
            for _ in 0..polls % 4 {
                if poll_once(call.as_mut()).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        for (id, record) in &kept {
            assert_eq!(store.load(*id).await.unwrap().as_ref(), Some(record));
        }
    }
}

async fn poll_once(mut call: Pin<&mut impl Future>) -> bool {
    poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await
}
