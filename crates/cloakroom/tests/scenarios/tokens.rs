//! What a token is worth: nothing until its secret is verified, nothing after it was replaced.

use std::fmt::Write as _;
use std::time::Duration;

use cloakroom::{Coherence, Presented, Secret, SessionId, State, Token};
use cloakroom_conformance::{Counts, Op};

use crate::harness::{App, Client, NAME, START, hold, increment, owner, show, with_cookies, word};

const SECOND: Duration = Duration::from_secs(1);

fn stranger() -> Token {
    Token::new(SessionId::generate(START), Secret::generate())
}

/// The client's id with another secret.
fn forged(client: &Client) -> Client {
    Client::holding(&Token::new(client.id(), Secret::generate()))
}

#[tokio::test]
async fn a_malformed_token_is_ignored_and_never_reaches_the_store() {
    let app = App::new();
    let right = stranger().to_text().expose().to_owned();
    let forms = [
        String::new(),
        "x".to_owned(),
        right[..47].to_owned(),
        format!("{right}A"),
        format!("{}+", &right[..47]),
        format!("{}/", &right[..47]),
        format!("{}=", &right[..47]),
        format!("{}.", &right[..47]),
        format!("{right}.node"),
        format!("{right}."),
        format!("{}%3D", &right[..45]),
        "../../../../etc/passwd".to_owned(),
        "A".repeat(6_000),
    ];
    for form in &forms {
        let line = format!("{NAME}={form}");
        let request = with_cookies(
            &[line.as_bytes()],
            |s| async move { Ok(s.presented().as_str()) },
        );
        let reply = app.send(request).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, "malformed"),
            "{form:?}"
        );
        assert_eq!(reply.cookie(), None, "a malformed token is not removed");
    }
    assert_eq!(app.faults.counts(), Counts::default());
    assert_eq!(app.sessions.stats().presented.malformed, forms.len() as u64);
}

#[tokio::test]
async fn a_cookie_of_six_kilobytes_is_ignored_without_a_store_call() {
    let app = App::new();
    let line = format!("{NAME}={}", "A".repeat(6 * 1024));
    let request = with_cookies(&[line.as_bytes()], |s| async move { s.insert("n", 1) });
    let reply = app.send(request).await;
    assert_eq!(reply.status, 200);
    assert!(reply.cookie().is_some(), "the next write replaces it");
    let counts = Counts {
        create: 1,
        ..Counts::default()
    };
    assert_eq!(app.faults.counts(), counts);
}

#[tokio::test]
async fn a_cookie_header_that_is_not_utf8_does_no_harm() {
    let app = App::new();
    let client = app.visitor().await;
    let bytes: &[u8] = b"\xff\xfe=\x80; a\xc3=\xa0";
    let request = with_cookies(&[bytes], |s| async move { Ok(s.presented().as_str()) });
    assert_eq!(app.send(request).await.body, "none");
    let mut beside = bytes.to_vec();
    let token = client.token.as_deref().unwrap();
    beside.extend_from_slice(format!("; {NAME}={token}").as_bytes());
    let request = with_cookies(&[&beside], |s| async move { Ok(s.presented().as_str()) });
    assert_eq!(app.send(request).await.body, "active");
    let ours = [NAME.as_bytes(), b"=\xff\xff"].concat();
    let request = with_cookies(&[&ours], |s| async move { Ok(s.presented().as_str()) });
    assert_eq!(app.send(request).await.body, "malformed");
}

#[tokio::test]
async fn thousands_of_cookies_cost_no_store_call_and_hide_no_session() {
    let app = App::new();
    let client = app.visitor().await;
    app.faults.take_counts();
    let mut line = String::new();
    for n in 0..5_000 {
        write!(line, "c{n}=v{n}; {NAME}=junk{n}; ").unwrap();
    }
    let request = with_cookies(
        &[line.as_bytes()],
        |s| async move { Ok(s.presented().as_str()) },
    );
    assert_eq!(app.send(request).await.body, "malformed");
    write!(line, "{NAME}={}", client.token.as_deref().unwrap()).unwrap();
    let request = with_cookies(
        &[line.as_bytes()],
        |s| async move { Ok(s.presented().as_str()) },
    );
    assert_eq!(app.send(request).await.body, "active");
    assert_eq!(app.faults.counts(), Counts::default());
}

