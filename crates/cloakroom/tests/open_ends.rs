//! What a lost reply leaves open, and what else can come between a handle and its session.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom::{
    Capabilities, Change, Coherence, ErrorKind, MaxAge, MemoryStore, Owner, Presented, Reach,
    Session, SessionCookie, SessionLayer, SessionStore as _, State,
};
use cloakroom_conformance::{Faults, FaultyStore, ManualClock, Op};
use http::StatusCode;

use support::{Client, MIN, count, quiet, read};

fn faulty() -> (SessionLayer, Faults, MemoryStore) {
    let memory = MemoryStore::new();
    let (store, faults) = FaultyStore::new(memory.clone());
    let layer = quiet(store, &ManualClock::default()).build().unwrap();
    (layer, faults, memory)
}

async fn signed_up(layer: &SessionLayer) -> Client {
    let client = Client::new();
    client.visit(layer, count).await.ok();
    client
}

fn is_of_b(client: &Client) -> bool {
    let token = client.cookie().unwrap();
    token.split_once('.').is_some_and(|(_, node)| node == "b")
}

async fn presented(session: Session) -> Presented {
    session.presented()
}

fn owner(name: &str) -> Owner {
    Owner::new(name).unwrap()
}

/// A commit whose reply is lost and whose end the next `looks` cannot tell.
async fn open_commit(session: &Session, faults: &Faults, op: Op, looks: usize) {
    faults.lose_reply(op, 1);
    faults.fail(Op::Peek, looks);
    let error = session.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

// --- lost replies ---

#[tokio::test]
async fn a_commit_whose_end_was_open_is_not_counted_twice() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let script = faults.clone();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        open_commit(&session, &script, Op::Save, 1).await;
        assert_eq!(
            read(session.clone()).await,
            Some(2),
            "its own change is seen still"
        );
        session.insert("more", 1).unwrap();
    });
    assert_eq!(visit.await.status, StatusCode::OK);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
    let more = async |session: Session| session.get::<u8>("more").unwrap();
    assert_eq!(client.visit(&layer, more).await.ok(), Some(1));
}

#[tokio::test]
async fn a_commit_that_was_not_stored_after_all_is_stored_with_the_response() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let script = faults.clone();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        script.fail(Op::Save, 1);
        script.fail(Op::Peek, 1);
        session.commit().await.unwrap_err();
    });
    assert_eq!(visit.await.status, StatusCode::OK);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_response_waits_for_an_open_commit_and_says_so_if_nothing_can_be_known() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let script = faults.clone();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        open_commit(&session, &script, Op::Save, 2).await;
    });
    assert_eq!(visit.await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        client.visit(&layer, read).await.ok(),
        Some(2),
        "it was stored"
    );
}

#[tokio::test]
async fn over_somebody_elses_write_an_open_update_is_not_repeated() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let (script, other, node) = (faults.clone(), client.fork(), layer.clone());
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        open_commit(&session, &script, Op::Save, 1).await;
        other.visit(&node, count).await.ok();
    });
    assert_eq!(visit.await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(3));
}

#[tokio::test]
async fn over_somebody_elses_write_an_open_set_is_made_again() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let (script, other, node) = (faults.clone(), client.fork(), layer.clone());
    let visit = client.visit(&layer, async move |session: Session| {
        session.insert("mine", 1).unwrap();
        open_commit(&session, &script, Op::Save, 1).await;
        other.visit(&node, count).await.ok();
    });
    assert_eq!(visit.await.status, StatusCode::OK);
    let mine = async |session: Session| session.get::<u8>("mine").unwrap();
    assert_eq!(client.visit(&layer, mine).await.ok(), Some(1));
    assert_eq!(client.visit(&layer, read).await.ok(), Some(2));
}

#[tokio::test]
async fn a_secret_whose_end_was_open_is_told_once_it_is_known() {
    for signs_in in [false, true] {
        let (layer, faults, _) = faulty();
        let client = signed_up(&layer).await;
        let visit = client.visit(&layer, async move |session: Session| {
            if signs_in {
                session.login(owner("ada")).unwrap();
            } else {
                session.renew().unwrap();
            }
            open_commit(&session, &faults, Op::Save, 1).await;
        });
        let answer = visit.await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.set_cookie.is_some(), "{signs_in}");
        assert_eq!(
            client.visit(&layer, presented).await.ok(),
            Presented::Active
        );
    }
}

