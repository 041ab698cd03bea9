//! A request is a transaction: what overlaps survives, what fails leaves nothing, what has ended
//! stays ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::{MemoryStore, Presented, Session, SessionStore, State};
use cloakroom_conformance::{Counts, ManualClock, Op};
use http::StatusCode;

use crate::harness::{App, Client, START, hold, increment, owner, show, word};

const SAVE: Counts = Counts { save: 1, ..NOTHING };
const NOTHING: Counts = Counts {
    create: 0,
    load: 0,
    peek: 0,
    save: 0,
    touch: 0,
    end: 0,
    expire: 0,
    purge: 0,
    owned_by: 0,
};

#[tokio::test]
async fn a_request_sees_its_snapshot_and_its_own_changes_and_nothing_else() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("own", 5)?;
        point.pass().await;
        let seen = [
            show::<i64>(&s, "n")?,
            show::<i64>(&s, "own")?,
            show::<i64>(&s, "late")?,
        ];
        Ok(seen.join(" "))
    });
    at.reached().await;
    app.call(&mut client, |s| async move {
        s.insert("n", 2)?;
        s.insert("late", 3)
    })
    .await;
    at.release();
    assert_eq!(slow.await.unwrap().body, "1 5 -");
    let mut all = Vec::new();
    for name in ["n", "late", "own"] {
        all.push(app.read(&client, name).await);
    }
    assert_eq!(all, ["2", "3", "5"]);
}

#[tokio::test]
async fn two_overlapping_requests_that_write_different_attributes_both_survive() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("image1", 1)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.insert("image2", 2) })
        .await;
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.read(&client, "image1").await, "1");
    assert_eq!(app.read(&client, "image2").await, "2");
}

#[tokio::test]
async fn twenty_six_overlapping_requests_keep_twenty_six_attributes() {
    let app = App::new();
    let client = app.visitor().await;
    let mut held = Vec::new();
    let mut tasks = Vec::new();
    for letter in b'a'..=b'z' {
        let (point, mut at) = hold();
        tasks.push(app.start(&client, move |s| async move {
            s.insert(&char::from(letter).to_string(), i64::from(letter))?;
            point.pass().await;
            Ok(())
        }));
        at.reached().await;
        held.push(at);
    }
    held.into_iter().for_each(crate::harness::Held::release);
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let keys = app
        .send(client.request(|s| async move { Ok(s.keys()?.concat()) }))
        .await;
    assert_eq!(keys.body, "abcdefghijklmnopqrstuvwxyz");
    assert_eq!(
        app.sessions.stats().conflicts,
        0,
        "commits of one node queue up"
    );
}

#[tokio::test]
async fn no_increment_through_an_update_is_lost() {
    // On two nodes, so that conflicts are met and not only the queue of one node.
    let a = App::new();
    let b = App::node(a.store.clone(), a.clock.clone(), |builder| builder);
    let client = a.visitor().await;
    let mut held = Vec::new();
    let mut tasks = Vec::new();
    for round in 0..26 {
        let (point, mut at) = hold();
        let node = if round % 2 == 0 { &a } else { &b };
        tasks.push(node.start(&client, |s| async move {
            increment(&s, "n")?;
            increment(&s, "n")?;
            point.pass().await;
            Ok(())
        }));
        at.reached().await;
        held.push(at);
    }
    held.into_iter().for_each(crate::harness::Held::release);
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    assert_eq!(a.read(&client, "n").await, "53");
    let conflicts = a.sessions.stats().conflicts + b.sessions.stats().conflicts;
    assert!(conflicts > 0, "or nothing was shown");
}

