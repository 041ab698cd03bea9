//! Sessions of an owner: listed, counted, ended together.

use std::collections::BTreeSet;
use std::time::Duration;

use cloakroom::{Job, SessionId, StoreErrorKind};
use cloakroom_conformance::{Corruption, Faults, Op};

use crate::harness::{App, Client, owner, word};
use crate::home::Home;

scenarios! {
    logging_out_everywhere_ends_all_sessions_of_the_owner_in_l1_too,
    all_other_sessions_of_an_owner_can_be_ended,
    logging_out_everywhere_reaches_records_that_this_release_cannot_read,
    a_record_that_this_release_cannot_read_can_be_destroyed,
    a_row_that_the_store_cannot_read_saves_no_other_session_and_not_itself,
    a_row_that_cannot_even_be_ended_is_told_after_all_others_have_ended,
    an_outage_while_logging_out_everywhere_is_told,
    a_hundred_logins_and_logouts_at_once_leave_a_true_list,
    more_sessions_than_a_page_are_listed_and_ended,
    the_list_shrinks_when_sessions_expire_whoever_notices_first: minutes_ago(60),
    a_session_that_changed_hands_is_in_one_list,
    a_session_is_looked_up_by_its_public_name,
}

async fn ids(app: &App, name: &str) -> Vec<SessionId> {
    let owned = app.sessions.owned_by(&owner(name)).await;
    owned
        .expect("the store answers")
        .into_iter()
        .map(|info| info.id)
        .collect()
}

async fn logging_out_everywhere_ends_all_sessions_of_the_owner_in_l1_too(home: &Home) {
    let a = App::new(home);
    let b = App::node(a.store.clone(), a.clock.clone(), |builder| builder);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let client = a.member("ada").await;
        assert_eq!(b.presented(&client).await, "active");
        clients.push(client);
    }
    let other = a.member("bob").await;
    assert_eq!(
        a.sessions
            .destroy_owned_by(&owner("ada"), None)
            .await
            .unwrap(),
        3
    );
    b.hears().await;
    for client in &clients {
        assert_eq!(a.presented(client).await, "ended");
        assert_eq!(b.presented(client).await, "ended");
    }
    assert!(ids(&a, "ada").await.is_empty());
    assert_eq!(a.presented(&other).await, "active");
}

async fn all_other_sessions_of_an_owner_can_be_ended(home: &Home) {
    let app = App::new(home);
    let (kept, ended) = (app.member("ada").await, app.member("ada").await);
    let count = app
        .sessions
        .destroy_owned_by(&owner("ada"), Some(kept.id()))
        .await
        .unwrap();
    assert_eq!(count, 1);
    assert_eq!(app.presented(&kept).await, "active");
    assert_eq!(app.presented(&ended).await, "ended");
}

async fn logging_out_everywhere_reaches_records_that_this_release_cannot_read(home: &Home) {
    for how in [
        Corruption::ForeignHead,
        Corruption::ForeignBody,
        Corruption::TruncateBody,
    ] {
        let app = App::new(home);
        let client = app.member("ada").await;
        app.sessions.reset();
        app.faults.corrupt(Op::Load, how, Faults::ALWAYS);
        let count = app.sessions.destroy_owned_by(&owner("ada"), None).await;
        assert_eq!(count.unwrap(), 1, "{how:?}");
        app.faults.clear();
        assert_ne!(app.presented(&client).await, "active", "{how:?}");
    }
}

async fn a_record_that_this_release_cannot_read_can_be_destroyed(home: &Home) {
    let app = App::new(home);
    let client = app.member("ada").await;
    app.faults
        .corrupt(Op::Load, Corruption::ForeignHead, Faults::ALWAYS);
    assert!(app.sessions.destroy(client.id()).await.unwrap());
    app.faults.clear();
    assert_ne!(app.presented(&client).await, "active");
}

/// Three sessions of one owner, in the order of the index; the store cannot read the first one.
async fn three_of_ada(home: &Home) -> (App, [Client; 3]) {
    let app = App::new(home);
    let mut all = [
        app.member("ada").await,
        app.member("ada").await,
        app.member("ada").await,
    ];
    all.sort_by_key(Client::id);
    app.sessions.reset();
    app.faults.fail_with(Op::Load, StoreErrorKind::Corrupt, 1);
    (app, all)
}

async fn a_row_that_the_store_cannot_read_saves_no_other_session_and_not_itself(home: &Home) {
    let (app, all) = three_of_ada(home).await;
    let [_, _, caller] = &all;
    let count = app
        .sessions
        .destroy_owned_by(&owner("ada"), Some(caller.id()))
        .await;
    assert_eq!(count.unwrap(), 2);
    let [damaged, other, caller] = &all;
    assert_ne!(app.presented(damaged).await, "active");
    assert_eq!(app.presented(other).await, "ended");
    assert_eq!(app.presented(caller).await, "active");
    // The same by its id.
    app.sessions.reset();
    app.faults.fail_with(Op::Load, StoreErrorKind::Corrupt, 1);
    assert!(app.sessions.destroy(caller.id()).await.unwrap());
    assert_eq!(app.row(caller).await, None);
}

