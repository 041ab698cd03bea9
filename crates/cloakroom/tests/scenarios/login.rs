//! Signing in: a new secret, and nothing for whoever held the old one.

use std::time::Duration;

use cloakroom_conformance::Op;

use crate::harness::{App, hold, increment, owner, word};
use crate::home::Home;

scenarios! {
    signing_in_changes_the_secret_and_keeps_the_attributes,
    a_request_from_before_a_login_changes_nothing_after_it,
    a_request_from_before_a_login_on_another_node_ends_nothing,
    a_request_from_before_a_login_reloads_nothing_and_touches_nothing,
    signing_in_as_somebody_else_ends_the_session_and_begins_an_empty_one,
    signing_in_again_as_the_same_owner_changes_the_secret_and_keeps_the_session,
    of_two_logins_that_meet_the_second_is_told,
    of_two_logins_as_others_that_meet_the_second_is_told,
    leaving_right_after_signing_in_as_somebody_else_ends_both,
    a_failed_early_login_as_somebody_else_still_ends_the_old_session,
}

async fn signing_in_changes_the_secret_and_keeps_the_attributes(home: &Home) {
    // Session fixation: the attacker plants a token and waits for the victim to sign in.
    let app = App::new(home);
    let mut victim = app.visitor().await;
    let attacker = victim.clone();
    let reply = app
        .call(&mut victim, |s| async move { s.login(owner("ada")) })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(victim.id(), attacker.id());
    assert_eq!(app.presented(&attacker).await, "superseded");
    assert_eq!(app.read(&victim, "n").await, "1");
    let row = app.row(&victim).await.unwrap();
    assert_eq!(row.owner, Some(owner("ada")));
}

async fn a_request_from_before_a_login_changes_nothing_after_it(home: &Home) {
    for what in [
        "insert", "update", "renew", "login", "destroy", "commit", "idle",
    ] {
        let app = App::new(home);
        let mut victim = app.visitor().await;
        let (point, mut at) = hold();
        let planted = app.start(&victim, move |s| async move {
            point.pass().await;
            match what {
                "insert" => s.insert("n", 9),
                "update" => increment(&s, "n").map(|_| ()),
                "renew" => s.renew(),
                "login" => s.login(owner("mallory")),
                "destroy" => s.destroy(),
                "idle" => s.set_idle_timeout(Some(cloakroom::Timeout::Never)),
                _ => {
                    s.insert("n", 9)?;
                    s.commit().await
                }
            }
        });
        at.reached().await;
        app.call(&mut victim, |s| async move { s.login(owner("ada")) })
            .await;
        let before = app.row(&victim).await;
        at.release();
        let reply = planted.await.unwrap();
        assert_eq!((reply.status, reply.cookie()), (409, None), "{what}");
        assert_eq!(app.row(&victim).await, before, "{what}");
        assert_eq!(app.read(&victim, "n").await, "1", "{what}");
    }
}

async fn a_request_from_before_a_login_on_another_node_ends_nothing(home: &Home) {
    for feed in [true, false] {
        let a = App::new(home);
        let b = if feed {
            App::node(a.store.clone(), a.clock.clone(), |builder| builder)
        } else {
            App::remote(a.store.clone(), a.clock.clone())
        };
        let mut victim = a.visitor().await;
        let (point, mut at) = hold();
        let planted = b.start(&victim, |s| async move {
            point.pass().await;
            s.destroy()
        });
        at.reached().await;
        a.call(&mut victim, |s| async move { s.login(owner("ada")) })
            .await;
        b.hears().await;
        at.release();
        let reply = planted.await.unwrap();
        assert_eq!((reply.status, reply.cookie()), (409, None));
        assert_eq!(a.read(&victim, "n").await, "1");
    }
}