#[tokio::test]
async fn the_last_set_of_one_attribute_wins_and_an_update_after_a_set_is_a_set() {
    let app = App::new();
    for (case, expected) in [
        ("set", "5"),
        ("set, update", "6"),
        ("remove", "-"),
        ("update", "101"),
        ("remove, update", "1"),
        ("clear, update", "1"),
    ] {
        let mut client = app.visitor().await;
        let (point, mut at) = hold();
        let slow = app.start(&client, move |s| async move {
            match case {
                "set" => s.insert("n", 5)?,
                "remove" => s.remove("n").map(|_| ())?,
                "set, update" => {
                    s.insert("n", 5)?;
                    increment(&s, "n")?;
                }
                "remove, update" => {
                    s.remove("n")?;
                    increment(&s, "n")?;
                }
                "clear, update" => {
                    s.clear()?;
                    increment(&s, "n")?;
                }
                _ => increment(&s, "n").map(|_| ())?,
            }
            point.pass().await;
            Ok(())
        });
        at.reached().await;
        app.call(&mut client, |s| async move { s.insert("n", 100) })
            .await;
        at.release();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(app.read(&client, "n").await, expected, "{case}");
    }
}

#[tokio::test]
async fn an_update_of_one_attribute_of_an_existing_session_is_stored() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.call(
        &mut client,
        |s| async move { increment(&s, "n").map(|_| ()) },
    )
    .await;
    app.sessions.reset();
    assert_eq!(app.read(&client, "n").await, "2");
}

#[tokio::test]
async fn the_closure_of_an_update_may_use_the_session() {
    let app = App::new();
    let mut client = app.visitor().await;
    let reply = app
        .call(&mut client, |s| async move {
            let inside = s.clone();
            s.update("sum", move |_: Option<i64>| {
                inside.insert("seen", true).ok();
                inside.get::<i64>("n").ok().flatten().unwrap_or(0) + 1
            })?;
            Ok(())
        })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.read(&client, "sum").await, "2");
}

#[tokio::test]
async fn setting_an_equal_value_and_removing_an_absent_attribute_write_nothing() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.take_counts();
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("n", 1)?;
            s.remove("absent")?;
            s.set_idle_timeout(None)
        })
        .await;
    assert_eq!((reply.status, reply.cookie()), (200, None));
    assert_eq!(app.faults.take_counts(), NOTHING);
}

#[tokio::test]
async fn a_soft_change_beside_a_real_one_is_replayed_like_any_other() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 1)?;
        s.remove("admin")?;
        s.insert("other", 1)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move {
        s.insert("n", 2)?;
        s.insert("admin", 1)
    })
    .await;
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.read(&client, "n").await, "1");
    assert_eq!(app.read(&client, "admin").await, "-");
}

#[tokio::test]
async fn a_stale_copy_does_not_swallow_a_removal() {
    for feed in [true, false] {
        let store = MemoryStore::new();
        let clock = ManualClock::new(START);
        let node = || {
            if feed {
                App::node(store.clone(), clock.clone(), |builder| builder)
            } else {
                App::remote(store.clone(), clock.clone())
            }
        };
        let (a, b) = (node(), node());
        let mut client = a.visitor().await;
        let (point, mut at) = hold();
        let slow = a.start(&client, |s| async move {
            s.remove("admin")?;
            point.pass().await;
            Ok(())
        });
        at.reached().await;
        b.call(&mut client, |s| async move { s.insert("admin", 1) })
            .await;
        tokio::task::yield_now().await;
        at.release();
        assert_eq!(slow.await.unwrap().status, 200);
        assert_eq!(b.read(&client, "admin").await, "-", "{feed}");
    }
}