#[tokio::test]
async fn an_unknown_token_is_never_adopted() {
    let app = App::new();
    let planted = stranger();
    let mut client = Client::holding(&planted);
    let reply = app
        .call(&mut client, |s| async move { s.insert("n", 1) })
        .await;
    assert_eq!(reply.status, 200);
    assert_ne!(client.id(), planted.id());
    assert_eq!(app.presented(&Client::holding(&planted)).await, "unknown");
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn an_unknown_token_that_clears_and_then_writes_gets_a_fresh_id() {
    let app = App::new();
    let planted = stranger();
    let mut client = Client::holding(&planted);
    app.call(&mut client, |s| async move {
        s.clear()?;
        s.renew()?;
        s.login(owner("ada"))?;
        s.insert("n", 2)
    })
    .await;
    assert_ne!(client.id(), planted.id());
    assert_eq!(app.read(&client, "n").await, "2");
}

#[tokio::test]
async fn what_the_store_holds_opens_no_session() {
    let app = App::new();
    let client = app.visitor().await;
    let secret = *client.parsed().secret().expose();
    let row = app.row(&client).await.unwrap();
    let holds = |bytes: &[u8]| {
        bytes
            .windows(8)
            .any(|part| secret.windows(8).any(|s| s == part))
    };
    assert!(!holds(&row.head) && !holds(&row.body));
    // Every run of 20 bytes that a dump shows is tried as the secret.
    app.sessions.reset();
    for part in row.head.windows(20) {
        let guess = Secret::from_bytes(part.try_into().unwrap());
        let thief = Client::holding(&Token::new(client.id(), guess));
        assert_eq!(app.presented(&thief).await, "unknown");
    }
}

#[tokio::test]
async fn a_wrong_secret_moves_nothing() {
    let app = App::new();
    let client = app.visitor().await;
    let before = app.row(&client).await.unwrap();
    app.clock.advance(Duration::from_mins(20));
    for cached in [true, false] {
        if !cached {
            app.sessions.reset();
        }
        let mut thief = forged(&client);
        let reply = app
            .call(&mut thief, |s| async move {
                let seen = (s.presented(), s.id(), show::<i64>(&s, "n")?);
                Ok(format!("{seen:?}"))
            })
            .await;
        assert_eq!(
            reply.body,
            format!("{:?}", (Presented::Unknown, None::<SessionId>, "-"))
        );
        assert_eq!(reply.cookie(), None);
    }
    assert_eq!(
        app.row(&client).await.unwrap(),
        before,
        "no touch, no keep-alive"
    );
    assert_eq!(app.sessions.stats().forged, 2);
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn a_wrong_secret_does_not_end_a_session_that_is_due() {
    let app = App::new();
    let client = app.visitor().await;
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(app.presented(&forged(&client)).await, "unknown");
    assert_eq!(app.row(&client).await.unwrap().state, State::Live);
    assert_eq!(app.presented(&client).await, "timed_out");
    assert_eq!(app.row(&client).await.unwrap().state, State::Ended);
}

#[tokio::test]
async fn a_refused_secret_is_remembered_for_a_second() {
    let app = App::new();
    let client = app.visitor().await;
    let thief = forged(&client);
    app.faults.take_counts();
    for _ in 0..50 {
        assert_eq!(app.presented(&thief).await, "unknown");
    }
    assert_eq!(app.faults.take_counts().total(), 1);
    app.clock.advance(SECOND);
    assert_eq!(app.presented(&thief).await, "unknown");
    assert_eq!(app.faults.take_counts().total(), 1);
}

#[tokio::test]
async fn a_wrong_secret_is_decided_only_by_a_read_begun_after_the_request_came() {
    // Given two nodes, where one renews while the other reads.
    let a = App::new();
    let b = App::node(a.store.clone(), a.clock.clone(), |builder| builder);
    let mut client = a.visitor().await;
    assert_eq!(b.read(&client, "n").await, "1");
    let old = client.clone();
    let gate = b.faults.hold_reply(Op::Load);
    let slow = b.start(
        &forged(&client),
        |s| async move { Ok(s.presented().as_str()) },
    );
    gate.arrived(1).await;
    a.call(&mut client, |s| async move { s.renew() }).await;
    // When the new token comes to the node that has read the old state.
    let fresh = b.start(&client, |s| async move { show::<i64>(&s, "n") });
    gate.release();
    // Then it is let in.
    assert_eq!(fresh.await.unwrap().body, "1");
    assert_eq!(slow.await.unwrap().body, "unknown");
    assert_eq!(b.presented(&old).await, "superseded");
}

#[tokio::test]
async fn only_the_holder_of_the_secret_learns_how_a_session_ended() {
    let app = App::new();
    let client = app.visitor().await;
    assert!(app.sessions.destroy(client.id()).await.unwrap());
    assert_eq!(app.presented(&forged(&client)).await, "unknown");
    assert_eq!(app.presented(&client).await, "ended");
}

#[tokio::test]
async fn renewing_keeps_id_and_data_and_changes_the_secret() {
    let app = App::new();
    let mut client = app.visitor().await;
    let old = client.clone();
    app.faults.take_counts();
    let reply = app.call(&mut client, |s| async move { s.renew() }).await;
    assert!(reply.cookie().is_some());
    assert_eq!(
        app.faults.take_counts(),
        Counts {
            save: 1,
            ..Counts::default()
        }
    );
    assert_eq!(client.id(), old.id());
    assert_ne!(client.token, old.token);
    assert_eq!(app.read(&client, "n").await, "1");
}

#[tokio::test]
async fn a_replaced_secret_is_superseded_for_a_minute_and_unknown_after_it() {
    let app = App::new();
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

#[tokio::test]
async fn the_window_of_superseded_secrets_is_a_setting() {
    let app = App::with(|builder| builder.superseded_window(Duration::ZERO));
    let mut client = app.visitor().await;
    let old = client.clone();
    app.call(&mut client, |s| async move { s.renew() }).await;
    assert_eq!(app.presented(&old).await, "unknown");
}

#[tokio::test]
async fn the_last_four_secrets_are_remembered() {
    let app = App::new();
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

#[tokio::test]
async fn a_write_of_a_request_under_way_lands_in_the_renewed_session() {
    let app = App::new();
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

#[tokio::test]
async fn of_two_renewals_that_meet_one_makes_the_token() {
    for first_answers_last in [false, true] {
        let app = App::new();
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

#[tokio::test]
async fn a_renewal_that_commits_after_another_stays_dropped_also_the_second_time() {
    let app = App::new();
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

#[tokio::test]
async fn a_token_published_early_is_not_sent_over_a_later_login() {
    let app = App::new();
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

#[tokio::test]
async fn signing_in_changes_the_secret_and_keeps_the_attributes() {
    // Session fixation: the attacker plants a token and waits for the victim to sign in.
    let app = App::new();
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

#[tokio::test]
async fn a_request_from_before_a_login_changes_nothing_after_it() {
    for what in [
        "insert", "update", "renew", "login", "destroy", "commit", "idle",
    ] {
        let app = App::new();
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

#[tokio::test]
async fn a_request_from_before_a_login_on_another_node_ends_nothing() {
    for feed in [true, false] {
        let a = App::new();
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
        tokio::task::yield_now().await;
        at.release();
        let reply = planted.await.unwrap();
        assert_eq!((reply.status, reply.cookie()), (409, None));
        assert_eq!(a.read(&victim, "n").await, "1");
    }
}

#[tokio::test]
async fn a_request_from_before_a_login_reloads_nothing_and_touches_nothing() {
    let app = App::new();
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

#[tokio::test]
async fn signing_in_as_somebody_else_ends_the_session_and_begins_an_empty_one() {
    let app = App::new();
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

#[tokio::test]
async fn signing_in_again_as_the_same_owner_changes_the_secret_and_keeps_the_session() {
    let app = App::new();
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

#[tokio::test]
async fn of_two_logins_that_meet_the_second_is_told() {
    for name in ["ada", "bob"] {
        let app = App::new();
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

#[tokio::test]
async fn of_two_logins_as_others_that_meet_the_second_is_told() {
    let app = App::new();
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

#[tokio::test]
async fn leaving_right_after_signing_in_as_somebody_else_ends_both() {
    let app = App::new();
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

#[tokio::test]
async fn a_failed_early_login_as_somebody_else_still_ends_the_old_session() {
    let app = App::new();
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

#[tokio::test]
async fn among_duplicate_cookies_the_live_one_is_found() {
    let app = App::new();
    let client = app.visitor().await;
    let token = client.token.clone().unwrap();
    let bogus = stranger().to_text().expose().to_owned();
    for line in [
        format!("{NAME}={token}; {NAME}={bogus}"),
        format!("{NAME}={bogus}; {NAME}={token}"),
        format!("{NAME}=junk; {NAME}={token}"),
        format!("{NAME}=\"{token}\""),
        format!("{NAME}={token}; {NAME}={token}"),
    ] {
        let request = with_cookies(&[line.as_bytes()], |s| async move { show::<i64>(&s, "n") });
        assert_eq!(app.send(request).await.body, "1", "{line}");
    }
    let lines = [format!("{NAME}={bogus}"), format!("{NAME}={token}")];
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    let request = with_cookies(&lines, |s| async move { show::<i64>(&s, "n") });
    assert_eq!(
        app.send(request).await.body,
        "1",
        "two Cookie lines, as HTTP/2 sends them"
    );
}

#[tokio::test]
async fn two_different_live_sessions_in_one_request_are_refused() {
    let app = App::new();
    let (a, b) = (app.visitor().await, app.visitor().await);
    let line = format!(
        "{NAME}={}; {NAME}={}",
        a.token.as_deref().unwrap(),
        b.token.as_deref().unwrap()
    );
    let request = with_cookies(&[line.as_bytes()], |s| async move { s.insert("n", 2) });
    let reply = app.send(request).await;
    assert_eq!((reply.status, reply.body.as_str()), (400, "two_sessions"));
    assert_eq!(reply.cookie(), None);

    let app = App::node(app.store.clone(), app.clock.clone(), |builder| {
        builder.two_sessions(cloakroom::TwoSessions::FirstWins)
    });
    let request = with_cookies(&[line.as_bytes()], |s| async move {
        Ok(format!("{:?}", s.id()))
    });
    assert_eq!(app.send(request).await.body, format!("{:?}", Some(a.id())));
}

#[tokio::test]
async fn at_most_four_duplicates_are_tried() {
    let app = App::new();
    let client = app.visitor().await;
    let mut line = String::new();
    for _ in 0..4 {
        write!(line, "{NAME}={}; ", stranger().to_text().expose()).unwrap();
    }
    write!(line, "{NAME}={}", client.token.as_deref().unwrap()).unwrap();
    app.faults.take_counts();
    let request = with_cookies(
        &[line.as_bytes()],
        |s| async move { Ok(s.presented().as_str()) },
    );
    assert_eq!(app.send(request).await.body, "unknown");
    assert_eq!(app.faults.take_counts().total(), 4);
}

#[tokio::test]
async fn a_candidate_that_cannot_be_looked_up_is_an_outage_and_never_skipped() {
    let app = App::new();
    let client = app.visitor().await;
    app.faults.fail(Op::Load, 1);
    let line = format!(
        "{NAME}={}; {NAME}={}",
        stranger().to_text().expose(),
        client.token.as_deref().unwrap()
    );
    let request = with_cookies(&[line.as_bytes()], |s| async move { show::<i64>(&s, "n") });
    let reply = app.send(request).await;
    assert_eq!((reply.status, reply.cookie()), (503, None));
}

#[tokio::test]
async fn of_several_dead_candidates_the_first_well_formed_one_is_told() {
    let app = App::new();
    let ended = app.visitor().await;
    app.sessions.destroy(ended.id()).await.unwrap();
    let ended = ended.token.unwrap();
    let unknown = stranger().to_text().expose().to_owned();
    for (line, told) in [
        (
            format!("{NAME}=junk; {NAME}={ended}; {NAME}={unknown}"),
            "ended",
        ),
        (format!("{NAME}={unknown}; {NAME}={ended}"), "unknown"),
    ] {
        let request = with_cookies(
            &[line.as_bytes()],
            |s| async move { Ok(s.presented().as_str()) },
        );
        assert_eq!(app.send(request).await.body, told);
    }
}

#[tokio::test]
async fn another_node_lets_the_renewed_secret_in_and_the_old_one_out() {
    for mode in [Coherence::Push, Coherence::Verify] {
        let a = App::with(|builder| builder.coherence(mode));
        let b = App::node(a.store.clone(), a.clock.clone(), |builder| {
            builder.coherence(mode)
        });
        let mut client = a.visitor().await;
        assert_eq!(b.read(&client, "n").await, "1");
        let old = client.clone();
        a.call(&mut client, |s| async move { s.renew() }).await;
        // The feed, where there is one, is heard by the housekeeper's task.
        tokio::task::yield_now().await;
        assert_eq!(b.read(&client, "n").await, "1", "{mode:?}");
        assert_eq!(b.presented(&old).await, "superseded", "{mode:?}");
    }
}
