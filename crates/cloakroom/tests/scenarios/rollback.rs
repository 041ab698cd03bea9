//! What fails leaves nothing; what was destroyed stays so.

use std::sync::Arc;

use cloakroom::{Session, State};
use cloakroom_conformance::Op;
use http::StatusCode;

use crate::harness::{App, hold, owner, word};
use crate::home::Home;

scenarios! {
    changes_of_a_4xx_are_stored_and_those_of_a_5xx_only_if_wanted,
    a_renewal_before_a_5xx_leaves_the_session_under_the_token_that_the_browser_holds,
    a_renewal_that_cannot_be_stored_loses_no_session,
    a_login_as_somebody_else_before_a_5xx_changes_nothing,
    after_a_rollback_every_clone_says_so,
    a_service_that_answers_with_an_error_rolls_back_at_once,
    a_client_that_goes_away_leaves_nothing_behind_and_can_log_out_later,
    a_handler_that_panics_stores_nothing,
    a_destroy_is_performed_whatever_comes_after,
    after_a_destroy_nothing_can_be_read_or_written,
}

async fn changes_of_a_4xx_are_stored_and_those_of_a_5xx_only_if_wanted(home: &Home) {
    for (status, wanted, stored) in [
        (404, false, "2"),
        (302, false, "2"),
        (500, false, "1"),
        (503, false, "1"),
        (500, true, "2"),
    ] {
        let app = App::with(home, |builder| builder.commit_on_server_error(wanted));
        let mut client = app.visitor().await;
        let reply = app
            .call(&mut client, move |s| async move {
                s.insert("n", 2)?;
                Ok(StatusCode::from_u16(status).unwrap())
            })
            .await;
        assert_eq!((reply.status, reply.cookie()), (status, None));
        assert_eq!(app.read(&client, "n").await, stored, "{status} {wanted}");
    }
}

async fn a_renewal_before_a_5xx_leaves_the_session_under_the_token_that_the_browser_holds(
    home: &Home,
) {
    let app = App::new(home);
    for login in [false, true] {
        let mut client = app.visitor().await;
        let reply = app
            .call(&mut client, move |s| async move {
                if login {
                    s.login(owner("ada"))?;
                } else {
                    s.renew()?;
                }
                Ok(StatusCode::BAD_GATEWAY)
            })
            .await;
        assert_eq!((reply.status, reply.cookie()), (502, None));
        assert_eq!(app.read(&client, "n").await, "1");
        assert_eq!(app.row(&client).await.unwrap().owner, None);
    }
}

async fn a_renewal_that_cannot_be_stored_loses_no_session(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.faults.fail(Op::Save, 1);
    let reply = app.call(&mut client, |s| async move { s.renew() }).await;
    assert_eq!((reply.status, reply.cookie()), (503, None));
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_login_as_somebody_else_before_a_5xx_changes_nothing(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    let before = app.row(&client).await;
    let reply = app
        .call(&mut client, |s| async move {
            s.login(owner("bob"))?;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    assert_eq!((reply.status, reply.cookie()), (500, None));
    assert_eq!(app.row(&client).await, before);
    assert_eq!(app.presented(&client).await, "active");
}

async fn after_a_rollback_every_clone_says_so(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let kept: Arc<std::sync::Mutex<Option<Session>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let reply = app
        .send(client.request(move |s| async move {
            s.insert("n", 2)?;
            *keep.lock().unwrap() = Some(s.clone());
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        }))
        .await;
    assert_eq!(reply.status, 500);
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(word(session.insert("n", 3)), "rolled_back");
    assert_eq!(word(session.get::<i64>("n")), "rolled_back");
    assert_eq!(word(session.renew()), "rolled_back");
    assert_eq!(word(session.commit().await), "rolled_back");
    drop(session);
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_service_that_answers_with_an_error_rolls_back_at_once(home: &Home) {
    use tower::{Layer, Service};
    let app = App::new(home);
    let client = app.visitor().await;
    let kept: Arc<std::sync::Mutex<Option<Session>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let mut service = app.layer.layer(tower::service_fn(
        move |request: http::Request<axum::body::Body>| {
            let keep = Arc::clone(&keep);
            async move {
                let (parts, _) = request.into_parts();
                let session = Session::load(&parts).await.unwrap();
                session.insert("n", 2).unwrap();
                *keep.lock().unwrap() = Some(session);
                Err::<http::Response<String>, &str>("the connection behind is gone")
            }
        },
    ));
    let mut answer = Box::pin(service.call(client.get("/")));
    let result = std::future::poll_fn(|cx| answer.as_mut().poll(cx)).await;
    assert!(result.is_err());
    // The future is not dropped yet.
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(word(session.insert("n", 3)), "rolled_back");
    drop((answer, session));
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_client_that_goes_away_leaves_nothing_behind_and_can_log_out_later(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let kept: Arc<std::sync::Mutex<Option<Session>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let (point, mut at) = hold();
    let gone = app.start(&client, move |s| async move {
        s.insert("n", 2)?;
        *keep.lock().unwrap() = Some(s.clone());
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(word(session.insert("n", 3)), "rolled_back");
    drop(session);
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "1");
    let old = client.clone();
    app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(app.presented(&old).await, "ended");
}

async fn a_handler_that_panics_stores_nothing(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let kept: Arc<std::sync::Mutex<Option<Session>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let crashed = app.start(&client, move |s| async move {
        s.insert("n", 2)?;
        *keep.lock().unwrap() = Some(s.clone());
        assert!(!s.contains("n")?, "on purpose");
        Ok(())
    });
    assert!(crashed.await.unwrap_err().is_panic());
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(word(session.insert("n", 3)), "rolled_back");
    drop(session);
    app.sessions.settled().await;
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_destroy_is_performed_whatever_comes_after(home: &Home) {
    for what in ["5xx", "disconnect", "panic", "held"] {
        let app = App::new(home);
        let mut client = app.visitor().await;
        let old = client.clone();
        let kept: Arc<std::sync::Mutex<Option<Session>>> = Arc::default();
        let keep = Arc::clone(&kept);
        let (point, mut at) = hold();
        let task = app.start(&client, move |s| async move {
            s.insert("n", 2)?;
            s.destroy()?;
            if what == "held" {
                *keep.lock().unwrap() = Some(s.clone());
            }
            point.pass().await;
            assert_ne!(what, "panic", "on purpose");
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        });
        at.reached().await;
        if what == "disconnect" || what == "held" {
            task.abort();
        } else {
            at.release();
        }
        if let Ok(reply) = task.await {
            client.keep(&reply);
            assert_eq!(client.token, None, "the removal comes with any head");
        }
        app.sessions.settled().await;
        assert_eq!(app.row(&old).await.unwrap().state, State::Ended, "{what}");
        assert_eq!(app.presented(&old).await, "ended", "{what}");
    }
}

async fn after_a_destroy_nothing_can_be_read_or_written(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            s.destroy()?;
            s.destroy()?;
            let words = [
                word(s.get::<i64>("n")),
                word(s.insert("n", 2)),
                word(s.remove("n")),
                word(s.renew()),
                word(s.login(owner("ada"))),
                word(s.commit().await),
                word(s.insert("n", 2)),
            ];
            Ok(words.join(" "))
        })
        .await;
    assert_eq!(reply.body, "ended ended ended ended ended ok ended");
    assert_eq!(client.token, None);
}