#[tokio::test]
async fn nodes_whose_clocks_differ_by_seconds_agree_on_who_wrote_last() {
    for feed in [true, false] {
        let store = MemoryStore::new();
        let nodes: Vec<App> = [0, 5, 10]
            .into_iter()
            .map(|skew| {
                let clock = ManualClock::new(START + std::time::Duration::from_secs(skew));
                if feed {
                    App::node(store.clone(), clock, |builder| builder)
                } else {
                    App::remote(store.clone(), clock)
                }
            })
            .collect();
        let mut client = nodes[1].visitor().await;
        for round in 0..12_usize {
            let writer = &nodes[round % 3];
            let value = i64::try_from(round).unwrap();
            writer
                .call(&mut client, move |s| async move { s.insert("n", value) })
                .await;
            for reader in &nodes {
                tokio::task::yield_now().await;
                assert_eq!(reader.read(&client, "n").await, value.to_string());
            }
        }
        let old = client.clone();
        nodes[2]
            .call(&mut client, |s| async move { s.destroy() })
            .await;
        tokio::task::yield_now().await;
        for node in &nodes {
            assert_eq!(node.presented(&old).await, "ended");
        }
    }
}

#[tokio::test]
async fn a_commit_in_the_handler_is_not_written_again_at_the_end() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.take_counts();
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 5)?;
        s.commit().await?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    assert_eq!(app.faults.take_counts(), SAVE);
    app.call(&mut client, |s| async move { s.insert("n", 6) })
        .await;
    app.faults.take_counts();
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.faults.take_counts(), NOTHING);
    assert_eq!(
        app.read(&client, "n").await,
        "6",
        "the parallel change survives"
    );
}

#[tokio::test]
async fn what_an_update_returned_is_provisional_until_it_is_committed() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        let provisional = increment(&s, "n")?;
        point.pass().await;
        s.commit().await?;
        Ok(format!("{provisional} {}", show::<i64>(&s, "n")?))
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.insert("n", 40) })
        .await;
    at.release();
    assert_eq!(slow.await.unwrap().body, "2 41");
}

#[tokio::test]
async fn an_early_commit_is_not_rolled_back_and_its_cookie_comes_with_any_head() {
    let app = App::new();
    let mut client = Client::default();
    let reply = app
        .call(&mut client, |s| async move {
            s.insert("kept", 1)?;
            s.commit().await?;
            s.insert("lost", 1)?;
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        })
        .await;
    assert_eq!(reply.status, 500);
    assert!(reply.cookie().is_some());
    assert_eq!(app.read(&client, "kept").await, "1");
    assert_eq!(app.read(&client, "lost").await, "-");

    let faults = app.faults.clone();
    let reply = app
        .call(&mut client, |s| async move {
            s.renew()?;
            s.commit().await?;
            faults.fail(Op::Save, 1);
            faults.fail(Op::Peek, 1);
            s.insert("n", 1)
        })
        .await;
    assert_eq!(reply.status, 503, "a replaced response");
    assert!(reply.cookie().is_some());
    assert_eq!(app.read(&client, "kept").await, "1");
}

#[tokio::test]
async fn a_failed_early_commit_keeps_its_changes_for_the_next_try() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.fail(Op::Save, 1);
    app.faults.fail(Op::Peek, 1);
    let reply = app
        .call(&mut client, |s| async move {
            increment(&s, "n")?;
            let first = word(s.commit().await);
            increment(&s, "n")?;
            Ok(first)
        })
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "unavailable"));
    assert_eq!(app.read(&client, "n").await, "3");
}

#[tokio::test]
async fn a_slow_request_cannot_revive_a_destroyed_session() {
    let app = App::new();
    let mut client = app.visitor().await;
    let old = client.clone();
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 9)?;
        point.pass().await;
        Ok("done")
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(client.token, None);
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!(
        (slow.status, slow.body.as_str(), slow.cookie()),
        (200, "done", None)
    );
    assert_eq!(app.presented(&old).await, "ended");
    assert_eq!(app.row(&old).await.unwrap().state, State::Ended);
    assert_eq!(app.sessions.stats().gone, 1);
}

