//! Absent, corrupt and unavailable are three different answers.

use std::time::Duration;

use cloakroom::{
    Coherence, ErrorKind, OnUnreadable, Record, Secret, Session, SessionId, SessionStore, Stamp,
    State, StoreErrorKind, Times, Token,
};
use cloakroom_conformance::{Corruption, Faults, Op};

use crate::harness::{App, Client, START, hold, increment, owner, show, word};

const SECOND: Duration = Duration::from_secs(1);

/// The client's id with another secret.
fn forged(client: &Client) -> Client {
    Client::holding(&Token::new(client.id(), Secret::generate()))
}

#[tokio::test]
async fn an_outage_does_not_touch_a_route_that_uses_no_session() {
    let app = App::new();
    let client = app.visitor().await;
    app.sessions.reset();
    app.faults.fail_all();
    let reply = app.send(client.get("/unused")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "unused"));
    assert_eq!((reply.cookie(), reply.header("vary").as_str()), (None, "-"));
}

#[tokio::test]
async fn during_an_outage_a_current_copy_is_read_and_a_write_is_503() {
    let app = App::new();
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

#[tokio::test]
async fn an_outage_is_never_an_anonymous_session() {
    let app = App::new();
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

#[tokio::test]
async fn an_optional_session_is_some_only_for_a_live_stored_one() {
    let app = App::new();
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

#[tokio::test]
async fn a_store_that_refuses_a_write_is_500_and_nothing_is_told() {
    for (op, new) in [(Op::Create, true), (Op::Save, false)] {
        for (kind, status) in [
            (StoreErrorKind::Unavailable, 503),
            (StoreErrorKind::Unsupported, 503),
            (StoreErrorKind::Rejected, 500),
            (StoreErrorKind::Corrupt, 500),
        ] {
            let app = App::new();
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

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_counts_as_unavailable() {
    let app = App::with(|builder| builder.store_timeout(SECOND));
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

#[tokio::test(start_paused = true)]
async fn a_commit_that_waits_too_long_for_its_turn_fails_and_does_not_go_on_unlocked() {
    let app = App::with(|builder| builder.store_timeout(SECOND));
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

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_looked_up_and_not_repeated() {
    let app = App::new();
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
    let counts = app.faults.counts();
    assert_eq!((counts.create, counts.save, counts.end), (1, 2, 1));
}

#[tokio::test]
async fn a_lost_reply_that_cannot_be_settled_is_503_and_the_copy_is_dropped() {
    let app = App::new();
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

#[tokio::test]
async fn a_destroy_that_cannot_be_performed_is_503_and_tried_once_more() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.fail(Op::End, Faults::ALWAYS);
    let reply = app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(
        (reply.status, reply.cookie()),
        (503, None),
        "it lives: the cookie stays"
    );
    app.sessions.settled().await;
    assert!(app.faults.counts().end <= 2, "no endless repetition");
    app.faults.clear();
    assert_eq!(app.read(&client, "n").await, "1");
    app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(client.token, None);
}

#[tokio::test]
async fn a_stale_copy_is_served_read_only_if_that_was_asked_for() {
    let app = App::with(|builder| {
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

#[tokio::test]
async fn a_stale_copy_is_never_served_past_its_deadline() {
    let app = App::with(|builder| {
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

#[tokio::test]
async fn a_session_that_was_ended_here_is_not_served_stale() {
    let app = App::with(|builder| {
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
async fn a_record_of_a_newer_format_is_503_and_left_untouched() {
    for how in [Corruption::ForeignHead, Corruption::ForeignBody] {
        let app = App::with(|builder| builder.on_unreadable(OnUnreadable::Remove));
        let client = app.visitor().await;
        let before = app.row(&client).await;
        app.sessions.reset();
        app.faults.corrupt(Op::Load, how, Faults::ALWAYS);
        let reply = app.send(client.get("/optional")).await;
        assert_eq!((reply.status, reply.body.as_str()), (503, "unsupported"));
        assert_eq!(reply.cookie(), None);
        assert_eq!(app.row(&client).await, before);
        app.faults.clear();
        assert_eq!(app.read(&client, "n").await, "1");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_follows_the_policy() {
    for how in [
        Corruption::TruncateHead,
        Corruption::EmptyHead,
        Corruption::TruncateBody,
        Corruption::EmptyBody,
    ] {
        for policy in [
            OnUnreadable::Replace,
            OnUnreadable::Fail,
            OnUnreadable::Remove,
        ] {
            let app = App::with(|builder| builder.on_unreadable(policy));
            let mut client = app.visitor().await;
            let old = client.clone();
            let before = app.row(&client).await;
            app.sessions.reset();
            app.faults.corrupt(Op::Load, how, 1);
            let reply = app
                .call(&mut client, |s| async move { s.insert("n", 2) })
                .await;
            if policy == OnUnreadable::Fail {
                assert_eq!((reply.status, reply.cookie()), (500, None));
                assert_eq!(app.row(&old).await, before);
                continue;
            }
            assert_eq!(reply.status, 200, "nobody is locked out");
            assert_ne!(client.id(), old.id());
            assert_eq!(app.read(&client, "n").await, "2");
            let after = app.row(&old).await;
            let kept = policy == OnUnreadable::Replace;
            assert_eq!(after, before.filter(|_| kept), "{how:?} {policy:?}");
            assert_eq!(app.sessions.stats().unreadable, 1);
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_learns_and_removes_nothing_of_an_unreadable_record() {
    for how in [Corruption::TruncateBody, Corruption::ForeignBody] {
        let app = App::with(|builder| builder.on_unreadable(OnUnreadable::Remove));
        let client = app.visitor().await;
        app.sessions.reset();
        app.faults.corrupt(Op::Load, how, 1);
        assert_eq!(app.presented(&forged(&client)).await, "unknown", "{how:?}");
        assert_eq!(app.read(&client, "n").await, "1");
    }
}

#[tokio::test]
async fn no_bytes_in_a_row_make_a_request_panic() {
    let app = App::new();
    let times = Times {
        used_at: START,
        deadline: Some(START + 3_600 * SECOND),
        expires_at: Some(START + 7_200 * SECOND),
    };
    let mut seed = 7_u64;
    let mut byte = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(seed >> 56).unwrap()
    };
    for round in 0..2_000 {
        let token = Token::new(SessionId::generate(START), Secret::generate());
        let mut head = vec![1];
        head.extend((0..round % 160).map(|_| byte()));
        if round % 2 == 0 {
            let digest = token.secret().digest();
            head.splice(1..head.len().min(33), digest.as_bytes().iter().copied());
        }
        let mut body = vec![1];
        body.extend((0..round % 40).map(|_| byte()));
        let state = if round % 7 == 0 {
            State::Ended
        } else {
            State::Live
        };
        let record = Record::from_stored(Stamp::first(), state, None, times, head, body);
        app.store.create(token.id(), &record).await.unwrap();
        let reply = app
            .send(Client::holding(&token).request(|s| async move {
                s.keys()?;
                s.insert("n", 1)
            }))
            .await;
        assert!([200, 500, 503].contains(&reply.status), "{}", reply.status);
    }
}

#[tokio::test]
async fn an_attribute_of_another_type_is_an_error_of_that_call_alone() {
    let app = App::new();
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("text", "words")?;
            let words = [
                word(s.get::<i64>("text")),
                word(s.take::<i64>("text")),
                word(s.update("text", |n: Option<i64>| n.unwrap_or(0))),
                word(s.get::<String>("text")),
                word(s.get::<i64>("n")),
            ];
            Ok(words.join(" "))
        })
        .await;
    assert_eq!(reply.body, "decode decode decode ok ok");
    let text = app
        .send(client.request(|s| async move { show::<String>(&s, "text") }))
        .await;
    assert_eq!(text.body, "words", "what does not decode is not lost");
}

#[tokio::test]
async fn a_value_without_a_json_form_is_refused_before_anything_is_written() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            let bytes = std::collections::HashMap::from([((1, 2), 3)]);
            let words = [
                word(s.insert("x", f64::NAN)),
                word(s.insert("x", vec![1.0, f64::INFINITY])),
                word(s.insert("x", Some(f32::NEG_INFINITY))),
                word(s.insert("x", &bytes)),
                word(s.update("x", |_: Option<f64>| f64::NAN)),
                word(s.insert("", 1)),
                word(s.insert(&"n".repeat(256), 1)),
                word(s.insert("none", None::<f64>)),
            ];
            assert!(!s.contains("x")?);
            s.remove("none")?;
            Ok(words.join(" "))
        })
        .await;
    assert_eq!(
        reply.body,
        "encode encode encode encode encode invalid_attribute invalid_attribute ok"
    );
    assert_eq!(app.faults.take_counts().writes(), 0);
}

#[tokio::test]
async fn an_oversize_session_is_refused_before_anything_is_written() {
    let app = App::with(|builder| builder.max_bytes(1_000));
    let mut client = app.visitor().await;
    app.faults.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            let big = "x".repeat(1_000);
            let first = word(s.insert("big", &big));
            let second = word(s.update("n", move |_: Option<i64>| 2));
            let third = word(s.update("big", move |_: Option<String>| big.clone()));
            Ok(format!("{first} {second} {third}"))
        })
        .await;
    assert_eq!(reply.body, "too_large ok too_large");
    assert_eq!(app.faults.take_counts().save, 1);
    assert_eq!(app.read(&client, "n").await, "2");
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("big", "x".repeat(1_000))
        })
        .await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn attributes_that_are_too_large_only_together_are_refused_at_the_commit() {
    let app = App::with(|builder| builder.max_bytes(200));
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("a", "x".repeat(120))?;
        point.pass().await;
        Ok("fine")
    });
    at.reached().await;
    app.call(
        &mut client,
        |s| async move { s.insert("b", "x".repeat(120)) },
    )
    .await;
    let before = app.row(&client).await;
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!(
        (slow.status, slow.body.as_str(), slow.cookie()),
        (500, "", None)
    );
    assert_eq!(app.row(&client).await, before);
}

#[tokio::test]
async fn a_missing_layer_is_an_error_that_names_the_fix() {
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

#[tokio::test]
async fn an_error_keeps_its_cause_and_no_token() {
    let app = App::new();
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