async fn a_request_from_before_a_login_reloads_nothing_and_touches_nothing(home: &Home) {
    let app = App::new(home);
    let mut victim = app.visitor().await;
    app.clock.advance(Duration::from_mins(10));
    let (point, mut at) = hold();
    let planted = app.start(&victim, |s| async move {
        point.pass().await;
        Ok(word(s.reload().await))
    });
    at.reached().await;
    app.call(&mut victim, |s| async move { s.login(owner("ada")) })
        .await;
    let before = app.row(&victim).await;
    app.clock.advance(Duration::from_mins(10));
    at.release();
    assert_eq!(planted.await.unwrap().body, "superseded");
    assert_eq!(app.row(&victim).await, before);
}

async fn signing_in_as_somebody_else_ends_the_session_and_begins_an_empty_one(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    app.call(&mut client, |s| async move { s.insert("n", 7) })
        .await;
    let old = client.clone();
    let reply = app
        .call(&mut client, |s| async move { s.login(owner("bob")) })
        .await;
    assert_eq!(reply.status, 200);
    assert_ne!(client.id(), old.id());
    assert_eq!(app.read(&client, "n").await, "-");
    let reply = app
        .send(old.request(|s| async move { Ok(format!("{:?}", s.presented())) }))
        .await;
    assert!(reply.body.contains("Replaced"), "{}", reply.body);
}

async fn signing_in_again_as_the_same_owner_changes_the_secret_and_keeps_the_session(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    app.call(&mut client, |s| async move { s.insert("n", 7) })
        .await;
    let old = client.clone();
    app.call(&mut client, |s| async move { s.login(owner("ada")) })
        .await;
    assert_eq!(client.id(), old.id());
    assert_eq!(app.presented(&old).await, "superseded");
    assert_eq!(app.read(&client, "n").await, "7");
}

async fn of_two_logins_that_meet_the_second_is_told(home: &Home) {
    for name in ["ada", "bob"] {
        let app = App::new(home);
        let mut client = app.visitor().await;
        let (point, mut at) = hold();
        let second = app.start(&client, move |s| async move {
            s.login(owner(name))?;
            point.pass().await;
            Ok(())
        });
        at.reached().await;
        app.call(&mut client, |s| async move { s.login(owner("ada")) })
            .await;
        at.release();
        let second = second.await.unwrap();
        assert_eq!((second.status, second.cookie()), (409, None));
        assert_eq!(app.row(&client).await.unwrap().owner, Some(owner("ada")));
        assert_eq!(app.presented(&client).await, "active");
    }
}

async fn of_two_logins_as_others_that_meet_the_second_is_told(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    let (point, mut at) = hold();
    let second = app.start(&client, |s| async move {
        s.login(owner("bob"))?;
        point.pass().await;
        Ok(())
    });
    at.reached().await;
    app.call(&mut client, |s| async move { s.login(owner("carol")) })
        .await;
    at.release();
    let second = second.await.unwrap();
    assert_eq!((second.status, second.cookie()), (409, None));
    assert!(
        app.sessions
            .owned_by(&owner("bob"))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(app.row(&client).await.unwrap().owner, Some(owner("carol")));
}

async fn leaving_right_after_signing_in_as_somebody_else_ends_both(home: &Home) {
    let app = App::new(home);
    let mut client = app.member("ada").await;
    let old = client.clone();
    let reply = app
        .call(&mut client, |s| async move {
            s.login(owner("bob"))?;
            s.destroy()
        })
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(client.token, None, "the cookie is removed");
    assert_eq!(app.presented(&old).await, "ended");
    assert!(
        app.sessions
            .owned_by(&owner("bob"))
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_failed_early_login_as_somebody_else_still_ends_the_old_session(home: &Home) {
    let app = App::trusting(home).await;
    let mut client = app.member("ada").await;
    let old = client.clone();
    let faults = app.faults.clone();
    faults.fail(Op::End, 1);
    faults.fail(Op::Peek, 1);
    let reply = app
        .call(&mut client, |s| async move {
            s.login(owner("bob"))?;
            Ok(word(s.commit().await))
        })
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "unavailable"));
    assert_eq!(app.row(&client).await.unwrap().owner, Some(owner("bob")));
    assert_eq!(app.presented(&old).await, "ended");
}
