//! What a handle can still do when the response head has left: streams, sockets, spawned tasks.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use cloakroom::{Session, State};
use cloakroom_conformance::Op;
use futures_util::stream;
use http::StatusCode;

use crate::harness::{App, Client, hold, increment, owner, show, word};
use crate::home::Home;

scenarios! {
    a_streaming_body_that_writes_to_a_stored_session_is_committed_at_its_end,
    a_streaming_body_can_commit_and_read_what_was_stored,
    changes_before_a_streamed_head_are_stored_and_their_cookie_is_on_it,
    after_the_head_a_new_secret_or_a_new_session_is_refused_at_the_call,
    what_a_spawned_task_writes_is_committed_when_it_lets_go,
    a_detached_handle_has_a_snapshot_a_log_and_a_commit_of_its_own,
    a_detached_handle_revives_nothing,
    an_upgrade_commits_first_and_leaves_a_handle_that_reads,
    a_socket_from_before_a_login_can_do_nothing_after_it,
    a_destroy_after_the_head_is_performed,
    a_handle_that_is_dropped_outside_of_any_runtime_is_committed_on_the_one_last_seen,
    a_late_commit_that_fails_is_counted_as_lost_and_told,
    a_shutdown_waits_for_late_commits_and_loses_nothing,
}

/// A body of one chunk, made when it is polled, that is: after the head.
fn streamed<F>(chunk: impl FnOnce() -> F + Send + 'static) -> Response
where
    F: Future<Output = &'static str> + Send + 'static,
{
    let chunk = async move { Ok::<_, Infallible>(chunk().await) };
    Response::new(Body::from_stream(stream::once(Box::pin(chunk))))
}

/// Where a handler leaves its handle for the test.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<Session>>>);

impl Shelf {
    fn put(&self, session: &Session) {
        *self.0.lock().expect("nobody panics here") = Some(session.clone());
    }

    fn take(&self) -> Session {
        let taken = self.0.lock().expect("nobody panics here").take();
        taken.expect("the handler has left it here")
    }
}

/// A handle that has outlived its request.
async fn left(app: &App, client: &Client) -> Session {
    let shelf = Shelf::default();
    let put = shelf.clone();
    let reply = app
        .send(client.request(move |s| async move {
            put.put(&s);
            Ok(())
        }))
        .await;
    assert_eq!(reply.status, 200);
    shelf.take()
}

async fn a_streaming_body_that_writes_to_a_stored_session_is_committed_at_its_end(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("before", 1)?;
            Ok(streamed(move || async move { word(increment(&s, "n")) }))
        })
        .await;
    assert_eq!(reply.body, "ok");
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "before").await, "1");
    assert_eq!(app.read(&client, "n").await, "2");
    assert_eq!(app.sessions.stats().late_commits, 1);
}

async fn a_streaming_body_can_commit_and_read_what_was_stored(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let row = app.store.clone();
    let id = client.id();
    let reply = app
        .call(&mut client, move |s| async move {
            Ok(streamed(move || async move {
                s.insert("n", 5).unwrap();
                s.commit().await.unwrap();
                let stored = cloakroom::SessionStore::load(&row, id)
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(stored.stamp.version, 2);
                if s.get::<i64>("n").unwrap() == Some(5) {
                    "5"
                } else {
                    "?"
                }
            }))
        })
        .await;
    assert_eq!(reply.body, "5");
    assert_eq!(app.sessions.stats().late_commits, 1);
}

async fn changes_before_a_streamed_head_are_stored_and_their_cookie_is_on_it(home: &Home) {
    let app = App::new(home);
    let mut client = Client::default();
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("n", 1)?;
            Ok(streamed(|| async { "body" }))
        })
        .await;
    assert!(reply.cookie().is_some());
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn after_the_head_a_new_secret_or_a_new_session_is_refused_at_the_call(home: &Home) {
    let app = App::new(home);
    let stored = left(&app, &app.visitor().await).await;
    assert_eq!(word(stored.renew()), "head_sent");
    assert_eq!(word(stored.login(owner("ada"))), "head_sent");
    assert_eq!(word(stored.insert("n", 2)), "ok");
    let new = left(&app, &Client::default()).await;
    assert_eq!(word(new.insert("n", 1)), "head_sent");
    assert_eq!(word(new.update("n", |_: Option<i64>| 1)), "head_sent");
    assert_eq!(word(new.login(owner("ada"))), "head_sent");
    assert_eq!(word(new.renew()), "head_sent");
    assert_eq!(word(new.detached()), "head_sent");
    drop((stored, new));
    app.sessions.settled().await;
    assert_eq!(app.store.len(), 1);
}

async fn what_a_spawned_task_writes_is_committed_when_it_lets_go(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let (point, mut at) = hold();
    let reply = app
        .send(client.request(|s| async move {
            let s2 = s.clone();
            tokio::spawn(async move {
                point.pass().await;
                increment(&s2, "n").unwrap();
            });
            Ok(())
        }))
        .await;
    assert_eq!(reply.status, 200);
    at.reached().await;
    at.release();
    // The task runs, lets go of the handle, and the late commit is tracked.
    while app.sessions.stats().late_commits == 0 {
        tokio::task::yield_now().await;
        app.sessions.settled().await;
    }
    assert_eq!(app.read(&client, "n").await, "2");
}