async fn a_row_that_cannot_even_be_ended_is_told_after_all_others_have_ended(home: &Home) {
    let (app, all) = three_of_ada(home).await;
    app.faults.fail_with(Op::End, StoreErrorKind::Corrupt, 1);
    let result = app.sessions.destroy_owned_by(&owner("ada"), None).await;
    assert_eq!(word(result), "unreadable");
    let [damaged, others @ ..] = &all;
    assert!(app.row(damaged).await.is_some());
    for other in others {
        assert_eq!(app.presented(other).await, "ended");
    }
}

async fn an_outage_while_logging_out_everywhere_is_told(home: &Home) {
    let app = App::new(home);
    let client = app.member("ada").await;
    for op in [Op::OwnedBy, Op::Load, Op::End] {
        app.faults.fail(op, 1);
        app.faults.fail(Op::Peek, 1);
        let result = app.sessions.destroy_owned_by(&owner("ada"), None).await;
        assert_eq!(word(result), "unavailable", "{op:?}");
        app.faults.clear();
        assert_eq!(app.presented(&client).await, "active", "{op:?}");
    }
}

async fn a_hundred_logins_and_logouts_at_once_leave_a_true_list(home: &Home) {
    let app = App::new(home);
    let logins: Vec<_> = (0..100)
        .map(|_| app.start(&Client::default(), |s| async move { s.login(owner("ada")) }))
        .collect();
    let mut clients = Vec::new();
    for login in logins {
        let mut client = Client::default();
        client.keep(&login.await.unwrap());
        clients.push(client);
    }
    let truth: BTreeSet<SessionId> = clients.iter().map(Client::id).collect();
    assert_eq!(truth.len(), 100);
    assert_eq!(BTreeSet::from_iter(ids(&app, "ada").await), truth);
    let (gone, stay) = clients.split_at(50);
    let logouts: Vec<_> = gone
        .iter()
        .map(|client| app.start(client, |s| async move { s.destroy() }))
        .collect();
    for logout in logouts {
        logout.await.unwrap();
    }
    let truth: BTreeSet<SessionId> = stay.iter().map(Client::id).collect();
    assert_eq!(BTreeSet::from_iter(ids(&app, "ada").await), truth);
}

async fn more_sessions_than_a_page_are_listed_and_ended(home: &Home) {
    let app = App::new(home);
    for _ in 0..450 {
        app.member("ada").await;
    }
    assert_eq!(ids(&app, "ada").await.len(), 450);
    assert_eq!(
        app.sessions
            .destroy_owned_by(&owner("ada"), None)
            .await
            .unwrap(),
        450
    );
    assert!(ids(&app, "ada").await.is_empty());
}

async fn the_list_shrinks_when_sessions_expire_whoever_notices_first(home: &Home) {
    let app = App::new(home);
    for _ in 0..home.rounds(1_000) {
        app.member("ada").await;
    }
    app.clock.advance(Duration::from_hours(1));
    assert!(
        ids(&app, "ada").await.is_empty(),
        "nobody has expired them yet"
    );
    app.sessions.run_now(Job::Poll).await.unwrap();
    let page = cloakroom::Page {
        after: None,
        limit: 10,
    };
    let index = cloakroom::SessionStore::owned_by(&app.store, &owner("ada"), page)
        .await
        .unwrap();
    assert!(index.is_empty(), "the store's index is empty, too");
}

async fn a_session_that_changed_hands_is_in_one_list(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    app.call(&mut client, |s| async move { s.login(owner("bob")) })
        .await;
    assert!(ids(&app, "ada").await.is_empty());
    assert_eq!(ids(&app, "bob").await, [client.id()]);
}

async fn a_session_is_looked_up_by_its_public_name(home: &Home) {
    let app = App::new(home);
    let client = app.member("ada").await;
    let info = app.sessions.get(client.id()).await.unwrap().unwrap();
    assert_eq!((info.id, info.owner), (client.id(), Some(owner("ada"))));
    assert!(app.sessions.exists(client.id()).await.unwrap());
    assert!(app.sessions.destroy(client.id()).await.unwrap());
    assert!(
        !app.sessions.destroy(client.id()).await.unwrap(),
        "the first ending wins"
    );
    assert_eq!(app.sessions.get(client.id()).await.unwrap(), None);
    assert!(!app.sessions.exists(client.id()).await.unwrap());
}

#[test]
fn an_axum_handler_can_ask_for_all_sessions_of_an_owner() {
    fn can_be_sent<T: Send>(future: T) {
        drop(future);
    }
    let layer = cloakroom::SessionLayer::builder(cloakroom::MemoryStore::new())
        .build()
        .unwrap();
    let (manager, owner) = (layer.manager(), cloakroom::Owner::new("ada").unwrap());
    can_be_sent(manager.owned_by(&owner));
    can_be_sent(manager.destroy_owned_by(&owner, None));
}
