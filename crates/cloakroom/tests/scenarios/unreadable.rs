//! Records that this release cannot read.

use std::time::Duration;

use cloakroom::{
    OnUnreadable, Record, Secret, SessionId, SessionStore, Stamp, State, Times, Token,
};
use cloakroom_conformance::{Corruption, Faults, Op};

use crate::harness::{App, Client};
use crate::home::Home;

scenarios! {
    a_record_of_a_newer_format_is_503_and_left_untouched,
    a_record_that_cannot_be_decoded_follows_the_policy,
    a_wrong_secret_learns_and_removes_nothing_of_an_unreadable_record,
    no_bytes_in_a_row_make_a_request_panic,
}

const SECOND: Duration = Duration::from_secs(1);

/// The client's id with another secret.
fn forged(client: &Client) -> Client {
    Client::holding(&Token::new(client.id(), Secret::generate()))
}

async fn a_record_of_a_newer_format_is_503_and_left_untouched(home: &Home) {
    for how in [Corruption::ForeignHead, Corruption::ForeignBody] {
        let app = App::with(home, |builder| builder.on_unreadable(OnUnreadable::Remove));
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

async fn a_record_that_cannot_be_decoded_follows_the_policy(home: &Home) {
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
            let app = App::with(home, |builder| builder.on_unreadable(policy));
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

async fn a_wrong_secret_learns_and_removes_nothing_of_an_unreadable_record(home: &Home) {
    for how in [Corruption::TruncateBody, Corruption::ForeignBody] {
        let app = App::with(home, |builder| builder.on_unreadable(OnUnreadable::Remove));
        let client = app.visitor().await;
        app.sessions.reset();
        app.faults.corrupt(Op::Load, how, 1);
        assert_eq!(app.presented(&forged(&client)).await, "unknown", "{how:?}");
        assert_eq!(app.read(&client, "n").await, "1");
    }
}

async fn no_bytes_in_a_row_make_a_request_panic(home: &Home) {
    let app = App::new(home);
    let times = Times {
        used_at: home.start(),
        deadline: Some(home.start() + 3_600 * SECOND),
        expires_at: Some(home.start() + 7_200 * SECOND),
    };
    let mut seed = 7_u64;
    let mut byte = move || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(seed >> 56).unwrap()
    };
    for round in 0..home.rounds(2_000) {
        let token = Token::new(SessionId::generate(home.start()), Secret::generate());
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