#[tokio::test]
async fn a_new_session_whose_end_was_open_is_made_once() {
    let (layer, faults, memory) = faulty();
    let client = Client::new();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        open_commit(&session, &faults, Op::Create, 1).await;
    });
    assert!(visit.await.set_cookie.is_some());
    assert_eq!(memory.len(), 1);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

#[tokio::test]
async fn a_destroy_needs_no_answer_to_what_is_open() {
    let (layer, faults, memory) = faulty();
    let client = signed_up(&layer).await;
    let id = client.id();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        open_commit(&session, &faults, Op::Save, 1).await;
        session.destroy().unwrap();
    });
    assert_eq!(visit.await.status, StatusCode::OK);
    let row = memory.load(id).await.unwrap().unwrap();
    assert_eq!(row.state, State::Ended);
}

#[tokio::test]
async fn an_ending_whose_reply_is_lost_was_this_calls() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    faults.lose_reply(Op::End, 1);
    assert!(layer.manager().destroy(client.id()).await.unwrap());
    assert_eq!(layer.manager().stats().ends, 1);
    assert!(!layer.manager().destroy(client.id()).await.unwrap());
    assert_eq!(layer.manager().stats().ends, 1, "the second ended nothing");
}

#[tokio::test]
async fn signing_in_as_somebody_else_goes_on_when_the_reply_of_the_ending_is_lost() {
    let (layer, faults, _) = faulty();
    let client = Client::new();
    let login = |name| async move |session: Session| session.login(owner(name)).unwrap();
    client.visit(&layer, login("ada")).await.ok();
    let old = client.id();
    faults.lose_reply(Op::End, 1);
    client.visit(&layer, login("bob")).await.ok();
    assert_ne!(client.id(), old);
    let whose = async |session: Session| session.owner();
    assert_eq!(client.visit(&layer, whose).await.ok(), Some(owner("bob")));
}

// --- one handle, several intentions ---

#[tokio::test]
async fn signing_in_as_somebody_else_is_refused_after_another_login() {
    let (layer, _, _) = faulty();
    let client = Client::new();
    let login = |name| async move |session: Session| session.login(owner(name)).unwrap();
    client.visit(&layer, login("ada")).await.ok();
    let (slow, node, jar) = (client.fork(), layer.clone(), client.clone());
    let visit = slow.visit(&layer, async move |session: Session| {
        session.login(owner("bob")).unwrap();
        jar.visit(&node, login("ada")).await.ok();
    });
    let answer = visit.await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.set_cookie.is_none());
    let whose = async |session: Session| session.owner();
    assert_eq!(client.visit(&layer, whose).await.ok(), Some(owner("ada")));
}

/// Begins a commit that is held at the store, and lets go of its future.
async fn begun_commit(session: &Session, faults: &Faults, op: Op) -> cloakroom_conformance::Gate {
    let gate = faults.hold(op);
    let commit = session.clone();
    let task = tokio::spawn(async move { commit.commit().await });
    gate.arrived(1).await;
    task.abort();
    task.await.unwrap_err();
    gate
}

#[tokio::test]
async fn a_login_as_somebody_else_is_not_undone_by_a_commit_that_was_under_way() {
    let (layer, faults, memory) = faulty();
    let client = Client::new();
    let login = async |session: Session| session.login(owner("ada")).unwrap();
    client.visit(&layer, login).await.ok();
    let old = client.id();
    let visit = client.visit(&layer, async move |session: Session| {
        session.insert("adas", 1).unwrap();
        let gate = begun_commit(&session, &faults, Op::Save).await;
        session.login(owner("bob")).unwrap();
        gate.release();
    });
    visit.await.ok();
    assert_eq!(memory.load(old).await.unwrap().unwrap().state, State::Ended);
    let whose = async |session: Session| (session.owner(), session.contains("adas").unwrap());
    assert_eq!(
        client.visit(&layer, whose).await.ok(),
        (Some(owner("bob")), false)
    );
}