async fn a_detached_handle_has_a_snapshot_a_log_and_a_commit_of_its_own(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let shelf = Shelf::default();
    let put = shelf.clone();
    let reply = app
        .send(client.request(move |s| async move {
            s.insert("rolled back", 1)?;
            let own = s.detached()?;
            assert!(!own.contains("rolled back")?);
            put.put(&own);
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        }))
        .await;
    assert_eq!(reply.status, 500);
    let own = shelf.take();
    increment(&own, "n").unwrap();
    own.commit().await.unwrap();
    assert_eq!(app.read(&client, "n").await, "2");
    increment(&own, "n").unwrap();
    drop(own);
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "3");
    assert_eq!(app.read(&client, "rolled back").await, "-");
}

async fn a_detached_handle_revives_nothing(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let old = client.clone();
    let own = left(&app, &client).await.detached().unwrap();
    app.call(&mut client, |s| async move { s.destroy() }).await;
    own.insert("n", 2).unwrap();
    assert_eq!(word(own.commit().await), "ended");
    assert_eq!(word(own.get::<i64>("n")), "ended");
    drop(own);
    app.sessions.settled().await;
    assert_eq!(app.presented(&old).await, "ended");
}

async fn an_upgrade_commits_first_and_leaves_a_handle_that_reads(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let shelf = Shelf::default();
    let put = shelf.clone();
    let reply = app
        .send(client.request(move |s| async move {
            s.insert("n", 2)?;
            put.put(&s);
            Ok(StatusCode::SWITCHING_PROTOCOLS)
        }))
        .await;
    assert_eq!(reply.status, 101);
    let socket = shelf.take();
    assert_eq!(app.read(&client, "n").await, "2");
    assert_eq!(show::<i64>(&socket, "n").unwrap(), "2");
    // Page loads go on beside it, and it sees what they store when it asks.
    let mut page = client.clone();
    app.call(&mut page, |s| async move { s.insert("n", 3) })
        .await;
    socket.reload().await.unwrap();
    assert_eq!(show::<i64>(&socket, "n").unwrap(), "3");
}

async fn a_socket_from_before_a_login_can_do_nothing_after_it(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let socket = left(&app, &client).await;
    app.call(&mut client, |s| async move { s.login(owner("ada")) })
        .await;
    let before = app.row(&client).await;
    assert_eq!(word(socket.reload().await), "superseded");
    let socket = left(&app, &client).await;
    app.call(&mut client, |s| async move { s.login(owner("ada")) })
        .await;
    socket.insert("n", 9).unwrap();
    assert_eq!(word(socket.commit().await), "superseded");
    assert_eq!(word(socket.destroy()), "superseded");
    drop(socket);
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "1");
    assert_eq!(app.row(&client).await.unwrap().owner, before.unwrap().owner);
}

async fn a_destroy_after_the_head_is_performed(home: &Home) {
    for commit in [false, true] {
        let app = App::new(home);
        let client = app.visitor().await;
        let socket = left(&app, &client).await;
        socket.destroy().unwrap();
        if commit {
            socket.commit().await.unwrap();
            assert_eq!(app.row(&client).await.unwrap().state, State::Ended);
        }
        drop(socket);
        app.sessions.settled().await;
        assert_eq!(app.presented(&client).await, "ended");
    }
}

async fn a_handle_that_is_dropped_outside_of_any_runtime_is_committed_on_the_one_last_seen(
    home: &Home,
) {
    let app = App::new(home);
    let client = app.visitor().await;
    let session = left(&app, &client).await;
    session.insert("n", 2).unwrap();
    std::thread::spawn(move || drop(session)).join().unwrap();
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "2");
}

#[test]
fn a_late_commit_that_no_runtime_takes_is_counted_as_lost() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    for destroy in [false, true] {
        let (first, second) = (runtime(), runtime());
        let (app, session) = first.block_on(async {
            let app = App::new(&Home);
            let client = app.visitor().await;
            let session = left(&app, &client).await;
            (app, session)
        });
        drop(first);
        if destroy {
            session.destroy().unwrap();
        } else {
            session.insert("n", 2).unwrap();
        }
        drop(session);
        assert_eq!(app.sessions.stats().late_commits_lost, 1);
        let report = second.block_on(app.sessions.shutdown());
        assert_eq!(report.lost, 1);
    }
}

async fn a_late_commit_that_fails_is_counted_as_lost_and_told(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let mut events = app.sessions.events();
    let session = left(&app, &client).await;
    session.insert("n", 2).unwrap();
    app.faults.fail(Op::Save, 1);
    app.faults.fail(Op::Peek, 1);
    drop(session);
    app.sessions.settled().await;
    assert_eq!(app.sessions.stats().late_commits_lost, 1);
    let told = events.next().await;
    assert!(
        matches!(
            told,
            Some(cloakroom::Event::CommitFailed { late: true, .. })
        ),
        "{told:?}"
    );
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_shutdown_waits_for_late_commits_and_loses_nothing(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let session = left(&app, &client).await;
    session.insert("n", 2).unwrap();
    let gate = app.faults.hold(Op::Save);
    drop(session);
    gate.arrived(1).await;
    let sessions = app.sessions.clone();
    let shutdown = tokio::spawn(async move { sessions.shutdown().await });
    tokio::task::yield_now().await;
    assert!(!shutdown.is_finished());
    gate.release();
    assert_eq!(shutdown.await.unwrap().lost, 0);
    assert_eq!(app.read(&client, "n").await, "2");
}

#[tokio::test]
async fn a_handle_keeps_no_manager_and_no_housekeeper_alive_by_a_cycle() {
    let layer = cloakroom::SessionLayer::builder(cloakroom::MemoryStore::new())
        .build()
        .unwrap();
    tokio::task::yield_now().await;
    let running = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(running, 1, "the housekeeper");
    drop(layer);
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}