#[tokio::test]
async fn a_session_that_vanished_from_the_store_is_not_written_again() {
    let app = App::new();
    let client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 9)?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.store.end(client.id(), None).await.unwrap();
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!((slow.status, slow.cookie()), (200, None));
    assert!(app.store.is_empty());
    // And the client is no worse off: its next write begins a new session.
    let mut client = client;
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_told_to_an_early_commit_and_to_a_renewal() {
    for what in ["commit", "renew", "login", "insert"] {
        let app = App::new();
        let mut client = app.visitor().await;
        let (point, mut at) = hold();
        let slow = app.start(&client, move |s| async move {
            point.pass().await;
            match what {
                "commit" => {
                    s.insert("n", 2)?;
                    return Ok(word(s.commit().await));
                }
                "renew" => s.renew()?,
                "login" => s.login(owner("ada"))?,
                _ => s.insert("n", 2)?,
            }
            Ok("said nothing")
        });
        at.reached().await;
        app.call(&mut client, |s| async move { s.destroy() }).await;
        at.release();
        let slow = slow.await.unwrap();
        let told = (slow.status, slow.body.as_str());
        match what {
            "commit" => assert_eq!(told, (200, "ended")),
            "insert" => assert_eq!(told, (200, "said nothing")),
            _ => assert_eq!(told, (409, ""), "{what}"),
        }
        assert_eq!(slow.cookie(), None, "{what}");
    }
}

