//! Absent, corrupt and unavailable are three different answers.

use std::time::Duration;

use cloakroom::{Coherence, Secret, StoreErrorKind, Token};
use cloakroom_conformance::{Faults, Op};

use crate::harness::{App, Client, hold, increment, owner, show, word};
use crate::home::Home;

scenarios! {
    an_outage_does_not_touch_a_route_that_uses_no_session,
    during_an_outage_a_current_copy_is_read_and_a_write_is_503,
    an_outage_is_never_an_anonymous_session,
    an_optional_session_is_some_only_for_a_live_stored_one,
    a_store_that_refuses_a_write_is_500_and_nothing_is_told,
    a_store_that_does_not_answer_counts_as_unavailable:
        only_memory("the timers of the test stand still, a server does not"),
    a_commit_that_waits_too_long_for_its_turn_fails_and_does_not_go_on_unlocked:
        only_memory("the timers of the test stand still, a server does not"),
    a_write_whose_reply_is_lost_is_looked_up_and_not_repeated,
    a_lost_reply_that_cannot_be_settled_is_503_and_the_copy_is_dropped,
    a_destroy_that_cannot_be_performed_is_503_and_tried_once_more,
    a_stale_copy_is_served_read_only_if_that_was_asked_for,
    a_stale_copy_is_never_served_past_its_deadline,
    a_session_that_was_ended_here_is_not_served_stale,
    an_error_keeps_its_cause_and_no_token,
}

const SECOND: Duration = Duration::from_secs(1);

/// The client's id with another secret.
fn forged(client: &Client) -> Client {
    Client::holding(&Token::new(client.id(), Secret::generate()))
}

async fn an_outage_does_not_touch_a_route_that_uses_no_session(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    app.sessions.reset();
    app.faults.fail_all();
    let reply = app.send(client.get("/unused")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "unused"));
    assert_eq!((reply.cookie(), reply.header("vary").as_str()), (None, "-"));
}

async fn during_an_outage_a_current_copy_is_read_and_a_write_is_503(home: &Home) {
    let app = App::trusting(home).await;
    let mut client = app.visitor().await;
    app.faults.fail_all();
    assert_eq!(app.read(&client, "n").await, "1");
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("n", 2)?;
            Ok("stored, or so it says")
        })
        .await;
    assert_eq!(
        (reply.status, reply.body.as_str(), reply.cookie()),
        (503, "", None)
    );
    assert_eq!(reply.header("retry-after"), "1");
    app.faults.clear();
    assert_eq!(
        app.read(&client, "n").await,
        "1",
        "L1 is not ahead of the store"
    );
}

async fn an_outage_is_never_an_anonymous_session(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.sessions.reset();
    app.faults.fail_all();
    for path in ["/", "/optional"] {
        let reply = app.send(client.get(path)).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (503, "unavailable"),
            "{path}"
        );
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.cookie(), None, "neither set nor removed");
    }
    app.faults.clear();
    assert_eq!(app.read(&client, "n").await, "1", "it heals by itself");
    let before = app.store.len();
    app.call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    assert_eq!(
        app.store.len(),
        before,
        "nothing was overwritten or begun anew"
    );
}

async fn an_optional_session_is_some_only_for_a_live_stored_one(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    assert_eq!(
        app.send(Client::default().get("/optional")).await.body,
        "none"
    );
    assert_eq!(app.send(client.get("/optional")).await.body, "some");
    assert_eq!(
        app.send(forged(&client).get("/optional")).await.body,
        "none"
    );
    app.sessions.destroy(client.id()).await.unwrap();
    assert_eq!(app.send(client.get("/optional")).await.body, "none");
}

async fn a_store_that_refuses_a_write_is_500_and_nothing_is_told(home: &Home) {
    for (op, new) in [(Op::Create, true), (Op::Save, false)] {
        for (kind, status) in [
            (StoreErrorKind::Unavailable, 503),
            (StoreErrorKind::Unsupported, 503),
            (StoreErrorKind::Rejected, 500),
            (StoreErrorKind::Corrupt, 500),
        ] {
            let app = App::new(home);
            let mut client = if new {
                Client::default()
            } else {
                app.visitor().await
            };
            app.faults.fail_with(op, kind, 1);
            let reply = app
                .call(&mut client, |s| async move {
                    s.insert("n", 2)?;
                    Ok("fine")
                })
                .await;
            assert_eq!(
                (reply.status, reply.body.as_str(), reply.cookie()),
                (status, "", None)
            );
            if !new {
                assert_eq!(app.read(&client, "n").await, "1");
            }
        }
    }
}

async fn a_store_that_does_not_answer_counts_as_unavailable(home: &Home) {
    tokio::time::pause();
    let app = App::with(home, |builder| builder.store_timeout(SECOND));
    let mut client = app.visitor().await;
    let gate = app.faults.hold(Op::Save);
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    assert_eq!((reply.status, reply.cookie()), (503, None));
    gate.release();
    app.sessions.reset();
    let gate = app.faults.hold(Op::Load);
    let reply = app.send(client.get("/optional")).await;
    assert_eq!(reply.status, 503);
    gate.release();
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_commit_that_waits_too_long_for_its_turn_fails_and_does_not_go_on_unlocked(home: &Home) {
    tokio::time::pause();
    let app = App::with(home, |builder| builder.store_timeout(SECOND));
    let client = app.visitor().await;
    let gate = app.faults.hold(Op::Save);
    let writers: Vec<_> = (0..4)
        .map(|_| app.start(&client, |s| async move { increment(&s, "n").map(|_| ()) }))
        .collect();
    for writer in writers {
        assert_eq!(writer.await.unwrap().status, 503);
    }
    assert!(gate.count() <= 3, "one at a time: {}", gate.count());
    gate.release();
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_write_whose_reply_is_lost_is_looked_up_and_not_repeated(home: &Home) {
    let app = App::new(home);
    let mut client = Client::default();
    app.faults.lose_reply(Op::Create, 1);
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.store.len(), 1);
    app.faults.lose_reply(Op::Save, 1);
    let reply = app
        .call(
            &mut client,
            |s| async move { increment(&s, "n").map(|_| ()) },
        )
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.read(&client, "n").await, "2");
    app.faults.lose_reply(Op::Save, 1);
    app.call(&mut client, |s| async move { s.renew() }).await;
    assert_eq!(app.read(&client, "n").await, "2");
    app.faults.lose_reply(Op::End, 1);
    let old = client.clone();
    let reply = app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!((reply.status, client.token), (200, None));
    assert_eq!(app.presented(&old).await, "ended");
    let counts = app.counts();
    assert_eq!((counts.create, counts.save, counts.end), (1, 2, 1));
}

