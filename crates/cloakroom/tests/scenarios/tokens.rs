//! What a token is worth: nothing until its secret is verified, nothing after it was replaced.

use std::fmt::Write as _;
use std::time::Duration;

use cloakroom::{Presented, Secret, SessionId, State, Token};
use cloakroom_conformance::{Counts, Op};

use crate::harness::{App, Client, NAME, owner, show, stranger, with_cookies};
use crate::home::Home;

scenarios! {
    a_malformed_token_is_ignored_and_never_reaches_the_store,
    a_cookie_of_six_kilobytes_is_ignored_without_a_store_call,
    a_cookie_header_that_is_not_utf8_does_no_harm,
    thousands_of_cookies_cost_no_store_call_and_hide_no_session,
    an_unknown_token_is_never_adopted,
    an_unknown_token_that_clears_and_then_writes_gets_a_fresh_id,
    what_the_store_holds_opens_no_session,
    a_wrong_secret_moves_nothing,
    a_wrong_secret_does_not_end_a_session_that_is_due: minutes_ago(60),
    a_refused_secret_is_remembered_for_a_second,
    a_wrong_secret_is_decided_only_by_a_read_begun_after_the_request_came,
    only_the_holder_of_the_secret_learns_how_a_session_ended,
}

const SECOND: Duration = Duration::from_secs(1);

/// The client's id with another secret.
fn forged(client: &Client) -> Client {
    Client::holding(&Token::new(client.id(), Secret::generate()))
}

async fn a_malformed_token_is_ignored_and_never_reaches_the_store(home: &Home) {
    let app = App::new(home);
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
    assert_eq!(app.counts(), Counts::default());
    assert_eq!(app.sessions.stats().presented.malformed, forms.len() as u64);
}

async fn a_cookie_of_six_kilobytes_is_ignored_without_a_store_call(home: &Home) {
    let app = App::new(home);
    let line = format!("{NAME}={}", "A".repeat(6 * 1024));
    let request = with_cookies(&[line.as_bytes()], |s| async move { s.insert("n", 1) });
    let reply = app.send(request).await;
    assert_eq!(reply.status, 200);
    assert!(reply.cookie().is_some(), "the next write replaces it");
    let counts = Counts {
        create: 1,
        ..Counts::default()
    };
    assert_eq!(app.counts(), counts);
}

async fn a_cookie_header_that_is_not_utf8_does_no_harm(home: &Home) {
    let app = App::new(home);
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

async fn thousands_of_cookies_cost_no_store_call_and_hide_no_session(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    app.take_counts();
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
    assert_eq!(app.counts(), Counts::default());
}

async fn an_unknown_token_is_never_adopted(home: &Home) {
    let app = App::new(home);
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

async fn an_unknown_token_that_clears_and_then_writes_gets_a_fresh_id(home: &Home) {
    let app = App::new(home);
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

async fn what_the_store_holds_opens_no_session(home: &Home) {
    let app = App::new(home);
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

async fn a_wrong_secret_moves_nothing(home: &Home) {
    let app = App::new(home);
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

async fn a_wrong_secret_does_not_end_a_session_that_is_due(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(app.presented(&forged(&client)).await, "unknown");
    assert_eq!(app.row(&client).await.unwrap().state, State::Live);
    assert_eq!(app.presented(&client).await, "timed_out");
    assert_eq!(app.row(&client).await.unwrap().state, State::Ended);
}

async fn a_refused_secret_is_remembered_for_a_second(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let thief = forged(&client);
    app.take_counts();
    for _ in 0..50 {
        assert_eq!(app.presented(&thief).await, "unknown");
    }
    assert_eq!(app.take_counts().total(), 1);
    app.clock.advance(SECOND);
    assert_eq!(app.presented(&thief).await, "unknown");
    assert_eq!(app.take_counts().total(), 1);
}

async fn a_wrong_secret_is_decided_only_by_a_read_begun_after_the_request_came(home: &Home) {
    // Given two nodes, where one renews while the other reads.
    let a = App::new(home);
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

async fn only_the_holder_of_the_secret_learns_how_a_session_ended(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    assert!(app.sessions.destroy(client.id()).await.unwrap());
    assert_eq!(app.presented(&forged(&client)).await, "unknown");
    assert_eq!(app.presented(&client).await, "ended");
}