#[tokio::test]
async fn a_commit_that_meets_conflict_after_conflict_is_an_error_and_never_an_overwrite() {
    for (status, expected) in [(None, 500), (Some(StatusCode::CONFLICT), 409)] {
        tokio::time::pause();
        let app = App::with(|builder| match status {
            Some(status) => builder.conflict_status(status),
            None => builder,
        });
        let mut client = app.visitor().await;
        let before = app.row(&client).await;
        // Every conflict brings a stamp that is not the stored one.
        let wrong = before.as_ref().unwrap().stamp.next();
        app.sessions.reset();
        app.faults.lie(Op::Load, wrong, usize::MAX);
        app.faults.lie(Op::Save, wrong, usize::MAX);
        let reply = app
            .call(&mut client, |s| async move { s.insert("n", 2) })
            .await;
        assert_eq!(
            (reply.status, reply.body.as_str(), reply.cookie()),
            (expected, "", None)
        );
        assert_eq!(app.row(&client).await, before);
        assert!((2..=64).contains(&app.faults.counts().save), "bounded");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn reads_do_not_wait_for_a_commit_under_way() {
    let app = App::new();
    let client = app.visitor().await;
    let gate = app.faults.hold(Op::Save);
    let writer = app.start(&client, |s| async move { s.insert("n", 2) });
    gate.arrived(1).await;
    assert_eq!(app.read(&client, "n").await, "1");
    let next = app.start(&client, |s| async move { increment(&s, "n").map(|_| ()) });
    tokio::task::yield_now().await;
    assert_eq!(
        gate.count(),
        1,
        "the next commit queues up behind the first"
    );
    gate.release();
    assert_eq!(writer.await.unwrap().status, 200);
    assert_eq!(next.await.unwrap().status, 200);
    assert_eq!(app.read(&client, "n").await, "3");
}

#[tokio::test]
async fn a_response_with_changes_is_stored_before_its_head_is_released() {
    let app = App::new();
    let client = app.visitor().await;
    let gate = app.faults.hold_reply(Op::Save);
    let writer = app.start(&client, |s| async move { s.insert("n", 2) });
    gate.arrived(1).await;
    assert!(!writer.is_finished());
    gate.release();
    assert_eq!(writer.await.unwrap().status, 200);
}

#[tokio::test]
async fn changes_of_a_4xx_are_stored_and_those_of_a_5xx_only_if_wanted() {
    for (status, wanted, stored) in [
        (404, false, "2"),
        (302, false, "2"),
        (500, false, "1"),
        (503, false, "1"),
        (500, true, "2"),
    ] {
        let app = App::with(|builder| builder.commit_on_server_error(wanted));
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

#[tokio::test]
async fn a_renewal_before_a_5xx_leaves_the_session_under_the_token_that_the_browser_holds() {
    let app = App::new();
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

#[tokio::test]
async fn a_renewal_that_cannot_be_stored_loses_no_session() {
    let app = App::new();
    let mut client = app.visitor().await;
    app.faults.fail(Op::Save, 1);
    let reply = app.call(&mut client, |s| async move { s.renew() }).await;
    assert_eq!((reply.status, reply.cookie()), (503, None));
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn a_login_as_somebody_else_before_a_5xx_changes_nothing() {
    let app = App::new();
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

#[tokio::test]
async fn after_a_rollback_every_clone_says_so() {
    let app = App::new();
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

#[tokio::test]
async fn a_service_that_answers_with_an_error_rolls_back_at_once() {
    use tower::{Layer, Service};
    let app = App::new();
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

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind_and_can_log_out_later() {
    let app = App::new();
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

#[tokio::test]
async fn a_handler_that_panics_stores_nothing() {
    let app = App::new();
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

#[tokio::test]
async fn a_destroy_is_performed_whatever_comes_after() {
    for what in ["5xx", "disconnect", "panic", "held"] {
        let app = App::new();
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

#[tokio::test]
async fn after_a_destroy_nothing_can_be_read_or_written() {
    let app = App::new();
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

#[tokio::test]
async fn a_commit_that_has_begun_goes_on_when_the_client_goes_away() {
    for new in [false, true] {
        let app = App::new();
        let client = if new {
            Client::default()
        } else {
            app.visitor().await
        };
        let gate = app.faults.hold(if new { Op::Create } else { Op::Save });
        let task = app.start(&client, |s| async move { s.insert("n", 2) });
        gate.arrived(1).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        gate.release();
        app.sessions.settled().await;
        assert_eq!(app.store.len(), 1);
        if !new {
            assert_eq!(app.read(&client, "n").await, "2");
        }
        assert_eq!(app.sessions.stats().late_commits, 1);
    }
}

#[tokio::test]
async fn an_early_commit_that_the_handler_gives_up_goes_on_and_the_head_waits_for_it() {
    for (outcome, status) in [("stored", 200), ("failed", 503)] {
        let app = App::new();
        let client = app.visitor().await;
        let gate = app.faults.hold(Op::Save);
        if outcome == "failed" {
            app.faults.fail(Op::Save, 2);
            app.faults.fail(Op::Peek, 2);
        }
        let (point, at) = hold();
        let task = app.start(&client, |s| async move {
            s.insert("n", 2)?;
            Ok(tokio::select! {
                _ = s.commit() => "committed",
                () = point.pass() => "given up",
            })
        });
        gate.arrived(1).await;
        at.release();
        tokio::task::yield_now().await;
        assert!(!task.is_finished(), "nobody is told that it was stored");
        gate.release();
        assert_eq!(task.await.unwrap().status, status);
        let expected = if outcome == "stored" { "2" } else { "1" };
        assert_eq!(app.read(&client, "n").await, expected);
    }
}

#[tokio::test]
async fn a_panic_beside_a_commit_under_way_does_not_tear_it() {
    let app = App::new();
    let client = app.visitor().await;
    let gate = app.faults.hold(Op::Save);
    let task = app.start(&client, |s| async move {
        s.insert("n", 2)?;
        let other = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        let (done, ()) = tokio::join!(s.commit(), other);
        done
    });
    gate.arrived(1).await;
    assert!(task.await.unwrap_err().is_panic());
    gate.release();
    app.sessions.settled().await;
    assert_eq!(app.row(&client).await.unwrap().stamp.version, 2);
    assert_eq!(app.read(&client, "n").await, "2");
}

#[tokio::test]
async fn a_fresh_snapshot_comes_only_when_it_is_asked_for() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("own", 1)?;
        point.pass().await;
        let before = show::<i64>(&s, "n")?;
        s.reload().await?;
        Ok(format!(
            "{before} {} {}",
            show::<i64>(&s, "n")?,
            show::<i64>(&s, "own")?
        ))
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.insert("n", 2) })
        .await;
    at.release();
    assert_eq!(slow.await.unwrap().body, "1 2 1");
    assert_eq!(app.read(&client, "own").await, "1");
}

#[tokio::test]
async fn a_reload_of_an_ended_session_says_so() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        point.pass().await;
        Ok(format!(
            "{} {}",
            word(s.reload().await),
            word(s.get::<i64>("n"))
        ))
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.destroy() }).await;
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!((slow.body.as_str(), slow.cookie()), ("ended ended", None));
}

#[tokio::test]
async fn an_update_may_refuse_what_it_finds_at_the_commit() {
    let app = App::new();
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let done = s.try_update("n", move |n: Option<i64>| {
            counted.fetch_add(1, Ordering::Relaxed);
            if n == Some(1) { Ok(2) } else { Err("taken") }
        })?;
        assert_eq!(done, Ok(2));
        s.insert("other", 1)?;
        point.pass().await;
        Ok(word(s.commit().await))
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.insert("n", 7) })
        .await;
    at.release();
    assert_eq!(slow.await.unwrap().body, "update_refused");
    assert_eq!(app.read(&client, "n").await, "7");
    assert_eq!(app.read(&client, "other").await, "1");
}

#[tokio::test]
async fn a_slow_reader_does_not_overwrite_the_cookie_of_a_fast_writer() {
    for header in [None, Some("x-session")] {
        let app = App::with(|builder| match header {
            None => builder,
            Some(name) => builder
                .header(cloakroom::SessionHeader::new(name).send(cloakroom::HeaderSend::Always)),
        });
        let mut client = Client {
            header,
            ..Client::default()
        };
        app.call(&mut client, |s| async move { s.insert("n", 1) })
            .await;
        let (point, mut at) = hold();
        let slow = app.start(&client, |s| async move {
            point.pass().await;
            show::<i64>(&s, "n")
        });
        at.reached().await;
        app.call(&mut client, |s| async move { s.renew() }).await;
        at.release();
        client.keep(&slow.await.unwrap());
        assert_eq!(app.presented(&client).await, "active", "{header:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_always_sent_comes_with_reads_and_with_writes() {
    let app = App::with(|builder| {
        builder
            .header(cloakroom::SessionHeader::new("x-session").send(cloakroom::HeaderSend::Always))
    });
    let mut client = Client {
        header: Some("x-session"),
        ..Client::default()
    };
    for round in 0..3 {
        let reply = app
            .call(
                &mut client,
                move |s| async move { s.insert("n", round / 2) },
            )
            .await;
        assert_eq!(
            reply.header("x-session"),
            client.token.clone().unwrap(),
            "{round}"
        );
    }
    let reply = app
        .send(client.request(|s| async move { show::<i64>(&s, "n") }))
        .await;
    assert_eq!(reply.header("x-session"), client.token.clone().unwrap());
    app.call(&mut client, |s| async move { s.destroy() }).await;
    assert_eq!(client.token, None);
}

#[tokio::test]
async fn a_plain_tower_service_has_sessions_too() {
    use tower::{Layer, ServiceExt};
    let app = App::new();
    let client = app.visitor().await;
    let service = app.layer.layer(tower::service_fn(
        |request: http::Request<axum::body::Body>| async move {
            let (parts, _) = request.into_parts();
            let session = Session::load(&parts).await.unwrap();
            assert_eq!(session.presented(), Presented::Active);
            let n = increment(&session, "n").unwrap();
            Ok::<_, std::convert::Infallible>(http::Response::new(n.to_string()))
        },
    ));
    let response = service.oneshot(client.get("/")).await.unwrap();
    assert_eq!(response.body(), "2");
    assert_eq!(app.read(&client, "n").await, "2");
}