async fn a_lost_reply_that_cannot_be_settled_is_503_and_the_copy_is_dropped(home: &Home) {
    let app = App::trusting(home).await;
    let mut client = app.visitor().await;
    app.faults.lose_reply(Op::Save, 1);
    app.faults.fail(Op::Peek, 1);
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    assert_eq!(reply.status, 503);
    // It was stored after all, and the next request sees what the store has.
    assert_eq!(app.read(&client, "n").await, "2");
}

async fn a_destroy_that_cannot_be_performed_is_503_and_tried_once_more(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.faults.fail(Op::End, Faults::ALWAYS);
    let reply = app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(
        (reply.status, reply.cookie()),
        (503, None),
        "it lives: the cookie stays"
    );
    app.sessions.settled().await;
    assert!(app.counts().end <= 2, "no endless repetition");
    app.faults.clear();
    assert_eq!(app.read(&client, "n").await, "1");
    app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(client.token, None);
}

async fn a_stale_copy_is_served_read_only_if_that_was_asked_for(home: &Home) {
    let app = App::with(home, |builder| {
        builder
            .coherence(Coherence::Verify)
            .stale_if_error(30 * SECOND)
    });
    let client = app.visitor().await;
    app.faults.fail_all();
    app.clock.advance(30 * SECOND);
    let reply = app
        .send(client.request(|s| async move {
            let read = show::<i64>(&s, "n")?;
            Ok(format!(
                "{} {read} {} {} {}",
                s.is_stale(),
                word(s.insert("n", 2)),
                word(s.renew()),
                word(s.destroy())
            ))
        }))
        .await;
    assert_eq!(reply.body, "true 1 read_only read_only read_only");
    assert_eq!((reply.status, reply.cookie()), (200, None));
    assert_eq!(
        app.send(client.request(|s| async move { s.insert("n", 2) }))
            .await
            .status,
        503
    );
    assert_eq!(
        app.send(forged(&client).get("/optional")).await.status,
        503,
        "unverified"
    );
    app.clock.advance(SECOND);
    assert_eq!(
        app.send(client.get("/optional")).await.status,
        503,
        "too old"
    );
}

async fn a_stale_copy_is_never_served_past_its_deadline(home: &Home) {
    let app = App::with(home, |builder| {
        builder
            .coherence(Coherence::Verify)
            .stale_if_error(7_200 * SECOND)
    });
    let client = app.visitor().await;
    app.faults.fail_all();
    app.clock.advance(1_900 * SECOND);
    assert_eq!(app.send(client.get("/optional")).await.body, "some");
    app.clock.advance(60 * SECOND);
    assert_eq!(app.send(client.get("/optional")).await.status, 503);
}

async fn a_session_that_was_ended_here_is_not_served_stale(home: &Home) {
    let app = App::with(home, |builder| {
        builder
            .coherence(Coherence::Verify)
            .stale_if_error(60 * SECOND)
    });
    let mut client = app.visitor().await;
    let old = client.clone();
    // Somebody holds the copy while it is ended.
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        point.pass().await;
        show::<i64>(&s, "n")
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.destroy() }).await;
    app.faults.fail_all();
    assert_eq!(app.send(old.get("/optional")).await.status, 503);
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_missing_layer_is_an_error_that_names_the_fix() {
    use cloakroom::{ErrorKind, Session};
    use tower::ServiceExt;
    let router: axum::Router = axum::Router::new()
        .route("/", axum::routing::get(|_: Session| async { "never" }))
        .route(
            "/optional",
            axum::routing::get(|_: Option<Session>| async { "never" }),
        );
    for path in ["/", "/optional"] {
        let response = router
            .clone()
            .oneshot(Client::default().get(path))
            .await
            .unwrap();
        assert_eq!(response.status(), 500, "{path}");
    }
    let (parts, ()) = http::Request::new(()).into_parts();
    let error = Session::load(&parts).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LayerMissing);
    assert!(
        error
            .to_string()
            .contains(".layer(SessionLayer::builder(store)")
    );
}

async fn an_error_keeps_its_cause_and_no_token(home: &Home) {
    let app = App::trusting(home).await;
    let mut client = app.member("ada").await;
    app.faults.fail(Op::Save, 1);
    app.faults.fail(Op::Peek, 1);
    let reply = app
        .call(&mut client, |s| async move {
            s.login(owner("ada"))?;
            let error = s.commit().await.unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Ok(format!("{error} | {cause:?} | {error:?} | {s:?}"))
        })
        .await;
    assert!(reply.body.contains("the session store is unavailable"));
    assert!(reply.body.contains("injected fault"));
    let text = client.token.unwrap();
    assert!(!reply.body.contains(&text[22..]));
}
