//! Several tokens in one request.

use std::fmt::Write as _;

use cloakroom_conformance::Op;

use crate::harness::{App, NAME, show, stranger, with_cookies};
use crate::home::Home;

scenarios! {
    among_duplicate_cookies_the_live_one_is_found,
    two_different_live_sessions_in_one_request_are_refused,
    at_most_four_duplicates_are_tried,
    a_candidate_that_cannot_be_looked_up_is_an_outage_and_never_skipped,
    of_several_dead_candidates_the_first_well_formed_one_is_told,
}

async fn among_duplicate_cookies_the_live_one_is_found(home: &Home) {
    let app = App::new(home);
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

async fn two_different_live_sessions_in_one_request_are_refused(home: &Home) {
    let app = App::new(home);
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

async fn at_most_four_duplicates_are_tried(home: &Home) {
    let app = App::new(home);
    let client = app.visitor().await;
    let mut line = String::new();
    for _ in 0..4 {
        write!(line, "{NAME}={}; ", stranger().to_text().expose()).unwrap();
    }
    write!(line, "{NAME}={}", client.token.as_deref().unwrap()).unwrap();
    app.take_counts();
    let request = with_cookies(
        &[line.as_bytes()],
        |s| async move { Ok(s.presented().as_str()) },
    );
    assert_eq!(app.send(request).await.body, "unknown");
    assert_eq!(app.take_counts().total(), 4);
}

async fn a_candidate_that_cannot_be_looked_up_is_an_outage_and_never_skipped(home: &Home) {
    let app = App::new(home);
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

async fn of_several_dead_candidates_the_first_well_formed_one_is_told(home: &Home) {
    let app = App::new(home);
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