#[tokio::test]
async fn a_destroy_ends_also_what_is_being_created() {
    let (layer, faults, memory) = faulty();
    let client = Client::new();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session.clone()).await;
        let gate = begun_commit(&session, &faults, Op::Create).await;
        session.destroy().unwrap();
        gate.release();
        session.id()
    });
    visit.await.ok();
    layer.manager().settled().await;
    assert_eq!(client.cookie(), None);
    assert_eq!(layer.manager().stats().ends, 1);
    assert_eq!(memory.len(), 1, "its tombstone");
}

// --- panics ---

#[tokio::test]
async fn a_clone_that_panics_takes_the_changes_with_it_and_the_client_is_told() {
    let (layer, _, _) = faulty();
    let client = signed_up(&layer).await;
    let visit = client.visit(&layer, async |session: Session| {
        count(session.clone()).await;
        let clone = session.clone();
        let panics = tokio::spawn(async move {
            let _held = clone;
            panic!("a test of panics");
        });
        panics.await.unwrap_err();
        assert_eq!(session.keys().unwrap_err().kind(), ErrorKind::RolledBack);
    });
    assert_eq!(visit.await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(client.visit(&layer, read).await.ok(), Some(1));
}

#[tokio::test]
async fn a_handle_that_panics_after_the_head_stores_no_half() {
    let (layer, faults, _) = faulty();
    let client = signed_up(&layer).await;
    let detach = async |session: Session| session.detached().unwrap();
    let detached = client.visit(&layer, detach).await.ok();
    faults.take_counts();
    let panics = tokio::spawn(async move {
        count(detached.clone()).await;
        panic!("a test of panics");
    });
    panics.await.unwrap_err();
    layer.manager().settled().await;
    assert_eq!(faults.counts().save, 0);
}

// --- uses that are no requests ---

#[tokio::test]
async fn a_handle_that_outlives_its_response_counts_as_a_use_when_it_reads() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock).build().unwrap();
    let client = signed_up(&layer).await;
    let socket = client
        .visit(&layer, async |session: Session| session)
        .await
        .ok();
    for _ in 0..30 {
        clock.advance(6 * MIN);
        assert_eq!(read(socket.clone()).await, Some(1));
        assert_eq!(
            read(socket.clone()).await,
            Some(1),
            "and again within the interval"
        );
        layer.manager().settled().await;
    }
    assert_eq!(faults.counts().touch, 30);
    assert_eq!(
        client.visit(&layer, presented).await.ok(),
        Presented::Active
    );
}

#[tokio::test]
async fn a_cookie_with_an_age_is_due_by_when_it_was_sent_whatever_a_socket_stores() {
    let clock = ManualClock::default();
    let layer = quiet(MemoryStore::new(), &clock)
        .cookie(SessionCookie::new("__Host-id").max_age(MaxAge::Timeout))
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let socket = client
        .visit(&layer, async |session: Session| session)
        .await
        .ok();
    for _ in 0..5 {
        clock.advance(6 * MIN);
        count(socket.clone()).await;
        socket.commit().await.unwrap();
        clock.advance(MIN);
        assert!(client.visit(&layer, read).await.set_cookie.is_some());
        assert!(
            client.visit(&layer, read).await.set_cookie.is_none(),
            "once"
        );
    }
}

#[tokio::test]
async fn where_every_use_looks_at_the_store_nodes_touch_once_an_interval_together() {
    let clock = ManualClock::default();
    let memory = MemoryStore::new();
    let node = || {
        let (store, faults) = FaultyStore::new(memory.clone());
        faults.pretend(Capabilities::default());
        faults.script_feed();
        (quiet(store, &clock).build().unwrap(), faults)
    };
    let [(a, at_a), (b, at_b)] = [node(), node()];
    let client = signed_up(&a).await;
    client.visit(&b, read).await.ok();
    for _ in 0..12 {
        clock.advance(6 * MIN);
        client.visit(&a, read).await.ok();
        client.visit(&b, read).await.ok();
    }
    assert_eq!((at_a.counts().touch, at_b.counts().touch), (12, 0));
}

// --- what else ---

