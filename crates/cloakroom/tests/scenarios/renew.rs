//! A new secret for the same session: the old one is told apart for a while, then unknown.

use std::time::Duration;

use cloakroom::Coherence;
use cloakroom_conformance::Counts;

use crate::harness::{App, hold, increment, owner, show};
use crate::home::Home;

scenarios! {
    renewing_keeps_id_and_data_and_changes_the_secret,
    a_replaced_secret_is_superseded_for_a_minute_and_unknown_after_it,
    the_window_of_superseded_secrets_is_a_setting,
    the_last_four_secrets_are_remembered,
    a_write_of_a_request_under_way_lands_in_the_renewed_session,
    of_two_renewals_that_meet_one_makes_the_token,
    a_renewal_that_commits_after_another_stays_dropped_also_the_second_time,
    a_token_published_early_is_not_sent_over_a_later_login,
    another_node_lets_the_renewed_secret_in_and_the_old_one_out,
}

async fn renewing_keeps_id_and_data_and_changes_the_secret(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let old = client.clone();
    app.take_counts();
    let reply = app.call(&mut client, |s| async move { s.renew() }).await;
    assert!(reply.cookie().is_some());
    assert_eq!(
        app.take_counts(),
        Counts {
            save: 1,
            ..Counts::default()
        }
    );
    assert_eq!(client.id(), old.id());
    assert_ne!(client.token, old.token);
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn a_replaced_secret_is_superseded_for_a_minute_and_unknown_after_it(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let old = client.clone();
    app.call(&mut client, |s| async move { s.renew() }).await;

    app.clock.advance(Duration::from_millis(59_999));
    let reply = app
        .send(old.request(|s| async move {
            let seen = (
                s.presented().as_str(),
                s.id().is_some(),
                show::<i64>(&s, "n")?,
            );
            Ok(format!("{seen:?}"))
        }))
        .await;
    assert_eq!(reply.body, r#"("superseded", false, "-")"#);
    assert_eq!(reply.cookie(), None);
    for write in 0..6 {
        let reply = app
            .send(old.request(move |s| async move {
                match write {
                    0 => s.insert("n", 2),
                    1 => increment(&s, "n").map(|_| ()),
                    2 => s.login(owner("ada")),
                    3 => s.remove("n").map(|_| ()),
                    4 => s.destroy(),
                    _ => s.renew(),
                }
            }))
            .await;
        assert_eq!((reply.status, reply.body.as_str()), (409, "superseded"));
        assert_eq!(reply.cookie(), None, "neither set nor removed");
    }
    assert_eq!(app.store.len(), 1, "and it can create none");

    app.clock.advance(Duration::from_millis(1));
    assert_eq!(app.presented(&old).await, "unknown");
    assert_eq!(app.read(&client, "n").await, "1");
}

async fn the_window_of_superseded_secrets_is_a_setting(home: &Home) {
    let app = App::with(home, |builder| builder.superseded_window(Duration::ZERO));
    let mut client = app.visitor().await;
    let old = client.clone();
    app.call(&mut client, |s| async move { s.renew() }).await;
    assert_eq!(app.presented(&old).await, "unknown");
}

async fn the_last_four_secrets_are_remembered(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(client.clone());
        app.call(&mut client, |s| async move { s.renew() }).await;
    }
    let mut found = Vec::new();
    for old in &old {
        found.push(app.presented(old).await);
    }
    assert_eq!(
        found,
        [
            "unknown",
            "superseded",
            "superseded",
            "superseded",
            "superseded"
        ]
    );
}

async fn a_write_of_a_request_under_way_lands_in_the_renewed_session(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let (point, mut slow_at) = hold();
    let slow = app.start(&client, |s| async move {
        increment(&s, "n")?;
        point.pass().await;
        Ok(())
    });
    slow_at.reached().await;
    app.call(&mut client, |s| async move { s.renew() }).await;
    slow_at.release();
    let slow = slow.await.unwrap();
    assert_eq!(
        (slow.status, slow.cookie()),
        (200, None),
        "it does not send the old token"
    );
    assert_eq!(app.read(&client, "n").await, "2");
}

async fn of_two_renewals_that_meet_one_makes_the_token(home: &Home) {
    for first_answers_last in [false, true] {
        let app = App::new(home);
        let mut client = app.visitor().await;
        let mut held = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let (point, mut at) = hold();
            tasks.push(app.start(&client, |s| async move {
                s.renew()?;
                point.pass().await;
                Ok(())
            }));
            at.reached().await;
            held.push(at);
        }
        let mut replies = Vec::new();
        for (at, task) in held.into_iter().zip(tasks) {
            at.release();
            replies.push(task.await.unwrap());
        }
        assert!(replies[0].cookie().is_some());
        assert_eq!((replies[1].status, replies[1].cookie()), (200, None));
        if first_answers_last {
            replies.reverse();
        }
        for reply in &replies {
            client.keep(reply);
        }
        assert_eq!(app.presented(&client).await, "active");
    }
}

async fn a_renewal_that_commits_after_another_stays_dropped_also_the_second_time(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let (point, mut at) = hold();
    let slow = app.start(&client, |s| async move {
        point.pass().await;
        s.insert("x", 1)?;
        s.commit().await?;
        s.renew()
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.renew() }).await;
    at.release();
    let slow = slow.await.unwrap();
    assert_eq!((slow.status, slow.cookie()), (200, None));
    assert_eq!(app.read(&client, "x").await, "1");
}

async fn a_token_published_early_is_not_sent_over_a_later_login(home: &Home) {
    let app = App::new(home);
    let mut client = app.visitor().await;
    let mut both = client.clone();
    let (point, mut at) = hold();
    let (inside, mut second_at) = hold();
    let login = app.start(&client, |s| async move {
        inside.pass().await;
        s.login(owner("ada"))
    });
    second_at.reached().await;
    let slow = app.start(&client, |s| async move {
        s.renew()?;
        s.commit().await?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    second_at.release();
    let login = login.await.unwrap();
    assert_eq!(login.status, 200);
    at.release();
    let slow = slow.await.unwrap();
    client.keep(&login);
    assert_eq!(app.presented(&client).await, "active");
    // However the responses come in, the browser ends with the token that works.
    both.keep(&login);
    both.keep(&slow);
    assert_eq!(app.presented(&both).await, "active");
}

async fn another_node_lets_the_renewed_secret_in_and_the_old_one_out(home: &Home) {
    for &mode in home.strict() {
        let a = App::with(home, |builder| builder.coherence(mode));
        let b = App::node(a.store.clone(), a.clock.clone(), |builder| {
            builder.coherence(mode)
        });
        if mode != Coherence::Verify {
            b.listens().await;
        }
        let mut client = a.visitor().await;
        for how in ["renew", "login", "login again"] {
            // A copy that is trusted.
            assert_eq!(b.read(&client, "n").await, "1");
            assert_eq!(b.read(&client, "n").await, "1");
            let old = client.clone();
            a.call(&mut client, move |s| async move {
                if how == "renew" {
                    s.renew()
                } else {
                    s.login(owner("ada"))
                }
            })
            .await;
            b.hears().await;
            // First the old one: the new one would make the node look.
            assert_eq!(b.presented(&old).await, "superseded", "{mode:?} {how}");
            assert_eq!(b.read(&client, "n").await, "1", "{mode:?} {how}");
        }
    }
}
