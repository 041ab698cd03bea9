//! Which token a response carries when another was faster.

use cloakroom::{Presented, Session};

use crate::harness::{App, Client, hold, increment, show};
use crate::home::Home;

scenarios! {
    a_slow_reader_does_not_overwrite_the_cookie_of_a_fast_writer,
    a_header_that_is_always_sent_comes_with_reads_and_with_writes,
    a_plain_tower_service_has_sessions_too,
}

async fn a_slow_reader_does_not_overwrite_the_cookie_of_a_fast_writer(home: &Home) {
    for header in [None, Some("x-session")] {
        let app = App::with(home, |builder| match header {
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

async fn a_header_that_is_always_sent_comes_with_reads_and_with_writes(home: &Home) {
    let app = App::with(home, |builder| {
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

async fn a_plain_tower_service_has_sessions_too(home: &Home) {
    use tower::{Layer, ServiceExt};
    let app = App::new(home);
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