#[tokio::test]
async fn a_foreign_suffix_is_replaced_without_a_write() {
    let memory = MemoryStore::new();
    let node = |name: &str| {
        let (store, faults) = FaultyStore::new(memory.clone());
        let builder = quiet(store, &ManualClock::default());
        (builder.node(name).affinity(true).build().unwrap(), faults)
    };
    let [(a, _), (b, faults)] = [node("a"), node("b")];
    let client = Client::new();
    client.visit(&a, count).await.ok();
    assert_eq!(client.visit(&b, read).await.ok(), Some(1));
    let token = client.cookie().unwrap();
    assert!(is_of_b(&client), "{token}");
    assert_eq!(faults.counts().save, 0);
    client.set_cookie(Some(token.replace(".b", ".a")));
    faults.fail(Op::Save, Faults::ALWAYS);
    assert_eq!(
        client.visit(&b, read).await.ok(),
        Some(1),
        "a read needs no store"
    );
    assert!(is_of_b(&client));
    faults.clear();
    client.set_cookie(Some(token.replace(".b", ".a")));
    client.visit(&b, count).await.ok();
    assert!(is_of_b(&client), "with a write too");
}

#[tokio::test]
async fn a_stale_copy_is_as_old_as_the_break_of_the_feed() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.pretend(Capabilities {
        reach: Reach::Changes,
        ..Capabilities::default()
    });
    faults.script_feed();
    let layer = quiet(store, &clock)
        .coherence(Coherence::Push)
        .stale_if_error(MIN)
        .build()
        .unwrap();
    let told = async |change| {
        assert_eq!(faults.tell(change), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    told(Change::Live).await;
    let client = signed_up(&layer).await;
    client.visit(&layer, read).await.ok();
    clock.advance(4 * MIN);
    client.visit(&layer, read).await.ok();
    told(Change::Lost).await;
    faults.fail_all();
    clock.advance(MIN);
    let stale = async |session: Session| session.is_stale();
    assert!(client.visit(&layer, stale).await.ok());
    clock.advance(Duration::from_millis(1));
    let refused = client.visit(&layer, stale).await;
    assert_eq!(refused.error, Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn a_hook_cannot_commit_what_is_not_stored_yet() {
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let layer = quiet(MemoryStore::new(), &ManualClock::default())
        .on_create(move |session: Session| {
            let tell = Arc::clone(&tell);
            async move {
                session.insert("hook", 1).unwrap();
                let kind = session.commit().await.unwrap_err().kind();
                *tell.lock().unwrap() = Some(kind);
                Ok(())
            }
        })
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    assert_eq!(*told.lock().unwrap(), Some(ErrorKind::HeadSent));
    let hook = async |session: Session| session.contains("hook").unwrap();
    assert!(client.visit(&layer, hook).await.ok());
}

#[tokio::test]
async fn a_time_limit_without_limit_is_one() {
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &ManualClock::default())
        .store_timeout(Duration::MAX)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let gate = faults.hold(Op::Save);
    let visits = [(); 2].map(|()| tokio::spawn(client.fork().visit(&layer, count)));
    gate.arrived(1).await;
    tokio::task::yield_now().await;
    gate.release();
    for visit in visits {
        visit.await.unwrap().ok();
    }
    assert_eq!(client.visit(&layer, read).await.ok(), Some(3));
}

#[tokio::test]
async fn changes_of_a_request_that_runs_past_the_deadline_are_dropped() {
    let clock = ManualClock::default();
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    let layer = quiet(store, &clock)
        .absolute_timeout(90 * MIN)
        .build()
        .unwrap();
    let client = signed_up(&layer).await;
    let time = clock.clone();
    let visit = client.visit(&layer, async move |session: Session| {
        count(session).await;
        time.advance(90 * MIN);
    });
    assert_eq!(visit.await.status, StatusCode::OK);
    assert_eq!((faults.counts().save, layer.manager().stats().gone), (0, 1));
}

#[tokio::test]
async fn an_update_that_looks_at_its_own_handle_can_be_replayed() {
    let (layer, _, _) = faulty();
    let client = signed_up(&layer).await;
    let (other, node) = (client.fork(), layer.clone());
    let visit = client.visit(&layer, async move |session: Session| {
        let own = session.clone();
        let add = move |n: Option<u64>| {
            // Whether or not the request is over by then.
            own.contains("n").ok();
            n.unwrap_or(0) + 1
        };
        session.update("n", add).unwrap();
        other.visit(&node, count).await.ok();
        // The closure holds the handle that holds the closure.
        session.commit().await.unwrap();
    });
    tokio::time::timeout(Duration::from_secs(10), visit)
        .await
        .unwrap()
        .ok();
    assert_eq!(client.visit(&layer, read).await.ok(), Some(3));
}
