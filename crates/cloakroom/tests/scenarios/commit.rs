//! What is stored, when, and what is told if it is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom::{SessionStore, State};
use cloakroom_conformance::{Counts, Op};
use http::StatusCode;

use crate::harness::{App, Client, hold, increment, owner, show, word};
use crate::home::Home;

scenarios! {
    a_commit_in_the_handler_is_not_written_again_at_the_end,
    what_an_update_returned_is_provisional_until_it_is_committed,
    an_early_commit_is_not_rolled_back_and_its_cookie_comes_with_any_head,
    a_failed_early_commit_keeps_its_changes_for_the_next_try,
    a_slow_request_cannot_revive_a_destroyed_session,
    a_session_that_vanished_from_the_store_is_not_written_again,
    a_session_that_ended_meanwhile_is_told_to_an_early_commit_and_to_a_renewal,
    a_commit_that_meets_conflict_after_conflict_is_an_error_and_never_an_overwrite:
        only_memory("the timers of the test stand still, a server does not"),
    reads_do_not_wait_for_a_commit_under_way,
    a_response_with_changes_is_stored_before_its_head_is_released,
    a_commit_that_has_begun_goes_on_when_the_client_goes_away,
    an_early_commit_that_the_handler_gives_up_goes_on_and_the_head_waits_for_it,
    a_panic_beside_a_commit_under_way_does_not_tear_it,
    a_fresh_snapshot_comes_only_when_it_is_asked_for,
    a_reload_of_an_ended_session_says_so,
    an_update_may_refuse_what_it_finds_at_the_commit,
}

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

async fn a_commit_in_the_handler_is_not_written_again_at_the_end(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    app.take_counts();
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        s.insert("n", 5)?;
        s.commit().await?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    assert_eq!(app.take_counts(), SAVE);
    app.call(&mut client, |s| async move { s.insert("n", 6) })
        .await;
    app.take_counts();
    at.release();
    assert_eq!(slow.await.unwrap().status, 200);
    assert_eq!(app.take_counts(), NOTHING);
    assert_eq!(
        app.read(&client, "n").await,
        "6",
        "the parallel change survives"
    );
}

async fn what_an_update_returned_is_provisional_until_it_is_committed(home: &Home) {
    let app = App::new(home);
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

async fn an_early_commit_is_not_rolled_back_and_its_cookie_comes_with_any_head(home: &Home) {
    let app = App::new(home);
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

async fn a_failed_early_commit_keeps_its_changes_for_the_next_try(home: &Home) {
    let app = App::trusting(home).await;
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

async fn a_slow_request_cannot_revive_a_destroyed_session(home: &Home) {
    let app = App::new(home);
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

async fn a_session_that_vanished_from_the_store_is_not_written_again(home: &Home) {
    let app = App::new(home);
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

async fn a_session_that_ended_meanwhile_is_told_to_an_early_commit_and_to_a_renewal(home: &Home) {
    for what in ["commit", "renew", "login", "insert"] {
        let app = App::new(home);
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

async fn a_commit_that_meets_conflict_after_conflict_is_an_error_and_never_an_overwrite(
    home: &Home,
) {
    for (status, expected) in [(None, 500), (Some(StatusCode::CONFLICT), 409)] {
        tokio::time::pause();
        let app = App::with(home, |builder| match status {
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
        assert!((2..=64).contains(&app.counts().save), "bounded");
        tokio::time::resume();
    }
}

async fn reads_do_not_wait_for_a_commit_under_way(home: &Home) {
    let app = App::new(home);
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

async fn a_response_with_changes_is_stored_before_its_head_is_released(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let gate = app.faults.hold_reply(Op::Save);
    let writer = app.start(&client, |s| async move { s.insert("n", 2) });
    gate.arrived(1).await;
    assert!(!writer.is_finished());
    gate.release();
    assert_eq!(writer.await.unwrap().status, 200);
}

async fn a_commit_that_has_begun_goes_on_when_the_client_goes_away(home: &Home) {
    for new in [false, true] {
        let app = App::new(home);
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

async fn an_early_commit_that_the_handler_gives_up_goes_on_and_the_head_waits_for_it(home: &Home) {
    for (outcome, status) in [("stored", 200), ("failed", 503)] {
        let app = App::trusting(home).await;
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

async fn a_panic_beside_a_commit_under_way_does_not_tear_it(home: &Home) {
    let app = App::new(home);
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

async fn a_fresh_snapshot_comes_only_when_it_is_asked_for(home: &Home) {
    let app = App::new(home);
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

async fn a_reload_of_an_ended_session_says_so(home: &Home) {
    let app = App::new(home);
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

async fn an_update_may_refuse_what_it_finds_at_the_commit(home: &Home) {
    let app = App::new(home);
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
